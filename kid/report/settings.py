"""Settings in which runs differ: those that define a variant of a method, those that make a comparison unfair."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kid.config.keys import FIELDS, keys_affecting, unused_reason
from kid.config.methods import METHODS
from kid.config.option import REWRITE
from kid.config.run_config import RunConfig
from kid.report.names import canonical_model
from kid.report.runs import Run

Variant = tuple[tuple[str, object], ...]


VARIANT_KEYS = keys_affecting("variant")
# These define a method, so they are always shown, even if all runs share them.
ALWAYS_SHOWN = ("rewrite", "divergence")


def variant(config: RunConfig, shared: dict[str, object]) -> Variant:
    """The settings (key, value) in which a run differs from its method's defaults; `shared` overrides the defaults."""
    defaults = {key: FIELDS[key].default for key in VARIANT_KEYS} | shared
    used = {key: getattr(config, key) for key in VARIANT_KEYS if unused_reason(key, config) is None}
    if config.divergence == METHODS[config.method].divergence:
        used.pop("divergence", None)
    return tuple((key, value) for key, value in used.items() if value != defaults[key])


def shared_settings(configs: Sequence[RunConfig]) -> dict[str, object]:
    """Settings in which all runs that use them agree on a value other than the default, which replaces the default.

    For KID's own settings at least two rows must agree: a single row is a variant of KID.
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
    """The training settings, except method and seed, in which two runs differ, as text."""
    pairs = [(key, getattr(first.config, key), getattr(second.config, key)) for key in keys_affecting("training")]
    return ", ".join(
        f"{key} ({one!r} and {other!r})"
        for key, one, other in pairs
        if (resolved(one) != resolved(other) if "paths" in FIELDS[key].metadata["affects"] else one != other)
    )


def resolved(value: str | tuple[str, ...] | None) -> object:
    """One or several paths, resolved, so that different spellings are equal."""
    if isinstance(value, str):
        return os.path.realpath(value)
    return value and tuple(map(os.path.realpath, value))


def timing_conditions(run: Run) -> dict[str, object]:
    """Settings that must be equal for the seconds of two runs to be comparable."""
    pace = {key.replace("_", " "): getattr(run.config, key) for key in keys_affecting("speed")}
    return {"hardware": run.hardware, "ranks": run.ranks} | pace | {"deepspeed": Path(run.config.deepspeed).name}
