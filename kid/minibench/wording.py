"""Put a question into words: plainly, with synonyms of the schema's names, or without the columns' names."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from kid.minibench.phrases import PHRASES
from kid.minibench.schemas import Column, Table

WORDINGS = ("plain", "synonym", "implied")
IRREGULAR = {"man": "men", "sis": "ses"}
ASKING = ("What ", "Which ", "How ")


@dataclass(frozen=True)
class Slot:
    """A drawn slot: as SQL, in words, and its table or column (of a value: its column; of a word: neither)."""

    sql: str
    words: str
    table: Table | None = None
    column: Column | None = None


def plural(words: str) -> str:
    """The plural of a table's or column's natural name: `city` -> `cities`, `age` -> `ages`, `species` -> `species`."""
    if " of " in words:
        first, rest = words.split(" of ", 1)
        return f"{plural(first)} of {rest}"
    for singular, several in IRREGULAR.items():
        if words.endswith(singular):
            return words.removesuffix(singular) + several
    if words.endswith("s") and not words.endswith("ss"):
        return words
    if words.endswith("y") and words[-2] not in "aeiou":
        return words[:-1] + "ies"
    if words.endswith(("ss", "x", "ch", "sh")):
        return words + "es"
    return words + "s"


def slot_words(slot: Slot, wording: str) -> str:
    """A slot in words; a table or column by its synonym where the wording asks for it."""
    table, column = slot.table, slot.column
    if wording == "synonym" and table:
        return table.synonym
    if wording == "synonym" and column and slot.sql == column.name and column.attribute:
        return column.attribute.synonym
    return slot.words


def implied_words(reference: str, slots: dict[str, Slot]) -> str | None:
    """What stands for {c~}, {d~c} or {a~} of the phrase notation; None where there is no such way to say it."""
    left, _, right = reference.partition("~")
    attribute = slots[right or left].column.attribute
    if right:
        return (attribute.largest if slots[left].sql == "DESC" else attribute.smallest) or None
    return attribute.implied or None


def phrase(name: str, arguments: list[str], slots: dict[str, Slot], wording: str, rng: random.Random) -> str:
    """A phrase of `PHRASES` about some of the question's slots."""
    parameters, ways = PHRASES[name]
    renamed = dict(zip(parameters, arguments, strict=True))

    def with_arguments(match: re.Match) -> str:
        """{c}, {cs}, {c~} or {d~c} with the arguments in the place of the parameters."""
        left, mark, right = match[1].partition("~")
        is_plural = not mark and left not in renamed
        name = renamed[left.removesuffix("s")] + "s" if is_plural else renamed[left]
        return "{" + name + mark + renamed.get(right, "") + "}"

    plain = [way for way in ways if not way.startswith("~")]
    implied = []
    for way in (way[1:] for way in ways if way.startswith("~") and wording == "implied"):
        text, possible = re.sub(r"\{([^}]*)\}", with_arguments, way), True
        for reference in re.findall(r"\{([^}]*~[^}]*)\}", text):
            if reference == f"{renamed.get('a')}~":  # a column that only labels its row needs no word
                words = "" if slots[renamed["a"]].column.kind == "label" else None
            else:
                words = implied_words(reference, slots)
            possible = possible and words is not None
            text = text.replace("{" + reference + "}", words or "")
        if possible:
            implied.append(text)
    chosen = rng.choice(implied or plain)
    return chosen if implied else re.sub(r"\{([^}]*)\}", with_arguments, chosen)


def write_question(template: str, slots: dict[str, Slot], wording: str, rng: random.Random) -> str:
    """The question that a template asks with these slots.

    Args:
        template: a question of a `patterns.Pattern`.
        slots: by name, as the pattern names them.
        wording: "plain", "synonym" or "implied".
        rng: chooses among the ways to say a phrase.
    """

    def expand(match: re.Match) -> str:
        name, *arguments = match[1].split()
        return phrase(name, arguments, slots, wording, rng)

    text = re.sub(r"\[([^\]]*)\]", expand, template)
    words = {name: slot_words(slot, wording) for name, slot in slots.items()}
    text = text.format(**words, **{name + "s": plural(word) for name, word in words.items()})
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text + ("?" if text.startswith(ASKING) or "what is" in text else ".")
