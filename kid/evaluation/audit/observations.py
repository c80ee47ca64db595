"""Run gold queries in the sandbox, and run variants of them to find out where their results depend on chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlglot import exp

from kid.data.questions import Question
from kid.evaluation.audit.choices import choice_queries, has_rows_of_extreme, parse_gold
from kid.evaluation.audit.kinds import TIED_ORDER, TIES
from kid.evaluation.execution import Outcome, run_jobs
from kid.evaluation.execution_accuracy import comparison_rule
from kid.evaluation.worker import Limits, QueryError, Sandbox
from kid.progress import progress_bar
from kid.sql.normalise import normalise_sql
from kid.sql.program import compile_error

Tables = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Observation:
    """What is known about a gold query.

    error: "timeout", or why it has no result; None if it has one.
    executed: whether it was run; without a database it is only compiled on the schema's empty tables.
    rows: number of rows of its result; None without a result.
    only_null: whether there are rows and each of their values is NULL, as SUM returns it over no rows.
    normalised: the query in canonical form, if it has one.
    choices: kinds of chance that its result depends on.
    undecided: why some kinds were not tested; None if all were.
    """

    error: str | None
    executed: bool
    rows: int | None = None
    only_null: bool = False
    normalised: str = ""
    choices: frozenset[str] = field(default_factory=frozenset)
    undecided: str | None = None


def observe(
    questions: Sequence[Question],
    databases: Mapping[str, Path],
    tables: Mapping[str, Tables],
    benchmark: str,
    workers: int,
    seconds: float,
) -> dict[tuple[str, str], Observation]:
    """Observe each (db_id, gold query) of the questions; shows progress bars on stderr.

    There is no observation for a question with neither a database nor a schema, nor for one with gold rows.

    Args:
        databases: the existing SQLite files by db_id.
        tables: table -> columns of the known schemas, by db_id.
        benchmark: its rule defines what is run for a query, and which results are equal.
        seconds: time limit of each query.

    Raises:
        RunError: a database can no longer be read.
    """
    asked = dict.fromkeys((q.db_id, q.query) for q in questions if q.db_id and q.query and not q.fault)
    golds = [(db_id, query) for db_id, query in asked if db_id in databases or db_id in tables]
    limits = Limits(seconds=seconds)
    jobs = [(benchmark, databases.get(db_id), tables.get(db_id, {}), query) for db_id, query in golds]
    seen = {
        golds[index]: outcome.value or Observation(outcome.error, golds[index][0] in databases)
        for index, outcome in run_with_bar(run_gold, jobs, workers, limits, "gold queries")
    }
    # A second round, so that a worker that dies of a variant does not lose the observation of the gold query.
    ran = [gold for gold, found in seen.items() if found.executed and found.rows]
    jobs = [(benchmark, databases[db_id], tables.get(db_id, {}), query) for db_id, query in ran]
    for index, outcome in run_with_bar(find_choices, jobs, workers, limits, "ties, groups, NULL"):
        choices, undecided = outcome.value or (frozenset(), outcome.error)
        seen[ran[index]] = replace(seen[ran[index]], choices=choices, undecided=undecided)
    return seen


def run_with_bar(
    function: Callable, jobs: Sequence[tuple], workers: int, limits: Limits, title: str
) -> Iterator[tuple[int, Outcome]]:
    """Yield (index, outcome) of each job when it finishes."""
    with progress_bar(title, "query", len(jobs)) as bar:
        for outcome in run_jobs(function, jobs, workers, limits):
            yield outcome.index, outcome
            bar.update()


def run_gold(sandbox: Sandbox, benchmark: str, database: Path | None, tables: Tables, query: str) -> Observation:
    """The job of one gold query: whether it runs, and what it returns. Raises QueryError if it fails."""
    sql = comparison_rule(benchmark).normalize(query)
    normalised = normalise_sql(query, tables)[0]
    sandbox.begin_stage("gold")
    if database is None:
        return Observation(compile_error(sql, tables), executed=False, normalised=normalised)
    rows = sandbox.rows(database, sql)
    only_null = bool(rows) and all(value is None for row in rows for value in row)
    return Observation(None, True, len(rows), only_null, normalised)


def find_choices(
    sandbox: Sandbox, benchmark: str, database: Path, tables: Tables, query: str
) -> tuple[frozenset[str], str | None]:
    """The job of one gold query that runs: the kinds of chance that its result depends on, and what is undecided.

    Raises QueryError if nothing can be tested.
    """
    rule = comparison_rule(benchmark)
    sql = rule.normalize(query)
    tree = parse_gold(sql, tables)
    if tree is None:
        raise QueryError("sqlglot cannot parse it")
    if tree.find(exp.Window):
        raise QueryError("it has a window function, which ties can change")
    undecided = ["a column occurs beside a single MIN or MAX"] if has_rows_of_extreme(tree) else []
    first, others = choice_queries(tree, tables)
    if not others:
        return frozenset(), "; ".join(undecided) or None

    def rows(text: str) -> list[tuple]:
        sandbox.begin_stage("choices")
        return sandbox.rows(database, text)

    if Counter(rows(sql)) != Counter(rows(tree.sql("sqlite"))):
        raise QueryError("sqlglot's output of it gives another result")
    made, found = rows(first), set()
    for kind, text in others.items():
        try:
            other = rows(text)
        except QueryError as error:
            undecided.append(f"{kind}: {error}")
            continue
        if rule.equal(sql, made, other):
            continue
        if Counter(made) != Counter(other):
            found.add(kind)
        elif kind == TIES:
            found.add(TIED_ORDER)
    return frozenset(found), "; ".join(undecided) or None
