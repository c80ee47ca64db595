"""The metadata of each key of `RunConfig`: its help, its allowed values, what it affects, which runs use it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import field
from typing import Any

from kid.config.uses import every_run

GROUPS = ("models", "data", "loss", "imperfect data", "model-generated outputs", "optimisation", "the run")
MODELS, DATA, LOSS, REWRITE, SAMPLING, OPTIMISATION, RUN = GROUPS

# What a key may affect; kid.config.keys.keys_affecting lists the keys that do.
AFFECTS = {
    "prompts": "the prompts of a split",
    "paths": "the location of the data: compared as resolved paths",
    # Not --questions: in training it names the training questions; dev is still the benchmark's.
    "prediction": "a prediction: passed on when the trained student predicts",
    "scores": "a score: passed on when predictions are scored",
    "decoding": "outputs that a model generates",
    "training": "the training: methods cannot be compared fairly by runs that differ in it",
    "variant": "the method: runs that differ in it are variants of a method",
    "card": "the model card's description of the training, besides the variant",
    "speed": "the seconds per step",
    "plan": "the memory or time that train/plan.py estimates",
    "teacher alone": "the scripts that run the teacher over a training set",
    "inputs": "files that are read, besides the data",
    "files": "what is checked or written, and when; not what is computed",
}


def option(
    default: Any,
    help: str,
    *,
    group: str,
    affects: str,
    used: Callable[[Any], str | None] = every_run,
    free_on_resume: bool = False,
    choices: Collection[str] | None = None,
    template: bool = False,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Create a field of `RunConfig`.

    Args:
        group: heading in `--help`, one of `GROUPS`.
        affects: names in `AFFECTS`, separated by commas.
        used: a function of `kid.config.uses`: returns why a run does not use the key, None if it does.
        free_on_resume: whether the key may change when a run is resumed: it affects at most rounding and the dropout
            masks.
        choices: the allowed values; or `low` <= value <= `high`.
        template: whether the value may also be a template, see `kid.config.templates`.
    """
    affected = tuple(affects.split(", "))
    if unknown := set(affected) - AFFECTS.keys():
        raise ValueError(f"unknown: {unknown}")
    return field(
        default=default,
        metadata={
            "help": help, "group": group, "affects": affected, "used": used, "free_on_resume": free_on_resume,
            "choices": choices, "template": template, "low": low, "high": high,
        },
    )  # fmt: skip
