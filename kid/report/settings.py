"""Settings in which runs differ: those that define a variant of a method, and those that make comparisons unfair."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kid.config.keys import FIELDS, keys_affecting, unused_reason
from kid.config.methods import METHODS
from kid.config.option import REWRITE
from kid.config.run_config import RunConfig
from kid.config.templates import brief
from kid.report.names import canonical_model
from kid.report.runs import Run

Variant = tuple[tuple[str, object], ...]


VARIANT_KEYS = keys_affecting("variant")
# Settings that define a method: they are always shown, even if all runs share them.
ALWAYS_SHOWN = ("rewrite", "divergence")


def variant(config: RunConfig, shared: dict[str, object]) -> Variant:
    """Return settings (key, value) in which a run differs from its method's defaults; `shared` overrides these."""
    defaults = {key: FIELDS[key].default for key in VARIANT_KEYS} | shared
    used = {key: getattr(config, key) for key in VARIANT_KEYS if unused_reason(key, config) is None}
    if config.divergence == METHODS[config.method].divergence:
        used.pop("divergence", None)
    return tuple((key, value) for key, value in used.items() if value != defaults[key])


def shared_settings(configs: Sequence[RunConfig]) -> dict[str, object]:
    """Return settings for which all runs that use them have the same non-default value; it replaces the default.

    KID's own settings count only if at least two rows have them: a single row is a variant of KID.
    """
    shared = {}
    for key in VARIANT_KEYS:
        using = [config for config in configs if unused_reason(key, config) is None]
        values = {getattr(config, key) for config in using}
        rows = {(config.method, canonical_model(config.teacher), variant(config, {})) for config in using}
        enough = len(rows) > 1 or FIELDS[key].metadata["group"] != REWRITE
        if key not in ALWAYS_SHOWN and enough and len(values) == 1 and values != {FIELDS[key].default}:
            shared[key] = values.pop()
    return shared


def describe_settings(settings: Variant) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings)


def differences(first: Run, second: Run) -> str:
    """Describe the training settings, except method and seed, in which two runs differ."""
    pairs = [(key, getattr(first.config, key), getattr(second.config, key)) for key in keys_affecting("training")]
    return ", ".join(
        f"{key} ({brief(one)!r} and {brief(other)!r})"
        for key, one, other in pairs
        if (resolved(one) != resolved(other) if "paths" in FIELDS[key].metadata["affects"] else one != other)
    )


def resolved(value: str | tuple[str, ...] | None) -> object:
    """Resolve one or several paths, so that different spellings are equal."""
    if isinstance(value, str):
        return os.path.realpath(value)
    return value and tuple(map(os.path.realpath, value))


def timing_conditions(run: Run) -> dict[str, object]:
    """Return the settings that must be equal for the seconds of two runs to be comparable."""
    pace = {key.replace("_", " "): getattr(run.config, key) for key in keys_affecting("speed")}
    return {"hardware": run.hardware, "ranks": run.ranks} | pace | {"deepspeed": Path(run.config.deepspeed).name}
