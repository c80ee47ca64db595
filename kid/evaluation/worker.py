"""The process in which SQL of a model runs. `kid.evaluation.execution` starts it and hands it jobs.

The SQL is hostile. The database is opened read-only and immutable, and an authorizer refuses everything but reading.
Memory is bounded by RLIMIT_AS, a result by its rows and bytes. Time is bounded twice: a progress handler stops a query
at its limit and leaves the process alive; an alarm a moment later, whose default action ends the process, also stops
what SQLite cannot, a single long function call for example, and needs no living parent.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

# After this exit the parent says "out of memory". The process is not used again: its heap may stay too full to serve.
EXIT_OUT_OF_MEMORY = 17
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# The only PRAGMAs that change nothing, whatever their argument.
READING_PRAGMAS = {
    "table_info", "table_xinfo", "table_list", "foreign_key_list", "index_list", "index_info", "index_xinfo",
}  # fmt: skip
# Functions that load code or touch files, where a build of SQLite has them.
REFUSED_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
ALARM_AFTER = 0.5  # seconds between the progress handler's turn and the alarm's
OPERATIONS = 20_000  # of SQLite's machine between two looks at the clock: some tenths of a millisecond
FETCHED = 1000  # rows at a time, between two looks at a result's size
LONGEST_SQL = 1_000_000  # bytes


class QueryError(Exception):
    """A query that gives no result; the message is the reason."""


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    Args:
        seconds: wall-clock time of each stage of a job (each query, and the comparison of two results).
        rows: rows of one result; more is an error, a result is never cut.
        result_bytes: bytes of text and blobs in one result; also of a single value on its way there.
        memory: bytes of address space of the whole worker process.
    """

    seconds: float = 60.0
    rows: int = 1_000_000
    result_bytes: int = 256 << 20
    memory: int = 2 << 30


class Sandbox:
    """What a job gets to work with: limits, and the pipe on which it says how far it has come."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.connection = connection
        self.limits = limits
        self.deadline = float("inf")

    def begin(self, stage: str, seconds: float | None = None) -> None:
        """Start a stage ("gold", "prediction", ...): the parent learns its name, and the time starts anew.

        Args:
            stage: its name.
            seconds: what the stage may take, instead of the limit.
        """
        seconds = self.limits.seconds if seconds is None else seconds
        self.connection.send(("stage", stage))
        self.deadline = time.monotonic() + seconds
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0) + ALARM_AFTER)

    def rows(self, database: Path | str, sql: str) -> list[tuple]:
        """All rows of a query.

        Raises:
            QueryError: it fails, gives no result set or too large a one; "timeout" at the end of the stage's time.
        """
        return self.table(database, sql)[1]

    def table(self, database: Path | str, sql: str, first: int | None = None) -> tuple[list[str], list[tuple]]:
        """The names of a query's columns, and its rows or the first of them. Raises QueryError as `rows` does."""
        return fetch_table(database, sql, self.limits, self.deadline, first)


def fetch_table(
    database: Path | str, sql: str, limits: Limits, deadline: float = float("inf"), first: int | None = None
) -> tuple[list[str], list[tuple]]:
    """Run one reading query on a SQLite file; text that is not UTF-8 loses the bad bytes.

    Bounds neither memory nor the time of a single long call: that is the process's business.

    Args:
        deadline: value of `time.monotonic()` at which the query ends as a "timeout".
        first: only so many rows, whatever the limit on rows.

    Returns:
        The names of its columns, and its rows.

    Raises:
        QueryError: the query fails, gives no result set, or more rows or bytes than `limits` allow.
        MemoryError: SQLite or Python ran out of memory.
    """
    late = False

    def is_late() -> bool:
        nonlocal late
        late = late or time.monotonic() > deadline
        return late

    try:
        uri = Path(database).absolute().as_uri() + "?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.text_factory = lambda raw: raw.decode(errors="ignore")
            # Sorting must count as memory, not fill the disk.
            connection.execute("PRAGMA temp_store = MEMORY")
            # A table-valued function declares its columns at first use, which the authorizer would take for a write.
            connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.result_bytes)
            connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, LONGEST_SQL)
            connection.set_authorizer(_allow_reading)
            connection.set_progress_handler(is_late, OPERATIONS)
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise QueryError("not a query: it gives no result set")
            names = [column[0] for column in cursor.description]
            return names, cursor.fetchmany(first) if first else _fetch_within(cursor, limits)
    except (MemoryError, QueryError):
        raise
    except Exception as error:  # sqlite3 raises far more than sqlite3.Error on odd text (NUL, surrogates, parameters)
        raise QueryError("timeout" if late else str(error)) from error


def _fetch_within(cursor: sqlite3.Cursor, limits: Limits) -> list[tuple]:
    rows: list[tuple] = []
    size = 0
    while more := cursor.fetchmany(FETCHED):
        rows += more
        size += sum(len(value) for row in more for value in row if isinstance(value, (str, bytes)))
        if len(rows) > limits.rows:
            raise QueryError(f"more than {limits.rows} rows")
        if size > limits.result_bytes:
            raise QueryError(f"more than {limits.result_bytes} bytes")
    return rows


def _allow_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = (first or "").lower() in READING_PRAGMAS
    else:
        allowed = action in READING and not (action == sqlite3.SQLITE_FUNCTION and second in REFUSED_FUNCTIONS)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def serve(handle: int) -> None:
    """Answer jobs on the pipe with this file descriptor until the parent closes it; see `execution.run_jobs`."""
    connection = Connection(handle)
    limits: Limits = connection.recv()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends its workers
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory = limits.memory if hard == resource.RLIM_INFINITY else min(limits.memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    sandbox = Sandbox(connection, limits)
    connection.send(("ready", None))
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_run(function, sandbox, arguments))


def _run(function: Callable, sandbox: Sandbox, arguments: tuple) -> tuple[str, object]:
    try:
        return "value", function(sandbox, *arguments)
    except QueryError as error:
        return "error", " ".join(str(error).split())
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
