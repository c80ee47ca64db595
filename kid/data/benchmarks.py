"""Benchmarks as data: where each split's questions, schemas and databases lie, and what their fields are called."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from kid.errors import InputError


@dataclass(frozen=True)
class Question:
    """One example: a question on a database and its gold SQL, in the order of the benchmark's file."""

    index: int
    db_id: str
    question: str
    query: str


@dataclass(frozen=True)
class Split:
    """Files of one split, relative to the data folder. `optional` question files may be absent; that is said."""

    questions: tuple[str, ...]
    optional: tuple[str, ...] = ()
    tables: str = "tables.json"
    databases: tuple[str, ...] = ("database",)
    question_field: str = "question"
    query_field: str = "query"


BENCHMARKS: dict[str, dict[str, Split]] = {
    "spider": {
        "train": Split(questions=("train_spider.json",), optional=("train_others.json",)),
        "dev": Split(questions=("dev.json",)),
        "seen": Split(questions=("seen.json",)),
    },
}


def find_split(benchmark: str, split: str) -> Split:
    """The table's row. Raises InputError that lists what there is."""
    splits = BENCHMARKS.get(benchmark)
    if splits is None:
        raise InputError(f"benchmark {benchmark!r} is unknown; choose one of {', '.join(BENCHMARKS)}")
    if split not in splits:
        raise InputError(f"split {split!r} of benchmark {benchmark} is unknown; choose one of {', '.join(splits)}")
    return splits[split]


def read_json(path: Path) -> list[dict]:
    """A JSON list of objects. Raises InputError if the file is missing, cut off or something else."""
    try:
        items = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the benchmark's folder with --data") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); it may be cut off: fetch the file again") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError(f"{path} is not a list of objects; expected the benchmark's own format")
    return items


def load_questions(benchmark: str, split: str, data: Path | str, questions: Path | str | None = None) -> list[Question]:
    """All questions of a split, in file order.

    Args:
        benchmark: a key of `BENCHMARKS`.
        split: a key of that benchmark.
        data: the benchmark's folder.
        questions: a file to read instead of the table's.

    Raises:
        InputError: unknown benchmark or split, missing or damaged file, or an item without a field.
    """
    row = find_split(benchmark, split)
    folder = Path(data)
    if not folder.is_dir():
        raise InputError(f"data folder {folder} does not exist; give the benchmark's folder with --data")
    paths = [Path(questions)] if questions else [folder / name for name in row.questions]
    for name in () if questions else row.optional:
        if (folder / name).exists():
            paths.append(folder / name)
        elif os.environ.get("RANK", "0") == "0":
            print(f"note: {folder / name} is not there; {split} goes on without it", file=sys.stderr)
    loaded: list[Question] = []
    for path in paths:
        for position, item in enumerate(read_json(path)):
            fields = [item.get(name) for name in ("db_id", row.question_field, row.query_field)]
            if not all(isinstance(value, str) and value for value in fields):
                names = f"db_id, {row.question_field}, {row.query_field}"
                raise InputError(f"{path}, item {position}: needs the text fields {names}")
            loaded.append(Question(len(loaded), *fields))
    if not loaded:
        raise InputError(f"{', '.join(map(str, paths))}: no questions in it")
    return loaded


def find_databases(
    benchmark: str,
    split: str,
    data: Path | str,
    db_ids: list[str],
    databases: list[str] | None = None,
    missing_database: str = "error",
) -> dict[str, Path]:
    """Path of each database's SQLite file; the first root that holds a db_id wins.

    Args:
        databases: roots to look in instead of the table's.
        missing_database: "error", or "skip": those that no root holds are not in the result.

    Raises:
        InputError: naming every db_id that no root holds.
    """
    row = find_split(benchmark, split)
    roots = [Path(root) for root in databases] if databases else [Path(data) / name for name in row.databases]
    found: dict[str, Path] = {}
    for db_id in dict.fromkeys(db_ids):
        for root in roots:
            path = root / db_id / f"{db_id}.sqlite"
            if path.is_file():
                found[db_id] = path
                break
    missing = sorted(set(db_ids) - set(found))
    if missing and missing_database == "error":
        raise InputError(
            f"no database for {len(missing)} of {len(set(db_ids))} db_ids under {', '.join(map(str, roots))}: "
            f"{', '.join(missing)}; put each at DB_ID/DB_ID.sqlite in one of these folders"
        )
    return found
