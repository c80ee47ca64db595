"""Making a suite where the machine fails or a database is damaged: what ends the run, and what is left out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers.suite_folders import GOLDS, HEAD, OPTIONS, SMALL, add_database, contents, last_error, make, run

from kid.data.questions import find_databases, load_questions
from kid.data.schema import Column, Schema, Table
from kid.data.sqlite_schema import read_database
from kid.errors import InputError, RunError
from kid.evaluation.execution import Outcome, death_reason
from kid.evaluation.machine_errors import machine_reason
from kid.evaluation.scores import find_suites
from kid.evaluation.suites import build, database_plans
from kid.evaluation.suites import search as search_module
from kid.evaluation.suites.build import make_suites
from kid.evaluation.suites.database_plans import read_plan
from kid.evaluation.suites.search import Gold, read_gold, run_with_retries, screen, search
from kid.evaluation.worker import Limits


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (sqlite3.OperationalError, sqlite3.SQLITE_FULL, True),
        (sqlite3.OperationalError, sqlite3.SQLITE_IOERR_WRITE, True),
        (sqlite3.OperationalError, sqlite3.SQLITE_IOERR, True),
        (sqlite3.OperationalError, sqlite3.SQLITE_CANTOPEN, True),
        (sqlite3.OperationalError, sqlite3.SQLITE_READONLY, True),
        (sqlite3.OperationalError, sqlite3.SQLITE_BUSY, True),
        (sqlite3.OperationalError, sqlite3.SQLITE_ERROR, False),
        (sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT_CHECK, False),
        (sqlite3.IntegrityError, sqlite3.SQLITE_MISMATCH, False),
        (sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT, False),
        (sqlite3.ProgrammingError, None, False),
        (MemoryError, None, True),
        (OSError, None, True),
        (ValueError, None, False),
    ],
)
def test_machine_errors_are_told_from_errors_of_the_data(error, code, expected):
    raised = error("why")
    if code is not None:
        raised.sqlite_errorcode = code
    assert machine_reason(raised) == {True: {MemoryError: "out of memory"}.get(error, "why"), False: None}[expected]


def search_arguments(path: Path, folder: Path) -> tuple:
    schema = read_database(None, "zoo", path)
    plan = read_plan(schema, path)
    gold = read_gold(GOLDS[0], schema, plan.columns, 4, 0)
    pairs = [[(0, number) for number in range(len(gold.neighbours))], []]
    return plan, [gold], [True], pairs, "zoo", folder, 2, 10, 0


def test_a_search_that_cannot_write_ends_the_run(zoo, tmp_path):
    path = zoo / "database/zoo/zoo.sqlite"
    with pytest.raises(RunError, match=r"1\.sqlite cannot be written \(unable to open database file\); fix that"):
        list(run_with_retries(search, [search_arguments(path, tmp_path / "nowhere")], 1, Limits()))


def test_values_that_a_schema_refuses_do_not_end_the_run(tmp_path):
    script = "CREATE TABLE pet (id INTEGER PRIMARY KEY, kind TEXT, age INTEGER, CHECK (json('{') OR id))"
    path = add_database(tmp_path / "data", "zoo", script)
    (tmp_path / "work").mkdir()
    ((_, found),) = run_with_retries(search, [search_arguments(path, tmp_path / "work")], 1, Limits())
    assert found.kept == () and found.tried > 1


def test_an_original_that_cannot_be_read_any_more_ends_the_run(tmp_path):
    gold = Gold("SELECT 1", True, None, (), (), ())
    with pytest.raises(RunError, match=r"gone\.sqlite cannot be read \(unable to open database file\); fix that"):
        list(run_with_retries(screen, [(tmp_path / "gone.sqlite", gold)], 1, Limits()))


def test_a_worker_that_something_outside_has_killed_ends_the_run(monkeypatch):
    killed = Outcome(0, error=death_reason(-signal.SIGKILL), stage="database 1")
    monkeypatch.setattr(search_module, "run_jobs", lambda *_: (outcome for outcome in [killed]))
    with pytest.raises(RunError, match="did memory run out"):
        list(run_with_retries(search, [()], 1, Limits()))


@pytest.mark.slow
def test_after_a_full_disk_a_run_with_room_is_as_if_it_was_never_full(zoo, tmp_path):
    full, empty, right = tmp_path / "full", tmp_path / "empty", tmp_path / "right"
    result = run("make_test_suite.py", zoo, limit=9000, output=full, **SMALL)
    assert result.returncode == 1 and "cannot be written" in last_error(result)
    assert not (full / "zoo").exists()
    with pytest.raises(InputError, match="has no DB_ID"):
        find_suites(full, {}, ["zoo"])
    result = run("make_test_suite.py", zoo, limit=0, output=empty)
    assert result.returncode == 1 and "cannot be written" in last_error(result)
    assert "neighbours" not in result.stderr  # it is met before the work
    for output in (full, right):
        make(zoo, output)
    assert contents(full) == contents(right)


def test_a_suite_json_that_cannot_be_written_is_met_before_the_work(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "make_task", lambda *_: pytest.fail("work"))
    monkeypatch.setattr(Path, "replace", lambda *_: os.replace("/nowhere", "/nowhere/x"))
    with pytest.raises(RunError, match=r"suite\.json cannot be written"):
        make(zoo, tmp_path / "suite")


def damage_index(path: Path) -> None:
    """What reads the table is sound; what reads the index meets a damaged page."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'by_kind'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.slow
def test_a_damaged_database_is_refused_or_left_out_and_said(zoo, tmp_path):
    add_database(zoo, "farm").write_bytes(b"no database" * 500)
    result = run("make_test_suite.py", zoo, output=tmp_path / "suite", **SMALL)
    assert result.returncode == 2 and "--damaged skip" in last_error(result)
    assert "farm.sqlite: file is not a database" in last_error(result)
    with (zoo / "dev.jsonl").open("a") as file:
        file.write('{"db_id": "zoo", "question": "?"}\n')
    result = run("make_test_suite.py", zoo, output=tmp_path / "suite", damaged="skip", **SMALL)
    assert result.returncode == 0, result.stderr
    assert "skipped: question with no query: " in result.stdout
    assert "damaged database, skipped with its 2 questions (farm): " in result.stdout
    content = json.loads((tmp_path / "suite/suite.json").read_text())
    assert list(content["databases"]) == ["zoo"] and content["databases"]["zoo"]["gold_queries"] == 2
    assert content["left_out"]["farm"]["questions"] == 2
    (tmp_path / "preds.sql").write_text("\n".join([*GOLDS, *GOLDS, ""]) + "\n")
    flags = {"predictions": tmp_path / "preds.sql", "test-suite": tmp_path / "suite", "damaged": "skip"}
    result = run("score.py", zoo, **flags)
    assert result.returncode == 0, result.stderr
    assert "the test suite skips farm, which was damaged when it was made: " in result.stdout
    assert "the test suite has no database for farm: EX is used as their TS" in result.stdout


def test_damage_that_a_query_meets_and_that_is_mended_later(zoo, tmp_path):
    path, sound = add_database(zoo, "farm"), tmp_path / "sound.sqlite"
    shutil.copy(path, sound)
    damage_index(path)
    questions = load_questions("jsonl", "dev", zoo)
    paths = find_databases("jsonl", "dev", zoo, ["zoo", "farm"])
    schemas = {db_id: read_database(None, db_id, path) for db_id, path in paths.items()}
    with pytest.raises(InputError, match=r"database farm is damaged: .*farm\.sqlite: .* malformed; .*--damaged skip"):
        make(zoo, tmp_path / "suite")
    content = make_suites(questions, schemas, paths, tmp_path / "suite", OPTIONS, HEAD, 1, {})
    assert list(content["left_out"]) == ["farm"] and "malformed" in content["left_out"]["farm"]["reason"]
    shutil.copy(sound, path)
    content = make_suites(questions, schemas, paths, tmp_path / "suite", OPTIONS, HEAD, 1, {})
    assert content["left_out"] == {} and list(content["databases"]) == ["farm", "zoo"]


def test_values_that_take_for_ever_are_a_damaged_database(tmp_path, monkeypatch):
    """The rows of a virtual table may come from an endless view."""
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS rowid, 'a' AS a FROM n"
    script = f"CREATE VIEW v AS {endless} WHERE x < 0; CREATE VIRTUAL TABLE f USING fts5(a, content='v');"
    path = add_database(tmp_path / "data", "zoo", script)
    schema = Schema("zoo", (Table("f", (Column("a", "", "", False),)),), ())
    monkeypatch.setattr(database_plans, "SECONDS_READ", 0.2)
    with pytest.raises(InputError, match=r"zoo\.sqlite: values of f were not read within 0\.2 s"):
        build.make_task("zoo", GOLDS, schema, path, OPTIONS)
