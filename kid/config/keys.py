"""The keys of `RunConfig`: their types and help, values read from text, and those that share a property."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import Field, fields
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from kid.config.option import AFFECTS
from kid.config.run_config import RunConfig
from kid.errors import InputError

FIELDS: dict[str, Field] = {field.name: field for field in fields(RunConfig)}
FREE_ON_RESUME = tuple(name for name, field in FIELDS.items() if field.metadata["free_on_resume"])


def keys_affecting(what: str) -> tuple[str, ...]:
    """The keys that affect `what`, a name in `kid.config.option.AFFECTS`."""
    if what not in AFFECTS:
        raise KeyError(what)
    return tuple(name for name, field in FIELDS.items() if what in field.metadata["affects"])


def keys_in(groups: Collection[str]) -> tuple[str, ...]:
    """The keys under these headings of `--help`."""
    return tuple(name for name, field in FIELDS.items() if field.metadata["group"] in groups)


def unused_reason(name: str, config: RunConfig) -> str | None:
    """Why the run does not use a key, None if it does."""
    return FIELDS[name].metadata["used"](config)


def used_keys(config: RunConfig) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if unused_reason(name, config) is None)


def flag(name: str) -> str:
    """A key's flag: with dashes for underscores."""
    return f"--{name.replace('_', '-')}"


def as_flags(name: str, value: Any) -> list[str]:
    """A key with a value, as words of a command line."""
    if isinstance(value, tuple):
        return [word for one in value for word in (flag(name), one)]
    if value is True and FIELDS[name].default is False:  # a switch
        return [flag(name)]
    return [flag(name), ("no", "yes")[value] if isinstance(value, bool) else str(value)]


@cache
def type_hints() -> dict[str, Any]:
    """The type of each field, evaluated once: that takes a millisecond, and a recipe asks for each of its keys."""
    return get_type_hints(RunConfig)


def field_type(name: str) -> tuple[type[Any], bool]:
    """(type, whether None is allowed) of a field; tuple means any number of strings."""
    hint = type_hints()[name]
    if get_origin(hint) is tuple:
        return tuple, False
    options = [part for part in get_args(hint) if part is not type(None)] or [hint]
    return options[0], type(None) in get_args(hint)


def help_text(name: str) -> str:
    """A key's help text for argparse: what it does, its choices and its default."""
    meta = FIELDS[name].metadata
    default = FIELDS[name].default
    allowed = f" {{{', '.join(meta['choices'])}}}" if meta["choices"] else ""
    if name == "benchmark":
        written = "by the files in --data"
    elif default is None or default is False or default in ("", ()):
        written = ""
    else:
        written = "yes" if default is True else f"{default:g}" if isinstance(default, float) else str(default)
    return (meta["help"] + allowed + (f" [{written}]" if written else "")).replace("%", "%%")


def shown(value: Any) -> str:
    """`value` as Python writes it, for a message: its first 200 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write a number of thousands of digits
        return "a number of too many digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_text(name: str, text: str, where: str) -> None:
    """Raise InputError if a text holds what neither a file's name nor a token can hold: NUL, or half of a character.

    Bytes of a file's name that are not UTF-8 pass; Python has characters of its own for them.
    """
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise InputError(f"{where}: {name} = {shown(text)} has a NUL or half of a surrogate pair; write it without")


def convert(name: str, value: Any, where: str) -> Any:
    """`value` converted to the field's type. Text is parsed as a number for a numeric field: YAML reads 2e-4 as text.

    Raises:
        InputError: wrong type or out of range; it names the key, the value and what is allowed.
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
    if kind is bool and value in ("yes", "no", "on", "off"):  # flags arrive as text; YAML has parsed them already
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
    if meta["choices"] and value not in meta["choices"]:
        raise InputError(f"{where}: {name} = {shown(value)} is unknown; choose one of {', '.join(meta['choices'])}")
    low, high = meta["low"], meta["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        allowed = f"from {low:g} to {high:g}" if high is not None else f"{low:g} or more"
        raise InputError(f"{where}: {name} = {value:g} is out of range; it must be {allowed}")
    return value
