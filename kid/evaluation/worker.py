"""The worker process that runs a model's SQL. `kid.evaluation.execution` starts it and sends it jobs.

The SQL is treated as hostile. The database is opened read-only and immutable, and an authorizer refuses everything
except reading. RLIMIT_AS limits memory; rows and bytes of a result are limited. Time is limited twice: a progress
handler stops a query at its limit and keeps the process alive; shortly afterwards, an alarm ends the process (its
default action). The alarm also stops what SQLite cannot interrupt, such as a single long function call, even if the
parent is dead.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from kid.evaluation.machine_errors import MachineError, is_damage, is_out_of_memory, machine_reason, reading_reason
from kid.evaluation.virtual_tables import connect_virtual_tables, is_reading_pragma

# The parent reports this exit status as "out of memory". The process is not reused: its heap may stay too full.
EXIT_OUT_OF_MEMORY = 17
PR_SET_PDEATHSIG = 1  # option of prctl(2)
READ_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# Functions that load code or access files, in builds of SQLite that have them.
REFUSED_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
DAMAGED = "the database is damaged: "  # start of the error of a query that reads a damaged part
ALARM_DELAY_SECONDS = 0.5  # from a query's time limit, which the progress handler enforces, to the alarm
OPERATIONS_PER_CLOCK_CHECK = 20_000  # operations of SQLite's virtual machine: some tenths of a millisecond
ROWS_PER_FETCH = 1000  # a result's size is checked after each fetch
MAX_SQL_BYTES = 1_000_000  # bytes


class QueryError(Exception):
    """A query has no result; the message is the reason."""


@dataclass(frozen=True)
class Limits:
    """The limits of one query.

    Args:
        seconds: wall-clock time of each stage of a job (each query, and the comparison of two results).
        rows: rows of one result; more are an error, a result is never truncated.
        result_bytes: bytes of text and blobs in one result; also the limit of a single intermediate value.
        memory: bytes of address space of the whole worker process.
    """

    seconds: float = 60.0
    rows: int = 1_000_000
    result_bytes: int = 256 << 20
    memory: int = 2 << 30


class Sandbox:
    """Runs a job's queries within the limits, and reports the job's stages to the parent through the pipe."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self.connection = connection
        self.limits = limits
        self.deadline = float("inf")

    def begin_stage(self, stage: str, seconds: float | None = None) -> None:
        """Start a stage ("gold", "prediction", ...): report its name to the parent and restart the clock.

        Args:
            stage: its name.
            seconds: time limit of the stage, instead of the one in `limits`.
        """
        seconds = self.limits.seconds if seconds is None else seconds
        self.connection.send(("stage", stage))
        self.deadline = time.monotonic() + seconds
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0) + ALARM_DELAY_SECONDS)

    def rows(self, database: Path | str, sql: str) -> list[tuple]:
        """Return all rows of a query.

        Raises:
            QueryError: the query fails, returns no result set or too large a one; "timeout" after the time limit.
        """
        return self.table(database, sql)[1]

    def table(self, database: Path | str, sql: str, max_rows: int | None = None) -> tuple[list[str], list[tuple]]:
        """Return a query's column names and its rows (all, or the first ones). Raises QueryError as `rows` does."""
        return fetch_table(database, sql, self.limits, self.deadline, max_rows)

    def alternate_times(self, database: Path | str, first: str, second: str, count: int) -> list[tuple[float, float]]:
        """Measure the seconds of two queries, run alternately `count` times each. Raises QueryError as `rows` does."""
        virtual = [reads_virtual_tables(database, sql, self.limits, self.deadline) for sql in (first, second)]
        return [
            (
                time_query(database, first, self.limits, self.deadline, virtual[0]),
                time_query(database, second, self.limits, self.deadline, virtual[1]),
            )
            for _ in range(count)
        ]


def fetch_table(
    database: Path | str, sql: str, limits: Limits, deadline: float = float("inf"), max_rows: int | None = None
) -> tuple[list[str], list[tuple]]:
    """Run one read-only query on a SQLite file; bytes of text that are not UTF-8 are dropped.

    Memory and the time of a single long function call are not limited here, but by the process (`serve`,
    `begin_stage`).

    Args:
        deadline: value of `time.monotonic()` at which the query ends as a "timeout".
        max_rows: fetch at most this many rows, and ignore the limit on rows.

    Returns:
        The column names and the rows.

    Raises:
        QueryError: the query fails, returns no result set, or more rows or bytes than `limits` allow; or it reads a
            damaged part of the database.
        MachineError: the file cannot be opened or read, independently of the query.
        MemoryError: SQLite or Python ran out of memory.
    """
    with open_database(database, limits, deadline) as connection:
        connect_virtual_tables(connection, sql)
        connection.set_authorizer(_allow_reading)
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise QueryError("not a query: it gives no result set")
        names = [column[0] for column in cursor.description]
        return names, cursor.fetchmany(max_rows) if max_rows else _fetch_within(cursor, limits)


def time_query(database: Path | str, sql: str, limits: Limits, deadline: float, virtual: bool) -> float:
    """Measure the seconds of a query as BIRD's evaluator does: until its rows are fetched and the connection is closed.

    A new connection reads the schema within that time, unless virtual tables are connected first.

    Args:
        sql: a query that `fetch_table` has run within the limits; its rows are not counted again.
        virtual: the result of `reads_virtual_tables` for it.
    """
    with open_database(database, limits, deadline) as connection:
        if virtual:
            connect_virtual_tables(connection, sql)
        connection.text_factory = bytes  # the official code decodes in C; `open_database` decodes in Python
        connection.set_authorizer(_allow_reading)
        started = time.perf_counter()
        connection.execute(sql).fetchall()
        connection.close()
        return time.perf_counter() - started


def reads_virtual_tables(database: Path | str, sql: str, limits: Limits, deadline: float) -> bool:
    """Whether a query may read virtual tables or views, which must be examined before it runs."""
    with open_database(database, limits, deadline) as connection:
        return connect_virtual_tables(connection, sql)


@contextmanager
def open_database(database: Path | str, limits: Limits, deadline: float) -> Iterator[sqlite3.Connection]:
    """Open a read-only connection with the limits; errors in the block are raised as those of `fetch_table`.

    Every statement that only reads is allowed until `_allow_reading` is set.
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
            # Sort in memory, which is limited, and not on disk.
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.result_bytes)
            connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES)
            connection.set_progress_handler(is_late, OPERATIONS_PER_CLOCK_CHECK)
            yield connection
    except (MemoryError, QueryError):
        raise
    except Exception as error:  # unusual text (NUL, surrogates, parameters) raises other errors than sqlite3.Error
        if is_out_of_memory(error):
            raise MemoryError from error
        if reason := reading_reason(error):
            raise MachineError(f"{database} cannot be read ({reason})") from error
        reason = f"{DAMAGED}{error}" if is_damage(error) else str(error)
        raise QueryError("timeout" if late else reason) from error


def _fetch_within(cursor: sqlite3.Cursor, limits: Limits) -> list[tuple]:
    rows: list[tuple] = []
    size = 0
    while more := cursor.fetchmany(ROWS_PER_FETCH):
        rows += more
        size += sum(len(value) for row in more for value in row if isinstance(value, (str, bytes)))
        if len(rows) > limits.rows:
            raise QueryError(f"more than {limits.rows} rows")
        if size > limits.result_bytes:
            raise QueryError(f"more than {limits.result_bytes} bytes")
    return rows


def _allow_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = is_reading_pragma(first or "", second)
    else:
        allowed = action in READ_ACTIONS and not (action == sqlite3.SQLITE_FUNCTION and second in REFUSED_FUNCTIONS)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def end_with_parent(parent: int) -> None:
    """Make Linux kill this process when its parent ends for any reason: the pipe is not read during a query."""
    with suppress(OSError, AttributeError):  # on other systems the alarm ends the query
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the call
        os._exit(1)


def serve(handle: int, parent: int) -> None:
    """Run the jobs that arrive on the pipe with this file descriptor until the parent closes it; see `run_jobs`.

    Args:
        parent: its process ID; this process ends with it.
    """
    end_with_parent(parent)
    connection = Connection(handle)
    limits: Limits = connection.recv()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends its workers
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
        except (AttributeError, ImportError) as error:
            connection.send(("unknown job", str(error)))
            return
        try:
            connection.send(_run(function, sandbox, arguments))
        except MemoryError:
            os._exit(EXIT_OUT_OF_MEMORY)


def _run(function: Callable, sandbox: Sandbox, arguments: tuple) -> tuple[str, object]:
    try:
        return "value", function(sandbox, *arguments)
    except QueryError as error:
        return "error", " ".join(str(error).split())
    except MachineError as error:
        return "machine", str(error)
    except OSError as error:  # a database no longer exists
        return "machine", f"{error.filename or 'a file'} cannot be read ({machine_reason(error)})"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
