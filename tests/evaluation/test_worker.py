from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest

from kid.evaluation import worker
from kid.evaluation.machine_errors import MachineError
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
        ("PRAGMA user_version = 7", "not authorized"),
        ("PRAGMA optimize", "not authorized"),
        ("SELECT * FROM pragma_optimize", "not authorized"),
        ("SELECT * FROM pragma_optimize(-1)", "not authorized"),
        ("SELECT * FROM dbstat", "not authorized|no such table|constructor failed"),
        ("SELECT * FROM sqlite_stmt", "not authorized|no such table|constructor failed"),
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
    with pytest.raises(MachineError, match=r"none\.sqlite cannot be read \(unable to open database file\)"):
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


def test_damage_is_said(database):
    content = database.read_bytes()
    database.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    with pytest.raises(QueryError, match=r"the database is damaged: (malformed|database disk image)"):
        fetch_table(database, "SELECT * FROM singer", Limits())
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(QueryError, match="the database is damaged: file is not a database"):
        fetch_table(database, "SELECT 1", Limits())


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (sqlite3.SQLITE_IOERR_READ, MachineError),
        (sqlite3.SQLITE_CANTOPEN, MachineError),
        (sqlite3.SQLITE_BUSY, MachineError),
        (sqlite3.SQLITE_IOERR_NOMEM, MemoryError),
        # A query may bring these about.
        (sqlite3.SQLITE_FULL, QueryError),
        (sqlite3.SQLITE_READONLY, QueryError),
        (sqlite3.SQLITE_CORRUPT, QueryError),
        (sqlite3.SQLITE_ERROR, QueryError),
    ],
)
def test_what_no_query_can_bring_about_is_an_error_of_the_machine(database, monkeypatch, code, raised):
    error = sqlite3.OperationalError("why")
    error.sqlite_errorcode = code

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(worker, "_fetch_within", fail)
    with pytest.raises(raised):
        fetch_table(database, "SELECT 1", Limits())


def test_too_many_rows_are_an_error_and_not_cut(database):
    assert len(fetch_table(database, "SELECT id FROM singer", Limits(rows=4))[1]) == 4
    with pytest.raises(QueryError, match="more than 3 rows"):
        fetch_table(database, "SELECT id FROM singer", Limits(rows=3))


def test_evaluation_does_not_import_torch():
    code = "import sys, kid.evaluation.execution_accuracy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
