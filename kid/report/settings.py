"""In which settings runs differ: those that make a method another one, those that make a comparison unfair."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kid.config.methods import METHODS, MLE_SOURCES, ON_POLICY
from kid.config.run_config import RunConfig
from kid.report.names import identity
from kid.report.runs import Run

Variant = tuple[tuple[str, object], ...]


def is_kid(config: RunConfig) -> bool:
    return config.method == "kid"


def masks(config: RunConfig) -> bool:
    return is_kid(config) and config.rewrite != "none"


def predicts(config: RunConfig) -> bool:
    return is_kid(config) and config.rewrite == "predict"


def distils(config: RunConfig) -> bool:
    return METHODS[config.method].needs_teacher


def samples(config: RunConfig) -> bool:
    return ON_POLICY in METHODS[config.method].sources or (predicts(config) and config.fill == "sample")


def has_mle(config: RunConfig) -> bool:
    return any(source in MLE_SOURCES for source in METHODS[config.method].sources)


# Settings that make a method another one, beside its name -> whether a run uses the setting at all.
IMPERFECT_USES = {
    "rewrite": is_kid,
    "mask_strategy": masks,
    "mask_ratio": masks,
    "fill": predicts,
    "mask_token": masks,
    "mle_on": masks,
}
USES = IMPERFECT_USES | {
    "divergence": distils,
    "jsd_beta": lambda config: config.resolved_divergence == "jsd",
    "skew_alpha": lambda config: (config.resolved_divergence or "").startswith("skew"),
    "temperature": distils,
    "kd_weight": distils,
    "mle_weight": has_mle,
    "reduction": lambda config: True,
    "sample_temperature": samples,
    "top_p": samples,
}
# What a method is: never taken for granted, however many runs have it.
ALWAYS_SAID = ("rewrite", "divergence")
# Runs that differ in these are not a fair comparison of methods; the report says so.
DATA_KEYS = ("data", "questions", "tables", "databases")
TRAINING_KEYS = (
    "epochs", "max_steps", "batch_size", "lr", "warmup_ratio", "weight_decay", "max_grad_norm", "lora_rank",
    "lora_alpha", "lora_dropout", "max_prompt_length", "max_completion_length", "schema_filter", *DATA_KEYS,
)  # fmt: skip
# What a step's time depends on, beside the method.
PACE_KEYS = (
    "batch_size", "micro_batch_size", "batching", "dtype", "max_prompt_length", "max_completion_length", "lora_rank",
    "prefix", "activation_checkpointing", "fused", "attention",
)  # fmt: skip


def variant(config: RunConfig, shared: dict[str, object]) -> Variant:
    """What a run does otherwise than its method by default, as (key, value); `shared` are other defaults."""
    defaults = {key: getattr(RunConfig(), key) for key in USES} | shared
    own = METHODS[config.method].divergence
    return tuple(
        (key, getattr(config, key))
        for key, uses in USES.items()
        if uses(config) and getattr(config, key) not in (defaults[key], *([own] if key == "divergence" else []))
    )


def shared_settings(configs: Sequence[RunConfig]) -> dict[str, object]:
    """Settings in which all runs that use them agree, on another value than the default: then it is theirs.

    Of KID's own settings two rows must agree at least: one alone is KID with that setting.
    """
    shared = {}
    for key in USES:
        using = [config for config in configs if USES[key](config)]
        values = {getattr(config, key) for config in using}
        rows = {(config.method, identity(config.teacher), variant(config, {})) for config in using}
        enough = len(rows) > 1 or key not in IMPERFECT_USES
        if key not in ALWAYS_SAID and enough and len(values) == 1 and values != {getattr(RunConfig(), key)}:
            shared[key] = values.pop()
    return shared


def in_words(settings: Variant) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings)


def differences(first: Run, second: Run) -> str:
    """Settings of training, but for method and seed, in which two runs differ, in words."""
    pairs = [(key, getattr(first.config, key), getattr(second.config, key)) for key in TRAINING_KEYS]
    return ", ".join(
        f"{key} ({one!r} and {other!r})"
        for key, one, other in pairs
        if (place(one) != place(other) if key in DATA_KEYS else one != other)
    )


def place(value: str | tuple[str, ...] | None) -> object:
    """A path, or several, the same however it is spelled."""
    if isinstance(value, str):
        return os.path.realpath(value)
    return value and tuple(map(os.path.realpath, value))


def conditions(run: Run) -> dict[str, object]:
    """What must be equal before two runs' seconds are compared."""
    pace = {key.replace("_", " "): getattr(run.config, key) for key in PACE_KEYS}
    return {"hardware": run.hardware, "ranks": run.ranks} | pace | {"deepspeed": Path(run.config.deepspeed).name}
