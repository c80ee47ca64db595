"""Distilled test suites: a few random databases that expose queries which are correct on the original by accident.

After Zhong et al. (2020). Random databases are tried one after the other. One is kept if it distinguishes gold queries
from neighbours that neither the original nor the databases kept so far distinguish. Two rules are stricter than in the
paper: a database is discarded if a gold query fails on it, or if a gold query's result is nondeterministic on it but
not on the original (ties under ORDER BY, bare columns of a group), because it would reject correct predictions.
"""

from __future__ import annotations

import functools
import random
import signal
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kid.data.database import CORRUPTION_CODES, DamagedDatabaseError
from kid.data.schema import Schema
from kid.errors import RunError
from kid.evaluation.execution import death_reason, run_jobs
from kid.evaluation.machine_errors import MachineError, machine_reason
from kid.evaluation.suites.chance import extreme_queries
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

PATIENCE = 25  # a phase of the search ends after this many random databases in a row without gain
MAX_ATTEMPTS = 400  # random databases generated for one schema, including those discarded
QUERIES_PER_DATABASE = (1, 2, 4, 8)  # choices for the number of gold queries whose constants one random database uses
# Errors of workers that were killed from outside: by an operator, or because memory ran out.
ENDED_FROM_OUTSIDE = tuple(
    death_reason(-number)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGBUS, signal.SIGXCPU, signal.SIGXFSZ)
)
RUN_AGAIN = "fix that and run the command again; finished databases are kept"

# (index of a gold query, index of one of its neighbours).
Pair = tuple[int, int]


@dataclass(frozen=True)
class Gold:
    """A gold query as it is run, and its properties.

    parsed: whether sqlglot can parse it.
    extremes: see `chance.extreme_queries`.
    constants: (table, column, literal) of its comparisons.
    ordering: the (table, column) pairs that it orders rows by.
    """

    sql: str
    parsed: bool
    extremes: tuple[str, str] | None
    neighbours: tuple[str, ...]
    constants: tuple[tuple[str, str, str], ...]
    ordering: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Screening:
    """A gold query and its neighbours on the original database.

    error: why the gold query does not run; None if it does.
    deterministic: whether its result is independent of arbitrary choices; see `chance`.
    verdicts: "same" or "differs" for each neighbour, or why it cannot be used.
    """

    error: str | None
    deterministic: bool
    verdicts: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """The result of a job that failed: the machine failed, or the original database is damaged."""

    reason: str
    damaged: bool


@dataclass(frozen=True)
class SearchResult:
    """The random databases of a search.

    kept: the numbers of the kept databases.
    tried: how many databases were tried.
    never_told_apart: pairs that no database distinguishes.
    told_apart_by_original_alone: pairs that the original distinguishes but no kept database does.
    """

    kept: tuple[int, ...]
    tried: int
    never_told_apart: tuple[Pair, ...]
    told_apart_by_original_alone: tuple[Pair, ...]


def read_gold(query: str, schema: Schema, columns: Columns, count: int, seed: int) -> Gold:
    """Read a gold query and make up to `count` neighbours, which depend only on the seed."""
    sql, tree = normalize_query(query), parse_with_schema(query, schema)
    if tree is None:
        return Gold(sql, False, None, (), (), ())
    neighbours = make_neighbours(tree, columns, count, random.Random(f"{seed} {sql}"))
    extremes = extreme_queries(tree, columns)
    constants, ordering = find_constants(tree, columns), ordering_columns(tree, columns)
    return Gold(sql, True, extremes, tuple(map(normalize_query, neighbours)), tuple(constants), tuple(ordering))


def returns_faults(job: Callable) -> Callable:
    """Make a job return a `Fault` instead of raising: only the message of an exception passes through the pipe."""

    @functools.wraps(job)
    def run(*arguments: object) -> object:
        try:
            return job(*arguments)
        except DamagedDatabaseError as error:
            return Fault(str(error), True)
        except (MachineError, OSError) as error:
            return Fault(str(error), False)

    return run


def run_with_retries(
    function: Callable, jobs: Sequence[tuple], workers: int, limits: Limits
) -> Generator[tuple[int, Any], None, None]:
    """As `run_jobs`, but a job whose worker died is repeated without the stage, a query, in which it died.

    The list of stages to skip is the last argument of `function`, after the job's own.

    Yields:
        (index of the job, its value) in any order; the value is a `Fault` if the original database is damaged.

    Raises:
        RunError: the machine failed, a worker was killed from outside, or a job failed twice in the same stage.
    """
    skipped_stages: list[list[str]] = [[] for _ in jobs]
    waiting = list(range(len(jobs)))
    while waiting:
        arguments = [(*jobs[job], skipped_stages[job]) for job in waiting]
        failed = []
        # Closed immediately if this raises: no worker may write to a folder that is no longer locked.
        with closing(run_jobs(function, arguments, workers, limits)) as outcomes:
            for outcome in outcomes:
                job = waiting[outcome.index]
                if isinstance(outcome.value, Fault) and not outcome.value.damaged:
                    raise RunError(f"{outcome.value.reason}; {RUN_AGAIN}")
                if outcome.error in ENDED_FROM_OUTSIDE:
                    reason = f"a worker process was killed from outside ({outcome.error}); did memory run out?"
                    raise RunError(f"{reason} {RUN_AGAIN}")
                if outcome.error is None:
                    yield job, outcome.value
                elif outcome.stage is None or outcome.stage in skipped_stages[job]:
                    place = f"{function.__name__}, stage {outcome.stage}"
                    raise RunError(f"a worker process failed again with that stage skipped ({place}: {outcome.error})")
                else:
                    skipped_stages[job].append(outcome.stage)
                    failed.append(job)
        waiting = sorted(failed)


@returns_faults
def screen(sandbox: Sandbox, database: Path, gold: Gold, skipped_stages: Sequence[str]) -> Screening:
    """The job of one gold query: run it and its neighbours on the original database. Returns a `Fault` on failure."""
    try:
        expected = run_query(sandbox, database, gold.sql, "gold", skipped_stages)
    except QueryError as error:
        return Screening(str(error), False, ())
    deterministic = is_deterministic(sandbox, database, gold, "extremes", skipped_stages)
    verdicts = []
    for number, neighbour in enumerate(gold.neighbours):
        try:
            rows = run_query(sandbox, database, neighbour, f"neighbour {number}", skipped_stages)
            same = results_equal(expected, rows, order_matters(gold.sql))
            verdicts.append("same" if same else "differs")
        except QueryError as error:
            verdicts.append(str(error))
    return Screening(None, deterministic, tuple(verdicts))


def run_query(sandbox: Sandbox, database: Path, sql: str, stage: str, skipped_stages: Sequence[str]) -> list[tuple]:
    """Return the rows of a query.

    Raises:
        QueryError: the query fails, or has ended its worker before.
        DamagedDatabaseError: the file is damaged.
        MachineError: the file cannot be read.
    """
    if stage in skipped_stages:
        raise QueryError("takes too long")
    sandbox.begin_stage(stage)
    try:
        return sandbox.rows(database, sql)
    except QueryError as error:
        code = getattr(error.__cause__, "sqlite_errorcode", 0)
        if code & 0xFF in CORRUPTION_CODES:
            raise DamagedDatabaseError(f"{database}: {error}") from None
        # A query that exceeds its memory limit says nothing about the machine.
        if machine_reason(error.__cause__) and code != sqlite3.SQLITE_IOERR_NOMEM:
            raise MachineError(f"{database} cannot be read ({error})") from None
        raise


def is_deterministic(sandbox: Sandbox, database: Path, gold: Gold, stage: str, skipped_stages: Sequence[str]) -> bool:
    """Whether a gold query's result is independent of arbitrary choices; False if sqlglot cannot parse the query."""
    if not gold.extremes:
        return gold.parsed
    try:
        smallest, largest = (run_query(sandbox, database, sql, stage, skipped_stages) for sql in gold.extremes)
    except QueryError:
        return False
    return results_equal(smallest, largest, order_matters(gold.sql))


@returns_faults
def search(
    sandbox: Sandbox,
    plan: DatabasePlan,
    golds: Sequence[Gold],
    deterministic: Sequence[bool],
    pairs: Sequence[Sequence[Pair]],
    name: str,
    folder: Path,
    max_databases: int,
    max_rows: int,
    seed: int,
    skipped_stages: Sequence[str],
) -> SearchResult:
    """The job of one database: write random databases to `folder`, named by their numbers, until nothing is gained.

    Args:
        golds: the gold queries that run on the original.
        deterministic: for each, whether its result is deterministic on the original.
        pairs: the pairs that the original does not distinguish, then those that it does. The latter matter less and are
            searched second: a random database that distinguishes them too has rows that their gold query returns.
        name: the database's name; it and the seed determine the random numbers.

    Returns:
        The result; a `Fault` if the databases cannot be written.
    """
    kept: list[int] = []
    left: list[list[Pair]] = [list(pairs[0]), list(pairs[1])]
    ordered = frozenset(column for gold in golds for column in gold.ordering)
    number = idle = phase = 0
    while phase < len(left) and len(kept) < max_databases and number < MAX_ATTEMPTS:
        if not left[phase] or idle == PATIENCE:
            phase, idle = phase + 1, 0
            continue
        number += 1
        path = folder / f"{number}.sqlite"
        generator = random.Random(f"{seed} {name} {number}")
        constants = draw_constants(golds, left[phase], generator)
        if f"database {number}" in skipped_stages:
            continue
        sandbox.begin_stage(f"database {number}")
        path.unlink(missing_ok=True)  # left by a worker that died
        try:
            write_database(plan, draw_rows(plan, constants, ordered, max_rows, generator), path)
        except (sqlite3.Error, MemoryError) as error:
            if reason := machine_reason(error):
                raise MachineError(f"{path} cannot be written ({reason})") from None
            # A CHECK, a STRICT type or a generated column rejects the drawn values.
            path.unlink(missing_ok=True)
            idle += 1
            continue
        results = gold_rows(sandbox, path, golds, deterministic, number, skipped_stages)
        told = set()
        if results is not None:
            told = {
                pair for pair in left[phase] if tells_apart(sandbox, path, golds, results, pair, number, skipped_stages)
            }
            # Keep a database only if it gains enough for one of the remaining slots; this threshold falls while the
            # search finds nothing.
            slots = max_databases - len(kept)
            told = told if len(told) * (idle + 1) * slots >= len(left[phase]) else set()
            idle = 0 if told else idle + 1
        if not told:
            path.unlink()
            continue
        kept.append(number)
        later = [pair for rest in left[phase + 1 :] for pair in rest]
        told |= {pair for pair in later if tells_apart(sandbox, path, golds, results, pair, number, skipped_stages)}
        left = [[pair for pair in rest if pair not in told] for rest in left]
    return SearchResult(tuple(kept), number, tuple(left[0]), tuple(left[1]))


def draw_constants(
    golds: Sequence[Gold], left: Sequence[Pair], generator: random.Random
) -> dict[tuple[str, str], list[str]]:
    """Draw constants of a few queries with remaining pairs: few, so that a query's constants occur in the same row."""
    wanted = list(dict.fromkeys(gold for gold, _ in left))
    constants: dict[tuple[str, str], list[str]] = {}
    for gold in generator.sample(wanted, min(generator.choice(QUERIES_PER_DATABASE), len(wanted))):
        for table, column, text in golds[gold].constants:
            constants.setdefault((table, column), []).append(text)
    return constants


def gold_rows(
    sandbox: Sandbox,
    database: Path,
    golds: Sequence[Gold],
    deterministic: Sequence[bool],
    number: int,
    skipped_stages: Sequence[str],
) -> list[list[tuple]] | None:
    """Return the rows of every gold query; None if one fails, or is nondeterministic here but not on the original."""
    # Stage names include the database's number: a query that ends a worker is skipped only on that database.
    stages = [f"database {number} gold {i}" for i in range(len(golds))]
    try:
        results = [run_query(sandbox, database, gold.sql, stages[i], skipped_stages) for i, gold in enumerate(golds)]
        for i, gold in enumerate(golds):
            stage = f"{stages[i]} extremes"
            if deterministic[i] and not is_deterministic(sandbox, database, gold, stage, skipped_stages):
                return None
    except (QueryError, DamagedDatabaseError):  # the latter: a virtual table cannot read random values
        return None
    return results


def tells_apart(
    sandbox: Sandbox,
    database: Path,
    golds: Sequence[Gold],
    results: Sequence[list[tuple]],
    pair: Pair,
    number: int,
    skipped_stages: Sequence[str],
) -> bool:
    """Whether a neighbour's rows differ from its gold query's on this database; False if the neighbour fails here."""
    gold, neighbour = golds[pair[0]], golds[pair[0]].neighbours[pair[1]]
    try:
        stage = f"database {number} gold {pair[0]} neighbour {pair[1]}"
        rows = run_query(sandbox, database, neighbour, stage, skipped_stages)
    except (QueryError, DamagedDatabaseError):
        return False
    return not results_equal(results[pair[0]], rows, order_matters(gold.sql))
