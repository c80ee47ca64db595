"""EX and TS: the fraction of predictions whose result equals that of the gold query, on one database or a test suite.

EX and TS differ only in the databases. The benchmark's rule defines which results are equal and how long queries may
run.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from kid.config.benchmarks import find_benchmark
from kid.data.cache import cache_folder
from kid.data.gold_rows import GoldRows
from kid.data.questions import Question
from kid.errors import InputError
from kid.evaluation.execution import Outcome, run_jobs
from kid.evaluation.gold_cache import (
    MAX_CACHED_BYTES,
    cache_path,
    estimated_bytes,
    read_results,
    remove_unfinished,
    write_results,
)
from kid.evaluation.row_match import match_gold_rows
from kid.evaluation.worker import Limits, QueryError, Sandbox
from kid.sql.comparison import Row, bird_results_equal, first_query, normalize_query, order_matters, results_equal

GOLD_FAILED = "gold failed: "


@dataclass(frozen=True)
class ComparisonRule:
    """How a benchmark's official evaluator compares results.

    normalize: gold or predicted query -> the query that is run instead.
    equal: (normalised gold, its rows, the prediction's rows) -> whether the rows count as equal.
    seconds: time limit of each query; with `shared_time`, of gold and prediction together.
    """

    normalize: Callable[[str], str]
    equal: Callable[[str, Sequence[Row], Sequence[Row]], bool]
    seconds: float
    shared_time: bool


def _spider_equal(gold: str, expected: Sequence[Row], predicted: Sequence[Row]) -> bool:
    return results_equal(expected, predicted, order_matters(gold))


def _bird_equal(_: str, expected: Sequence[Row], predicted: Sequence[Row]) -> bool:
    return bird_results_equal(expected, predicted)


COMPARISON_RULES = {
    "spider": ComparisonRule(normalize_query, _spider_equal, 60.0, shared_time=False),
    "bird": ComparisonRule(first_query, _bird_equal, 30.0, shared_time=True),
}


def comparison_rule(benchmark: str, keep_distinct: bool = False) -> ComparisonRule:
    """Return a benchmark's rule. keep_distinct: do not ignore DISTINCT, like the option of this name in Spider's code.

    Raises:
        InputError: the benchmark is unknown, or `keep_distinct` is given for a rule that always keeps DISTINCT.
    """
    rule = COMPARISON_RULES[find_benchmark(benchmark).scoring]
    if keep_distinct and rule.normalize is not normalize_query:
        raise InputError("--keep-distinct is for Spider's rule; BIRD's rule always keeps DISTINCT; remove the flag")
    return replace(rule, normalize=partial(normalize_query, keep_distinct=True)) if keep_distinct else rule


@dataclass(frozen=True)
class Verdict:
    """Whether a prediction is correct; `error` is None, "timeout", or why it (or the gold query) has no result."""

    index: int
    correct: bool
    error: str | None = None


# A degenerate model writes thousands of queries that never end: 10,000 of 60 s take 3.5 days on two workers.
PATIENT_TIMEOUTS, LESS_PATIENT_SHARE, GOLD_TIMES = 10, 1 / 20, 10


@dataclass
class Patience:
    """The time limit of predictions on one database; it is lowered after `PATIENT_TIMEOUTS` of them have timed out.

    A job is sent to its worker when it starts, with the limit at that time.
    """

    seconds: float
    timeouts: int = 0

    def lose_some(self) -> bool:
        """Count a time-out, and return whether it has lowered the limit."""
        self.timeouts += 1
        if self.timeouts != PATIENT_TIMEOUTS:
            return False
        self.seconds *= LESS_PATIENT_SHARE
        return True


def worst_case_seconds(
    questions: Sequence[Question], databases: Mapping[str, Sequence[Path]], seconds: float, workers: int
) -> tuple[int, float]:
    """Return (number of predictions that `score_predictions` may run, its seconds if each reaches its limit)."""
    count, total = 0, 0.0
    by_database = Counter(question.db_id for question in questions if not question.fault)
    for db_id, predictions in by_database.items():
        files = len(databases[db_id])
        # Queries that are running when the limit is lowered keep the limit that they started with.
        patient = min(predictions, PATIENT_TIMEOUTS + workers - 1)
        count += files * predictions
        total += files * seconds * (patient + (predictions - patient) * LESS_PATIENT_SHARE)
    return count, total / workers


def score_predictions(
    questions: Sequence[Question],
    predictions: Sequence[str],
    databases: Mapping[str, Sequence[Path]],
    workers: int | None = None,
    limits: Limits | None = None,
    benchmark: str = "spider",
    title: str = "scoring",
    keep_distinct: bool = False,
    quiet: bool = False,
    seconds: float | None = None,
) -> list[Verdict]:
    """Compare each prediction with its question's gold query or gold rows; shows a progress bar on stderr.

    Args:
        questions: n questions; the prediction for a damaged one counts as wrong.
        predictions: n queries, in the same order; an empty one is wrong.
        databases: the SQLite files of each db_id; results must be equal on all of them (EX: one file, TS: many).
        workers: number of processes (default: number of cores).
        limits: limits of each query (default: the time limit of the benchmark's rule).
        benchmark: a key of `kid.config.benchmarks.BENCHMARKS`.
        title: the progress bar's title.
        keep_distinct: see `comparison_rule`.
        quiet: print no progress bar and no notes.
        seconds: total time; predictions without a result by then count as time-outs. A running query may still use its
            own limit.

    Returns:
        n verdicts, in order.

    Raises:
        RunError: a database can no longer be read; that never counts as a wrong prediction.
    """
    limits = limits or Limits(seconds=comparison_rule(benchmark, keep_distinct).seconds)
    pairs = [pair for pair in zip(questions, predictions, strict=True) if not pair[0].fault]
    remove_unfinished(cache_folder())
    patience = {q.db_id: Patience(limits.seconds) for q, _ in pairs}
    jobs = [
        (benchmark, databases[q.db_id], q.gold_rows or q.query, text, cache_folder(), patience[q.db_id], keep_distinct)
        for q, text in pairs
    ]
    by_question: dict[int, Outcome] = {}
    deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
    outcomes = run_jobs(match_on_databases, jobs, workers, limits)
    for outcome in tqdm(outcomes, total=len(jobs), desc=title, unit="query", disable=quiet or None):
        question = pairs[outcome.index][0]
        by_question[question.index] = outcome
        timed_out = outcome.error == "timeout" and outcome.stage != "gold"
        if timed_out and patience[question.db_id].lose_some() and not quiet:
            tqdm.write(
                f"note: {PATIENT_TIMEOUTS} predictions on database {question.db_id} timed out; the limit is now "
                f"{patience[question.db_id].seconds:g} s each, or {GOLD_TIMES} times the time of the gold query",
                file=sys.stderr,
            )
        if time.monotonic() > deadline:
            break
    outcomes.close()  # ends the workers
    late = Outcome(-1, error="timeout")
    return [
        Verdict(q.index, False, GOLD_FAILED + q.fault) if q.fault else _verdict(q.index, by_question.get(q.index, late))
        for q in questions
    ]


def match_on_databases(
    sandbox: Sandbox,
    benchmark: str,
    databases: Sequence[Path],
    gold: str | GoldRows,
    prediction: str,
    cache: Path,
    patience: Patience | None = None,
    keep_distinct: bool = False,
) -> bool:
    """The job of one question: whether both queries have the same result on every database.

    Args:
        gold: the gold query, or its rows on the first database.
        patience: current time limit of predictions on this database; None: that of the limits.
        keep_distinct: see `comparison_rule`.

    Raises:
        QueryError: a query fails; the sandbox's stage says which.
    """
    if isinstance(gold, GoldRows):
        seconds = min(sandbox.limits.seconds, patience.seconds if patience else math.inf)
        return match_gold_rows(sandbox, databases[0], gold, prediction, seconds)
    rule = comparison_rule(benchmark, keep_distinct)
    sandbox.begin_stage("gold")
    gold = rule.normalize(gold)
    for database, (expected, seconds) in zip(databases, gold_results(sandbox, databases, gold, cache), strict=True):
        limit = sandbox.limits.seconds - seconds if rule.shared_time else sandbox.limits.seconds
        if patience:
            limit = min(limit, max(patience.seconds, GOLD_TIMES * seconds))
        sandbox.begin_stage("prediction", limit)
        if not prediction.strip():
            raise QueryError("empty prediction")
        predicted = sandbox.rows(database, rule.normalize(prediction))
        sandbox.begin_stage("comparison")
        if not rule.equal(gold, expected, predicted):
            return False
    return True


def gold_results(
    sandbox: Sandbox, databases: Sequence[Path], gold: str, cache: Path
) -> Iterator[tuple[list[Row], float]]:
    """Yield the gold query's rows on each database and the seconds it took; computed once, then read from `cache`.

    Raises:
        QueryError: the query fails on one of them.
    """
    path = cache_path(cache, gold, databases, sandbox.limits)
    results = (read_results(path, len(databases)) if path else None) or []
    if results:
        if max(seconds for _, seconds in results) > sandbox.limits.seconds:
            raise QueryError("timeout")
        yield from results
        return
    size = 0
    for number, database in enumerate(databases):
        sandbox.begin_stage("gold")
        started = time.monotonic()
        result = sandbox.rows(database, gold), time.monotonic() - started
        # Only one result is in memory at a time, besides those small enough to cache.
        size += estimated_bytes(result[0])
        results = [*results, result] if size <= MAX_CACHED_BYTES else []
        if path and len(results) == len(databases) == number + 1:
            write_results(path, results)
        yield result


def percent_correct(verdicts: Sequence[Verdict]) -> float:
    """Return EX in percent, to two decimals; questions whose gold query failed count too."""
    return round(100 * sum(verdict.correct for verdict in verdicts) / len(verdicts), 2)


def gold_failures(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts that say nothing about the prediction, because the gold query has no result."""
    return [verdict for verdict in verdicts if (verdict.error or "").startswith(GOLD_FAILED)]


def _verdict(index: int, outcome: Outcome) -> Verdict:
    if outcome.error is None:
        return Verdict(index, bool(outcome.value))
    return Verdict(index, False, (GOLD_FAILED if outcome.stage == "gold" else "") + outcome.error)
