"""Small databases: of singers, and of virtual tables."""

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


def make_virtual_tables(path: Path, more: str = "") -> Path:
    """Every kind of virtual table that SQLite brings, views and tables over them; `more`: further statements."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"""
            CREATE TABLE page (id INTEGER PRIMARY KEY, text TEXT);
            INSERT INTO page VALUES (1, 'a grey cat'), (2, 'a small dog');
            CREATE VIRTUAL TABLE note USING fts5(head, body);
            INSERT INTO note VALUES ('tea', 'green leaves'), ('coffee', 'dark beans');
            CREATE VIRTUAL TABLE words USING fts5vocab(note, 'row');
            CREATE VIRTUAL TABLE places USING fts5vocab('note', 'instance');
            CREATE VIRTUAL TABLE found USING "fts5"(text, content='page', content_rowid='id');
            INSERT INTO found (found) VALUES ('rebuild');
            CREATE VIRTUAL TABLE memo USING fts4(body);
            INSERT INTO memo VALUES ('buy milk');
            CREATE VIRTUAL TABLE memo_words USING fts4aux(memo);
            CREATE VIRTUAL TABLE found4 USING fts4(text, content="page");
            INSERT INTO found4 (found4) VALUES ('rebuild');
            CREATE VIRTUAL TABLE old USING fts3(body);
            INSERT INTO old VALUES ('old milk');
            CREATE VIRTUAL TABLE pieces USING fts3tokenize('porter');
            CREATE VIRTUAL TABLE span USING rtree(id, low, high);
            INSERT INTO span VALUES (1, 0, 2), (2, 5, 9);
            CREATE VIRTUAL TABLE grid USING rtree_i32(id, low, high, +label);
            INSERT INTO grid VALUES (1, 0, 2, 'a'), (2, 5, 9, 'b');
            CREATE VIRTUAL TABLE "odd ""[name]" USING fts5(x);
            INSERT INTO "odd ""[name]" VALUES ('here');
            CREATE VIEW leafy AS SELECT head FROM note WHERE note MATCH 'leaves';
            CREATE VIEW leafier AS SELECT * FROM leafy;
            CREATE VIEW numbers AS SELECT value FROM json_each('[1, 2]');
            {more}
            """
        )
    return path
