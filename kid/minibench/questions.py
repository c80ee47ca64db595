"""From a pattern and a database to a question with its gold SQL: draw the slots, run the query, keep what is sound."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass

from kid.minibench.domains import Column, Table
from kid.minibench.patterns import COLUMN_KINDS, TIME_WORDS, WORDS, Pattern

ATTEMPTS = 40  # draws of one pattern on one database before it is given up there


@dataclass(frozen=True)
class Database:
    """A database made by the benchmark: tables, rows by table, and an open connection to its file."""

    db_id: str
    tables: dict[str, Table]
    rows: dict[str, list[tuple]]
    connection: sqlite3.Connection


@dataclass(frozen=True)
class Slot:
    """What was drawn: as SQL, in words, and the table or column behind it (a value: its column; a word: None)."""

    sql: str
    words: str
    source: Table | Column | None = None


def natural(name: str) -> str:
    """`release_year` -> `release year`."""
    return name.replace("_", " ")


def plural(words: str) -> str:
    """The plural of a table's or column's natural name: `city` -> `cities`, `age` -> `ages`, `species` -> `species`."""
    if words.endswith("s") and not words.endswith("ss"):
        return words
    if words.endswith("y") and words[-2] not in "aeiou":
        return words[:-1] + "ies"
    if words.endswith(("ss", "x", "ch", "sh")):
        return words + "es"
    return words + "s"


def literal(value: str | int | float) -> str:
    """A value as SQL."""
    return f"'{value}'" if isinstance(value, str) else str(value)


def value_options(kind: str, column: Column, database: Database) -> list[Slot]:
    """Values of a column; `inner`, `low` and `high` leave out the ends, where a comparison keeps no row or all."""
    position = database.tables[column.table].columns.index(column)
    values = sorted({row[position] for row in database.rows[column.table]})
    if kind == "initial":
        return [Slot(f"'{letter}%'", letter, column) for letter in sorted({value[0] for value in values})]
    middle = len(values) // 2
    parts = {"value": values, "inner": values[1:-1], "low": values[1:middle], "high": values[middle:-1]}
    return [Slot(literal(value), str(value), column) for value in parts[kind]]


def slot_options(kind: str, owner: Slot, database: Database) -> list[Slot]:
    """Everything that a slot of this kind may become."""
    if kind in COLUMN_KINDS:
        columns = [column for column in owner.source.columns if column.kind in COLUMN_KINDS[kind]]
        return [Slot(column.name, natural(column.name), column) for column in columns]
    if kind in WORDS:
        timed = isinstance(owner.source, Column) and owner.source.kind in ("year", "date")
        words = (TIME_WORDS if timed and kind in TIME_WORDS else WORDS)[kind]
        return [Slot(sql, word) for sql in words for word in words[sql]]
    return value_options(kind, owner.source, database)


def draw_slots(pattern: Pattern, database: Database, rng: random.Random) -> dict[str, Slot] | None:
    """Draw a pattern's slots left to right; None if the database has nothing to offer for one of them."""
    about, *rest = pattern.slots.split()
    tables = [(table, None) for table in database.tables.values()]
    if about == "t>p":
        tables = [(table, database.tables[parent]) for table, _ in tables for parent in table.parents]
    if not tables:
        return None
    slots = {
        name: Slot(table.name, natural(table.name), table)
        for name, table in zip("tp", rng.choice(tables), strict=True)
        if table
    }
    for token in rest:
        owner, _, slot = token.partition(".")
        name, kind = slot.split(":")
        # No column or value twice: "the name and the name of", "is red or red".
        drawn = [slot for slot in slots.values() if slot.source]
        options = [option for option in slot_options(kind, slots[owner], database) if option not in drawn]
        if not options:
            return None
        slots[name] = rng.choice(options)
    return slots


def is_sound(rows: list[tuple], pattern: Pattern, names: dict[str, str], connection: sqlite3.Connection) -> bool:
    """Whether a gold result says something: a value that is not NULL or a zero count, and the pattern's checks hold."""
    if not any(value for row in rows for value in row):
        return False
    for query in pattern.untied:
        keys = [row[0] for row in connection.execute(query.format(**names))]
        if len(set(keys)) < len(keys):
            return False
    return all(sorted(connection.execute(query.format(**names)).fetchall()) != sorted(rows) for query in pattern.unlike)


def ask(pattern: Pattern, database: Database, rng: random.Random) -> dict[str, str] | None:
    """One question of a pattern on a database, as Spider writes it; None if this draw came to nothing."""
    slots = draw_slots(pattern, database, rng)
    if slots is None:
        return None
    names = {name: slot.sql for name, slot in slots.items()}
    query = pattern.sql.format(**names)
    rows = database.connection.execute(query).fetchall()
    if not is_sound(rows, pattern, names, database.connection):
        return None
    words = {name: slot.words for name, slot in slots.items()}
    plurals = {name + "s": plural(slot.words) for name, slot in slots.items()}
    return {
        "db_id": database.db_id,
        "query": query,
        "question": rng.choice(pattern.questions).format(**words, **plurals),
    }
