"""Find foreign keys that point at a wrong column: none of their values is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kid.data.database import quote
from kid.data.schema import Schema
from kid.evaluation.audit.observations import run_with_bar
from kid.evaluation.worker import Limits, Sandbox

Key = tuple[str, str, str, str]  # as in `Schema.foreign_keys`


def unmatched_keys(
    schemas: Mapping[str, Schema], databases: Mapping[str, Path], workers: int, seconds: float
) -> tuple[dict[str, list[Key]], dict[str, str]]:
    """Return (db_id -> its foreign keys without a match, db_id -> why its keys could not be checked).

    A key without a match has values, and the column that it points at too, but no value is in both.

    Args:
        schemas: by db_id; only those with a database are checked.
        seconds: time limit of each key.

    Raises:
        RunError: a database can no longer be read.
    """
    keys = [(db_id, key) for db_id in databases if db_id in schemas for key in schemas[db_id].foreign_keys]
    jobs = [(databases[db_id], key) for db_id, key in keys]
    found: dict[int, bool] = {}
    unchecked: dict[str, str] = {}
    for index, outcome in run_with_bar(is_unmatched, jobs, workers, Limits(seconds=seconds), "foreign keys"):
        found[index] = bool(outcome.value)
        if outcome.error:
            unchecked[keys[index][0]] = outcome.error
    unmatched: dict[str, list[Key]] = {}
    for index, (db_id, key) in enumerate(keys):
        if found[index]:
            unmatched.setdefault(db_id, []).append(key)
    return unmatched, unchecked


def is_unmatched(sandbox: Sandbox, database: Path, key: Sequence[str]) -> bool:
    """The job of one foreign key. Raises QueryError if the database lacks its columns or it takes too long."""
    table, column, referenced_table, referenced = map(quote, key)
    sandbox.begin_stage("foreign key")
    own = f"SELECT 1 FROM {table} AS own WHERE own.{column} IS NOT NULL"
    other = f"SELECT other.{referenced} FROM {referenced_table} AS other WHERE other.{referenced} IS NOT NULL"
    ((values, match, others),) = sandbox.rows(
        database, f"SELECT EXISTS ({own}), EXISTS ({own} AND own.{column} IN ({other})), EXISTS ({other})"
    )
    return bool(values and others and not match)
