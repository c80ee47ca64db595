"""The format of a column's text that functions in queries rely on, such as dates, JSON, or numbers as text.

On a value of another format, `day < '2021-01-01'` and `strftime('%Y', day) < '2021'` differ although both are correct.
So a column whose cells all have one format gets only valid values of it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from kid.evaluation.suites.dates import DateFormat, find_date_format
from kid.evaluation.suites.patterns import Near
from kid.evaluation.suites.slots import STRUCTURES, SlotFormat, find_slot_format, is_uniform
from kid.evaluation.suites.text_numbers import YEARS, NumberFormat, find_number_format, is_number, is_year

ODD_SHARE = 0.1  # fraction of the cells that may have another format
ENOUGH = 3  # distinct values needed besides a placeholder that is more frequent than they are
CELLS_READ = 3000  # distinct cells read per column

# Formats of columns without cells, by words in their declared types; the first that occurs counts.
DECLARED: dict[str, Format] = {
    "DATETIME|TIMESTAMP": DateFormat(("%Y-%m-%d %H:%M:%S",), unit="second"),
    "DATE": DateFormat(("%Y-%m-%d",)),
    "TIME": DateFormat(("%H:%M:%S",), unit="second"),
    "JSON": SlotFormat("json", ()),
    "YEAR": NumberFormat((4, 4), (0,), False, False, False, YEARS),
}


def sample_evenly(values: list, count: int) -> list:
    return values if len(values) <= count else [values[number * len(values) // count] for number in range(count)]


class Format(Protocol):
    """A set of texts, and how to find near ones. All returned texts are in the set; `own` are those of the column."""

    def fits(self, text: str) -> bool: ...
    def near(self, literal: str, own: Sequence[str]) -> Near: ...
    def fresh(self, own: Sequence[str], generator: random.Random) -> str | None: ...


def find_format(values: Sequence, declared: str) -> Format | None:
    """Find the format of a column with these values other than NULL; None for free text and numbers that are no dates.

    A few odd cells do not make a column free text: up to a tenth of the cells, or a placeholder, a single value such as
    '' or 'N/A', in less than half of them or with enough other values. Such cells are data too; a random database has
    one if a query compares the column with it. Whole numbers count as dates, such as 20200131, 202001 or 2020, only if
    all of them are dates.
    """
    if not values:
        words = declared.upper()
        return next((found for word, found in DECLARED.items() if re.search(rf"\b(?:{word})", words)), None)
    if all(isinstance(value, int) for value in values):
        counts = Counter(map(str, values))
        if all(is_year(text) for text in counts):
            return find_number_format(list(counts))
        return find_date_format(counts, lambda odd: not odd, compact_only=True)
    counts = Counter(value for value in values if isinstance(value, str))
    others = Counter(value for value in values if not isinstance(value, str))
    total = len(values)
    sampled = Counter({text: counts[text] for text in sample_evenly(list(counts), CELLS_READ)})

    def may_be_odd(odd: Counter) -> bool:
        count = (odd + others).total()
        placeholder = len(odd + others) == 1 and (2 * count < total or len(counts) > ENOUGH)
        return count <= ODD_SHARE * total or placeholder

    return find_text_format(sampled, may_be_odd) if may_be_odd(others) else None


def find_text_format(counts: Counter, may_be_odd: Callable[[Counter], bool]) -> Format | None:
    """Find the format of all cells, except for some that may be odd."""
    if found := find_date_format(counts, may_be_odd):
        return found
    named = {"number": is_number} | {name: fits for name, (fits, _) in STRUCTURES.items()}
    for name, fits in named.items():
        odd: Counter = Counter()
        own: list[str] = []
        for text, count in counts.items():
            if fits(text):
                own.append(text)
            else:
                odd[text] = count
                if not may_be_odd(odd):
                    break
        else:
            return find_number_format(own) if name == "number" else find_slot_format(name, own)
    return find_slot_format("uniform", list(counts)) if is_uniform(list(counts)) else None
