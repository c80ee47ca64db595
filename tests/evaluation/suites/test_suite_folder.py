"""What a suite's folder may hold, who may change it, and what is left of it when a run is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.suite_folders import HEAD, OPTIONS, SMALL, ZOO, add_database, command, contents, last_error, make, run

from kid.data.questions import load_questions
from kid.data.sqlite_schema import read_database
from kid.errors import InputError
from kid.evaluation.scores import find_suites
from kid.evaluation.suites import build
from kid.evaluation.suites.build import make_suites, read_suite, replace_suite, write_suite
from kid.evaluation.suites.folders import (
    MARKER,
    MARKER_TEXT,
    describe_files,
    finished_files,
    make_working_folder,
    remove_working_folder,
)
from kid.run.lock import run_lock


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
