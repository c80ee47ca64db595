"""Allow queries to read virtual tables: SQLite connects to one on first use, which an authorizer sees as writing.

So the virtual tables that a query may use are connected before the authorizer is set, on a read-only connection.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress

from kid.sql.tokens import SqlToken, sql_tokens, unquoted, virtual_table_module

# Modules that read only the database. Others (dbstat, csv, fsdir) are not connected, so that reading them is refused.
MODULES = {"fts3", "fts4", "fts5", "fts4aux", "fts5vocab", "fts3tokenize", "rtree", "rtree_i32", "geopoly"}
# Tables that exist without a CREATE.
TABLE_FUNCTIONS = {"json_each", "json_tree", "fts3tokenize", "generate_series"}
TABLE_FUNCTION = re.compile("|".join([*TABLE_FUNCTIONS, "pragma"]), re.IGNORECASE)
# Pragmas that change nothing, with any argument.
READ_ONLY_PRAGMAS = {
    "table_info", "table_xinfo", "table_list", "foreign_key_list", "index_list", "index_info", "index_xinfo",
    "foreign_key_check", "integrity_check", "quick_check", "collation_list", "compile_options", "database_list",
    "function_list", "module_list", "pragma_list",
}  # fmt: skip
# Pragmas that change nothing without an argument, but set something with one.
READ_ONLY_WITHOUT_ARGUMENT = {
    "application_id", "auto_vacuum", "cache_size", "data_version", "encoding", "foreign_keys", "freelist_count",
    "journal_mode", "locking_mode", "max_page_count", "page_count", "page_size", "recursive_triggers", "schema_version",
    "synchronous", "user_version",
}  # fmt: skip


def is_reading_pragma(name: str, argument: str | None) -> bool:
    """Whether a PRAGMA only reads, as a statement or as the table function `pragma_NAME`."""
    name = name.lower()
    return name in READ_ONLY_PRAGMAS or (argument is None and name in READ_ONLY_WITHOUT_ARGUMENT)


def connect_virtual_tables(connection: sqlite3.Connection, sql: str) -> bool:
    """Connect to the virtual tables that `sql` uses, directly or through views and other virtual tables.

    The query is not run. If a table cannot be connected, the query will fail later.

    Returns:
        Whether there is anything to connect: virtual tables or views of the database, or table functions.

    Raises:
        sqlite3.Error: the schema cannot be read.
        MemoryError: SQLite or Python ran out of memory.
    """
    select = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view') AND coalesce(rootpage, 0) = 0"
    definitions = [(name, text or "") for name, text in connection.execute(select) if name]
    if not definitions and not TABLE_FUNCTION.search(sql):
        return False
    names: set[str] = set()
    found = names_in(sql_tokens(sql))
    while found - names:
        names |= found
        # This lists the columns of any table; its name may come from another row or be absent, as in pragma_table_list.
        every = any(name.startswith("pragma") for name in names)
        definitions, reached = (
            [entry for entry in definitions if (every or entry[0].lower() in names) is wanted]
            for wanted in (False, True)
        )
        found = set()
        for name, text in reached:
            if virtual_table_module(text) in MODULES:
                connect(connection, f'main."{name.replace(chr(34), chr(34) * 2)}"')
            found |= names_in(sql_tokens(text))
    for name in names:
        pragma = name.removeprefix("pragma_")
        if name in TABLE_FUNCTIONS or (pragma != name and (is_reading_pragma(pragma, None))):
            connect(connection, name)
    return True


def names_in(tokens: Iterable[SqlToken]) -> set[str]:
    """Return the tokens that may be names, in lower case; SQLite reads a string as a name if it needs one."""
    return {unquoted(token.text).lower() for token in tokens if token.kind in ("word", "quoted", "string")}


def connect(connection: sqlite3.Connection, name: str) -> None:
    """Make SQLite call a virtual table's constructor, which it does when it compiles a query that reads the table."""
    with suppress(sqlite3.Error):
        connection.execute(f"EXPLAIN SELECT 1 FROM {name}").close()
