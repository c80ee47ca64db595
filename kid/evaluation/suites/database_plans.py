"""What a random database needs to know of the original: tables, keys, and some values of each column."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.data.schema import Schema, open_database, quote, shadow_tables
from kid.sql.normalise import lower

OWN_VALUES = 300  # of each column; they go to every worker
READ_ROWS = 20_000  # own values come from a table's first rows
FRACTIONS = 4  # reals are quarters: sums of these are exact, so that an average does not depend on the order of rows
MAX_EXACT = 2.0**50
NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True)
class ColumnPlan:
    """A column to fill; `kind` is integer, real, digits (numbers stored as text) or text.

    `nullable`: the schema allows NULL and the original has some. `values` are distinct ones of the original.
    `distinct`: the original has no value twice.
    """

    name: str
    kind: str
    nullable: bool
    distinct: bool
    values: tuple

    @property
    def numeric(self) -> bool:
        return self.kind != "text"


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class TablePlan:
    """A table to fill; names of columns are lower-cased in `keys` (each a set of columns without duplicates)."""

    name: str
    columns: dict[str, ColumnPlan]
    keys: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]


@dataclass(frozen=True)
class DatabasePlan:
    """`statements` create the empty database; `tables`, by lower-cased name, come after those they point to."""

    statements: tuple[str, ...]
    tables: dict[str, TablePlan]

    @property
    def columns(self) -> dict[str, dict[str, ColumnPlan]]:
        return {name: table.columns for name, table in self.tables.items()}


def read_plan(schema: Schema, path: Path) -> DatabasePlan:
    """What a random database needs to know of the original. Raises sqlite3.Error."""
    with open_database(path) as connection:
        made = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        hidden = shadow_tables(connection)
        made = [row for row in made if row[1] != "trigger" and row[0] not in hidden and row[0] != "sqlite_sequence"]
        stored = {lower(name) for name, kind, _ in made if kind == "table"}
        names = [table.name for table in schema.tables if lower(table.name) in stored]
        tables = {lower(name): read_table(schema, name, connection) for name in names}
    return DatabasePlan(tuple(sql for *_, sql in made), parents_first(tables))


def read_table(schema: Schema, name: str, connection: sqlite3.Connection) -> TablePlan:
    information = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) WHERE hidden = 0', (name,)
    ).fetchall()
    rows = connection.execute(
        f"SELECT {', '.join(quote(column) for column, *_ in information)} FROM {quote(name)} LIMIT {READ_ROWS}"
    ).fetchall()
    cells = dict(zip((lower(column) for column, *_ in information), zip(*rows, strict=True), strict=False))
    cells = {lower(column): cells.get(lower(column), ()) for column, *_ in information}
    keys = [tuple(lower(column) for column, _, _, place in sorted(information, key=lambda row: row[3]) if place)]
    described = next(table for table in schema.tables if table.name == name)
    keys.append(tuple(lower(column.name) for column in described.columns if column.primary_key))
    for (index,) in connection.execute('SELECT name FROM pragma_index_list(?) WHERE "unique"', (name,)).fetchall():
        members = connection.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
        keys.append(tuple(lower(column) for (column,) in members if column))
    # Spider's tables.json names the first column only of some composite keys: the rows say which keys are meant.
    keys = [key for key in dict.fromkeys(keys) if key and not has_duplicates([cells[column] for column in key])]
    in_keys = {column for key in keys for column in key}
    columns = {}
    for column, declared, not_null, _ in information:
        values = [value for value in cells[lower(column)] if value is not None]
        columns[lower(column)] = ColumnPlan(
            column,
            kind_of(values, declared),
            not not_null and lower(column) not in in_keys and len(values) < len(rows),
            len(set(values)) == len(values),
            tuple(sample_evenly(list(dict.fromkeys(map(exact, values))), OWN_VALUES)),
        )
    return TablePlan(name, columns, tuple(keys), read_foreign_keys(schema, name, connection))


def read_foreign_keys(schema: Schema, name: str, connection: sqlite3.Connection) -> tuple[ForeignKey, ...]:
    """Those that the database declares, composite ones whole, and those of tables.json besides."""
    declared: dict[int, list[tuple[str, str, str]]] = {}
    pairs = {(lower(a), lower(column), lower(b)): lower(to) for a, column, b, to in schema.foreign_keys}
    for number, table, column, to in connection.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (name,)
    ):
        # REFERENCES t: the schema has found out to which column of its key.
        to = lower(to) if to else pairs.get((lower(name), lower(column), lower(table)))
        declared.setdefault(number, []).append((lower(column), lower(table), to))
    known = {lower(table.name) for table in schema.tables}
    keys = [
        ForeignKey(tuple(row[0] for row in rows), rows[0][1], tuple(row[2] for row in rows))
        for rows in declared.values()
        if rows[0][1] in known and all(row[2] for row in rows)
    ]
    covered = {column for key in keys for column in key.columns}
    for (table, column, referenced), to in pairs.items():
        if table == lower(name) and column not in covered:
            keys.append(ForeignKey((column,), referenced, (to,)))
    return tuple(keys)


def parents_first(tables: dict[str, TablePlan]) -> dict[str, TablePlan]:
    """The tables so that each comes after those it points to, as far as they do not point in a circle."""
    ordered: dict[str, TablePlan] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in tables and name not in ordered and name not in above:
            for key in tables[name].foreign_keys:
                visit(key.table, (*above, name))
            ordered[name] = tables[name]

    for name in tables:
        visit(name, ())
    return ordered


def has_duplicates(columns: Sequence[Sequence]) -> bool:
    rows = list(zip(*columns, strict=True))
    return len(set(rows)) < len(rows)


def kind_of(values: Sequence, declared: str) -> str:
    """What most of a column's values are; by the declared type where it has none."""
    kinds = {int: "integer", float: "real", str: "text", bytes: "text"}
    counts = [kinds[type(value)] for value in values]
    if not counts:
        declared = declared.upper()
        return "integer" if "INT" in declared else "real" if re.search("REAL|FLOA|DOUB|NUM|DEC", declared) else "text"
    if all(isinstance(value, str) and NUMBER.fullmatch(value) for value in values):
        return "digits"
    return max(dict.fromkeys(counts), key=counts.count)


def exact(value: object) -> object:
    return round(value * FRACTIONS) / FRACTIONS if isinstance(value, float) and abs(value) < MAX_EXACT else value


def sample_evenly(values: list, count: int) -> list:
    return values if len(values) <= count else [values[place * len(values) // count] for place in range(count)]
