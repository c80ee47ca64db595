"""What a suite's folder may hold, who may change it, and what is left of it when the machine or a run fails."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kid.data.questions import find_databases, load_questions
from kid.data.schema import Column, Schema, Table
from kid.data.sqlite_schema import read_database
from kid.errors import InputError, RunError
from kid.evaluation.execution import Outcome, death_reason
from kid.evaluation.machine_errors import machine_reason
from kid.evaluation.scores import find_suites
from kid.evaluation.suites import build, database_plans
from kid.evaluation.suites import search as search_module
from kid.evaluation.suites.build import make_suites, read_suite, replace_suite, write_suite
from kid.evaluation.suites.database_plans import read_plan
from kid.evaluation.suites.folders import (
    MARKER,
    MARKER_TEXT,
    describe_files,
    finished_files,
    make_working_folder,
    remove_working_folder,
)
from kid.evaluation.suites.options import Options
from kid.evaluation.suites.search import Gold, read_gold, run_with_retries, screen, search
from kid.evaluation.worker import Limits
from kid.run.lock import run_lock

EVAL = Path(__file__).parents[3] / "eval"
HEAD = {"benchmark": "jsonl", "split": "dev"}
OPTIONS = Options(neighbours=4, max_databases=2)
SMALL = {"max-databases": 2, "neighbours": 4}
GOLDS = ["SELECT id FROM pet WHERE kind = 'cat'", "SELECT count(*) FROM pet WHERE age > 1"]
ZOO = """
    CREATE TABLE pet (id INTEGER PRIMARY KEY, kind TEXT, age INTEGER);
    INSERT INTO pet VALUES (1, 'cat', 1), (2, 'dog', 2), (3, 'cat', 3);
    CREATE INDEX by_kind ON pet(kind, age);
"""


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A JSONL benchmark with one database, zoo."""
    add_database(tmp_path / "data", "zoo")
    return tmp_path / "data"


def add_database(folder: Path, db_id: str, script: str = ZOO) -> Path:
    path = folder / "database" / db_id / f"{db_id}.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    with (folder / "dev.jsonl").open("a") as file:
        file.writelines(json.dumps({"db_id": db_id, "question": "?", "query": gold}) + "\n" for gold in GOLDS)
    return path


def make(folder: Path, output: Path, **options: object) -> dict:
    """A suite, made in this process."""
    questions = load_questions("jsonl", "dev", folder)
    paths = find_databases("jsonl", "dev", folder, [question.db_id for question in questions])
    schemas = {db_id: read_database(None, db_id, path) for db_id, path in paths.items()}
    return make_suites(questions, schemas, paths, output, replace(OPTIONS, **options), HEAD, 1)


def command(script: str, folder: Path, **flags: object) -> list[str]:
    given = {"benchmark": "jsonl", "data": folder, "workers": 1} | flags
    words = [sys.executable, EVAL / script, *(word for name, value in given.items() for word in (f"--{name}", value))]
    return list(map(str, words))


def run(script: str, folder: Path, limit: int | None = None, **flags: object) -> subprocess.CompletedProcess:
    """Run a script, if asked on a disk that takes no file of more than `limit` bytes."""

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    before = {} if limit is None else {"preexec_fn": set_limit}
    return subprocess.run(
        command(script, folder, **flags), capture_output=True, text=True, timeout=60, check=False, **before
    )


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file under a folder, and every link."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or (path.is_file() and path.name != "lock")
    }


def last_error(result: subprocess.CompletedProcess) -> str:
    assert "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")][-1]


# Nothing is removed that this project has not written.


@pytest.mark.parametrize(
    "db_id",
    ["..", ".", "a/../../b", "/tmp/kid-nowhere", "", "x\0y", "suite.json", "lock", "owner.json", ".zoo.partial"],
)
def test_a_db_id_that_is_no_name_of_a_folder_is_refused(zoo, tmp_path, db_id):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years")
    question = replace(load_questions("jsonl", "dev", zoo)[0], db_id=db_id)
    path = zoo / "database/zoo/zoo.sqlite"
    schema = read_database(None, "zoo", path)
    with pytest.raises(InputError, match="db_id"):
        make_suites([question], {db_id: schema}, {db_id: path}, tmp_path / "home/suite", OPTIONS, HEAD, 1)
    with pytest.raises(InputError, match="db_id"):
        find_suites(tmp_path / "home", {db_id: path}, [db_id])
    assert contents(tmp_path / "home") == {"thesis.txt": b"years"}


def start_suite(output: Path) -> None:
    """A folder that a run has begun and in which it has finished nothing."""
    write_suite(output, HEAD | {"options": {}, "databases": {}, "left_out": {}})


@pytest.mark.parametrize(
    "place", ["zoo/note.txt", "zoo/zoo_01.sqlite", "zoo", ".zoo.partial", ".zoo.partial/1.sqlite", ".zoo.partial/a/b"]
)
def test_files_that_this_project_did_not_write_stay(zoo, tmp_path, place):
    output = tmp_path / "suite"
    start_suite(output)
    (output / place).parent.mkdir(parents=True, exist_ok=True)
    (output / place).write_text("mine")
    before = contents(output)
    with pytest.raises(InputError, match=r"make_test_suite\.py.*; move it elsewhere, or give another folder"):
        make(zoo, output)
    assert contents(output) == before


@pytest.mark.parametrize("name", ["zoo", ".zoo.partial"])
@pytest.mark.parametrize("content", [{}, {MARKER: MARKER_TEXT, "1.sqlite": "mine", "zoo_01.sqlite": "mine"}])
def test_a_link_in_the_place_of_a_folder_is_not_followed(zoo, tmp_path, name, content):
    output, elsewhere = tmp_path / "suite", tmp_path / "elsewhere"
    start_suite(output)
    elsewhere.mkdir()
    for file, text in content.items():
        (elsewhere / file).write_text(text)
    (output / name).symlink_to(elsewhere)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="is not a folder created by"):
        make(zoo, output)
    assert contents(tmp_path) == before


def test_a_finished_folder_is_replaced_file_by_file(zoo, tmp_path):
    output = tmp_path / "suite"
    first = make(zoo, output)["databases"]["zoo"]
    assert [file["name"] for file in first["files"]] == ["zoo_01.sqlite", "zoo_02.sqlite"]
    assert first["files"] == describe_files(sorted((output / "zoo").iterdir()))
    (output / "zoo" / "note.txt").write_text("mine")
    before = contents(output)
    assert make(zoo, output)["databases"]["zoo"] == first  # what is finished is not touched, nor is what lies in it
    with pytest.raises(InputError, match=r"note\.txt was not written by"):
        make(zoo, output, seed=1)
    assert {name: value for name, value in contents(output).items() if name != "suite.json"} == {
        name: value for name, value in before.items() if name != "suite.json"
    }
    (output / "zoo" / "note.txt").unlink()
    (output / "zoo" / "zoo_02.sqlite").write_bytes(b"changed")
    assert make(zoo, output)["databases"]["zoo"] == first and "zoo" in find_suites(output, {}, ["zoo"])
    (output / "zoo").rename(tmp_path / "elsewhere")
    (output / "zoo").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is not a folder created by"):
        make(zoo, output)


def test_a_suite_json_that_names_files_elsewhere_is_refused(made, zoo):
    content = json.loads((made / "suite.json").read_text())
    for name in ("../suite.json", "/tmp/x", "zoo_02.sqlite", 7):
        content["databases"]["zoo"]["files"][0]["name"] = name
        (made / "suite.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="is damaged or old"):
            make(zoo, made)
        with pytest.raises(InputError, match="is damaged or not from"):
            find_suites(made, {}, ["zoo"])


# Errors of the machine.


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


# Two at once, kills, and suites that are not as suite.json says.


def test_a_suite_that_another_run_makes_is_refused(zoo, made):
    before = contents(made)
    with run_lock(made):
        result = run("make_test_suite.py", zoo, output=made, seed=1, **SMALL)
    assert result.returncode == 2 and "is in use by another job" in last_error(result)
    assert contents(made) == before


def test_a_folder_of_something_else_gets_no_lock(zoo, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years")
    result = run("make_test_suite.py", zoo, output=tmp_path / "home")
    assert result.returncode == 2 and "is not empty and has no suite.json" in last_error(result)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    add_database(folder / "data", "zoo")
    make(folder / "data", folder / "suite")
    return folder / "suite"


@pytest.fixture
def made(template, tmp_path) -> Path:
    """A finished suite."""
    return shutil.copytree(template, tmp_path / "suite")


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


TEARS = {
    "is missing": lambda suite: (suite / "zoo/zoo_02.sqlite").unlink(),
    r"zoo_03\.sqlite is not one of its": lambda suite: (suite / "zoo/zoo_03.sqlite").write_bytes(b"stray"),
    "has a different SHA-256": lambda suite: flip_bit(suite / "zoo/zoo_01.sqlite"),
    "bytes instead of": lambda suite: os.truncate(suite / "zoo/zoo_01.sqlite", 100),
    "zoo is not recorded": lambda suite: write_suite(suite, read_suite(suite, HEAD) | {"databases": {}}),
    r"suite\.json is damaged": lambda suite: (suite / "suite.json").write_text("{"),
}


@pytest.mark.parametrize("message", TEARS)
def test_a_suite_that_is_not_as_its_suite_json_says_is_refused(made, message):
    assert len(find_suites(made, {}, ["zoo"])["zoo"]) == 2
    TEARS[message](made)
    with pytest.raises(InputError, match=message) as error:
        find_suites(made, {}, ["zoo"])
    assert "\n" not in str(error.value)


def test_a_suite_without_hashes_is_counted_and_one_without_suite_json_is_another_tools(made, zoo):
    content = json.loads((made / "suite.json").read_text())
    del content["databases"]["zoo"]["files"], content["left_out"]
    (made / "suite.json").write_text(json.dumps(content))
    assert len(find_suites(made, {}, ["zoo"])["zoo"]) == 2
    before = contents(made)
    make(zoo, made)
    assert {**contents(made), "suite.json": b""} == {**before, "suite.json": b""}
    (made / "zoo/zoo_02.sqlite").unlink()
    with pytest.raises(InputError, match="zoo holds 1 databases instead of 2"):
        find_suites(made, {}, ["zoo"])
    (made / "suite.json").unlink()
    assert len(find_suites(made, {}, ["zoo"])["zoo"]) == 1


def test_a_suite_of_another_version_is_made_again(made, zoo, monkeypatch):
    before = json.loads((made / "suite.json").read_text())["databases"]["zoo"]["settings"]
    make(zoo, made)
    assert json.loads((made / "suite.json").read_text())["databases"]["zoo"]["settings"] == before
    monkeypatch.setattr(build, "VERSION", build.VERSION + 1)
    times = [path.stat().st_mtime_ns for path in sorted((made / "zoo").iterdir())]
    make(zoo, made)
    assert json.loads((made / "suite.json").read_text())["databases"]["zoo"]["settings"] != before
    assert [path.stat().st_mtime_ns for path in sorted((made / "zoo").iterdir())] != times


class Killed(BaseException):
    pass


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the `step`-th change of a folder on, this process can change nothing more."""
    changes = 0

    def counted(change):
        def changed(*arguments: object, **options: object) -> object:
            nonlocal changes
            changes += 1
            if changes >= step:
                raise Killed
            return change(*arguments, **options)

        return changed

    for name in ("rename", "replace", "unlink", "mkdir", "rmdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.parametrize(("old", "new"), [(0, 2), (2, 1), (1, 3), (2, 0)])
def test_whenever_a_run_is_killed_no_torn_suite_counts_and_a_rerun_mends_it(tmp_path, old, new):
    """Each change on disk of replacing a database's suite is the last one once."""
    output, counts = tmp_path / "suite", dict.fromkeys(build.COUNTS, 0)

    def record(kept: int) -> dict:
        return counts | {"databases_kept": kept, "failures": [], "settings": f"{kept}"}

    def replace_by(kept: int, content: dict) -> None:
        folder = make_working_folder("zoo", output)
        for number in range(kept):
            (folder / f"{number + 5}.sqlite").write_bytes(bytes([kept, number]))
        replace_suite("zoo", [number + 5 for number in range(kept)], record(kept), output, content)

    for step in range(1, 100):
        shutil.rmtree(output, ignore_errors=True)
        start_suite(output)
        content = read_suite(output, HEAD) | {"options": {}}
        if old:
            replace_by(old, content)
        with pytest.MonkeyPatch.context() as monkeypatch:
            kill_at(step, monkeypatch)
            try:
                replace_by(new, content)
                break
            except Killed:
                pass
        try:
            found = [path.read_bytes() for path in find_suites(output, {}, ["zoo"])["zoo"]]
            assert found in ([bytes([kept, number]) for number in range(kept)] for kept in (old, new))
        except InputError:
            pass  # refused
        content = read_suite(output, HEAD) | {"options": {}}
        remove_working_folder("zoo", output)
        finished_files("zoo", output, content["databases"].get("zoo"))
        replace_by(new, content)
        assert [path.read_bytes() for path in find_suites(output, {}, ["zoo"])["zoo"]] == [
            bytes([new, number]) for number in range(new)
        ]
        assert sorted(path.name for path in output.iterdir() if path.name[:2] != ".s") == ["suite.json", "zoo"]
    assert 5 < step < 99


@pytest.mark.slow
def test_a_script_that_is_killed_and_run_again_makes_the_same_suite(zoo, tmp_path):
    add_database(zoo, "farm", ZOO.replace("cat", "cow"))

    def databases(suite: Path) -> dict[str, list[bytes]]:
        found = find_suites(suite, {}, ["zoo", "farm"])
        return {db_id: [path.read_bytes() for path in paths] for db_id, paths in found.items()}

    output, right = tmp_path / "suite", tmp_path / "right"
    make(zoo, right)
    for file in (".*.partial/1.sqlite", "*/*_01.sqlite"):
        words = command("make_test_suite.py", zoo, output=output, **SMALL)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not list(output.glob(file)):
                time.sleep(0.002)
            process.kill()
        with suppress(InputError):
            assert databases(output) == databases(right)  # the kill came after the last database
    (output / ".suite.json.31718").write_text("{")  # a kill while suite.json was written
    make(zoo, output)
    assert {**contents(output), "owner.json": b""} == {**contents(right), "owner.json": b""}


# Damaged databases.


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
