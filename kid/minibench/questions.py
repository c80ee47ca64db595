"""Draw a question with its gold SQL from a pattern and a database: fill slots, run the query, check the result."""

from __future__ import annotations

import random
import re
import sqlite3
from dataclasses import dataclass
from itertools import pairwise

from kid.minibench.patterns import Pattern
from kid.minibench.phrases import COLUMN_KINDS, TIME_WORDS, WORDS
from kid.minibench.schemas import Column, Rows, Schema, Table
from kid.minibench.wording import Slot, write_question

MAX_ATTEMPTS = 25  # draws of one pattern on one database before it is skipped there


@dataclass(frozen=True)
class Database:
    """A database of the benchmark: its tables, rows by table, and an open connection to them."""

    db_id: str
    schema: Schema
    rows: Rows
    connection: sqlite3.Connection


@dataclass(frozen=True)
class DrawnQuestion:
    """A gold query, with the template and the slots to write its question in any wording."""

    pattern: Pattern
    template: str
    slots: dict[str, Slot]
    query: str

    def text(self, wording: str, rng: random.Random) -> str:
        return write_question(self.template, self.slots, wording, rng)


def sql_literal(value: str | int | float) -> str:
    """A value as SQL."""
    return f"'{value}'" if isinstance(value, str) else str(value)


def value_options(kind: str, column: Column, database: Database) -> list[Slot]:
    """Values of a column. `inner`, `low` and `high` skip the extremes, which no or every row would satisfy."""
    position = database.schema[column.table].columns.index(column)
    values = sorted({row[position] for row in database.rows[column.table]} - {None})
    if kind == "initial":
        return [Slot(f"'{letter}%'", letter, column=column) for letter in sorted({value[0] for value in values})]
    if kind == "year":
        return [Slot(f"'{year}%'", year, column=column) for year in sorted({value[:4] for value in values})]
    middle = len(values) // 2
    parts = {"value": values, "inner": values[1:-1], "low": values[1:middle], "high": values[middle:-1]}
    return [Slot(sql_literal(value), str(value), column=column) for value in parts[kind]]


def slot_options(kind: str, owner: Slot, database: Database) -> list[Slot]:
    """All options for a slot of this kind."""
    if kind in COLUMN_KINDS:
        columns = [column for column in owner.table.columns if column.kind in COLUMN_KINDS[kind]]
        if kind == "gaps":
            columns = [column for column in columns if column.nullable]
        if kind == "ranked":  # NULL would sort first or last
            columns = [column for column in columns if not column.nullable]
        return [Slot(column.name, column.words, column=column) for column in columns]
    if kind in WORDS:
        timed = owner.column is not None and owner.column.kind in ("year", "date")
        words = (TIME_WORDS if timed and kind in TIME_WORDS else WORDS)[kind]
        return [Slot(sql, word) for sql in words for word in words[sql]]
    return value_options(kind, owner.column, database)


def table_options(shape: str, schema: Schema) -> list[dict[str, Table]]:
    """All ways to fill the tables of a pattern, such as `t>p` or `p<t>q`, with different tables."""
    names = re.findall("[a-z]", shape)
    points = [(a, b) if sign == ">" else (b, a) for a, sign, b in re.findall("([a-z])(?=([<>])([a-z]))", shape)]
    options: list[dict[str, Table]] = [{}]
    for name in names:
        options = [
            option | {name: table}
            for option in options
            for table in schema.values()
            if table not in option.values()
            and all(
                (option | {name: table})[b].name in (option | {name: table})[a].keys
                for a, b in points
                if name in (a, b) and {a, b} <= {*option, name}
            )
        ]
    return options


def table_names(tables: dict[str, Table]) -> dict[str, str]:
    """The SQL of a pattern's tables, keys and joins: {t}, {tk}, {tp}, {t+p} and so on."""
    names = {name: table.name for name, table in tables.items()}
    names |= {f"{name}k": table.key for name, table in tables.items()}
    for a, child in tables.items():
        names |= {f"{a}{b}": child.keys[parent.name] for b, parent in tables.items() if parent.name in child.keys}

    def joined(*places: str) -> str:
        text = tables[places[0]].name
        for a, b in pairwise(places):
            left, right = tables[a], tables[b]
            ends = (left.keys[right.name], right.key) if right.name in left.keys else (left.key, right.keys[left.name])
            text += f" JOIN {right.name} ON {left.name}.{ends[0]} = {right.name}.{ends[1]}"
        return text

    for places in (("t", "p"), ("t", "p", "g"), ("p", "t", "q")):
        linked = set(places) <= set(tables) and all(
            f"{a}{b}" in names or f"{b}{a}" in names for a, b in pairwise(places)
        )
        if linked:
            names["+".join(places)] = joined(*places)
    return names


def draw_slots(
    pattern: Pattern, database: Database, rng: random.Random
) -> tuple[dict[str, Slot], dict[str, str]] | None:
    """Draw a pattern's slots from left to right.

    Returns:
        (name -> slot, name -> its SQL); None if the database has no option for one of the slots.
    """
    shape, *rest = pattern.slots.split()
    options = table_options(shape, database.schema)
    if not options:
        return None
    tables = rng.choice(options)
    slots = {name: Slot(table.name, table.name, table) for name, table in tables.items()}
    for token in rest:
        owner, _, slot = token.partition(".")
        name, kind = slot.split(":")
        # Never use a column or value twice, as in "the name and the name of" or "is red or red".
        drawn = [slot for slot in slots.values() if slot.table or slot.column]
        choices = [option for option in slot_options(kind, slots[owner], database) if option not in drawn]
        if not choices:
            return None
        slots[name] = rng.choice(choices)
    return slots, table_names(tables) | {name: slot.sql for name, slot in slots.items()}


def is_informative(rows: list[tuple], pattern: Pattern, names: dict[str, str], connection: sqlite3.Connection) -> bool:
    """Whether a gold result has a value other than NULL and 0, and passes the pattern's checks."""
    if not any(value for row in rows for value in row):
        return False
    for query in pattern.untied:
        keys = [row[0] for row in connection.execute(query.format(**names))]
        if len(set(keys)) < len(keys):
            return False
    expected = sorted(rows, key=repr)
    return all(
        sorted(connection.execute(query.format(**names)).fetchall(), key=repr) != expected for query in pattern.unlike
    )


def draw_question(pattern: Pattern, database: Database, rng: random.Random) -> DrawnQuestion | None:
    """One question of a pattern on a database; None if no valid one was found in `MAX_ATTEMPTS` draws."""
    for _ in range(MAX_ATTEMPTS):
        drawn = draw_slots(pattern, database, rng)
        if drawn is None:
            continue
        slots, names = drawn
        query = pattern.sql.format(**names)
        if is_informative(database.connection.execute(query).fetchall(), pattern, names, database.connection):
            return DrawnQuestion(pattern, rng.choice(pattern.questions), slots, query)
    return None
