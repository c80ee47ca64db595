"""What is read of a SQLite file's tables: which of them are shown, and how long that may take."""

import sqlite3
import time

import pytest

from kid.data.contents import shadow_tables, table_names
from kid.data.database import open_database
from kid.data.matching import match_values
from kid.data.sqlite_schema import read_database
from kid.data.value_index import build_value_index


def make(path, script):
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


VIRTUAL = [
    "CREATE VIRTUAL TABLE posts USING fts5(title, body)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS main.\"Two words\" /* using x */ USING 'fts4'(body)",
    "create virtual table old_notes using FTS3(body)",
    "CREATE VIRTUAL TABLE `using` USING [fts5](body, content='')",
    "CREATE VIRTUAL TABLE places USING rtree(id, x0, x1)",
    "CREATE VIRTUAL TABLE grid USING rtree_i32(id, x0, x1)",
    "CREATE VIRTUAL TABLE terms USING fts5vocab(posts, row)",
]


def test_shadow_tables_are_those_that_sqlite_names(tmp_path):
    plain = "CREATE TABLE posts_old (a); CREATE TABLE grid_cells (a); CREATE TABLE notes_data (a);"
    plain += "CREATE TABLE terms_data (a); CREATE TABLE old (sql TEXT DEFAULT 'CREATE VIRTUAL TABLE x USING fts5(a)');"
    plain += "CREATE VIEW old_notes_stat AS SELECT 1 AS a;"
    path = make(tmp_path / "d.sqlite", plain + ";".join(VIRTUAL))
    with open_database(path) as connection:
        by_sqlite = {row[1] for row in connection.execute("PRAGMA table_list") if row[2] == "shadow"}
        assert len(by_sqlite) > 15 and shadow_tables(connection) == by_sqlite
        shown = {"posts", "Two words", "old_notes", "using", "places", "grid", "terms", "posts_old", "grid_cells"}
        assert set(table_names(connection)) == shown | {"notes_data", "terms_data", "old", "old_notes_stat"}


@pytest.mark.parametrize("sql", ["CREATE VIRTUAL TABLE x", "CREATE VIRTUAL TABLE x USING", "CREATE VIRTUAL TABLE 'x"])
def test_a_statement_that_is_cut_off_has_no_shadow_tables(tmp_path, sql):
    path = make(tmp_path / "d.sqlite", "CREATE TABLE x_data (a)")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute("INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, ?)", (sql,))
    assert shadow_tables(connection) == set()
    connection.close()


def test_nested_views_beside_a_virtual_table_end_within_their_limit(tmp_path, monkeypatch):
    """SQLite expands a view wherever it lists all tables; each of these doubles the work."""
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("kid.data.contents.COMPUTED_SECONDS", 0.5)
    monkeypatch.setattr("kid.data.contents.COMPUTED_TOTAL_SECONDS", 2.0)
    views = ["CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('Oslo'); CREATE VIRTUAL TABLE f USING fts5(body)"]
    views += ["CREATE VIEW v0 AS SELECT a FROM t"]
    views += [f"CREATE VIEW v{n} AS SELECT x.a FROM v{n - 1} x, v{n - 1} y" for n in range(1, 60)]
    path = make(tmp_path / "d.sqlite", ";".join(views))
    started = time.monotonic()
    schema = read_database(None, "d", path)
    found = match_values(build_value_index(path), ["From Oslo"])
    assert time.monotonic() - started < 20
    assert found == [{("t", "a"): ["Oslo"]}] and [table.name for table in schema.tables][:3] == ["t", "f", "v0"]
