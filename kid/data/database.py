"""Open a SQLite file for reading, bound the time that statements on it take, and say what is wrong with it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kid.errors import InputError

SAMPLE_VALUES = 2
MAX_VALUE_CHARACTERS = 25
SAMPLED_ROWS = 10_000  # sample values come from a table's first rows: reading all of a large one takes minutes
OPERATIONS_PER_CLOCK_CHECK = 1000  # operations of SQLite's virtual machine
JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9"  # a rollback journal without it is an old one
CORRUPTION_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DamagedDatabaseError(InputError):
    """The file is a damaged SQLite database or none at all, or does not match tables.json."""


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
    """Up to two distinct values of 1 to 25 characters as they are, in the table's order; no NULLs, blobs or blanks."""
    name = f"{quote(table)}.{quote(column)}"  # a bare name that is no column would be read as a string
    rows = connection.execute(
        f"SELECT DISTINCT CAST(cell AS TEXT) FROM (SELECT {name} AS cell FROM {quote(table)} LIMIT {SAMPLED_ROWS}) "
        f"WHERE typeof(cell) NOT IN ('null', 'blob') "
        f"AND length(CAST(cell AS TEXT)) BETWEEN 1 AND {MAX_VALUE_CHARACTERS}"
    )
    values: list[str] = []
    for (value,) in rows:
        if value.strip() and value not in values and len(value) <= MAX_VALUE_CHARACTERS:  # length() ends at a zero
            values.append(value)
        if len(values) == SAMPLE_VALUES:
            break
    return tuple(values)


def cells_query(table: str, column: str, max_characters: int) -> str:
    """A query for a column's distinct texts of 1 to so many characters."""
    name = f"{quote(table)}.{quote(column)}"
    # GROUP BY sorts in bounded memory and then on disk; DISTINCT would fill a tree in random order.
    # BINARY: the column's own collation may be unknown here, or treat different texts as equal.
    return (
        f"SELECT {name} FROM {quote(table)} WHERE typeof({name}) = 'text' "
        f"AND length({name}) BETWEEN 1 AND {max_characters} GROUP BY {name} COLLATE BINARY"
    )


def table_columns(connection: sqlite3.Connection, table: str) -> list[tuple[str, str, int, int]]:
    """(name, declared type, place in the primary key, hidden) of each column; none if there is no such table.

    hidden: 1 is a column of a virtual table that means something to its module only, 2 a generated one that is
        computed whenever it is read.
    """
    query = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)"
    return connection.execute(query, (table,)).fetchall()


def check_not_in_use(path: Path) -> None:
    """Raise InputError if a writer has left part of the database in a log, which we would not read."""
    # SQLite keeps the logs of a database that is opened by a link beside the file itself.
    for place in dict.fromkeys((path, path.resolve())):
        log, journal = (place.with_name(f"{place.name}-{kind}") for kind in ("wal", "journal"))
        shown = {file: file.name if place == path else file for file in (log, journal)}
        if log.is_file() and log.stat().st_size:
            raise InputError(
                f"{path} is in use: {shown[log]} holds part of it; end its writer, or PRAGMA wal_checkpoint"
            )
        if journal.is_file() and first_bytes(journal, len(JOURNAL_MAGIC)) == JOURNAL_MAGIC:
            raise InputError(f"{path} is in use: {shown[journal]} is to be played back; open it once with sqlite3")


def first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def database_error(path: Path, error: sqlite3.Error) -> InputError:
    """The error for a file: DamagedDatabaseError if it is damaged, InputError otherwise (disk full, no permission)."""
    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPTION_CODES
    return (DamagedDatabaseError if damaged else InputError)(f"{path}: {error}")
