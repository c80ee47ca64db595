"""A small database of singers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def make_database(path: Path) -> Path:
    """Singers, one of them with a name that is not UTF-8."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE singer (id INTEGER, name TEXT, age INTEGER, country TEXT);
            INSERT INTO singer VALUES (1, 'Joe', 52, 'NL'), (2, 'Ann', 32, 'US'), (3, 'Bob', 32, 'US');
            INSERT INTO singer VALUES (4, CAST(x'4AFF6F' AS TEXT), NULL, 'FR');
            """
        )
    return path
