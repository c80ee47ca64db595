"""Numbers as text, and years: generate other numbers written in the same way."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache

from kid.evaluation.suites.patterns import Near, choose_matching, is_pattern

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
YEARS = (1000, 2999)
USUAL_YEARS = (1500, 2199)  # a column of whole numbers in this range is a column of years
LONGEST = 30  # maximum number of digits


@dataclass(frozen=True)
class NumberFormat:
    """Numbers written in the same way, so that text functions and text comparisons treat them alike.

    widths: the minimum and maximum number of digits before the point.
    decimals: the numbers of digits after the point that occur.
    leading, trailing: whether leading or trailing zeros occur.
    negative: whether negative numbers occur.
    limits: the smallest and the largest allowed number, if any.
    """

    widths: tuple[int, int]
    decimals: tuple[int, ...]
    leading: bool
    trailing: bool
    negative: bool
    limits: tuple[int, int] | None = None

    def fits(self, text: str) -> bool:
        if not is_number(text):
            return False
        whole, _, fraction = text.removeprefix("-").partition(".")
        return (
            self.widths[0] <= len(whole) <= self.widths[1]
            and len(fraction) in self.decimals
            and (self.leading or whole == "0" or whole[0] != "0")
            and (self.trailing or not fraction.endswith("0"))
            and (text[0] != "-" or (self.negative and float(text) != 0))
            and (self.limits is None or self.limits[0] <= int(whole) <= self.limits[1])
        )

    def write(self, number: Decimal) -> list[str]:
        """Write a number in every way of this format that needs no rounding."""
        texts = []
        for decimals in self.decimals:
            rounded = number.quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR)
            if rounded == number:
                sign, digits = "-" * (number < 0), f"{abs(rounded):f}"
                whole, point, fraction = digits.partition(".")
                texts.append(f"{sign}{whole.zfill(self.widths[0] if self.leading else 1)}{point}{fraction}")
        return [text for text in texts if self.fits(text)]

    def near(self, literal: str, own: Sequence[str]) -> Near:
        found = near_number(self, literal)
        if is_pattern(literal) and not self.fits(literal):
            return Near(None, choose_matching(literal, sorted({*found.others, *own})))
        return found

    def fresh(self, own: Sequence[str], generator: random.Random) -> str | None:
        """Return a number between the own ones or near them, or any number with as many digits."""
        if own and generator.random() < 0.7:
            number = Decimal(generator.choice(own)) + generator.randint(-9, 9) * generator.choice((1, self.step))
        else:
            width = generator.randint(*self.widths)
            number = Decimal(generator.randrange(0 if width == 1 or self.leading else 10 ** (width - 1), 10**width))
            number += generator.randrange(10 ** max(self.decimals)) * self.step
        texts = self.write(number)
        return generator.choice(texts) if texts else None

    @property
    def step(self) -> Decimal:
        return Decimal(1).scaleb(-max(self.decimals))


@lru_cache(maxsize=4096)
def near_number(found: NumberFormat, literal: str) -> Near:
    """Return the numbers next to a constant, by size and in text order; for a LIKE pattern, candidates for both."""
    if is_pattern(literal):
        fillers = [digit * count for digit in "0159" for count in range(found.widths[1] + 1)]
        texts = {
            literal.replace("_", digit).replace("%", filler) for filler in fillers for digit in (filler[:1] or "0")
        }
        texts = {text for text in texts if found.fits(text)}
        steps = {step for text in texts for step in (-1, 1)}
        return Near(None, tuple(sorted(texts | {b for a in texts for s in steps for b in found.write(Decimal(a) + s)})))
    if not is_number(literal):
        return Near(None, ())
    number, width = Decimal(literal), found.widths[1]
    sizes = [number - 1, number + 1, number - found.step, number + found.step]
    digits = literal.removeprefix("-").partition(".")[0]
    if not found.fits(literal):
        smallest = 0 if found.leading or found.widths[0] == 1 else 10 ** (found.widths[0] - 1)
        floors = [number.quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR) for decimals in found.decimals]
        sizes += [number, *floors, *(floor + found.step for floor in floors), Decimal(smallest), Decimal(10**width - 1)]
        # 5 among numbers of two digits: in text order, 49 comes before it and 50 after.
        start = int(digits[:width].ljust(width, "0"))
        sizes += [Decimal(start), Decimal(start - 1), Decimal(start + 1)]
        sizes += [Decimal(limit) for limit in found.limits or ()]
    written = dict.fromkeys(text for size in sizes for text in found.write(size))
    exact = literal if found.fits(literal) else None
    return Near(exact, tuple(text for text in written if text != exact))


def find_number_format(texts: Sequence[str]) -> NumberFormat:
    """Find the format of these numbers, given as text."""
    parts = [text.removeprefix("-").partition(".") for text in texts]
    widths = [len(whole) for whole, _, _ in parts]
    negative = any(text.startswith("-") for text in texts)
    decimals = tuple(sorted({len(fraction) for _, _, fraction in parts}))
    return NumberFormat(
        (min(widths), max(widths)),
        decimals,
        any(len(whole) > 1 and whole[0] == "0" for whole, _, _ in parts),
        any(fraction.endswith("0") for _, _, fraction in parts),
        negative,
        YEARS if all(map(is_year, texts)) else None,
    )


def is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and USUAL_YEARS[0] <= int(text) <= USUAL_YEARS[1]


def is_number(text: str) -> bool:
    return len(text) <= LONGEST and NUMBER.fullmatch(text) is not None
