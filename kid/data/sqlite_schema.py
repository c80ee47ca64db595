"""Read a database's schema from its SQLite file: all of it, or what tables.json lacks."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kid.data.contents import TableContents, read_contents, sqlite_error, table_names
from kid.data.database import DamagedDatabaseError, database_error, open_database
from kid.data.schema import Column, Schema, Table, read_descriptions, without_internal_tables
from kid.sql.parsing import lower

SHOWN_NAMES = 3  # how many names of what tables.json lacks a message shows


def schema_from_contents(db_id: str, names: list[str], contents: Mapping[str, TableContents]) -> Schema:
    """The schema of the tables and views called `names`, from the file alone, without sample values."""
    tables, skipped = [], []
    for name in names:
        found = contents[name]
        if found.fault and not found.columns:
            skipped.append(f"{name} ({found.fault[0]})")
        else:
            shown = [(column, bool(key)) for column, _, key, hidden in found.columns if hidden != 1]
            tables.append(Table(name, tuple(Column(column, "", "", key) for column, key in shown)))
    return Schema(db_id, tuple(tables), (), tuple(skipped))


def add_missing(schema: Schema, names: list[str], contents: Mapping[str, TableContents]) -> Schema:
    """Append the tables and columns that a schema lacks, in the file's order.

    Args:
        names: all tables and views of the file.
    """
    added, tables = [], []
    for table in schema.tables:
        known = {lower(column.name) for column in table.columns}
        rows = [row for row in contents[table.name].columns if row[3] != 1 and lower(row[0]) not in known]
        tables.append(
            Table(table.name, (*table.columns, *(Column(name, "", "", bool(key)) for name, _, key, _ in rows)))
        )
        added += [("column", f"{table.name}.{name}") for name, *_ in rows]
    known = {lower(table.name) for table in schema.tables}
    rest = schema_from_contents(schema.db_id, [name for name in names if lower(name) not in known], contents)
    added += [("table", table.name) for table in rest.tables]
    skipped = (*schema.skipped, *rest.skipped)
    return replace(schema, tables=(*tables, *rest.tables), skipped=skipped, added=tuple(added))


def hidden_parts(schema: Schema, names: list[str], contents: Mapping[str, TableContents]) -> list[str]:
    """Lines on the tables and columns of the file that a schema lacks."""
    hidden = add_missing(schema, [], contents).added
    known = {lower(table.name) for table in schema.tables}
    parts = {
        "tables": [name for name in names if lower(name) not in known],
        "columns": [name for _, name in hidden],
    }
    return [f"{kind} that tables.json lacks: {listed(found)}" for kind, found in parts.items() if found]


def added_keys(schema: Schema, complete: Schema) -> list[tuple[str, str]]:
    """(kind, name) of the keys on the tables and columns of `schema` that only `complete` has."""
    primary = {(table.name, column.name): column.primary_key for table in schema.tables for column in table.columns}
    added = [
        ("primary key", f"{table.name}.{column.name}")
        for table in complete.tables
        for column in table.columns
        if column.primary_key and primary.get((table.name, column.name)) is False
    ]
    known = {tuple(map(lower, key)) for key in schema.foreign_keys}
    for key in complete.foreign_keys:
        if tuple(map(lower, key)) not in known and {key[:2], key[2:]} <= primary.keys():
            added.append(("foreign key", f"{key[0]}.{key[1]}"))
    return added


def listed(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def completion_note(tables: Path | None, known: Mapping[str, object], schemas: Mapping[str, Schema]) -> str | None:
    """One line on what tables.json lacks and the SQLite files have; None if it lacks nothing or does not exist.

    Args:
        known: db_id -> its description in tables.json.
        schemas: db_id -> complete schema.
    """
    lacking = {"database": [db_id for db_id in schemas if db_id not in known]}
    for db_id, schema in schemas.items():
        for kind, name in schema.added:
            lacking.setdefault(kind, []).append(f"{db_id}.{name}")
    parts = [
        f"{len(names)} {kind}{'s' if len(names) > 1 else ''} ({listed(names)})"
        for kind, names in lacking.items()
        if names
    ]
    if not tables or not parts:
        return None
    where = (
        "it is read from its SQLite file"
        if sum(map(len, lacking.values())) == 1
        else "these are read from the SQLite files"
    )
    return f"{tables} leaves out {', '.join(parts)}; {where}"


def missing_keys_note(schemas: Mapping[str, Schema]) -> str | None:
    """One line on the databases that have several tables and no foreign key; None if there are none."""
    names = sorted(db_id for db_id, schema in schemas.items() if len(schema.tables) > 1 and not schema.foreign_keys)
    if not names:
        return None
    return (
        f"several tables but no foreign keys: {listed(names)}; give foreign_keys in tables.json, so that prompts show "
        "how to join the tables (docs/your-own-data.md)"
    )


def declared_foreign_keys(
    connection: sqlite3.Connection, schema: Schema, contents: Mapping[str, TableContents]
) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """(foreign keys that the database declares, descriptions of those that are dangling)."""
    tables = {lower(table.name): table for table in schema.tables}
    keys, dangling = [], []
    for table in schema.tables:
        rows = connection.execute(
            'SELECT "table", "from", "to", seq FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq', (table.name,)
        )
        for name, column, referenced, position in rows.fetchall():
            own = [c.name for c in table.columns if lower(c.name) == lower(column)]
            target = tables.get(lower(name))
            columns = target.columns if target else ()
            if referenced is None:  # REFERENCES t means its primary key, in the order of PRIMARY KEY (...)
                found = contents[target.name].columns if target else []
                key = sorted((place, column_name) for column_name, _, place, _ in found if place)
                names = [column_name for _, column_name in key] or [c.name for c in columns if c.primary_key]
                wanted = names[position] if position < len(names) else ""
            else:
                wanted = referenced
            matching = [c.name for c in columns if lower(c.name) == lower(wanted)]
            if own and matching:
                keys.append((table.name, own[0], target.name, matching[0]))
            else:
                dangling.append(f"foreign key {table.name}.{column} to {name}.{referenced or '(its primary key)'}")
    return keys, dangling


def complete_schema(
    schema: Schema,
    connection: sqlite3.Connection,
    contents: Mapping[str, TableContents],
    descriptions: dict[tuple[str, str], str],
) -> tuple[Schema, list[str]]:
    """Add what only the SQLite file has (declared types and keys, sample values), and BIRD's comments, to a schema.

    Also returns lines on the tables whose sample values were not read because of a limit of time or memory.

    Raises:
        ValueError: the database lacks a table or column that the schema names.
        sqlite3.Error: the file cannot be read.
    """
    tables, skipped = [], []
    unread: dict[str, list[str]] = {}
    for table in schema.tables:
        found = contents[table.name]
        declared = {
            lower(name): (kind.split("(")[0].strip().lower(), bool(key)) for name, kind, key, _ in found.columns
        }
        if not declared and found.refused:
            raise sqlite_error(*found.fault)
        if not declared and not found.fault:
            raise ValueError(f"no table {table.name}")
        lacking = [column.name for column in table.columns if declared and lower(column.name) not in declared]
        if lacking:
            raise ValueError(f"no column {table.name}.{f', {table.name}.'.join(lacking)}")
        if found.refused:  # a view that SQLite cannot read
            skipped.append(f"{table.name} ({found.fault[0]})")
            continue
        if found.fault:
            unread.setdefault(found.fault[0], []).append(table.name)
        columns = []
        for column in table.columns:
            kind, primary = declared.get(lower(column.name), ("", False))
            comment = column.comment or descriptions.get((table.name.lower(), column.name.lower()), "")
            values = found.values.get(lower(column.name), ())
            columns.append(Column(column.name, comment, kind or column.type, column.primary_key or primary, values))
        tables.append(Table(table.name, tuple(columns)))
    complete = replace(schema, tables=tuple(tables))
    declared_foreign, dangling = declared_foreign_keys(connection, complete, contents)
    shown = {lower(table.name) for table in tables}
    unique: dict[tuple[str, ...], tuple[str, str, str, str]] = {}
    for key in [*schema.foreign_keys, *declared_foreign]:
        if {lower(key[0]), lower(key[2])} <= shown:
            unique.setdefault(tuple(map(lower, key)), key)
    lines = [f"sample values of {', '.join(names)} ({reason})" for reason, names in unread.items()]
    left_out = (*schema.skipped, *skipped, *lines, *dangling)
    return replace(complete, foreign_keys=tuple(unique.values()), skipped=left_out), lines


def read_database(schema: Schema | None, db_id: str, path: Path, partial: bool = False) -> Schema:
    """Read the complete schema of a database from its SQLite file.

    Args:
        schema: from tables.json; None: everything comes from the file.
        partial: whether to add tables and columns that `schema` lacks; otherwise they are listed in `skipped`.

    Raises:
        DamagedDatabaseError: the file is not a SQLite database, has no tables, or lacks some that tables.json names.
        InputError: the file cannot be read.
    """
    try:
        with open_database(path) as connection:
            names = table_names(connection)
            hidden: list[str] = []
            if schema is None:
                contents = read_contents(connection, path, dict.fromkeys(names))
                shown = described = schema_from_contents(db_id, names, contents)
            else:
                described = without_internal_tables(schema)
                own = described.columns_by_table
                known = set(map(lower, own))
                wanted = dict.fromkeys([*own, *(n for n in names if lower(n) not in known)]) if partial else own
                contents = read_contents(connection, path, wanted)
                shown = add_missing(described, names, contents) if partial else described
                hidden = [] if partial else hidden_parts(described, names, contents)
            descriptions, unreadable = read_descriptions(path)
            complete, unread = complete_schema(shown, connection, contents, descriptions)
    except sqlite3.Error as error:
        raise database_error(path, error) from None
    except ValueError as error:
        raise DamagedDatabaseError(f"{path}: {error}, although tables.json names it") from None
    if not complete.tables:
        raise DamagedDatabaseError(f"{path}: it has no tables")
    for line in unread:  # print these at once, because they explain a delay; `skipped` is reported later
        print(f"note: {path}: continuing without {line}", file=sys.stderr)
    added = (*complete.added, *added_keys(described, complete)) if partial and schema is not None else ()
    return replace(complete, skipped=(*complete.skipped, *hidden, *unreadable), added=added)
