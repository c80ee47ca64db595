"""SQLite's bytecode for queries on empty tables of a schema: queries with the same bytecode return the same rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache

ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
COMPILE_ERRORS = (sqlite3.Error, sqlite3.Warning, ValueError)  # ValueError: NUL or a lone surrogate in the text
# The tables of a schema in hashable form: (name, names of its columns) for each.
TableNames = tuple[tuple[str, tuple[str, ...]], ...]


def compile_query(query: str, tables: Mapping[str, Sequence[str]]) -> list[tuple] | None:
    """Compile a query without running it: (opcode, p1, p2, p3, p4, p5) of each instruction.

    Args:
        tables: the schema: name of a table -> names of its columns.

    Returns:
        None if it does not compile: it is invalid, it does more than read, or it uses functions that SQLite lacks or
        tables that plain empty tables cannot represent.
    """
    connection = empty_tables(tuple((table, tuple(columns)) for table, columns in tables.items()))
    try:
        return [row[1:7] for row in connection.execute("EXPLAIN " + query)]
    except COMPILE_ERRORS:
        return None


def compile_error(query: str, tables: Mapping[str, Sequence[str]]) -> str | None:
    """SQLite's error if a query does not compile on empty tables of a schema, else None. The query is not run.

    Args:
        tables: the schema: name of a table -> names of its columns.
    """
    connection = empty_tables(tuple((table, tuple(columns)) for table, columns in tables.items()))
    try:
        connection.execute("EXPLAIN " + query)
    except COMPILE_ERRORS as error:
        return str(error)
    return None


@lru_cache(maxsize=8)
def empty_tables(tables: TableNames) -> sqlite3.Connection:
    """A read-only in-memory database with the tables of the schema that SQLite can create."""
    connection = sqlite3.connect(":memory:", check_same_thread=False, cached_statements=0)
    connection.text_factory = bytes  # EXPLAIN shows blobs as text
    for table, columns in tables:
        quoted = ['"' + name.replace('"', '""') + '"' for name in (table, *columns)]
        try:
            connection.execute(f"CREATE TABLE {quoted[0]} ({', '.join(quoted[1:])})")
        except COMPILE_ERRORS:  # no columns, a column twice, or a name that SQLite reserves
            continue
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY)
    return connection
