"""Distilled test suites: a few random databases that find out queries which are right on the original by accident.

After Zhong et al. (2020). Random databases are tried one after the other; one is kept if it tells gold
queries apart from neighbours that neither the original nor those kept before did. Two things are stricter than there:
a database on which a gold query fails is thrown away, and so is one that leaves a gold query's result to chance where
the original does not (ties under ORDER BY, bare columns of a group), for it would fail right predictions.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.data.schema import Schema
from kid.evaluation.execution import Outcome, run_jobs
from kid.evaluation.suites.chance import both_extremes
from kid.evaluation.suites.database_plans import DatabasePlan
from kid.evaluation.suites.neighbours import (
    Columns,
    find_constants,
    make_neighbours,
    ordering_columns,
    parse_with_schema,
)
from kid.evaluation.suites.random_databases import draw_rows, write_database
from kid.evaluation.worker import Limits, QueryError, Sandbox
from kid.sql.comparison import normalize_query, order_matters, results_equal

PATIENCE = 25  # so many random databases in a row without gain end the search
ATTEMPTS = 400  # random databases made for one schema, those thrown away too
FOCUS = (1, 2, 4, 8)  # of so many gold queries the constants go into one random database


# A gold query and one of its neighbours, by their places.
Pair = tuple[int, int]


@dataclass(frozen=True)
class Gold:
    """A gold query as it is run, and what is known of it; `extremes` as in `chance`; `parsed`: sqlglot can read it."""

    sql: str
    parsed: bool
    extremes: tuple[str, str] | None
    neighbours: tuple[str, ...]
    constants: tuple[tuple[str, str, str], ...]
    ordering: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Screening:
    """A gold query on the original database.

    `error`: why it does not run. `settled`: nothing of its result is left to chance. `verdicts` of its
    neighbours: "same" and "differs", or why it cannot be used.
    """

    error: str | None
    settled: bool
    verdicts: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """Numbers of the random databases kept, how many were tried, and what these leave.

    `left` is told apart by nothing at all, `left_to_original` by the original alone.
    """

    kept: tuple[int, ...]
    tried: int
    left: tuple[Pair, ...]
    left_to_original: tuple[Pair, ...]


def read_gold(query: str, schema: Schema, columns: Columns, count: int, seed: int) -> Gold:
    """A gold query and up to `count` neighbours; both come out the same for the same seed."""
    sql, tree = normalize_query(query), parse_with_schema(query, schema)
    if tree is None:
        return Gold(sql, False, None, (), (), ())
    neighbours = make_neighbours(tree, columns, count, random.Random(f"{seed} {sql}"))
    extremes = both_extremes(tree, columns)
    constants, ordering = find_constants(tree, columns), ordering_columns(tree, columns)
    return Gold(sql, True, extremes, tuple(map(normalize_query, neighbours)), tuple(constants), tuple(ordering))


def run_to_the_end(
    function: Callable, jobs: Sequence[tuple], workers: int, limits: Limits
) -> Iterator[tuple[int, object]]:
    """`run_jobs` for jobs that name each query they begin; a query that ends its worker is left out the next time.

    Yields:
        (position of the job, its value) in any order. The job's last argument is the list of stages to leave out.

    Raises:
        RuntimeError: a job failed twice in one stage.
    """
    left_out: list[list[str]] = [[] for _ in jobs]
    waiting = list(range(len(jobs)))
    while waiting:
        outcomes: Iterator[Outcome] = run_jobs(
            function, [(*jobs[job], left_out[job]) for job in waiting], workers, limits
        )
        failed = []
        for outcome in outcomes:
            job = waiting[outcome.index]
            if outcome.error is None:
                yield job, outcome.value
            elif outcome.stage is None or outcome.stage in left_out[job]:
                raise RuntimeError(f"{function.__name__}: {outcome.error} in stage {outcome.stage}")
            else:
                left_out[job].append(outcome.stage)
                failed.append(job)
        waiting = sorted(failed)


def screen(sandbox: Sandbox, database: Path, gold: Gold, left_out: Sequence[str]) -> Screening:
    """The job of one gold query: it and its neighbours on the original database."""
    try:
        expected = run_query(sandbox, database, gold.sql, "gold", left_out)
    except QueryError as error:
        return Screening(str(error), False, ())
    settled = is_settled(sandbox, database, gold, "extremes", left_out)
    verdicts = []
    for place, neighbour in enumerate(gold.neighbours):
        try:
            rows = run_query(sandbox, database, neighbour, f"neighbour {place}", left_out)
            same = results_equal(expected, rows, order_matters(gold.sql))
            verdicts.append("same" if same else "differs")
        except QueryError as error:
            verdicts.append(str(error))
    return Screening(None, settled, tuple(verdicts))


def run_query(sandbox: Sandbox, database: Path, sql: str, stage: str, left_out: Sequence[str]) -> list[tuple]:
    """The rows of a query. Raises QueryError, also where the query once ended its worker."""
    if stage in left_out:
        raise QueryError("takes too long")
    sandbox.begin(stage)
    return sandbox.rows(database, sql)


def is_settled(sandbox: Sandbox, database: Path, gold: Gold, stage: str, left_out: Sequence[str]) -> bool:
    """Whether a gold query leaves nothing to chance on a database."""
    if not gold.extremes:
        return gold.parsed
    try:
        smallest, largest = (run_query(sandbox, database, sql, stage, left_out) for sql in gold.extremes)
    except QueryError:
        return False
    return results_equal(smallest, largest, order_matters(gold.sql))


def search(
    sandbox: Sandbox,
    plan: DatabasePlan,
    golds: Sequence[Gold],
    settled: Sequence[bool],
    pairs: Sequence[Sequence[Pair]],
    name: str,
    folder: Path,
    max_databases: int,
    max_rows: int,
    seed: int,
    left_out: Sequence[str],
) -> Search:
    """The job of one database: random databases in `folder`, called by their numbers, until no more is gained.

    Args:
        golds: the gold queries that run on the original.
        settled: which of them leave nothing to chance there.
        pairs: those that the original does not tell apart; and those it does, which matter less and come second: a
            random database that tells them apart too has rows for their gold query to find.
        name: of the database, which the random numbers depend on, as on the seed.
    """
    kept: list[int] = []
    left: list[list[Pair]] = [list(pairs[0]), list(pairs[1])]
    ordered = frozenset(column for gold in golds for column in gold.ordering)
    number = idle = now = 0
    while now < len(left) and len(kept) < max_databases and number < ATTEMPTS:
        if not left[now] or idle == PATIENCE:
            now, idle = now + 1, 0
            continue
        number += 1
        path = folder / f"{number}.sqlite"
        generator = random.Random(f"{seed} {name} {number}")
        constants = draw_constants(golds, left[now], generator)
        if f"database {number}" in left_out:
            continue
        sandbox.begin(f"database {number}")
        path.unlink(missing_ok=True)  # of a worker that died
        try:
            write_database(plan, draw_rows(plan, constants, ordered, max_rows, generator), path)
        except sqlite3.Error:  # a CHECK, a STRICT type or a generated column does not take what was drawn
            path.unlink(missing_ok=True)
            idle += 1
            continue
        results = gold_results(sandbox, path, golds, settled, number, left_out)
        told = set()
        if results is not None:
            told = {pair for pair in left[now] if tells_apart(sandbox, path, golds, results, pair, number, left_out)}
            # Worth one of the places that are left; the longer the search is without success, the less it asks for.
            room = max_databases - len(kept)
            told = told if len(told) * (idle + 1) * room >= len(left[now]) else set()
            idle = 0 if told else idle + 1
        if not told:
            path.unlink()
            continue
        kept.append(number)
        later = [pair for rest in left[now + 1 :] for pair in rest]
        told |= {pair for pair in later if tells_apart(sandbox, path, golds, results, pair, number, left_out)}
        left = [[pair for pair in rest if pair not in told] for rest in left]
    return Search(tuple(kept), number, tuple(left[0]), tuple(left[1]))


def draw_constants(
    golds: Sequence[Gold], left: Sequence[Pair], generator: random.Random
) -> dict[tuple[str, str], list[str]]:
    """The constants of queries that still have neighbours left, of a few at a time: they are to meet in one row."""
    wanted = list(dict.fromkeys(gold for gold, _ in left))
    constants: dict[tuple[str, str], list[str]] = {}
    for gold in generator.sample(wanted, min(generator.choice(FOCUS), len(wanted))):
        for table, column, text in golds[gold].constants:
            constants.setdefault((table, column), []).append(text)
    return constants


def gold_results(
    sandbox: Sandbox,
    database: Path,
    golds: Sequence[Gold],
    settled: Sequence[bool],
    number: int,
    left_out: Sequence[str],
) -> list[list[tuple]] | None:
    """The rows of every gold query; None if one fails, or has become a matter of chance."""
    # The database's number in the name of a stage: what ends a worker on one is left out on that one alone.
    stages = [f"database {number} gold {i}" for i in range(len(golds))]
    try:
        results = [run_query(sandbox, database, gold.sql, stages[i], left_out) for i, gold in enumerate(golds)]
    except QueryError:
        return None
    for i, gold in enumerate(golds):
        if settled[i] and not is_settled(sandbox, database, gold, f"{stages[i]} extremes", left_out):
            return None
    return results


def tells_apart(
    sandbox: Sandbox,
    database: Path,
    golds: Sequence[Gold],
    results: Sequence[list[tuple]],
    pair: Pair,
    number: int,
    left_out: Sequence[str],
) -> bool:
    """Whether a neighbour's rows differ here from its gold's; one that fails here tells nothing."""
    gold, neighbour = golds[pair[0]], golds[pair[0]].neighbours[pair[1]]
    try:
        stage = f"database {number} gold {pair[0]} neighbour {pair[1]}"
        rows = run_query(sandbox, database, neighbour, stage, left_out)
    except QueryError:
        return False
    return not results_equal(results[pair[0]], rows, order_matters(gold.sql))
