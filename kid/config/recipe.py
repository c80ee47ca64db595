"""Build a run's configuration from a recipe and flags, and check it before any model is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kid.config.keys import FIELDS, as_flags, convert, flag, keys_affecting, shown, unused_reason
from kid.config.methods import METHODS, TEACHER_OUTPUTS
from kid.config.run_config import MEASURES, TRACKERS, RunConfig
from kid.errors import InputError


class PlainLoader(yaml.SafeLoader):
    """A YAML loader that refuses anchors and aliases: with them, a few lines can expand to billions of items."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(
                problem=f"anchors (&) and aliases (*) are not supported; remove {shown(event.anchor)}",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)


def load_yaml(text: str) -> Any:
    """Parse YAML without aliases. Raises yaml.YAMLError for everything that cannot be read."""
    try:
        return yaml.load(text, PlainLoader)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    # The loader raises these for a number of 5000 digits, 2001-02-30, !!int "" and !!bool x.
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        raise yaml.YAMLError(f"it has a value that cannot be read: {str(error).partition(';')[0]}") from None


@cache
def load_recipe_text(text: str) -> Any:
    """Parse a recipe's text; do not modify the result. Cached: `--help` reads the same few bases for 70 recipes."""
    return load_yaml(text)


def suggest_key(name: str, known: list[str]) -> str:
    """Suggest, for an error message, the known key closest to `name`, or all keys if none is close."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def read_recipe(path: Path | str, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a recipe's keys and values; they override those of its `base`, the path of a recipe relative to it.

    Args:
        path: a YAML file.
        seen: the recipes that lead to this one through their bases, to detect a cycle.

    Raises:
        InputError: unreadable file, unknown key, wrong value, or a cycle of bases.
    """
    path = Path(path)
    if "\0" in str(path):
        raise InputError(f"recipe {shown(str(path))} has a NUL in its name; give an existing file")
    if path.resolve() in seen:
        raise InputError(f"{path}: the bases of these recipes form a cycle; remove one base")
    try:
        values = deepcopy(load_recipe_text(path.read_text(encoding="utf-8"))) or {}
    except OSError as error:
        raise InputError(f"recipe {path}: {error.strerror}; give an existing file with --config") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected lines of KEY: VALUE")
    base = values.pop("base", None)
    if base is not None and not isinstance(base, str):
        raise InputError(f"{path}: base = {shown(base)} is not the name of a recipe")
    inherited = read_recipe(path.parent / base, (*seen, path.resolve())) if base else {}
    known = list(FIELDS)
    for key in values:
        if key not in known:
            raise InputError(f"{path}: unknown key {shown(key)}; {suggest_key(str(key)[:100], known)}")
    return inherited | {key: convert(key, value, str(path)) for key, value in values.items()}


def merge_config(recipe: Path | str | None, flags: dict[str, Any]) -> RunConfig:
    """Build the configuration: defaults, overridden by the recipe, overridden by flags.

    Args:
        recipe: a YAML file, or None.
        flags: field name -> value, as text or typed; only those the user gave.

    Raises:
        InputError: unknown key, wrong type, value out of range, or activation checkpointing with the prefix cache.
    """
    values = read_recipe(recipe) if recipe else {}
    values |= {name: convert(name, value, flag(name)) for name, value in flags.items()}
    config = RunConfig(**values)
    if config.activation_checkpointing and config.prefix:
        raise InputError(
            "--activation-checkpointing yes: recomputed activations would lack the KV cache of the prompts that all "
            "passes share; add --prefix off"
        )
    if unknown := [name for name in config.trackers if name not in TRACKERS]:
        raise InputError(f"--report-to: {shown(unknown[0])} is unknown; choose from {', '.join(TRACKERS)}, or none")
    return config


REQUIRED = ("student", "data", "output")  # for a training run


def require_keys(config: RunConfig, *names: str) -> None:
    """Raise InputError for the first of these keys that has no value."""
    for name in names:
        if not getattr(config, name):
            raise InputError(f"{flag(name)} is missing; give it as a flag or in the recipe ({name}: ...)")


def used_config(config: RunConfig, flags: Collection[str]) -> RunConfig:
    """Reset the inputs that the method does not read, which a recipe may have, to their defaults.

    Raises:
        InputError: one of `flags` has no effect, or teacher_states is given without the fused losses.
    """
    for name in flags:
        value = getattr(config, name)
        if value != "" and (reason := unused_reason(name, config)):  # --teacher "" means no teacher
            raise InputError(f"{' '.join(as_flags(name, value))}: {reason}; remove it")
    unused = [name for name in keys_affecting("inputs") if unused_reason(name, config)]
    defaults: dict[str, Any] = {name: FIELDS[name].default for name in unused}
    config = replace(config, **defaults)
    if config.teacher_states and not config.fused:
        raise InputError(
            f"--teacher-states {config.teacher_states}: --fused off uses the teacher's logits, not its hidden states; "
            "remove one of them"
        )
    return config


def resolve_config(recipe: Path | str | None, flags: dict[str, Any]) -> RunConfig:
    """Build the configuration of a training run. Raises InputError as `merge_config`, and if keys contradict."""
    config = used_config(merge_config(recipe, flags), flags)
    require_keys(config, *REQUIRED)
    method = METHODS[config.method]
    if method.needs_teacher and not (config.teacher or config.teacher_states):
        raise InputError(f"--teacher is missing; method {config.method} requires one")
    if TEACHER_OUTPUTS in method.sources and not config.teacher_outputs:
        raise InputError(
            f"--teacher-outputs is missing; method {config.method} learns from outputs written by train/generate.py"
        )
    if config.keep_best and not getattr(config, steps := MEASURES[config.keep_best].steps):
        raise InputError(f"--keep-best {config.keep_best}: it is not measured; add {flag(steps)} N")
    return config
