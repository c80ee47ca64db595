from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kid.evaluation.execution import Outcome, run_jobs
from kid.evaluation.worker import Limits, Sandbox

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
# One call of hours: SQLite looks at neither its progress handler nor an interrupt before it returns.
ONE_LONG_CALL = "SELECT instr(hex(zeroblob(10000000)), hex(zeroblob(5000000)) || '1')"
MEMORY_HOG_IN_SQLITE = "SELECT hex(zeroblob(90000000)) || hex(zeroblob(30000000)), hex(zeroblob(100000000))"
TOO_LONG_A_VALUE = "SELECT hex(zeroblob(400000000))"
TOO_MANY_BYTES = "SELECT zeroblob(30000000) FROM singer a, singer b"
MEMORY_HOG_IN_PYTHON = "SELECT zeroblob(30000000) FROM singer a, singer b, singer c"
FLOOD = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"


def query(sandbox: Sandbox, database: Path, sql: str) -> list[tuple]:
    """A job as simple as can be."""
    sandbox.begin_stage("query")
    return sandbox.rows(database, sql)


def spin(sandbox: Sandbox) -> None:
    """A job that hangs in Python, as a comparison of two results might."""
    sandbox.begin_stage("comparison")
    while True:
        pass


def die(sandbox: Sandbox) -> None:
    """A job during which SQLite crashes."""
    sandbox.begin_stage("query")
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.fixture(autouse=True)
def importable_jobs(monkeypatch):
    """Workers find this module's jobs by name."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def run(function, jobs, workers=2, limits=None) -> list[Outcome]:
    return sorted(run_jobs(function, jobs, workers, limits), key=lambda outcome: outcome.index)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        (ENDLESS, "timeout"),
        (ONE_LONG_CALL, "timeout"),
        (MEMORY_HOG_IN_SQLITE, "out of memory"),
        (MEMORY_HOG_IN_PYTHON, "out of memory"),
        (TOO_LONG_A_VALUE, "string or blob too big"),
        (FLOOD, "more than 1000 rows"),
        ("DROP TABLE singer", "not authorized"),
        ("INSERT INTO singer SELECT * FROM singer", "not authorized"),
        ("ATTACH 'other.sqlite' AS other", "not authorized"),
        ("PRAGMA writable_schema = 1", "not authorized"),
    ],
)
def test_hostile_query_fails_alone(database, sql, error):
    before = database.read_bytes()
    jobs = [(database, text) for text in (sql, "SELECT max(id) FROM singer", sql, "SELECT min(id) FROM singer")]
    start = time.monotonic()
    outcomes = run(query, jobs, workers=1, limits=Limits(seconds=1.5, rows=1000, memory=500 << 20))
    assert time.monotonic() - start < 10
    failed = {"error": error, "stage": "query"}
    assert outcomes == [
        Outcome(0, **failed), Outcome(1, value=[(4,)]), Outcome(2, **failed), Outcome(3, value=[(1,)])
    ]  # fmt: skip
    assert database.read_bytes() == before
    assert os.listdir(database.parent) == [database.name]


def test_hanging_python_is_ended_too():
    assert run(spin, [()], limits=Limits(seconds=0.5)) == [Outcome(0, error="timeout", stage="comparison")]


def test_crash_of_a_worker_is_an_outcome():
    assert run(die, [(), ()]) == [
        Outcome(i, error=f"worker died (status {-signal.SIGSEGV})", stage="query") for i in range(2)
    ]


def test_workers_work_at_the_same_time(database):
    start = time.monotonic()
    outcomes = run(query, [(database, ENDLESS)] * 4, workers=4, limits=Limits(seconds=1.5))
    assert [outcome.error for outcome in outcomes] == ["timeout"] * 4
    assert time.monotonic() - start < 5


def test_more_jobs_than_workers(database):
    outcomes = run(query, [(database, f"SELECT {i}") for i in range(50)])
    assert [outcome.value for outcome in outcomes] == [[(i,)] for i in range(50)]


def test_no_jobs():
    assert run(query, []) == []


def test_worker_that_cannot_start_is_no_verdict(database, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="did not start"):
        run(query, [(database, "SELECT 1")])


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_a_killed_parent(database, number):
    """Although their query has a minute."""
    code = f"""
        from test_execution import *
        list(run_jobs(query, [({str(database)!r}, ENDLESS)], 1, Limits(seconds=60)))
    """
    with subprocess.Popen([sys.executable, "-c", "\n".join(map(str.strip, code.splitlines()))]) as parent:
        deadline = time.monotonic() + 30
        while not (workers := children(parent.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)  # the worker is in the query by then
        assert workers and all(map(is_alive, workers))
        parent.send_signal(number)
    deadline = time.monotonic() + 5
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))
