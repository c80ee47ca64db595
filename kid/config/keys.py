"""The keys of `RunConfig`: types, help texts, values converted from text, and groups of keys."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import Field, fields
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from kid.config.option import AFFECTS
from kid.config.run_config import RunConfig
from kid.config.templates import read_template
from kid.errors import InputError

FIELDS: dict[str, Field] = {field.name: field for field in fields(RunConfig)}
FREE_ON_RESUME = tuple(name for name, field in FIELDS.items() if field.metadata["free_on_resume"])


def keys_affecting(what: str) -> tuple[str, ...]:
    """Return the keys that affect `what`, a name in `kid.config.option.AFFECTS`."""
    if what not in AFFECTS:
        raise KeyError(what)
    return tuple(name for name, field in FIELDS.items() if what in field.metadata["affects"])


def keys_in(groups: Collection[str]) -> tuple[str, ...]:
    """Return the keys in these groups of `--help`."""
    return tuple(name for name, field in FIELDS.items() if field.metadata["group"] in groups)


def unused_reason(name: str, config: RunConfig) -> str | None:
    """Return why the run does not use a key; None if it does."""
    return FIELDS[name].metadata["used"](config)


def used_keys(config: RunConfig) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if unused_reason(name, config) is None)


def flag(name: str) -> str:
    """Return a key's flag: underscores become dashes."""
    return f"--{name.replace('_', '-')}"


def as_flags(name: str, value: Any) -> list[str]:
    """Return a key and its value as words of a command line."""
    if isinstance(value, tuple):
        return [word for one in value for word in (flag(name), one)]
    if value is True and FIELDS[name].default is False:  # a switch
        return [flag(name)]
    return [flag(name), ("no", "yes")[value] if isinstance(value, bool) else str(value)]


@cache
def type_hints() -> dict[str, Any]:
    """Return the type of each field; cached, as it takes a millisecond and is needed for each key of a recipe."""
    return get_type_hints(RunConfig)


def field_type(name: str) -> tuple[type[Any], bool]:
    """Return (type, whether None is allowed) of a field; tuple means any number of strings."""
    hint = type_hints()[name]
    if get_origin(hint) is tuple:
        return tuple, False
    options = [part for part in get_args(hint) if part is not type(None)] or [hint]
    return options[0], type(None) in get_args(hint)


def help_text(name: str) -> str:
    """Return a key's help text for argparse: what it does, its choices and its default."""
    meta = FIELDS[name].metadata
    default = FIELDS[name].default
    choices = [*(meta["choices"] or ()), *(["FILE.jinja"] if meta["template"] else [])]
    allowed = f" {{{', '.join(choices)}}}" if choices else ""
    if name == "benchmark":
        written = "by the files in --data"
    elif default is None or default is False or default in ("", ()):
        written = ""
    else:
        written = "yes" if default is True else f"{default:g}" if isinstance(default, float) else str(default)
    return (meta["help"] + allowed + (f" [{written}]" if written else "")).replace("%", "%%")


def shown(value: Any) -> str:
    """Return the first 200 characters of `repr(value)`, for messages."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print an integer with thousands of digits
        return "a number with too many digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_text(name: str, text: str, where: str) -> None:
    """Raise InputError if a text has a NUL or a lone surrogate, which neither file names nor tokens can contain.

    Bytes of a file name that are not UTF-8 are allowed; Python represents them by surrogate escapes.
    """
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise InputError(f"{where}: {name} = {shown(text)} has a NUL or half of a surrogate pair; remove it")


def convert(name: str, value: Any, where: str) -> Any:
    """Convert `value` to the field's type. Text is parsed for a numeric field, because YAML reads 2e-4 as text.

    A template's file becomes its text.

    Raises:
        InputError: the type is wrong, the value out of range, or a template's file cannot be read; names the key, the
            value and what is allowed.
    """
    kind, optional = field_type(name)
    meta = FIELDS[name].metadata
    if value is None and optional:
        return None
    expected = {int: "a whole number", float: "a number", bool: "yes or no", str: "text", tuple: "a list of texts"}[
        kind
    ]
    wrong = InputError(f"{where}: {name} = {shown(value)} is not {expected}")
    if kind is tuple:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise wrong
        check_text(name, "".join(texts), where)
        return tuple(texts)
    if kind is bool and value in ("yes", "no", "on", "off"):  # flags are text; YAML values are already parsed
        value = value in ("yes", "on")
    if isinstance(value, bool) != (kind is bool):
        raise wrong
    if kind in (int, float):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):  # too large to be a float
            raise wrong from None
        if not math.isfinite(number) or (kind is int and number != int(number)):
            raise wrong
        value = int(value) if kind is int and isinstance(value, str) and value.strip().isdigit() else kind(number)
    elif not isinstance(value, kind):
        raise wrong
    elif kind is str:
        check_text(name, value, where)
    if meta["template"] and value not in meta["choices"]:
        value = read_template(name, value, meta["choices"], where)
        check_text(name, value, where)
        return value
    if meta["choices"] and value not in meta["choices"]:
        raise InputError(f"{where}: {name} = {shown(value)} is unknown; choose one of {', '.join(meta['choices'])}")
    low, high = meta["low"], meta["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        allowed = f"from {low:g} to {high:g}" if high is not None else f"{low:g} or more"
        raise InputError(f"{where}: {name} = {value:g} is out of range; it must be {allowed}")
    return value
