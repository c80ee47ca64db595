from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest

from kid.evaluation import worker
from kid.evaluation.worker import Limits, QueryError, fetch_table


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DROP TABLE singer", "not authorized"),
        ("DELETE FROM singer", "not authorized"),
        ("INSERT INTO singer VALUES (9, 'x', 1, 'y')", "not authorized"),
        ("UPDATE singer SET age = 1", "not authorized"),
        ("CREATE TABLE x (a)", "not authorized"),
        ("CREATE TEMP TABLE x (a)", "not authorized"),
        ("ATTACH 'new.sqlite' AS new", "not authorized"),
        ("VACUUM INTO 'new.sqlite'", "authorization denied"),
        ("PRAGMA writable_schema = ON", "not authorized"),
        ("PRAGMA journal_mode = WAL", "not authorized"),
        ("BEGIN", "not authorized"),
        ("SELECT load_extension('x')", "not authorized"),
        ("SELECT absent FROM singer", "no such column: absent"),
        ("SELECT ?", "bindings"),
        ("SELECT '\ud800'", "surrogates"),
        ("SELECT 'a\0b'", "null character"),
        ("-- nothing", "not a query"),
    ],
)
def test_refused(database, tmp_path, monkeypatch, sql, reason):
    monkeypatch.chdir(tmp_path)
    before = database.read_bytes()
    with pytest.raises(QueryError, match=reason):
        fetch_table(database, sql, Limits(rows=10))
    assert database.read_bytes() == before
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["concert", "concert.sqlite", "database"]


def test_database_is_read_only_even_without_the_authorizer(database, monkeypatch):
    monkeypatch.setattr(worker, "_allow_reading", lambda *_: sqlite3.SQLITE_OK)
    with pytest.raises(QueryError, match="readonly database"):
        fetch_table(database, "DROP TABLE singer", Limits(rows=10))


def test_missing_database_is_not_created(tmp_path):
    with pytest.raises(QueryError, match="unable to open"):
        fetch_table(tmp_path / "none.sqlite", "SELECT 1", Limits(rows=10))
    assert not list(tmp_path.iterdir())


def test_path_with_special_characters(database, tmp_path):
    odd = tmp_path / "a b?mode=rwc#%41.sqlite"
    database.rename(odd)
    assert fetch_table(odd, "SELECT count(*) FROM singer", Limits(rows=10))[1] == [(4,)]


def test_text_that_is_not_utf8_loses_the_bad_bytes(database):
    assert fetch_table(database, "SELECT name FROM singer WHERE id = 4", Limits(rows=10))[1] == [("Jo",)]


def test_reading_is_allowed(database):
    sql = """
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3)
        SELECT n, max(age), (SELECT value FROM json_each('[7]')), row_number() OVER (ORDER BY n)
        FROM numbers JOIN singer ON n = id GROUP BY n
    """
    assert fetch_table(database, sql, Limits(rows=10))[1] == [(1, 52, 7, 1), (2, 32, 7, 2), (3, 32, 7, 3)]


def test_too_many_rows_are_an_error_and_not_cut(database):
    assert len(fetch_table(database, "SELECT id FROM singer", Limits(rows=4))[1]) == 4
    with pytest.raises(QueryError, match="more than 3 rows"):
        fetch_table(database, "SELECT id FROM singer", Limits(rows=3))


def test_evaluation_does_not_import_torch():
    code = "import sys, kid.evaluation.execution_accuracy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
