"""EX and TS: the share of predictions whose result equals the gold query's, on the question's database and on a suite.

The two differ only in the databases. What counts as equal, and how long queries may run, is the benchmark's rule.
"""

from __future__ import annotations

import contextlib
import pickle
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from kid.data.cache import cache_folder, key_of
from kid.data.questions import Question
from kid.evaluation.execution import Outcome, run_jobs
from kid.evaluation.worker import Limits, QueryError, Sandbox
from kid.sql.comparison import Row, bird_results_equal, normalize_query, order_matters, results_equal

GOLD_FAILED = "gold failed: "
LARGEST_KEPT = 8 << 20  # bytes of a gold query's results; larger ones are computed each time


@dataclass(frozen=True)
class Rule:
    """How a benchmark's official evaluator compares.

    normalize: the query that is run in place of a gold or predicted one.
    equal: (normalised gold, its rows, the prediction's rows) -> whether they count as the same.
    seconds: what each query may take; with `together`, what gold and prediction may take in sum.
    """

    normalize: Callable[[str], str]
    equal: Callable[[str, Sequence[Row], Sequence[Row]], bool]
    seconds: float
    together: bool


def _spider_equal(gold: str, expected: Sequence[Row], predicted: Sequence[Row]) -> bool:
    return results_equal(expected, predicted, order_matters(gold))


def _bird_equal(_: str, expected: Sequence[Row], predicted: Sequence[Row]) -> bool:
    return bird_results_equal(expected, predicted)


SPIDER = Rule(normalize_query, _spider_equal, 60.0, together=False)
RULES = {"spider": SPIDER, "bird": Rule(str.strip, _bird_equal, 30.0, together=True), "jsonl": SPIDER}


@dataclass(frozen=True)
class Verdict:
    """Whether a prediction is right; `error` is None, "timeout", or why it (or the gold) gave no result."""

    index: int
    correct: bool
    error: str | None = None


def score_predictions(
    questions: Sequence[Question],
    predictions: Sequence[str],
    databases: Mapping[str, Sequence[Path]],
    workers: int | None = None,
    limits: Limits | None = None,
    benchmark: str = "spider",
    title: str = "scoring",
) -> list[Verdict]:
    """Compare each prediction with its question's gold query; a progress bar goes to stderr.

    Args:
        questions: n questions; one with a fault makes its prediction wrong.
        predictions: n queries, in the same order; an empty one is wrong.
        databases: the SQLite files of each db_id; results must agree on every one (EX: one file, TS: many).
        workers: number of processes (default: cores).
        limits: what each query may use (default: the time of the benchmark's rule).
        benchmark: a key of `RULES`.
        title: what the bar says.

    Returns:
        n verdicts, in order.
    """
    limits = limits or Limits(seconds=RULES[benchmark].seconds)
    pairs = [pair for pair in zip(questions, predictions, strict=True) if not pair[0].fault]
    jobs = [(benchmark, tuple(databases[q.db_id]), q.query, prediction, cache_folder()) for q, prediction in pairs]
    outcomes = run_jobs(match_on_databases, jobs, workers, limits)
    outcomes = tqdm(outcomes, total=len(jobs), desc=title, unit="query", disable=None)
    found = {pairs[outcome.index][0].index: outcome for outcome in outcomes}
    return [
        Verdict(q.index, False, GOLD_FAILED + q.fault) if q.fault else _verdict(q.index, found[q.index])
        for q in questions
    ]


def match_on_databases(
    sandbox: Sandbox, benchmark: str, databases: Sequence[Path], gold: str, prediction: str, cache: Path
) -> bool:
    """The job of one question: whether both queries give the same result on every database.

    Raises:
        QueryError: a query fails; the sandbox's stage says which.
    """
    rule = RULES[benchmark]
    sandbox.begin("gold")
    gold = rule.normalize(gold)
    for database, (expected, seconds) in zip(databases, gold_results(sandbox, databases, gold, cache), strict=True):
        sandbox.begin("prediction", sandbox.limits.seconds - seconds if rule.together else None)
        if not prediction.strip():
            raise QueryError("empty prediction")
        predicted = sandbox.rows(database, rule.normalize(prediction))
        sandbox.begin("comparison")
        if not rule.equal(gold, expected, predicted):
            return False
    return True


def gold_results(
    sandbox: Sandbox, databases: Sequence[Path], gold: str, cache: Path
) -> Iterator[tuple[list[Row], float]]:
    """The gold query's rows on each database and the seconds it took; computed once and kept in `cache`.

    Raises:
        QueryError: the query fails on one of them.
    """
    files = [[str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns] for path in databases]
    kept = cache / "gold" / f"{key_of([gold, sandbox.limits.rows, sandbox.limits.result_bytes, files])}.pickle"
    found: list[tuple[list[Row], float]] = []
    # Whatever is wrong with a file of the cache, it can be made again.
    with contextlib.suppress(Exception):
        found = pickle.loads(kept.read_bytes())
    if found:
        if max(seconds for _, seconds in found) > sandbox.limits.seconds:
            raise QueryError("timeout")
        yield from found
        return
    size = 0
    for place, database in enumerate(databases):
        sandbox.begin("gold")
        started = time.monotonic()
        result = sandbox.rows(database, gold), time.monotonic() - started
        # One result is in memory at a time, and what is small enough to be kept.
        size += len(pickle.dumps(result)) if size <= LARGEST_KEPT else 0
        found = [*found, result] if size <= LARGEST_KEPT else []
        if len(found) == len(databases) == place + 1:
            _keep(kept, pickle.dumps(found))
        yield result


def _keep(path: Path, content: bytes) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written, or is full, costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{uuid.uuid4().hex}")
        partial.write_bytes(content)
        partial.replace(path)


def percent(verdicts: Sequence[Verdict]) -> float:
    """EX in percent, to two decimals; every question counts, also one whose gold failed."""
    return round(100 * sum(verdict.correct for verdict in verdicts) / len(verdicts), 2)


def gold_failures(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Verdicts that say nothing about the prediction because the gold query itself gave no result."""
    return [verdict for verdict in verdicts if (verdict.error or "").startswith(GOLD_FAILED)]


def _verdict(index: int, outcome: Outcome) -> Verdict:
    if outcome.error is None:
        return Verdict(index, bool(outcome.value))
    return Verdict(index, False, (GOLD_FAILED if outcome.stage == "gold" else "") + outcome.error)
