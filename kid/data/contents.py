"""Read names, columns and sample values of the tables and views of a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kid.data.computed import read_apart
from kid.data.database import TimeLimit, sample_values, table_columns
from kid.sql.parsing import lower
from kid.sql.tokens import virtual_table_module

STORED_SECONDS = 60.0  # time limit for the sample values of a column that is stored in the file
COMPUTED_SECONDS = 5.0  # for those of a view, a virtual table or a table's generated columns
COMPUTED_TOTAL_SECONDS = 20.0  # for all of these in a database
# SQLite's modules name their shadow tables after the virtual table, an underscore and one of these suffixes.
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
    """Columns and sample values of a table or view.

    columns: as returned by `table_columns`; empty if there is no such table.
    values: lower-cased name of the column -> sample values.
    fault: (why columns or values were not read, SQLite's error code), with code 0 for a limit of time or memory.
    """

    columns: list[tuple[str, str, int, int]] = field(default_factory=list)
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fault: tuple[str, int] | None = None

    @property
    def refused(self) -> bool:
        """Whether SQLite cannot read it, such as a view of a missing table or a module that is not loaded."""
        return self.fault is not None and self.fault[1] != 0


def stored_tables(connection: sqlite3.Connection) -> set[str]:
    """Lower-cased names of the tables whose rows are stored in the file, without views and virtual tables."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {lower(name) for name, sql in rows if (sql or "").upper().startswith("CREATE TABLE")}


def shadow_tables(connection: sqlite3.Connection) -> set[str]:
    """Tables in which virtual tables store their data, recognised by name, as in SQLite."""
    # PRAGMA table_list also tells, but expands every view, which cannot be interrupted: 26 s for 40 nested views.
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    owned = {
        f"{lower(name)}_{suffix}"
        for name, sql in rows
        for suffix in SHADOW_NAMES.get(virtual_table_module(sql or ""), ())
    }
    return {name for name, sql in rows if lower(name) in owned and not virtual_table_module(sql or "")}


def table_names(connection: sqlite3.Connection) -> list[str]:
    """The tables and views of a database, without internal ones of SQLite and of virtual tables."""
    shadows = shadow_tables(connection)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid")
    return [name for (name,) in rows if name not in shadows and not name.lower().startswith("sqlite_")]


def read_contents(
    connection: sqlite3.Connection, path: Path, wanted: Mapping[str, list[str] | None]
) -> dict[str, TableContents]:
    """Read columns and sample values of tables and views: name in `wanted` -> contents.

    Stored tables are read in this process. What SQLite computes (views, virtual tables, generated columns) is read in a
    separate process with limits.

    Args:
        wanted: table -> the columns whose values to read; None: all of them.

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
            # Skip names that are not columns of the table; the caller reports them.
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
    # Columns of all tables first, so that they are known even if no time is left for values.
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
    """Recreate the error of another process."""
    error = (sqlite3.OperationalError if code == sqlite3.SQLITE_ERROR else sqlite3.DatabaseError)(message)
    error.sqlite_errorcode = code
    return error
