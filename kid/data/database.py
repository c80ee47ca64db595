"""Open a SQLite file for reading, and bound the time that statements on it take."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAMPLE_VALUES = 2
MAX_VALUE_CHARACTERS = 25
SAMPLED_ROWS = 10_000  # sample values come from a table's first rows: reading all of a large one takes minutes
OPERATIONS_PER_CLOCK_CHECK = 1000  # operations of SQLite's virtual machine


def quote(name: str) -> str:
    """`name` as a quoted SQLite identifier; it may hold any characters."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; bytes of its cells that are not UTF-8 are dropped.

    Nothing is written beside it, so it may lie on a read-only disk.
    """
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
    try:
        yield connection
    finally:
        connection.close()


class TimeLimit:
    """Interrupts the statements of a connection `seconds` from now, with the error code SQLITE_INTERRUPT.

    SQLite looks at the clock between its operations only: a single call of a function is not interrupted.
    """

    def __init__(self, connection: sqlite3.Connection, seconds: float):
        self.connection, self.deadline = connection, time.monotonic() + seconds
        connection.set_progress_handler(self.is_over, OPERATIONS_PER_CLOCK_CHECK)

    def is_over(self) -> bool:
        return time.monotonic() > self.deadline

    def __enter__(self) -> TimeLimit:
        return self

    def __exit__(self, *_) -> None:
        self.connection.set_progress_handler(None, 0)


def sample_values(connection: sqlite3.Connection, table: str, column: str) -> tuple[str, ...]:
    """Up to two distinct values of 1 to 25 characters, in the table's order; no NULLs, no blobs."""
    name = f"{quote(table)}.{quote(column)}"  # a bare name that is no column would be read as a string
    rows = connection.execute(
        f"SELECT DISTINCT CAST(cell AS TEXT) FROM (SELECT {name} AS cell FROM {quote(table)} LIMIT {SAMPLED_ROWS}) "
        f"WHERE typeof(cell) NOT IN ('null', 'blob') "
        f"AND length(trim(CAST(cell AS TEXT))) BETWEEN 1 AND {MAX_VALUE_CHARACTERS}"
    )
    values: list[str] = []
    for (value,) in rows:
        value = " ".join(value.split())
        if value and value not in values:
            values.append(value)
        if len(values) == SAMPLE_VALUES:
            break
    return tuple(values)


def cells_query(table: str, column: str, max_characters: int) -> str:
    """A query for a column's distinct texts of up to so many characters, blanks around them not counted."""
    name, blanks = f"{quote(table)}.{quote(column)}", "' ' || char(9, 10, 11, 12, 13)"
    # GROUP BY sorts in bounded memory and then on disk; DISTINCT would fill a tree in random order.
    # BINARY: the column's own collation may be unknown here, or treat different texts as equal.
    return (
        f"SELECT {name} FROM {quote(table)} WHERE typeof({name}) = 'text' "
        f"AND length(trim({name}, {blanks})) BETWEEN 1 AND {max_characters} GROUP BY {name} COLLATE BINARY"
    )


def table_columns(connection: sqlite3.Connection, table: str) -> list[tuple[str, str, int, int]]:
    """(name, declared type, place in the primary key, hidden) of each column; none if there is no such table.

    hidden: 1 is a column of a virtual table that means something to its module only, 2 a generated one that is
        computed whenever it is read.
    """
    query = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)"
    return connection.execute(query, (table,)).fetchall()


def shadow_tables(connection: sqlite3.Connection) -> set[str]:
    """Tables in which virtual tables keep their own data. SQLite before 3.37 does not report them."""
    # The pragma expands every view, which took 8 s for 40 nested ones; most files have no virtual table.
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%' LIMIT 1").fetchone():
        return set()
    return {name for _, name, kind, *_ in connection.execute("PRAGMA table_list") if kind == "shadow"}
