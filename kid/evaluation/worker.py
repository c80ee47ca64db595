"""The process in which SQL of a model runs. `kid.evaluation.execution` starts it and hands it jobs.

The SQL is hostile. The database is opened read-only and an authorizer refuses everything but reading. Memory is bounded
by RLIMIT_AS, rows by a count. Time is bounded by an alarm whose default action ends the process: unlike a progress
handler or `interrupt`, the kernel also stops a single long function call, and it needs no living parent.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

# After this exit the parent says "out of memory". The process is not used again: its heap may stay too full to serve.
EXIT_OUT_OF_MEMORY = 17
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


class QueryError(Exception):
    """A query that gives no result; the message is the reason."""


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    Args:
        seconds: wall-clock time of each stage of a job (each query, and the comparison of two results).
        rows: rows of one result; more is an error, a result is never cut.
        memory: bytes of address space of the whole worker process.
    """

    seconds: float = 60.0
    rows: int = 1_000_000
    memory: int = 2 << 30


class Sandbox:
    """What a job gets to work with: limits, and the pipe on which it says how far it has come."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.connection = connection
        self.limits = limits

    def begin(self, stage: str) -> None:
        """Start a stage ("gold", "prediction", ...): the parent learns its name, and the time starts anew."""
        self.connection.send(("stage", stage))
        signal.setitimer(signal.ITIMER_REAL, self.limits.seconds)

    def rows(self, database: Path | str, sql: str) -> list[tuple]:
        """All rows of a query. Raises QueryError if it fails, gives no result set, or has too many rows."""
        return fetch_rows(database, sql, self.limits.rows)


def fetch_rows(database: Path | str, sql: str, max_rows: int) -> list[tuple]:
    """Run one reading query on a SQLite file and return all its rows; text that is not UTF-8 loses the bad bytes.

    Bounds neither time nor memory: that is the process's business.

    Raises:
        QueryError: the query fails, gives no result set, or has more than `max_rows` rows.
        MemoryError: SQLite or Python ran out of memory.
    """
    try:
        uri = Path(database).absolute().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.text_factory = lambda raw: raw.decode(errors="ignore")
            # Sorting must count as memory, not fill the disk.
            connection.execute("PRAGMA temp_store = MEMORY")
            # A table-valued function declares its columns at first use, which the authorizer would take for a write.
            connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
            connection.set_authorizer(_allow_reading)
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise QueryError("not a query: it gives no result set")
            rows = cursor.fetchmany(max_rows + 1)
    except (MemoryError, QueryError):
        raise
    except Exception as error:  # sqlite3 raises far more than sqlite3.Error on odd text (NUL, surrogates, parameters)
        raise QueryError(str(error)) from error
    if len(rows) > max_rows:
        raise QueryError(f"more than {max_rows} rows")
    return rows


def _allow_reading(action: int, _first: str | None, second: str | None, *_: str | None) -> int:
    loads_code = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
    return sqlite3.SQLITE_OK if action in READING and not loads_code else sqlite3.SQLITE_DENY


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
