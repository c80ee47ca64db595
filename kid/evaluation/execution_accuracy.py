"""EX: the share of predictions whose result on the question's database equals the gold query's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from kid.data.benchmarks import Question
from kid.evaluation.comparison import normalize_query, order_matters, results_equal
from kid.evaluation.execution import Outcome, run_jobs
from kid.evaluation.worker import Limits, QueryError, Sandbox

GOLD_FAILED = "gold failed: "


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
) -> list[Verdict]:
    """Compare each prediction with its question's gold query; a progress bar goes to stderr.

    Args:
        questions: n questions.
        predictions: n queries, in the same order; an empty one is wrong.
        databases: the SQLite files of each db_id; results must agree on every one (EX: one file, TS: many).
        workers: number of processes (default: cores).
        limits: what each query may use.

    Returns:
        n verdicts, in order.
    """
    pairs = zip(questions, predictions, strict=True)
    jobs = [(tuple(databases[question.db_id]), question.query, prediction) for question, prediction in pairs]
    outcomes = run_jobs(match_on_databases, jobs, workers, limits)
    outcomes = list(tqdm(outcomes, total=len(jobs), desc="scoring", unit="query", disable=None))
    outcomes.sort(key=lambda outcome: outcome.index)
    return [_verdict(question.index, outcome) for question, outcome in zip(questions, outcomes, strict=True)]


def match_on_databases(sandbox: Sandbox, databases: Sequence[Path], gold: str, prediction: str) -> bool:
    """The job of one question: whether both queries give the same result on every database.

    Raises:
        QueryError: a query fails; the sandbox's stage says which.
    """
    for database in databases:
        sandbox.begin("gold")
        expected = sandbox.rows(database, normalize_query(gold))
        sandbox.begin("prediction")
        if not prediction.strip():
            raise QueryError("empty prediction")
        predicted = sandbox.rows(database, normalize_query(prediction))
        sandbox.begin("comparison")
        if not results_equal(expected, predicted, order_matters(normalize_query(gold))):
            return False
    return True


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
