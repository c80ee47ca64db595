"""Tell an error of the machine (its disk is full or fails) from an error of the data or of a query."""

from __future__ import annotations

import sqlite3

# What a query on a database that is open for reading alone, without locks or temporary files, cannot bring about.
READING_CODES = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
)
# Never the fault of a schema or of the values drawn for it. SQLite raises BUSY, PROTOCOL and NOLFS on network disks.
MACHINE_CODES = (*READING_CODES, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY)

DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class MachineError(Exception):
    """The machine failed in a worker's job; the message says where and how. The parent raises it as a RunError."""


def machine_reason(error: BaseException | None) -> str | None:
    """How the machine failed, if that is why an error was raised; None if the data or the query raised it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, MemoryError):  # SQLITE_NOMEM too: the sqlite3 module raises it so
        return "out of memory"
    return str(error) if _primary_code(error) in MACHINE_CODES else None


def reading_reason(error: BaseException) -> str | None:
    """As `machine_reason`, of what was raised while a hostile query ran: only what no query can bring about.

    Out of memory is therefore no such reason, nor is an attempt to write.
    """
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if _primary_code(error) in READING_CODES and not is_out_of_memory(error) else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short; SQLite also says so by an error of reading."""
    return isinstance(error, MemoryError) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_NOMEM


def is_damage(error: BaseException) -> bool:
    """Whether SQLite found the file damaged, which is an error of the data."""
    return _primary_code(error) in DAMAGE_CODES


def _primary_code(error: BaseException | None) -> int:
    """SQLite's error code without its extension; 0 if another library raised the error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0
