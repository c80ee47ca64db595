"""A benchmark with one small database, and suites made of it."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from helpers.launcher import ROOT

from kid.data.questions import find_databases, load_questions
from kid.data.sqlite_schema import read_database
from kid.evaluation.suites.build import make_suites
from kid.evaluation.suites.options import Options

EVAL = ROOT / "eval"
HEAD = {"benchmark": "jsonl", "split": "dev"}
OPTIONS = Options(neighbours=4, max_databases=2)
SMALL = {"max-databases": 2, "neighbours": 4}
GOLDS = ["SELECT id FROM pet WHERE kind = 'cat'", "SELECT count(*) FROM pet WHERE age > 1"]
ZOO = """
    CREATE TABLE pet (id INTEGER PRIMARY KEY, kind TEXT, age INTEGER);
    INSERT INTO pet VALUES (1, 'cat', 1), (2, 'dog', 2), (3, 'cat', 3);
    CREATE INDEX by_kind ON pet(kind, age);
"""


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
