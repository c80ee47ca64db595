"""Dates and times as text: find the layouts of a column's cells, and generate valid values of the same layouts."""

from __future__ import annotations

import calendar
import random
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache

from kid.evaluation.suites.patterns import Near, choose_matching, is_pattern

MONTHS, DAYS = list(calendar.month_name), list(calendar.day_name)


def any_of(names: Sequence[str], length: int | None = None) -> str:
    return "|".join(name[:length] for name in names if name)


# The parts of a layout, as in strftime; %-d and similar parts have no leading zero. %f and %z are not changed.
PARTS = {
    "%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d\d)",
    "%m": r"(?P<m>\d\d)", "%-m": r"(?P<m>[1-9]\d?)",
    "%d": r"(?P<d>\d\d)", "%-d": r"(?P<d>[1-9]\d?)",
    "%B": f"(?P<B>{any_of(MONTHS)})", "%b": f"(?P<b>{any_of(MONTHS, 3)})",
    "%A": f"(?P<A>{any_of(DAYS)})", "%a": f"(?P<A>{any_of(DAYS, 3)})",
    "%H": r"(?P<H>\d\d)", "%-H": r"(?P<H>\d\d?)", "%I": r"(?P<I>\d\d)", "%-I": r"(?P<I>[1-9]\d?)",
    "%M": r"(?P<M>\d\d)", "%S": r"(?P<S>\d\d)", "%f": r"(?P<f>\d+)",
    "%p": r"(?P<p>[AP]M)", "%z": r"(?P<z> ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))",
}  # fmt: skip
ISO_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d")
COMPACT_DATES = ("%Y%m%d", "%Y%m")  # as integers, too
DATES = (
    *ISO_DATES, "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y-%-m-%-d", "%Y/%-m/%-d",
    "%-d/%-m/%Y", "%-m/%-d/%Y", "%-d-%-m-%Y", "%-m-%-d-%Y", "%-d.%-m.%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y",
    "%d.%m.%y", "%y-%m-%d", "%y/%m/%d", "%-d/%-m/%y", "%-m/%-d/%y", "%d %B %Y", "%-d %B %Y", "%d %b %Y", "%-d %b %Y",
    "%B %d, %Y", "%B %-d, %Y", "%b %d, %Y", "%b %-d, %Y", "%B%-d,%Y", "%B %d %Y", "%B %-d %Y", "%b %d %Y", "%b %-d %Y",
    "%d-%b-%Y", "%-d-%b-%Y", "%d-%b-%y", "%-d-%b-%y", "%B %Y", "%b %Y", "%-d %B", "%B %-d", "%-d %b", "%b %-d",
    "%Y-%m", "%Y/%m", "%m/%Y", *COMPACT_DATES,
)  # fmt: skip
TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%-H:%M:%S", "%-H:%M", "%I:%M %p", "%-I:%M %p", "%I:%M:%S %p",
         "%-I:%M:%S %p", "%-I:%M%p", "%I:%M%p")  # fmt: skip
WEEKDAYS = ("", "%A, ", "%a, ", "%a ", "%A ")
SEPARATORS = (" ", "T", ", ")
COMPACT_YEARS = (1700, 2200)  # a compact date outside of these years is treated as a number
NO_DATE = datetime(2000, 1, 1)  # date of a time, and year of a day without a year; it has a 29 February
LAST_YEAR = 9998  # Python supports the next year too
MOST_YEARS = 6  # years searched for values that match a pattern without a year


@dataclass(frozen=True)
class Reading:
    """The content of a text: a moment in whole seconds, and what is kept when the moment changes."""

    layout: str
    moment: datetime
    fraction: str
    zone: str
    case: str


@dataclass(frozen=True)
class DateFormat:
    """Dates or times of some layouts.

    ambiguous: every value must fit all of the layouts (like 01/02/2020), as all cells do; otherwise only one of them.
    zones, fractions: the time zones, and the numbers of digits after the seconds, that occur.
    unit: the smallest of month, day, minute and second in which cells differ.
    first, last: the range of the cells.
    """

    layouts: tuple[str, ...]
    ambiguous: bool = False
    zones: tuple[str, ...] = ("",)
    fractions: tuple[int, ...] = (0,)
    unit: str = "day"
    first: datetime = datetime(2000, 1, 1)
    last: datetime = datetime(2025, 12, 31)

    def read(self, text: str) -> Reading | None:
        """Read a value by its first layout; None if it does not have this format."""
        readings = [reading for layout in self.layouts if (reading := read_layout(text, layout))]
        if not readings or (self.ambiguous and len(readings) < len(self.layouts)):
            return None
        found = readings[0]
        known = found.zone in self.zones and len(found.fraction) in self.fractions
        return found if known and truncate(found.moment, self.unit) == found.moment else None

    def fits(self, text: str) -> bool:
        return self.read(text) is not None

    def near(self, literal: str, _own: Sequence[str]) -> Near:
        return near_constant(self, literal)

    def fresh(self, own: Sequence[str], generator: random.Random) -> str | None:
        """Return a value that is some days, months or years (times of day: minutes) away from one of the column's."""
        reading = self.read(generator.choice(own)) if own else None
        if reading is None:
            span = int((self.last - self.first).total_seconds())
            moment = truncate(self.first + timedelta(seconds=generator.randint(0, max(span, 86399))), self.unit)
            reading = Reading(self.layouts[0], moment, "0" * self.fractions[0], self.zones[0], "title")
        unit = generator.choice([unit for unit in moving_units(self) if unit != "second" or not has_date(self)])
        count = generator.randint(1, {"second": 3600, "minute": 120, "day": 40, "month": 11, "year": 3}[unit])
        moved = move(reading.moment, unit, count * generator.choice((-1, 1)))
        return self.checked(write(reading, moved)) if moved else None

    def checked(self, text: str) -> str | None:
        return text if self.fits(text) else None


@cache
def layout_regex(layout: str) -> re.Pattern:
    pieces = re.split(r"(%-?[A-Za-z])", layout)
    return re.compile("".join(PARTS.get(piece) or re.escape(piece) for piece in pieces), re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=100_000)
def read_layout(text: str, layout: str) -> Reading | None:
    """Read a text in this layout; None if it has another layout or is not a valid moment, such as 2020-12-32."""
    match = layout_regex(layout).fullmatch(text)
    if match is None:
        return None
    found = match.groupdict()
    name = found.get("B") or found.get("b")
    month = [month[:3].lower() for month in MONTHS].index(name[:3].lower()) if name else int(found.get("m") or 1)
    year = int(found.get("Y") or NO_DATE.year)
    if "y" in found:
        year = int(found["y"]) + (1900 if int(found["y"]) > 68 else 2000)
    hour = int(found.get("H") or 0)
    if "I" in found:
        if not 1 <= int(found["I"]) <= 12:
            return None
        hour = int(found["I"]) % 12 + (12 if found["p"].upper() == "PM" else 0)
    if layout.startswith(COMPACT_DATES) and not COMPACT_YEARS[0] <= year < COMPACT_YEARS[1]:
        return None
    try:
        moment = datetime(
            year, month, int(found.get("d") or 1), hour, int(found.get("M") or 0), int(found.get("S") or 0)
        )
    except ValueError:
        return None
    words = name or found.get("A") or found.get("p") or ""
    case = "upper" if words.isupper() else "lower" if words.islower() else "title"
    reading = Reading(layout, moment, found.get("f") or "", found.get("z") or "", case)
    return reading if write(reading, moment) == text else None  # differs if the day of the week is wrong


def write(reading: Reading, moment: datetime) -> str:
    """Write a moment as text in the layout of a reading."""

    def part(match: re.Match) -> str:
        style, letter = match[1], match[2]
        if letter in "fz":
            return {"f": reading.fraction, "z": reading.zone}[letter]
        if letter in "BbAap":
            names = {"B": MONTHS[moment.month], "A": DAYS[moment.weekday()], "p": "PM" if moment.hour >= 12 else "AM"}
            word = names[letter.upper() if letter != "p" else "p"][: 3 if letter in "ba" else None]
            return word if reading.case == "title" else getattr(word, reading.case)()
        number = {"Y": moment.year, "y": moment.year % 100, "m": moment.month, "d": moment.day, "H": moment.hour,
                  "I": (moment.hour + 11) % 12 + 1, "M": moment.minute, "S": moment.second}[letter]  # fmt: skip
        return str(number) if style else str(number).zfill(4 if letter == "Y" else 2)

    return re.sub(r"%(-?)([A-Za-z])", part, reading.layout)


def has_date(found: DateFormat) -> bool:
    return any(re.search("%-?d|[Yy]", layout) for layout in found.layouts)


def moving_units(found: DateFormat) -> list[str]:
    """Return the units by which a value may be moved, the format's own first."""
    units = ["second", "minute", "day", "month", "year"]
    if not has_date(found):
        return units[units.index(found.unit) : 2]
    own = units[units.index(found.unit) :]
    return own if any("y" in layout.lower() for layout in found.layouts) else own[:-1]


def truncate(moment: datetime, unit: str) -> datetime:
    """Return the beginning of a moment's month, day, minute or second."""
    if unit == "month":
        return datetime(moment.year, moment.month, 1)
    day = datetime(moment.year, moment.month, moment.day)
    if unit == "day":
        return day
    return day.replace(hour=moment.hour, minute=moment.minute, second=moment.second if unit == "second" else 0)


def move(moment: datetime, unit: str, count: int) -> datetime | None:
    """Return the moment some units later (negative count: earlier); None outside of the years 1 to 9999."""
    try:
        if unit in ("month", "year"):
            months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "year" else 1)
            year, month = months // 12, months % 12 + 1
            return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
        return moment + timedelta(**{f"{unit}s": count})
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def near_constant(found: DateFormat, literal: str) -> Near:
    """Return the values that distinguish a comparison with `literal` from its neighbours.

    For a value of the format, these are the moments one unit before and after it; for a LIKE pattern, some values that
    match and some that do not; for other text, such as 2020-12-32, the last valid value before and the first one after
    it in text order.
    """
    reading = found.read(literal)
    if reading is not None:
        steps = [move(reading.moment, unit, count) for unit in moving_units(found) for count in (-1, 1)]
        texts = [write(reading, moment) for moment in steps if moment is not None]
        # For a time of day, 00:00 minus a minute is not near.
        return Near(literal, tuple(dict.fromkeys(text for text in texts if found.fits(text))))
    values = grid(found, literal)
    if is_pattern(literal):
        return Near(None, choose_matching(literal, values))
    position = bisect_left(values, literal)
    return Near(None, tuple(values[max(0, position - 1) : position + 1]))


def grid(found: DateFormat, literal: str) -> list[str]:
    """Return valid values, sorted as text, in and next to the years in a literal, or in some of the cells' years."""
    years = sorted({int(year) + step for year in re.findall(r"\d{4}", literal) for step in (-1, 0, 1)})
    years = [year for year in years if 1000 <= year <= LAST_YEAR][:MOST_YEARS]
    if not years:
        first, last = min(found.first.year, LAST_YEAR), min(found.last.year, LAST_YEAR)
        years = list(range(first, last + 1, -(-(last + 1 - first) // MOST_YEARS)))
    last_second = {
        "second": timedelta(hours=23, minutes=59, seconds=59),
        "minute": timedelta(hours=23, minutes=59),
    }.get(found.unit, timedelta())
    if has_date(found):
        days = [datetime(year, 1, 1) + timedelta(days=day) for year in years for day in range(366)]
        moments = [day + last_second for day in days]
        hours = [day + timedelta(hours=hour) for day in days if day.day == 15 for hour in range(24)]
        moments += [*days, *(hours if last_second else ())]
    else:
        minutes = [NO_DATE + timedelta(minutes=minute) for minute in range(24 * 60)]
        moments = minutes + [minute + timedelta(seconds=59) for minute in minutes if found.unit == "second"]
    truncated = dict.fromkeys(truncate(moment, found.unit) for moment in moments)
    kinds = [Reading(layout, NO_DATE, "0" * found.fractions[0] if "%f" in layout else "",
                     found.zones[0] if "%z" in layout else "", "title") for layout in found.layouts]  # fmt: skip
    texts = {write(kind, moment) for moment in truncated for kind in kinds[: 1 if found.ambiguous else None]}
    return sorted(text for text in texts if found.fits(text))


def layouts_of(text: str, compact_only: bool = False) -> list[str]:
    """Find the layouts for which a text is a valid value."""
    if len(text) > 45 or not any(character.isdigit() for character in text):
        return []
    if compact_only:
        return [layout for layout in COMPACT_DATES if read_layout(text, layout)]
    found = []
    # Only layouts that start with a name start with a letter.
    dates = [weekday + date for date in DATES for weekday in WEEKDAYS] if text[0].isalpha() else DATES
    for date in ("", *dates):
        match = layout_regex(date).match(text)
        if match and date and match.end() == len(text):
            found += [date] if read_layout(text, date) else []
        elif match:
            for separator in SEPARATORS if date else ("",):
                if text.startswith(separator, match.end()):
                    composed = [f"{date}{separator}{time}{zone}" for time in TIMES for zone in ("", "%z")]
                    found += [layout for layout in composed if read_layout(text, layout)]
    return found


def find_date_format(
    counts: Mapping[str, int], may_be_odd: Callable[[Counter], bool], compact_only: bool = False
) -> DateFormat | None:
    """Find the format of a column from its cells, each with its count; None if too many do not fit.

    A single layout for all cells is preferred; otherwise each cell must have one of several layouts.

    Args:
        may_be_odd: whether these cells may have another format.
        compact_only: whether the cells are whole numbers.
    """
    known: dict[str, None] = {}
    odd: Counter = Counter()
    for text, count in counts.items():
        if not any(read_layout(text, layout) for layout in known):
            own = layouts_of(text, compact_only)
            known |= dict.fromkeys(own)
            odd.update({} if own else {text: count})
            if not may_be_odd(odd):
                return None
    texts = [text for text in counts if text not in odd]
    if not texts:
        return None
    fitting = {layout: {text for text in texts if read_layout(text, layout)} for layout in known}
    layouts = tuple(layout for layout in known if len(fitting[layout]) == len(texts))
    ambiguous, left = bool(layouts), set(texts)
    while left and not ambiguous:  # find the fewest layouts that cover all cells
        layouts += (max(known, key=lambda layout: len(fitting[layout] & left)),)
        left -= fitting[layouts[-1]]
    readings = [next(filter(None, (read_layout(text, layout) for layout in layouts))) for text in texts]
    moments = [reading.moment for reading in readings]
    dated = has_date(DateFormat(layouts))
    if dated and not any(re.search("%-?d", layout) for layout in layouts):
        unit = "month"
    else:  # dates whose time is always midnight keep it
        units = [*(["day"] if dated else []), "minute", "second"]
        unit = next(unit for unit in units if all(truncate(moment, unit) == moment for moment in moments))
    zones = tuple(dict.fromkeys(reading.zone for reading in readings))
    fractions = tuple(dict.fromkeys(len(reading.fraction) for reading in readings))
    return DateFormat(layouts, ambiguous, zones, fractions, unit, min(moments), max(moments))
