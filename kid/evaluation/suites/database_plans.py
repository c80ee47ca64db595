"""The input for generating random databases: the original's tables and keys, and some values of each column."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kid.data.contents import shadow_tables
from kid.data.database import TimeLimit, open_database, quote
from kid.data.schema import Schema
from kid.evaluation.suites.formats import Format, find_format, sample_evenly
from kid.evaluation.suites.text_numbers import NumberFormat
from kid.sql.parsing import lower

VALUES_PER_COLUMN = 300  # taken from the original; they are sent to every worker
ROWS_READ = 20_000  # values are taken from a table's first rows
SECONDS_READ = 60.0  # time limit for reading them; a virtual table may read an endless view
FRACTIONS = 4  # reals are multiples of 1/4: their sums are exact, so averages do not depend on the order of rows
MAX_EXACT = 2.0**50


@dataclass(frozen=True)
class ColumnPlan:
    """A column to fill.

    kind: integer, real, digits (numbers stored as text) or text.
    nullable: the schema allows NULL and the original contains some.
    distinct: no value occurs twice in the original.
    values: distinct values of the original.
    format: format of the values as text; None for free text and for plain numbers.
    """

    name: str
    kind: str
    nullable: bool
    distinct: bool
    values: tuple
    format: Format | None = None

    @property
    def numeric(self) -> bool:
        return self.kind != "text"

    @cached_property
    def well_formed(self) -> tuple:
        """Return the values of the column's format; for free text, those that are not blobs, if there are any."""
        if self.format is None:
            return tuple(value for value in self.values if not isinstance(value, bytes)) or self.values
        stored = int if self.kind == "integer" else str
        return tuple(value for value in self.values if isinstance(value, stored) and self.format.fits(str(value)))


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class TablePlan:
    """A table to fill.

    columns: by lower-cased name.
    keys: sets of columns, lower-cased, in which no two rows may be equal.
    """

    name: str
    columns: dict[str, ColumnPlan]
    keys: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]


@dataclass(frozen=True)
class DatabasePlan:
    """A database to fill.

    statements: create the empty database.
    tables: by lower-cased name, each after the tables it refers to.
    """

    statements: tuple[str, ...]
    tables: dict[str, TablePlan]

    @property
    def columns(self) -> dict[str, dict[str, ColumnPlan]]:
        return {name: table.columns for name, table in self.tables.items()}


def read_plan(schema: Schema, path: Path) -> DatabasePlan:
    """Read the plan of the original database at `path`. Raises sqlite3.Error."""
    with open_database(path) as connection:
        rows = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        hidden = shadow_tables(connection)
        objects = [row for row in rows if row[1] != "trigger" and row[0] not in hidden and row[0] != "sqlite_sequence"]
        stored = {lower(name) for name, kind, _ in objects if kind == "table"}
        names = [table.name for table in schema.tables if lower(table.name) in stored]
        tables = {lower(name): read_table(schema, name, connection) for name in names}
    return DatabasePlan(tuple(sql for *_, sql in objects), parents_first(tables))


def read_table(schema: Schema, name: str, connection: sqlite3.Connection) -> TablePlan:
    information = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) WHERE hidden = 0', (name,)
    ).fetchall()
    names = ", ".join(quote(column) for column, *_ in information)
    try:
        with TimeLimit(connection, SECONDS_READ):
            rows = connection.execute(f"SELECT {names} FROM {quote(name)} LIMIT {ROWS_READ}").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
            raise
        raise sqlite3.OperationalError(f"values of {name} were not read within {SECONDS_READ:g} s") from None
    cells = dict(zip((lower(column) for column, *_ in information), zip(*rows, strict=True), strict=False))
    cells = {lower(column): cells.get(lower(column), ()) for column, *_ in information}
    keys = [tuple(lower(column) for column, _, _, position in sorted(information, key=lambda row: row[3]) if position)]
    described = next(table for table in schema.tables if table.name == name)
    keys.append(tuple(lower(column.name) for column in described.columns if column.primary_key))
    for (index,) in connection.execute('SELECT name FROM pragma_index_list(?) WHERE "unique"', (name,)).fetchall():
        members = connection.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
        keys.append(tuple(lower(column) for (column,) in members if column))
    # Spider's tables.json has only the first column of some composite keys, so drop keys that the rows violate.
    keys = [key for key in dict.fromkeys(keys) if key and not has_duplicates([cells[column] for column in key])]
    in_keys = {column for key in keys for column in key}
    columns = {}
    for column, declared, not_null, _ in information:
        values = [value for value in cells[lower(column)] if value is not None]
        found = find_format(values, declared)
        columns[lower(column)] = ColumnPlan(
            column,
            column_kind(values, declared, found),
            not not_null and lower(column) not in in_keys and len(values) < len(rows),
            len(set(values)) == len(values),
            tuple(sample_evenly(list(dict.fromkeys(map(round_to_fraction, values))), VALUES_PER_COLUMN)),
            found,
        )
    return TablePlan(name, columns, tuple(keys), read_foreign_keys(schema, name, connection))


def read_foreign_keys(schema: Schema, name: str, connection: sqlite3.Connection) -> tuple[ForeignKey, ...]:
    """Return the foreign keys that the database declares, including composite ones, and those only in tables.json."""
    declared: dict[int, list[tuple[str, str, str]]] = {}
    pairs = {(lower(a), lower(column), lower(b)): lower(to) for a, column, b, to in schema.foreign_keys}
    for number, table, column, to in connection.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (name,)
    ):
        # REFERENCES t without a column: the schema has determined which column of t's key is meant.
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
    """Sort the tables so that each comes after those it refers to, unless references form a cycle."""
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


def column_kind(values: Sequence, declared: str, found: Format | None) -> str:
    """Return the kind of most of a column's values; without values, the kind of its declared type."""
    kinds = {int: "integer", float: "real", str: "text", bytes: "text"}
    counts = [kinds[type(value)] for value in values]
    if not counts:
        declared = declared.upper()
        if found is not None:
            return "integer" if isinstance(found, NumberFormat) else "text"
        return "integer" if "INT" in declared else "real" if re.search("REAL|FLOA|DOUB|NUM|DEC", declared) else "text"
    most = max(dict.fromkeys(counts), key=counts.count)
    return "digits" if isinstance(found, NumberFormat) and most == "text" else most


def round_to_fraction(value: object) -> object:
    return round(value * FRACTIONS) / FRACTIONS if isinstance(value, float) and abs(value) < MAX_EXACT else value
