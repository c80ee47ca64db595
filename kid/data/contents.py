"""What a SQLite file says of its tables and views: names, columns, sample values."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kid.data.computed import read_apart
from kid.data.database import TimeLimit, sample_values, table_columns
from kid.sql.parsing import lower
from kid.sql.tokens import virtual_table_module

STORED_SECONDS = 60.0  # for the sample values of a column that lies in the file
COMPUTED_SECONDS = 5.0  # for those of a view, a virtual table or a table's generated columns
COMPUTED_TOTAL_SECONDS = 20.0  # for all of a database
# What SQLite's own modules call their shadow tables, after the virtual table's name and an underscore.
FTS3_SHADOWS = ("content", "docsize", "segdir", "segments", "stat")
FTS5_SHADOWS = ("config", "content", "data", "docsize", "idx")
TREE_SHADOWS = ("node", "parent", "rowid")
SHADOW_NAMES = {
    "fts3": FTS3_SHADOWS,
    "fts4": FTS3_SHADOWS,
    "fts5": FTS5_SHADOWS,
    "rtree": TREE_SHADOWS,
    "rtree_i32": TREE_SHADOWS,
    "geopoly": TREE_SHADOWS,
}


@dataclass
class TableContents:
    """What a SQLite file says of a table or view.

    columns: as `table_columns` gives them; none if there is no such table.
    values: sample values by the column's name as `lower` writes it.
    fault: why columns or values were not read, and SQLite's error code, 0 for a limit of time or memory.
    """

    columns: list[tuple[str, str, int, int]] = field(default_factory=list)
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fault: tuple[str, int] | None = None

    @property
    def refused(self) -> bool:
        """Whether SQLite cannot run it: a view of a missing table, a module that is not loaded."""
        return self.fault is not None and self.fault[1] != 0


def stored_tables(connection: sqlite3.Connection) -> set[str]:
    """Names, as `lower` writes them, of the tables whose rows lie in the file: no views, no virtual tables."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {lower(name) for name, sql in rows if (sql or "").upper().startswith("CREATE TABLE")}


def shadow_tables(connection: sqlite3.Connection) -> set[str]:
    """Tables in which virtual tables keep their own data, found by their names, as SQLite itself finds them."""
    # PRAGMA table_list says it too, but expands every view, which cannot be interrupted: 26 s for 40 nested ones.
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    owned = {
        f"{lower(name)}_{suffix}"
        for name, sql in rows
        for suffix in SHADOW_NAMES.get(virtual_table_module(sql or ""), ())
    }
    return {name for name, sql in rows if lower(name) in owned and not virtual_table_module(sql or "")}


def table_names(connection: sqlite3.Connection) -> list[str]:
    """The tables and views of a database, without those that virtual tables and SQLite keep for themselves."""
    shadows = shadow_tables(connection)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid")
    return [name for (name,) in rows if name not in shadows and not name.lower().startswith("sqlite_")]


def read_contents(
    connection: sqlite3.Connection, path: Path, wanted: Mapping[str, list[str] | None]
) -> dict[str, TableContents]:
    """The columns and sample values of tables and views, by the name in `wanted`.

    What lies in the file is read here, what SQLite computes (views, virtual tables, generated columns) in a process of
    its own and within limits.

    Args:
        wanted: table -> the columns whose values are wanted; None: all of them.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    stored, contents, apart = stored_tables(connection), {}, []
    for table, columns in wanted.items():
        found = contents[table] = TableContents()
        if lower(table) not in stored:
            apart.append((table, columns))
            continue
        try:
            found.columns = table_columns(connection, table)
            # As columns are called here: a name that is no column of the table is the caller's fault to find.
            names = {lower(name): hidden for name, _, _, hidden in found.columns if hidden != 1}
            chosen = [name for name in (names if columns is None else columns) if lower(name) in names]
            for name in (name for name in chosen if names[lower(name)] != 2):
                with TimeLimit(connection, STORED_SECONDS):
                    found.values[lower(name)] = sample_values(connection, table, name)
            if generated := [name for name in chosen if names[lower(name)] == 2]:
                apart.append((table, generated))
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_INTERRUPT):
                raise
            late = code == sqlite3.SQLITE_INTERRUPT
            found.fault = (f"not read within {STORED_SECONDS:g} s", 0) if late else (str(error), code)
    # All columns first, so that a table has them even if there is no time left for its values.
    jobs: list[tuple] = [("columns", table) for table, _ in apart if not contents[table].columns]
    jobs += [("values", table, columns) for table, columns in apart]
    for number, value, fault in read_apart(path, jobs, COMPUTED_SECONDS, COMPUTED_TOTAL_SECONDS):
        kind, table, *_ = jobs[number]
        found = contents[table]
        if kind == "values" and not found.columns and not found.fault:
            continue  # there is no such table
        if fault and fault[1] & 0xFF not in (0, sqlite3.SQLITE_ERROR):
            raise sqlite_error(*fault)
        if fault:
            found.fault = found.fault or fault
        elif kind == "columns":
            found.columns = [tuple(row) for row in value]
        elif found.columns:
            found.values |= {lower(name): tuple(texts) for name, texts in value.items()}
    return contents


def sqlite_error(message: str, code: int) -> sqlite3.Error:
    """The error that another process has met."""
    error = (sqlite3.OperationalError if code == sqlite3.SQLITE_ERROR else sqlite3.DatabaseError)(message)
    error.sqlite_errorcode = code
    return error
