"""Execution-based self-consistency: choose the sample of a question whose result is the most frequent.

The gold query is not known here, and so neither is whether rows are ordered.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from kid.evaluation.execution import run_jobs
from kid.evaluation.execution_accuracy import PATIENT_TIMEOUTS, Patience, comparison_rule
from kid.evaluation.samples_file import SampledQuery
from kid.evaluation.worker import Limits, QueryError, Sandbox
from kid.progress import progress_bar
from kid.sql.comparison import Row

NO_GOLD = ""  # given to a rule instead of the gold query; it has no ORDER BY


@dataclass(frozen=True)
class Vote:
    """The chosen sample.

    number: of the sample, from 0.
    votes: the number of samples with its result, including itself; 0 if no sample has a result.
    failures: why each sample that did not vote has no result, "timeout" or another error.
    """

    number: int
    votes: int
    failures: tuple[str, ...]


def majority(results: Sequence[int | None], log_probabilities: Sequence[float]) -> tuple[int, int]:
    """Return (the most probable sample among those with the most frequent results, how many share its result).

    Without any result, this is the most probable of all samples, with 0 votes. Ties go to the first.

    Args:
        results: of n samples, equal numbers for equal results; None: no result.
        log_probabilities: of n samples.
    """
    votes = Counter(result for result in results if result is not None)
    most = max(votes.values(), default=0)
    candidates = [number for number, result in enumerate(results) if votes[result] == most]
    return max(candidates, key=lambda number: log_probabilities[number]), most


def shared_results(
    sandbox: Sandbox,
    database: Path,
    queries: Sequence[str],
    benchmark: str,
    keep_distinct: bool,
    patience: Patience,
    given_up: Mapping[int, str],
) -> list[int | str]:
    """The job of one question: for each query, the position of the first one with its result, or why it has none.

    Args:
        queries: distinct queries; a result is compared with the first of each different result before it.
        benchmark: its `ComparisonRule` defines which rows are equal.
        patience: current time limit of each query, in seconds.
        given_up: position -> error, for queries that ended a worker before; they are not run again.
    """
    rule = comparison_rule(benchmark, keep_distinct)
    different: dict[int, list[Row]] = {}  # the first query with each result, and the rows
    found: list[int | str] = []
    for place, query in enumerate(queries):
        if place in given_up:
            found.append(given_up[place])
            continue
        sandbox.begin_stage(str(place), patience.seconds)
        try:
            if not query.strip():
                raise QueryError("empty prediction")
            rows = sandbox.rows(database, rule.normalize(query))
        except QueryError as error:
            found.append(str(error))
            continue
        sandbox.begin_stage(str(place))  # the comparison has its own time limit
        same = next((first for first, others in different.items() if rule.equal(NO_GOLD, others, rows)), place)
        different.setdefault(same, rows)
        found.append(same)
    return found


def majority_votes(
    samples: Mapping[int, Sequence[SampledQuery]],
    databases: Mapping[int, Path],
    benchmark: str,
    workers: int | None = None,
    limits: Limits | None = None,
    keep_distinct: bool = False,
) -> dict[int, Vote]:
    """Choose a sample of each question by majority vote, see `majority`; shows a progress bar on stderr.

    A query shared by several samples is run once, and each of them votes. Samples whose query fails or times out do not
    vote. Results are compared by the benchmark's rule for a gold query without ORDER BY.

    Args:
        samples: question -> its samples, at least one.
        databases: question -> its SQLite file.
        benchmark, keep_distinct: see `kid.evaluation.execution_accuracy.comparison_rule`.
        limits: limits of each query (default: the time limit of the benchmark's rule).

    Raises:
        RunError: a database can no longer be read.
    """
    limits = limits or Limits(seconds=comparison_rule(benchmark, keep_distinct).seconds)
    # The most probable first: later queries are compared with the first of each different result.
    queries = {
        question: list(dict.fromkeys(one.sql for one in sorted(own, key=lambda one: -one.log_probability)))
        for question, own in samples.items()
    }
    patience = {path: Patience(limits.seconds) for path in databases.values()}
    results: dict[int, list[int | str]] = {}
    waiting: dict[int, dict[int, str]] = {question: {} for question in samples}
    with progress_bar("vote", "question", len(samples)) as bar:
        while waiting:
            asked = list(waiting)
            jobs = [
                (databases[q], queries[q], benchmark, keep_distinct, patience[databases[q]], waiting[q]) for q in asked
            ]
            for outcome in run_jobs(shared_results, jobs, workers, limits):
                question = asked[outcome.index]
                given_up = waiting.pop(question)
                if outcome.error is None or outcome.stage is None:  # None: no query had begun
                    results[question] = outcome.value or [outcome.error] * len(queries[question])
                    timeouts = results[question].count("timeout") - list(given_up.values()).count("timeout")
                    bar.update()
                else:  # a query ended the worker, so another worker runs the remaining ones
                    waiting[question] = given_up | {int(outcome.stage): outcome.error}
                    timeouts = int(outcome.error == "timeout")
                limit = patience[databases[question]]
                if any([limit.lose_some() for _ in range(timeouts)]):
                    tqdm.write(
                        f"note: {PATIENT_TIMEOUTS} samples on database {databases[question].stem} timed out; the limit "
                        f"for votes is now {limit.seconds:g} s each",
                        file=sys.stderr,
                    )
    return {question: vote_of(own, queries[question], results[question]) for question, own in samples.items()}


def vote_of(samples: Sequence[SampledQuery], queries: Sequence[str], results: Sequence[int | str]) -> Vote:
    """Compute the vote of one question from the result of `shared_results` for its distinct queries."""
    of_query = dict(zip(queries, results, strict=True))
    own = [of_query[sample.sql] for sample in samples]
    shared = [result if isinstance(result, int) else None for result in own]
    number, votes = majority(shared, [sample.log_probability for sample in samples])
    return Vote(number, votes, tuple(result for result in own if isinstance(result, str)))
