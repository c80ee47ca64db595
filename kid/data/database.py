"""Open a SQLite file for reading, limit the time of its statements, and report what is wrong with it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kid.errors import InputError

SAMPLE_VALUES = 2
MAX_VALUE_CHARACTERS = 25
SAMPLED_ROWS = 10_000  # sample values come from a table's first rows, because reading a large table takes minutes
OPERATIONS_PER_CLOCK_CHECK = 1000  # operations of SQLite's virtual machine
JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9"  # a rollback journal that does not start with it is no longer in use
CORRUPTION_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DamagedDatabaseError(InputError):
    """The file is a damaged SQLite database, not a SQLite database, or does not match tables.json."""


def quote(name: str) -> str:
    """`name`, which may contain any characters, as a quoted SQLite identifier."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; bytes of its cells that are not UTF-8 are dropped.

    SQLite writes no files next to it, so it may be on a read-only disk.
    """
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
    try:
        yield connection
    finally:
        connection.close()


class TimeLimit:
    """Interrupts the statements of a connection `seconds` from now, with the error code SQLITE_INTERRUPT.

    The clock is checked only between operations of SQLite, so a single function call is not interrupted.
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
    """Up to two distinct values of 1 to 25 characters, in the table's order, without NULLs, blobs and blanks."""
    name = f"{quote(table)}.{quote(column)}"  # an unqualified name would be read as a string if there is no such column
    rows = connection.execute(
        f"SELECT DISTINCT CAST(cell AS TEXT) FROM (SELECT {name} AS cell FROM {quote(table)} LIMIT {SAMPLED_ROWS}) "
        f"WHERE typeof(cell) NOT IN ('null', 'blob') "
        f"AND length(CAST(cell AS TEXT)) BETWEEN 1 AND {MAX_VALUE_CHARACTERS}"
    )
    values: list[str] = []
    for (value,) in rows:
        if (
            value.strip() and value not in values and len(value) <= MAX_VALUE_CHARACTERS
        ):  # length() stops at a zero character
            values.append(value)
        if len(values) == SAMPLE_VALUES:
            break
    return tuple(values)


def cells_query(table: str, column: str, max_characters: int) -> str:
    """A query for a column's distinct texts of 1 to `max_characters` characters."""
    name = f"{quote(table)}.{quote(column)}"
    # GROUP BY sorts in limited memory, then on disk; DISTINCT would fill a tree in random order.
    # BINARY, because the column's collation may be unknown here, or treat different texts as equal.
    return (
        f"SELECT {name} FROM {quote(table)} WHERE typeof({name}) = 'text' "
        f"AND length({name}) BETWEEN 1 AND {max_characters} GROUP BY {name} COLLATE BINARY"
    )


def table_columns(connection: sqlite3.Connection, table: str) -> list[tuple[str, str, int, int]]:
    """(name, declared type, position in the primary key, hidden) of each column; empty if there is no such table.

    hidden: 1 for a column that only a virtual table's module uses, 2 for a generated column that is computed when it
        is read.
    """
    query = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)"
    return connection.execute(query, (table,)).fetchall()


def check_not_in_use(path: Path) -> None:
    """Raise InputError if part of the database is still in a log of its writer, which would not be read."""
    # If a database is opened through a link, SQLite writes its logs next to the link's target.
    for database in dict.fromkeys((path, path.resolve())):
        log, journal = (database.with_name(f"{database.name}-{kind}") for kind in ("wal", "journal"))
        shown = {file: file.name if database == path else file for file in (log, journal)}
        if log.is_file() and log.stat().st_size:
            raise InputError(
                f"{path} is in use: {shown[log]} has part of it; end the program that writes it, or run PRAGMA "
                "wal_checkpoint"
            )
        if journal.is_file() and first_bytes(journal, len(JOURNAL_MAGIC)) == JOURNAL_MAGIC:
            raise InputError(f"{path} is in use: {shown[journal]} must be rolled back; open it once with sqlite3")


def first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def database_error(path: Path, error: sqlite3.Error) -> InputError:
    """The error to raise: DamagedDatabaseError for a damaged file, otherwise InputError (disk full, no permission)."""
    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPTION_CODES
    return (DamagedDatabaseError if damaged else InputError)(f"{path}: {error}")
