from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kid.errors import RunError
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


def end_by(sandbox: Sandbox, number: int) -> None:
    """A job whose process gets a signal."""
    sandbox.begin_stage("query")
    os.kill(os.getpid(), number)


def fail(sandbox: Sandbox) -> None:
    """A job with a fault of its own."""
    sandbox.begin_stage("query")
    raise ZeroDivisionError


def answer_at_length(sandbox: Sandbox) -> bytes:
    """A job with an answer that fits into memory once, but not while it is sent."""
    sandbox.begin_stage("query")
    return b"x" * (200 << 20)


@pytest.fixture(autouse=True)
def importable_jobs(monkeypatch):
    """Workers find this module's jobs by name."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def run(function, jobs, workers=2, limits=None) -> list[Outcome]:
    return sorted(run_jobs(function, jobs, workers, limits), key=lambda outcome: outcome.index)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sql", "error", "seconds"),
    [
        (ENDLESS, "timeout", 1.5),
        (ONE_LONG_CALL, "timeout", 1.5),
        # What ends by another limit than time has time enough for it on a busy machine.
        (MEMORY_HOG_IN_SQLITE, "out of memory", 60),
        (MEMORY_HOG_IN_PYTHON, "out of memory", 60),
        (TOO_LONG_A_VALUE, "string or blob too big", 60),
        (FLOOD, "more than 1000 rows", 60),
        ("DROP TABLE singer", "not authorized", 60),
        ("INSERT INTO singer SELECT * FROM singer", "not authorized", 60),
        ("ATTACH 'other.sqlite' AS other", "not authorized", 60),
        ("PRAGMA writable_schema = 1", "not authorized", 60),
    ],
)
def test_hostile_query_fails_alone(database, sql, error, seconds):
    before = database.read_bytes()
    jobs = [(database, text) for text in (sql, "SELECT max(id) FROM singer", sql, "SELECT min(id) FROM singer")]
    start = time.monotonic()
    outcomes = run(query, jobs, workers=1, limits=Limits(seconds=seconds, rows=1000, memory=500 << 20))
    assert time.monotonic() - start < 2 * seconds + 10
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
        Outcome(i, error="worker died (SIGSEGV: SQLite or Python crashed)", stage="query") for i in range(2)
    ]


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGKILL, "killed from outside; did memory run out?"), (signal.SIGABRT, "SQLite or Python crashed")],
)
def test_how_a_worker_ended_is_told(number, said):
    (outcome,) = run(end_by, [(number,)])
    assert outcome.error == f"worker died ({number.name}: {said})"


def test_an_error_in_a_job_is_told_from_a_crash(capfd):
    (outcome,) = run(fail, [()])
    assert outcome.error == "worker died (status 1: its error is printed above)"
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_memory_that_ends_with_the_answer_is_short_memory(capfd):
    (outcome,) = run(answer_at_length, [()], limits=Limits(seconds=20, memory=400 << 20))
    assert outcome.error == "out of memory" and capfd.readouterr().err == ""


def test_a_job_of_the_script_itself_is_told_from_a_worker_that_died(tmp_path):
    """Workers do not import the script: neither this nor the lack of a guard for its main part looks like a death."""
    (tmp_path / "script.py").write_text(
        "from kid.evaluation.execution import run_jobs\n"
        "def job(sandbox):\n    return 1\n"
        "print([outcome.error for outcome in run_jobs(job, [()])])\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and done.stdout == ""
    assert "cannot import a job's function" in done.stderr and "can be imported, not in the script" in done.stderr


@pytest.mark.parametrize(
    ("place", "reason"), [("gone.sqlite", "unable to open database file"), ("/proc/self/mem", "disk I/O error")]
)
def test_a_database_that_cannot_be_read_is_no_outcome(tmp_path, place, reason):
    """Reading a process's memory at 0 fails as a broken disk does."""
    with pytest.raises(
        RunError, match=rf"{Path(place).name} cannot be read \({reason}\); fix that and run the command again"
    ):
        run(query, [(tmp_path / place, "SELECT 1")])


def test_workers_work_at_the_same_time(database):
    start = time.monotonic()
    outcomes = run(query, [(database, ENDLESS)] * 4, workers=4, limits=Limits(seconds=3))
    assert [outcome.error for outcome in outcomes] == ["timeout"] * 4
    assert time.monotonic() - start < 10


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
