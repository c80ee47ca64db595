"""Make a question with its gold SQL from a pattern and a database: draw slots, run the query, check the result."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass

from kid.minibench.first_edition.domains import Column, Table
from kid.minibench.first_edition.patterns import COLUMN_KINDS, TIME_WORDS, WORDS, Pattern

MAX_ATTEMPTS = 40  # draws of one pattern on one database before it is skipped there


@dataclass(frozen=True)
class Database:
    """A database of the benchmark: tables, rows by table, and an open connection to its file."""

    db_id: str
    tables: dict[str, Table]
    rows: dict[str, list[tuple]]
    connection: sqlite3.Connection


@dataclass(frozen=True)
class Slot:
    """A drawn slot: as SQL, in words, and its table or column (of a value: its column; of a word: None)."""

    sql: str
    words: str
    schema_item: Table | Column | None = None


def natural_name(name: str) -> str:
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


def sql_literal(value: str | int | float) -> str:
    """A value as SQL."""
    return f"'{value}'" if isinstance(value, str) else str(value)


def value_options(kind: str, column: Column, database: Database) -> list[Slot]:
    """Values of a column; `inner`, `low` and `high` skip the extremes, where a comparison keeps no row or every row."""
    position = database.tables[column.table].columns.index(column)
    values = sorted({row[position] for row in database.rows[column.table]})
    if kind == "initial":
        return [Slot(f"'{letter}%'", letter, column) for letter in sorted({value[0] for value in values})]
    middle = len(values) // 2
    parts = {"value": values, "inner": values[1:-1], "low": values[1:middle], "high": values[middle:-1]}
    return [Slot(sql_literal(value), str(value), column) for value in parts[kind]]


def slot_options(kind: str, owner: Slot, database: Database) -> list[Slot]:
    """All options for a slot of this kind."""
    if kind in COLUMN_KINDS:
        columns = [column for column in owner.schema_item.columns if column.kind in COLUMN_KINDS[kind]]
        return [Slot(column.name, natural_name(column.name), column) for column in columns]
    if kind in WORDS:
        timed = isinstance(owner.schema_item, Column) and owner.schema_item.kind in ("year", "date")
        words = (TIME_WORDS if timed and kind in TIME_WORDS else WORDS)[kind]
        return [Slot(sql, word) for sql in words for word in words[sql]]
    return value_options(kind, owner.schema_item, database)


def draw_slots(pattern: Pattern, database: Database, rng: random.Random) -> dict[str, Slot] | None:
    """Draw a pattern's slots left to right; None if the database has no option for one of them."""
    tables_slot, *rest = pattern.slots.split()
    tables = [(table, None) for table in database.tables.values()]
    if tables_slot == "t>p":
        tables = [(table, database.tables[parent]) for table, _ in tables for parent in table.parents]
    if not tables:
        return None
    slots = {
        name: Slot(table.name, natural_name(table.name), table)
        for name, table in zip("tp", rng.choice(tables), strict=True)
        if table
    }
    for token in rest:
        owner, _, slot = token.partition(".")
        name, kind = slot.split(":")
        # No column or value twice, as in "the name and the name of", "is red or red".
        drawn = [slot for slot in slots.values() if slot.schema_item]
        options = [option for option in slot_options(kind, slots[owner], database) if option not in drawn]
        if not options:
            return None
        slots[name] = rng.choice(options)
    return slots


def is_informative(rows: list[tuple], pattern: Pattern, names: dict[str, str], connection: sqlite3.Connection) -> bool:
    """Whether a gold result has a value other than NULL and 0 and passes the pattern's checks."""
    if not any(value for row in rows for value in row):
        return False
    for query in pattern.untied:
        keys = [row[0] for row in connection.execute(query.format(**names))]
        if len(set(keys)) < len(keys):
            return False
    return all(sorted(connection.execute(query.format(**names)).fetchall()) != sorted(rows) for query in pattern.unlike)


def draw_question(pattern: Pattern, database: Database, rng: random.Random) -> dict[str, str] | None:
    """One question of a pattern on a database, in Spider's format; None if this draw gives no valid question."""
    slots = draw_slots(pattern, database, rng)
    if slots is None:
        return None
    names = {name: slot.sql for name, slot in slots.items()}
    query = pattern.sql.format(**names)
    rows = database.connection.execute(query).fetchall()
    if not is_informative(rows, pattern, names, database.connection):
        return None
    words = {name: slot.words for name, slot in slots.items()}
    plurals = {name + "s": plural(slot.words) for name, slot in slots.items()}
    return {
        "db_id": database.db_id,
        "query": query,
        "question": rng.choice(pattern.questions).format(**words, **plurals),
    }
