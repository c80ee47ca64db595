"""The building blocks of questions: the columns and words that can fill a slot, and phrases with their variants."""

from __future__ import annotations

# Kind of slot -> the kinds of columns that can fill it (`vocabulary.Attribute.kind`).
COLUMN_KINDS = {
    "any": ("label", "category", "integer", "real", "year", "date"),
    "label": ("label",),
    "category": ("category",),
    "named": ("label", "category"),
    "measure": ("integer", "real"),
    "bounded": ("integer", "real", "year"),
    "ranked": ("integer", "real", "year", "date"),
    "date": ("date",),
    "gaps": ("category", "integer", "real", "year", "date"),  # only columns that contain NULL
}

# Kind of slot -> SQL -> the words for it.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "compare": {">": ("above", "over", "greater than"), "<": ("below", "under", "less than")},
    "above": {">": ("above", "over", "greater than")},
    "below": {"<": ("below", "under", "less than")},
    "extreme": {"MAX": ("highest", "maximum"), "MIN": ("lowest", "minimum")},
    "superlative": {"DESC": ("highest",), "ASC": ("lowest",)},
    "aggregate": {"AVG": ("average", "mean"), "SUM": ("total",)},
    "order": {"ASC": ("ascending", "increasing"), "DESC": ("descending", "decreasing")},
    "frequency": {"DESC": ("most",), "ASC": ("fewest",)},
    "count": {"2": ("2",), "3": ("3",), "4": ("4",), "5": ("5",)},
}
# The same for columns of years and dates.
TIME_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "compare": {">": ("after", "later than"), "<": ("before", "earlier than")},
    "above": {">": ("after", "later than")},
    "below": {"<": ("before", "earlier than")},
    "extreme": {"MAX": ("latest",), "MIN": ("earliest",)},
    "superlative": {"DESC": ("latest",), "ASC": ("earliest",)},
}

# The phrases of questions: `name: slots`, then its variants. A variant that begins with ~ omits the column's name, for
# the realistic split: {c~} is the column's participle ("aged"), {d~c} its word for the largest or smallest ("oldest"),
# and {a~} is empty and requires a label column.
PHRASE_NOTATION = """
list: a t
    Show the {as} of {ts}
    What are the {as} of {ts}
    List the {a} of every {t}
    Give the {as} of all {ts}
    ~List the {ts}{a~}
    ~Which {ts} are there{a~}
get: a t
    What is the {a} of the {t}
    Show the {a} of the {t}
    Find the {a} of the {t}
    ~Which is the {t}{a~}
how_many: t
    How many {ts} are there
    Count the {ts}
    What is the number of {ts}
aggregate: f d t
    What is the {f} {d} of {ts}
    Show the {f} {d} of the {ts}
    Compute the {f} {d} over all {ts}
eq: c v
    whose {c} is {v}
    with {c} {v}
    where the {c} is {v}
    ~{c~} {v}
not: c v
    whose {c} is not {v}
    with {c} other than {v}
    ~not {c~} {v}
cmp: c o v
    whose {c} is {o} {v}
    with {c} {o} {v}
    where the {c} is {o} {v}
    ~{c~} {o} {v}
between: c v w
    whose {c} is between {v} and {w}
    with {c} from {v} to {w}
    ~{c~} between {v} and {w}
top: a t c d
    What is the {a} of the {t} with the {d} {c}
    Show the {a} of the {t} that has the {d} {c}
    Which {t} has the {d} {c}, by its {a}
    ~What is the {a} of the {d~c} {t}
    ~Which is the {d~c} {t}{a~}
parent_eq: p c v
    whose {p} has {c} {v}
    of the {ps} with {c} {v}
    where the {c} of the {p} is {v}
    ~of {ps} {c~} {v}
parent_cmp: p c o v
    whose {p} has a {c} {o} {v}
    of the {ps} with {c} {o} {v}
    where the {c} of the {p} is {o} {v}
    ~of {ps} {c~} {o} {v}
"""


def split_blocks(text: str) -> list[tuple[str, str, list[str]]]:
    """Split a notation into entries: (name, slots, the indented lines below)."""
    blocks: list[tuple[str, str, list[str]]] = []
    for line in filter(None, text.splitlines()):
        if line.startswith(" "):
            blocks[-1][2].append(line.strip())
        else:
            name, slots = line.split(": ")
            blocks.append((name, slots, []))
    return blocks


PHRASES = {name: (slots.split(), lines) for name, slots, lines in split_blocks(PHRASE_NOTATION)}
