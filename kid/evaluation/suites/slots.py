"""Text with a structure, such as JSON, addresses, codes and amounts: new values exchange parts between cells."""

from __future__ import annotations

import json
import random
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kid.evaluation.suites.patterns import Near, choose_matching, is_pattern, like_regex

TEXT = r'(?:[^"\\]|\\.)*'
# A key, or a scalar, whose text or number is a group. Keys are not slots.
SCALAR = rf'"{TEXT}"\s*:|"({TEXT})"|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)'
KEY = re.compile(rf'"({TEXT})"\s*:')
WHOLE = re.compile(r"[0-9]{1,18}")
MOST_SKELETONS, MOST_PARTS = 60, 60  # maximum per column, and per slot
CLOSE = 4  # number of values with a number next to a constant
LONGEST_SPLIT = 5000  # characters; longer text is kept whole
TRIES = 60  # number of values generated to find some that match a pattern


def is_json(text: str) -> bool:
    """Whether a text is a JSON object or array."""
    if not re.match(r"\s*[{\[]", text):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def matches(pattern: str) -> Callable[[str], bool]:
    regex = re.compile(pattern, re.IGNORECASE | re.ASCII)
    return lambda text: len(text) <= 2000 and regex.fullmatch(text) is not None


# Each structure: a test whether a text has it, and the pattern of its exchangeable parts, its slots.
STRUCTURES: dict[str, tuple[Callable[[str], bool], re.Pattern]] = {
    "json": (is_json, re.compile(SCALAR)),
    "uuid": (matches(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?"), re.compile("[0-9a-fA-F]")),
    "email": (matches(r"[^@\s]+@[^@\s]+\.[a-z]{2,}"), re.compile("[^@.]+")),
    "url": (matches(r"([a-z][a-z0-9+.-]*://|www\.)\S+"), re.compile(r"[^/:.?&=#]+")),
    "amount": (matches(r"[-+(]?[$€£¥#<>~≥≤]?\s?\d{1,3}((,?\d{3})*|\d*)(\.\d+)?\)?\s?([a-z%°$€£¥]{1,10}[23²³]?)?"),
               re.compile(r"\d+")),
    "duration": (matches(r"\d+(:[0-5]\d){1,2}(\.\d+)?"), re.compile(r"\d+")),
    "phone": (matches(r"\+?[\d(][\d\s().x/-]{6,}"), re.compile(r"\d+")),
    "numbers": (matches(r"[(\[]?-?\d+(\.\d+)?(\s?[,;/x\u00d7:\u2013-]\s?-?\d+(\.\d+)?)+[)\]]?"), re.compile(r"\d+")),
    "address of a device": (matches(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}"), re.compile("[0-9a-fA-F]")),
    "path": (matches(r"(\.{0,2}|[a-z]:)([/\\][^/\\]+)+[/\\]?"), re.compile(r"[^/\\.]+")),
    "name with dots": (matches(r"\w[\w-]*(\.[\w-]+)+"), re.compile(r"[^.]+")),
    "hexadecimal": (matches(r"(0x|#)?[0-9a-f]{6,128}"), re.compile("[0-9a-fA-F](?!x)")),
}  # fmt: skip
# Any other text in which all cells have the same sequence of words, numbers and separators, such as A-001.
UNIFORM = re.compile(r"[0-9]+|[^\W\d_]+")


@dataclass(frozen=True)
class SlotFormat:
    """Text whose slots are filled with parts of other cells.

    name: name of the structure, a key of STRUCTURES or "uniform".
    skeletons: text between the slots -> the parts that occur in each slot.
    """

    name: str
    skeletons: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]

    @property
    def slack(self) -> int:
        """How far a number may be outside of those that occur: only JSON's may, because others can be, say, minutes."""
        return 1 if self.name == "json" else 0

    @property
    def slot(self) -> re.Pattern:
        return UNIFORM if self.name == "uniform" else STRUCTURES[self.name][1]

    def fits(self, text: str) -> bool:
        if self.name != "uniform":
            return STRUCTURES[self.name][0](text)
        between, parts = split(text, self.slot)
        pools = dict(self.skeletons).get(between)
        return pools is not None and all(is_alike(part, pool) for part, pool in zip(parts, pools, strict=True))

    def near(self, literal: str, own: Sequence[str]) -> Near:
        """Return the constant, if it is valid, and values near it: own ones, and ones with its number in a slot."""
        # 12% is an amount; %@x.org is a pattern, although it could be an address.
        if literal in own or (self.fits(literal) and ("%" not in literal or self.name == "amount")):
            return Near(literal, tuple(beside(literal, own)))
        values = set(own)
        core = literal.strip("%")
        if WHOLE.fullmatch(core):
            values.update(text for value in own[:5] for text in self.with_number(value, int(core)))
        if is_pattern(literal):
            generator = random.Random(literal)
            values.update(filter(None, (self.fresh(own, generator) for _ in range(TRIES))))
            found = choose_matching(literal, sorted(values))
            # The values next to it in size do not match.
            extra = [text for text in sorted(values - set(own)) if not like_regex(literal).fullmatch(text)][:CLOSE]
            return Near(None, tuple(dict.fromkeys([*found, *(extra if WHOLE.fullmatch(core) else ())])))
        return Near(None, tuple(beside(literal, sorted(values))))

    def with_number(self, value: str, number: int) -> list[str]:
        """Return the value with a number, and the numbers next to it, in each slot whose parts span the number."""
        between, parts = split(value, self.slot)
        pools = dict(self.skeletons).get(between, ())
        found = []
        for index, pool in enumerate(pools):
            for other in (number - 1, number, number + 1):
                if (text := whole_part(other, pool, self.slack)) is not None:
                    found.append(join(between, [*parts[:index], text, *parts[index + 1 :]]))
        return found

    def fresh(self, own: Sequence[str], generator: random.Random) -> str | None:
        """Return an own value with parts of other cells, or numbers between such parts, in one or two slots."""
        if not own:
            return generator.choice(('{"value": 1}', '{"value": 2}', "{}")) if self.name == "json" else None
        between, parts = split(generator.choice(own), self.slot)
        pools = dict(self.skeletons).get(between)
        if not pools:
            return None
        filled = list(parts)
        for index in generator.sample(range(len(pools)), min(len(pools), generator.randint(1, 2))):
            pool = pools[index]
            part = generator.choice(pool)
            if WHOLE.fullmatch(part) and generator.random() < 0.7:
                part = whole_part(int(part) + generator.choice((-2, -1, 1, 2)), pool, self.slack) or part
            filled[index] = part
        text = join(between, filled)
        return text if self.fits(text) else None


def split(text: str, slot: re.Pattern) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a text into (the pieces between the slots, one more than there are slots; the content of the slots)."""
    between, parts, end = [], [], 0
    for match in slot.finditer(text):
        if slot.groups and match.lastindex is None:
            continue
        start, stop = match.span(match.lastindex or 0)
        between.append(text[end:start])
        parts.append(text[start:stop])
        end = stop
    return (*between, text[end:]), tuple(parts)


def join(between: Sequence[str], parts: Sequence[str]) -> str:
    return "".join(piece for pair in zip(between, (*parts, ""), strict=True) for piece in pair)


def is_alike(part: str, pool: Sequence[str]) -> bool:
    """Whether a part is like those of the pool: a number with as many digits, or a word."""
    numbers = [other for other in pool if other.isdigit()]
    if part.isdigit():
        return min(map(len, numbers), default=99) <= len(part) <= max(map(len, numbers), default=0)
    return len(numbers) < len(pool)


def whole_part(number: int, pool: Sequence[str], slack: int) -> str | None:
    """Write a whole number like those of a slot if it is between them; None otherwise.

    slack: how much smaller or larger than these it may be.
    """
    wholes = [part for part in pool if WHOLE.fullmatch(part)]
    if not wholes or not min(map(int, wholes)) - slack <= number <= max(map(int, wholes)) + slack:
        return None
    widths = set(map(len, wholes))
    if len(widths) > 1 and any(len(part) > 1 and part[0] == "0" for part in wholes):
        return None
    zeros = len(widths) == 1 and any(part[0] == "0" for part in wholes)
    text = str(number).zfill(min(widths)) if zeros else str(number)
    return text if number >= 0 and (slack or len(widths) > 1 or len(text) in widths) else None


def beside(text: str, values: Sequence[str]) -> list[str]:
    """Return the values before and after a text in text order."""
    ordered = sorted(set(values) - {text})
    position = bisect_left(ordered, text)
    return ordered[max(0, position - 1) : position + 1]


def find_slot_format(name: str, texts: Sequence[str]) -> SlotFormat:
    slot = UNIFORM if name == "uniform" else STRUCTURES[name][1]
    skeletons: dict[tuple[str, ...], list[dict[str, None]]] = {}
    for text in texts:
        between, parts = split(text, slot) if len(text) <= LONGEST_SPLIT else ((text,), ())
        if between in skeletons or len(skeletons) < MOST_SKELETONS:
            pools = skeletons.setdefault(between, [{} for _ in parts])
            for pool, part in zip(pools, parts, strict=True):
                if len(pool) < MOST_PARTS:
                    pool[part] = None
    if name == "json":
        merge_by_key(skeletons)
    return SlotFormat(name, tuple((between, tuple(map(tuple, pools))) for between, pools in skeletons.items()))


def merge_by_key(skeletons: dict[tuple[str, ...], list[dict[str, None]]]) -> None:
    """Let slots of JSON after the same key, in objects of any structure, share their texts or their numbers."""
    shared: dict[tuple[str, bool], dict[str, None]] = {}
    for between, pools in skeletons.items():
        key = ""
        for index, pool in enumerate(pools):
            key = (KEY.findall(between[index]) or [key])[-1]
            merged = shared.setdefault((key, between[index].endswith('"')), {})
            merged |= pool
            pools[index] = merged


def is_uniform(texts: Sequence[str]) -> bool:
    """Whether all texts have the same sequence of words, numbers and separators, not just words and blanks."""
    between, parts = split(texts[0], UNIFORM)
    if len(texts) < 2 or len(texts[0]) > 100 or not parts or any(split(text, UNIFORM)[0] != between for text in texts):
        return False
    # Each slot has words in all cells, or numbers in all.
    if any(
        len({part.isdigit() for part in slot}) > 1 for slot in zip(*(split(t, UNIFORM)[1] for t in texts), strict=True)
    ):
        return False
    numbers = any(part.isdigit() for part in parts)
    return numbers or (len(texts) > 2 and any(piece.strip() for piece in between))
