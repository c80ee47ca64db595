"""A database's schema: names, types and keys from tables.json, two sample values a column from the SQLite file."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from kid.data.benchmarks import read_json
from kid.errors import InputError

SAMPLE_VALUES = 2
MAX_VALUE_CHARACTERS = 25
KEYS = (
    "table_names_original",
    "column_names",
    "column_names_original",
    "column_types",
    "primary_keys",
    "foreign_keys",
)


@dataclass(frozen=True)
class Column:
    """`name` as in the database, `comment` the name in plain words, `values` up to two samples as text."""

    name: str
    comment: str
    type: str
    primary_key: bool
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Schema:
    """`foreign_keys` are (table, column, referenced table, referenced column)."""

    db_id: str
    tables: tuple[Table, ...]
    foreign_keys: tuple[tuple[str, str, str, str], ...]


def quote(name: str) -> str:
    """An SQLite identifier, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def sample_values(connection: sqlite3.Connection, table: str, column: str) -> tuple[str, ...]:
    """Up to two distinct non-null values of 1 to 25 characters, in the table's order."""
    name = f"{quote(table)}.{quote(column)}"  # a bare name that is no column would be read as a string
    rows = connection.execute(
        f"SELECT DISTINCT CAST({name} AS TEXT) FROM {quote(table)} WHERE {name} IS NOT NULL "
        f"AND length(CAST({name} AS TEXT)) BETWEEN 1 AND {MAX_VALUE_CHARACTERS} LIMIT {SAMPLE_VALUES}"
    )
    return tuple(" ".join(value.split()) for (value,) in rows)


def read_schemas(path: Path) -> dict[str, dict]:
    """tables.json by db_id, as it stands there."""
    return {item["db_id"]: item for item in read_json(path) if "db_id" in item}


def build_schema(item: dict, database: Path) -> Schema:
    """One item of tables.json with sample values from its database.

    Raises:
        InputError: the file is no SQLite database, or lacks a table or column that tables.json names.
    """
    names = item["column_names_original"]
    # Composite primary keys are lists.
    primary = {key for entry in item["primary_keys"] for key in (entry if isinstance(entry, list) else [entry])}
    tables = item["table_names_original"]
    columns: list[list[Column]] = [[] for _ in tables]
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
        connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
        try:
            for index, ((table, name), (_, comment), kind) in enumerate(
                zip(names, item["column_names"], item["column_types"], strict=True)
            ):
                if table >= 0:  # the first entry is "*", of no table
                    # SQLite's own tables (sqlite_sequence) need not be there in every copy of a database.
                    internal = tables[table].lower().startswith("sqlite_")
                    values = () if internal else sample_values(connection, tables[table], name)
                    columns[table].append(Column(name, comment, kind, index in primary, values))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise InputError(f"{database}: {error}; it must be the SQLite database that tables.json describes") from None
    foreign = tuple(
        (tables[names[a][0]], names[a][1], tables[names[b][0]], names[b][1]) for a, b in item["foreign_keys"]
    )
    return Schema(item["db_id"], tuple(map(Table, tables, map(tuple, columns))), foreign)


def load_schemas(tables: Path, databases: dict[str, Path]) -> dict[str, Schema]:
    """The schema of each database, with sample values.

    Args:
        tables: the benchmark's tables.json.
        databases: db_id -> SQLite file.

    Raises:
        InputError: db_ids that tables.json lacks, or a database that does not fit it.
    """
    items = read_schemas(tables)
    for db_id, item in items.items():
        lacks = [key for key in KEYS if key not in item]
        if lacks:
            raise InputError(f"{tables}, db_id {db_id}: lacks {', '.join(lacks)}; expected Spider's own format")
    missing = sorted(set(databases) - set(items))
    if missing:
        raise InputError(f"{tables} has no schema for {', '.join(missing)}; give the tables.json of this benchmark")
    return {db_id: build_schema(items[db_id], path) for db_id, path in databases.items()}
