"""Settings in which runs differ: those that define a variant of a method, those that make a comparison unfair."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kid.config.methods import METHODS, MLE_SOURCES, ON_POLICY
from kid.config.run_config import RunConfig
from kid.report.names import canonical_model
from kid.report.runs import Run

Variant = tuple[tuple[str, object], ...]


def is_kid(config: RunConfig) -> bool:
    return config.method == "kid"


def uses_masks(config: RunConfig) -> bool:
    return is_kid(config) and config.rewrite != "none"


def uses_predictions(config: RunConfig) -> bool:
    return is_kid(config) and config.rewrite == "predict"


def uses_teacher(config: RunConfig) -> bool:
    return METHODS[config.method].needs_teacher


def uses_sampling(config: RunConfig) -> bool:
    return ON_POLICY in METHODS[config.method].sources or (uses_predictions(config) and config.fill == "sample")


def uses_mle(config: RunConfig) -> bool:
    return any(source in MLE_SOURCES for source in METHODS[config.method].sources)


# Settings that define a variant of a method -> whether a run uses the setting.
KID_SETTING_USES = {
    "rewrite": is_kid,
    "mask_strategy": uses_masks,
    "mask_ratio": uses_masks,
    "fill": uses_predictions,
    "mask_token": uses_masks,
    "mle_on": uses_masks,
}
SETTING_USES = KID_SETTING_USES | {
    "divergence": uses_teacher,
    "jsd_beta": lambda config: config.resolved_divergence == "jsd",
    "skew_alpha": lambda config: (config.resolved_divergence or "").startswith("skew"),
    "temperature": uses_teacher,
    "kd_weight": uses_teacher,
    "mle_weight": uses_mle,
    "reduction": lambda config: True,
    "sample_temperature": uses_sampling,
    "top_p": uses_sampling,
}
# These define a method, so they are always shown, even if all runs share them.
ALWAYS_SHOWN = ("rewrite", "divergence")
# Runs that differ in these do not compare methods fairly; the report adds a remark.
DATA_KEYS = ("data", "questions", "tables", "databases")
TRAINING_KEYS = (
    "epochs", "max_steps", "batch_size", "lr", "warmup_ratio", "weight_decay", "max_grad_norm", "lora_rank",
    "lora_alpha", "lora_dropout", "max_prompt_length", "max_completion_length", "schema_filter", *DATA_KEYS,
)  # fmt: skip
# Settings that the time of a step depends on, besides the method.
TIMING_KEYS = (
    "batch_size", "micro_batch_size", "batching", "dtype", "max_prompt_length", "max_completion_length", "lora_rank",
    "prefix", "teacher_prefix_gb", "teacher_states", "activation_checkpointing", "fused", "attention",
)  # fmt: skip


def variant(config: RunConfig, shared: dict[str, object]) -> Variant:
    """The settings (key, value) in which a run differs from its method's defaults; `shared` overrides the defaults."""
    defaults = {key: getattr(RunConfig(), key) for key in SETTING_USES} | shared
    own = METHODS[config.method].divergence
    return tuple(
        (key, getattr(config, key))
        for key, uses in SETTING_USES.items()
        if uses(config) and getattr(config, key) not in (defaults[key], *([own] if key == "divergence" else []))
    )


def shared_settings(configs: Sequence[RunConfig]) -> dict[str, object]:
    """Settings in which all runs that use them agree on a value other than the default, which replaces the default.

    For KID's own settings at least two rows must agree: a single row is a variant of KID.
    """
    shared = {}
    for key in SETTING_USES:
        using = [config for config in configs if SETTING_USES[key](config)]
        values = {getattr(config, key) for config in using}
        rows = {(config.method, canonical_model(config.teacher), variant(config, {})) for config in using}
        enough = len(rows) > 1 or key not in KID_SETTING_USES
        if key not in ALWAYS_SHOWN and enough and len(values) == 1 and values != {getattr(RunConfig(), key)}:
            shared[key] = values.pop()
    return shared


def describe_settings(settings: Variant) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings)


def differences(first: Run, second: Run) -> str:
    """The training settings, except method and seed, in which two runs differ, as text."""
    pairs = [(key, getattr(first.config, key), getattr(second.config, key)) for key in TRAINING_KEYS]
    return ", ".join(
        f"{key} ({one!r} and {other!r})"
        for key, one, other in pairs
        if (resolved(one) != resolved(other) if key in DATA_KEYS else one != other)
    )


def resolved(value: str | tuple[str, ...] | None) -> object:
    """One or several paths, resolved, so that different spellings are equal."""
    if isinstance(value, str):
        return os.path.realpath(value)
    return value and tuple(map(os.path.realpath, value))


def timing_conditions(run: Run) -> dict[str, object]:
    """Settings that must be equal for the seconds of two runs to be comparable."""
    pace = {key.replace("_", " "): getattr(run.config, key) for key in TIMING_KEYS}
    return {"hardware": run.hardware, "ranks": run.ranks} | pace | {"deepspeed": Path(run.config.deepspeed).name}
