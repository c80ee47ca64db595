"""The process that reads views, virtual tables and generated columns; see kid/data/computed.py.

It limits its memory and, in case its parent is killed, its CPU time. An alarm ends it if a job takes too long.
"""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kid.data.computed import GRACE_SECONDS
from kid.data.database import TimeLimit, cells_query, open_database, quote, sample_values, table_columns

MEMORY_BYTES = 2**30
FILE_BYTES = 2**32  # limit for the files in which SQLite sorts, and for the output
PROBE_ROWS, PROBE_SECONDS = 1000, 5.0
# Error codes of limits; all others are errors of the database or the statement.
LIMIT_CODES = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_NOMEM)


def read_columns(connection: sqlite3.Connection, seconds: float, table: str) -> Iterator[list]:
    """Yield the table's columns in the format of `table_columns`."""
    start_limit(connection, seconds)
    yield table_columns(connection, table)


def read_values(
    connection: sqlite3.Connection, seconds: float, table: str, columns: list[str] | None
) -> Iterator[dict]:
    """Yield sample values by column. columns: None for all."""
    start_limit(connection, seconds)
    if columns is None:
        columns = [name for name, _, _, hidden in table_columns(connection, table) if hidden != 1]
    yield {column: sample_values(connection, table, column) for column in columns}


def read_cells(
    connection: sqlite3.Connection, seconds: float, table: str, column: str, max_characters: int
) -> Iterator[str]:
    """Yield the distinct texts of a column if its first rows can be read soon; otherwise it might never end."""
    start_limit(connection, min(PROBE_SECONDS, seconds))
    connection.execute(
        f"SELECT count({quote(column)}) FROM (SELECT {quote(column)} FROM {quote(table)} LIMIT {PROBE_ROWS})"
    ).fetchall()
    start_limit(connection, seconds)
    for (text,) in connection.execute(cells_query(table, column, max_characters)):
        yield text


READERS: dict[str, Callable[..., Iterator]] = {"columns": read_columns, "values": read_values, "cells": read_cells}


def start_limit(connection: sqlite3.Connection, seconds: float) -> None:
    """Interrupt statements after `seconds`, and end this process GRACE_SECONDS later if that has no effect."""
    TimeLimit(connection, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)


def lower_limit(kind: int, value: int) -> None:
    """Set a resource limit of this process, unless it already has a lower one."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def main() -> None:
    path, jobs, seconds, total = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    lower_limit(resource.RLIMIT_AS, MEMORY_BYTES)
    lower_limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    lower_limit(resource.RLIMIT_CPU, int(total) + 10)
    lower_limit(resource.RLIMIT_CORE, 0)
    deadline = time.monotonic() + total
    with open_database(Path(path)) as connection:
        connection.executescript("PRAGMA temp_store = FILE")
        for number, (kind, *arguments) in enumerate(jobs):
            started = time.monotonic()
            fault, limit = None, min(seconds, deadline - started)
            if limit <= 0:
                return
            try:
                for value in READERS[kind](connection, limit, *arguments):
                    print(json.dumps([number, value, None, False]))
                signal.setitimer(signal.ITIMER_REAL, 0)
            except MemoryError:
                fault = f"takes more than {MEMORY_BYTES >> 20} MiB of memory", 0
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
                if code & 0xFF == sqlite3.SQLITE_INTERRUPT:
                    fault = f"not read within {round(time.monotonic() - started) or 1} s", 0
                else:
                    fault = str(error), 0 if code & 0xFF in LIMIT_CODES else code
            print(json.dumps([number, None, fault, True]), flush=True)


if __name__ == "__main__":
    main()
