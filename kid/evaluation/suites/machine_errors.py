"""Tell an error of the machine (its disk is full or fails) from an error of the data or of a query."""

from __future__ import annotations

import sqlite3

# Never the fault of a schema or of the values drawn for it. SQLite raises BUSY, PROTOCOL and NOLFS on network disks.
MACHINE_CODES = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
)


class MachineError(Exception):
    """The machine failed in a worker's job; the message says where and how. The parent raises it as a RunError."""


def machine_reason(error: BaseException | None) -> str | None:
    """How the machine failed, if that is why an error was raised; None if the data or the query raised it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, MemoryError):  # SQLITE_NOMEM too: the sqlite3 module raises it so
        return "out of memory"
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in MACHINE_CODES:
        return str(error)
    return None
