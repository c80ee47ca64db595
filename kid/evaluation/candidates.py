"""Of several candidates for a question the first that runs on its database: how CodeS chooses among its beams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kid.evaluation.execution import run_jobs
from kid.evaluation.worker import Limits, QueryError, Sandbox

LIMITS = Limits(seconds=30.0)  # for each candidate


def first_that_runs(sandbox: Sandbox, database: Path, candidates: Sequence[str], start: int) -> int | None:
    """The job of one question: the place of the first candidate, from `start` on, that gives a result; or None."""
    for place, candidate in enumerate(candidates[start:], start):
        sandbox.begin(str(place))
        try:
            sandbox.rows(database, candidate)
        except QueryError:
            continue
        return place
    return None


def query_table(sandbox: Sandbox, database: Path, sql: str) -> tuple[list[str], list[tuple]]:
    """The job of showing a result: names of columns, and rows."""
    sandbox.begin("query")
    return sandbox.table(database, sql)


def choose_executable(
    candidates: Sequence[Sequence[str]],
    databases: Sequence[Path],
    workers: int | None = None,
    limits: Limits = LIMITS,
    report: Callable[[], object] = lambda: None,
) -> list[int]:
    """The place of each question's first candidate that runs; 0, the most probable, where none does.

    Args:
        candidates: of each of n questions, the most probable first.
        databases: the SQLite file of each.
        workers: number of processes (default: cores).
        limits: what each candidate may use.
        report: called once for each question done.
    """
    chosen = [0] * len(candidates)
    left = [(question, 0) for question in range(len(candidates))]
    while left:
        jobs = [(databases[question], candidates[question], start) for question, start in left]
        again = []
        for outcome in run_jobs(first_that_runs, jobs, workers, limits):
            question, _ = left[outcome.index]
            if outcome.stage is not None:  # this candidate took its worker with it: those after it have a turn
                again.append((question, int(outcome.stage) + 1))
                continue
            chosen[question] = outcome.value or 0
            report()
        left = again
    return chosen
