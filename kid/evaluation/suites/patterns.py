"""LIKE patterns, and the values near a query's constant that a column with a format may get."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

CHOSEN = 5  # number of values chosen that match a pattern


@dataclass(frozen=True)
class Near:
    """The constant itself, if it is a valid value of the column, and valid values near it."""

    exact: str | None
    others: tuple[str, ...]


def is_pattern(literal: str) -> bool:
    return "%" in literal or "_" in literal


@cache
def like_regex(pattern: str) -> re.Pattern:
    """Convert a LIKE pattern to a regular expression, for fullmatch."""
    parts = {"%": ".*", "_": "."}
    text = "".join(parts.get(character) or re.escape(character) for character in pattern)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def choose_matching(pattern: str, values: Sequence[str]) -> tuple[str, ...]:
    """Choose from sorted values a few that match a LIKE pattern, and some next to these that do not."""
    regex = like_regex(pattern)
    matches = [index for index, value in enumerate(values) if regex.fullmatch(value)]
    if not matches:
        return ()
    chosen = {matches[number * (len(matches) - 1) // (CHOSEN - 1)] for number in range(CHOSEN)}
    inside = set(matches)
    beside = [index + step for index in sorted(chosen) for step in (-1, 1)]
    chosen |= {index for index in beside if 0 <= index < len(values) and index not in inside}
    return tuple(values[index] for index in sorted(chosen))
