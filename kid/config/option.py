"""What each key of `RunConfig` says about itself: its help, its allowed values, what it affects, which runs use it."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import field
from typing import Any

from kid.config.uses import every_run

GROUPS = ("models", "data", "loss", "imperfect data", "model-generated outputs", "optimisation", "the run")
MODELS, DATA, LOSS, REWRITE, SAMPLING, OPTIMISATION, RUN = GROUPS

# What a key may affect; kid.config.keys.keys_affecting lists the keys that do.
AFFECTS = {
    "prompts": "the prompts of a split",
    "paths": "where the data lie: equal however the path is spelt",
    # Not --questions: in training it names the training questions, and dev stays the benchmark's.
    "prediction": "a prediction: given again where the trained student predicts",
    "scores": "a score: given again where predictions are scored",
    "decoding": "outputs that a model generates",
    "training": "the training: runs that differ in it do not compare methods fairly",
    "variant": "the method: runs that differ in it are variants of one",
    "card": "what a published model says of its training, besides its variant",
    "speed": "the seconds of a step",
    "plan": "the memory or time that train/plan.py estimates",
    "teacher alone": "the scripts that run the teacher over a training set",
    "inputs": "what is read where it is named, besides the data",
    "files": "what is checked or written, and when; nothing that is computed",
}


def option(
    default: Any,
    help: str,
    *,
    group: str,
    affects: str,
    used: Callable[[Any], str | None] = every_run,
    free_on_resume: bool = False,
    choices: Container[str] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """A field of `RunConfig`.

    Args:
        group: heading in `--help`, one of `GROUPS`.
        affects: names in `AFFECTS`, separated by commas.
        used: a function of `kid.config.uses`: why a run does not use the key, None if it does.
        free_on_resume: whether the key may change when a run is resumed: it affects at most rounding and what dropout
            drops.
        choices: the allowed values; or `low` <= value <= `high`.
    """
    affected = tuple(affects.split(", "))
    if unknown := set(affected) - AFFECTS.keys():
        raise ValueError(f"unknown: {unknown}")
    return field(
        default=default,
        metadata={
            "help": help, "group": group, "affects": affected, "used": used, "free_on_resume": free_on_resume,
            "choices": choices, "low": low, "high": high,
        },
    )  # fmt: skip
