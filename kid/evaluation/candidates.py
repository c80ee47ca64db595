"""Select the first SQL candidate that the question's database accepts, as CodeS does for beam search."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from kid.evaluation.execution import run_jobs
from kid.evaluation.worker import Limits, QueryError, Sandbox
from kid.sql.comparison import first_query
from kid.sql.tokens import first_statement

LIMITS = Limits(seconds=30.0)  # for each candidate
QUERY_STARTS = ("select", "with", "values")


def first_accepted(sandbox: Sandbox, database: Path, candidates: Sequence[str]) -> int:
    """The job of one question: the index of the first query that EXPLAIN QUERY PLAN accepts; 0 if there is none.

    This is the test of CodeS: it checks names and syntax but does not run the query. A PRAGMA is never accepted. Text
    after the first statement is ignored, as in scoring.
    """
    for index, candidate in enumerate(candidates):
        sandbox.begin_stage("candidate")
        tokens = first_statement(candidate)
        if not tokens or tokens[0].text.lower() not in QUERY_STARTS:
            continue
        with contextlib.suppress(QueryError):
            sandbox.rows(database, "EXPLAIN QUERY PLAN " + "".join(token.text for token in tokens))
            return index
    return 0


def query_table(sandbox: Sandbox, database: Path, sql: str, max_rows: int) -> tuple[list[str], list[tuple]]:
    """The job of showing a result: returns the column names and the first `max_rows` rows."""
    sandbox.begin_stage("query")
    return sandbox.table(database, first_query(sql), max_rows)


def choose_accepted(
    candidates: Sequence[Sequence[str]],
    databases: Sequence[Path],
    workers: int | None = None,
    report: Callable[[], object] = lambda: None,
) -> list[int]:
    """Return the index of each question's first candidate that its database accepts; 0, the most probable, if none is.

    Args:
        candidates: the candidates of each of n questions, the most probable first.
        databases: the SQLite file of each question.
        workers: number of processes (default: number of cores).
        report: called once per question.
    """
    chosen = [0] * len(candidates)
    for outcome in run_jobs(first_accepted, zip(databases, candidates, strict=True), workers, LIMITS):
        chosen[outcome.index] = outcome.value or 0
        report()
    return chosen
