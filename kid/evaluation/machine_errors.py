"""Distinguish errors of the machine (such as a full or failing disk) from errors of the data or of a query."""

from __future__ import annotations

import sqlite3

# Errors that no query can cause on a database that is opened read-only, without locks or temporary files.
READING_CODES = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
)
# Errors that no schema and no generated values can cause. SQLite raises BUSY, PROTOCOL and NOLFS on network disks.
MACHINE_CODES = (*READING_CODES, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY)

DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class MachineError(Exception):
    """The machine failed during a worker's job; the message says where and how. The parent raises it as a RunError."""


def machine_reason(error: BaseException | None) -> str | None:
    """Describe how the machine failed if that caused the error; None if the data or the query caused it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, MemoryError):  # also SQLITE_NOMEM, which the sqlite3 module raises as MemoryError
        return "out of memory"
    return str(error) if _primary_code(error) in MACHINE_CODES else None


def reading_reason(error: BaseException) -> str | None:
    """As `machine_reason`, for errors raised while an untrusted query ran: only those that no query can cause.

    Running out of memory and attempts to write are therefore not included.
    """
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if _primary_code(error) in READING_CODES and not is_out_of_memory(error) else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, which SQLite may also report as a read error."""
    return isinstance(error, MemoryError) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_NOMEM


def is_damage(error: BaseException) -> bool:
    """Whether SQLite reports a damaged file, which is an error of the data."""
    return _primary_code(error) in DAMAGE_CODES


def _primary_code(error: BaseException | None) -> int:
    """Return SQLite's primary error code; 0 if another library raised the error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF if isinstance(error, sqlite3.Error) else 0
