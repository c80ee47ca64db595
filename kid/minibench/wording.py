"""Write a question plainly, with synonyms of the schema's names, or without column names."""

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
    """A drawn slot: its SQL, its words, and its table or column (the column of a value; a word has neither)."""

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
    """The words for a slot; a synonym for a table or column if the wording is "synonym"."""
    table, column = slot.table, slot.column
    if wording == "synonym" and table:
        return table.synonym
    if wording == "synonym" and column and slot.sql == column.name and column.attribute:
        return column.attribute.synonym
    return slot.words


def implied_words(reference: str, slots: dict[str, Slot]) -> str | None:
    """The words for {c~}, {d~c} or {a~} of the phrase notation; None if the column has none."""
    left, _, right = reference.partition("~")
    attribute = slots[right or left].column.attribute
    if right:
        return (attribute.largest if slots[left].sql == "DESC" else attribute.smallest) or None
    return attribute.implied or None


def phrase(name: str, arguments: list[str], slots: dict[str, Slot], wording: str, rng: random.Random) -> str:
    """Write a phrase of `PHRASES`, with some of the question's slots as arguments."""
    parameters, variants = PHRASES[name]
    renamed = dict(zip(parameters, arguments, strict=True))

    def with_arguments(match: re.Match) -> str:
        """Replace the parameters in {c}, {cs}, {c~} or {d~c} by the arguments."""
        left, mark, right = match[1].partition("~")
        is_plural = not mark and left not in renamed
        name = renamed[left.removesuffix("s")] + "s" if is_plural else renamed[left]
        return "{" + name + mark + renamed.get(right, "") + "}"

    plain = [variant for variant in variants if not variant.startswith("~")]
    implied = []
    for variant in (variant[1:] for variant in variants if variant.startswith("~") and wording == "implied"):
        text, possible = re.sub(r"\{([^}]*)\}", with_arguments, variant), True
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
    """Write the question of a template with these slots.

    Args:
        template: one of the `patterns.Pattern.questions`.
        slots: name in the pattern -> slot.
        wording: "plain", "synonym" or "implied".
        rng: chooses among the variants of a phrase.
    """

    def expand(match: re.Match) -> str:
        name, *arguments = match[1].split()
        return phrase(name, arguments, slots, wording, rng)

    text = re.sub(r"\[([^\]]*)\]", expand, template)
    words = {name: slot_words(slot, wording) for name, slot in slots.items()}
    text = text.format(**words, **{name + "s": plural(word) for name, word in words.items()})
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text + ("?" if text.startswith(ASKING) or "what is" in text else ".")
