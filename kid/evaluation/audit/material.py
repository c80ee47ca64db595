"""The material of an audit: questions, schemas, databases, and the observations from running the gold queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kid.config.benchmarks import find_benchmark, find_split
from kid.data.database import DamagedDatabaseError, check_not_in_use
from kid.data.faults import Damage
from kid.data.questions import (
    Question,
    database_roots,
    find_databases,
    find_tables,
    load_questions,
    split_folders,
)
from kid.data.schema import Schema, read_tables
from kid.data.sqlite_schema import read_database
from kid.errors import InputError
from kid.evaluation.audit.duplicates import Duplicate, find_duplicates
from kid.evaluation.audit.foreign_keys import Key, unmatched_keys
from kid.evaluation.audit.observations import Observation, observe

TRAIN = "train"  # the split that the others are compared with


@dataclass(frozen=True)
class Material:
    """Everything that the checks read.

    splits: the questions by split, damaged ones with their fault.
    complete: whether these are all splits whose files exist.
    schemas: by db_id, from tables.json or a database; not every db_id has one.
    databases: the SQLite file of each db_id of the questions that has one.
    unread: db_ids whose entry in tables.json is damaged.
    known: every db_id that has a schema or a database, with or without questions.
    seen: (db_id, gold query) -> its observation.
    faults: what is wrong with the files, apart from the questions: lines and entries that cannot be read.
    unmatched, unchecked: db_id -> its foreign keys without a match, and why its keys could not be checked.
    seconds: time limit of each query.
    workers: number of processes or threads.
    """

    splits: Mapping[str, Sequence[Question]]
    complete: bool
    schemas: Mapping[str, Schema]
    databases: Mapping[str, Path]
    unread: frozenset[str]
    known: frozenset[str]
    seen: Mapping[tuple[str, str], Observation]
    faults: Sequence[str]
    unmatched: Mapping[str, Sequence[Key]]
    unchecked: Mapping[str, str]
    seconds: float
    workers: int

    def observation(self, question: Question) -> Observation | None:
        return self.seen.get((question.db_id, question.query))

    @cached_property
    def duplicates(self) -> dict[str, list[Duplicate]]:
        """Find what each other split has in common with train; empty without train."""

        def normalised(question: Question) -> str:
            seen = self.observation(question)
            return seen.normalised if seen else ""

        train = self.splits.get(TRAIN, ())
        others = {split: questions for split, questions in self.splits.items() if split != TRAIN and train}
        return {
            split: list(find_duplicates(questions, train, normalised, f"{split} and {TRAIN}", self.workers))
            for split, questions in others.items()
        }


def splits_there(benchmark: str, data: Path | str) -> list[str]:
    """List the benchmark's splits whose question files are in the data folder. Raises InputError if there are none."""
    rows = find_benchmark(benchmark).splits
    found = [
        name
        for name, row in rows.items()
        if any((folder / row.questions[0]).is_file() for folder in split_folders(row, data))
    ]
    if not found:
        files = sorted({row.questions[0] for row in rows.values()})
        raise InputError(f"--data {data} has none of {', '.join(files)}; give the folder of benchmark {benchmark}")
    return found


@dataclass
class Sources:
    """The schemas and databases of the splits that were added so far, as in `Material`.

    tables, roots: a tables.json and database folders instead of those in the data folder.
    """

    benchmark: str
    data: Path | str
    tables: Path | str | None
    roots: list[str]
    schemas: dict[str, Schema] = field(default_factory=dict)
    databases: dict[str, Path] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    def add(self, split: str, db_ids: list[str], damage: Damage) -> None:
        """Read tables.json and the databases of a split's questions. Raises InputError as `gather`."""
        paths = find_databases(self.benchmark, split, self.data, db_ids, self.roots, "skip")
        same = {db_id: path.samefile(self.databases.get(db_id, path)) for db_id, path in paths.items()}
        if other := sorted(db_id for db_id, is_same in same.items() if not is_same):
            raise InputError(
                f"{', '.join(other)}: split {split} has a different database of this name than the splits before; "
                "audit the splits one by one, with --splits"
            )
        partial = not find_split(self.benchmark, split).tables_required
        path = find_tables(self.benchmark, split, self.data, self.tables)
        described = read_tables(path, damage, partial) if path else {}
        self.unread |= {db_id for db_id, schema in described.items() if schema is None}
        self.schemas = {**{db_id: schema for db_id, schema in described.items() if schema}, **self.schemas}
        self.known |= described.keys() | paths.keys()
        self.known |= {
            file.stem
            for root in database_roots(self.benchmark, split, self.data, self.roots)
            for file in root.glob("*/*.sqlite")
            if file.stem == file.parent.name
        }
        for db_id in sorted(paths.keys() - self.databases.keys()):
            check_not_in_use(paths[db_id])
            try:
                self.schemas[db_id] = read_database(self.schemas.get(db_id), db_id, paths[db_id], partial)
            except DamagedDatabaseError as error:
                damage.add("damaged database", str(error))
        self.databases |= paths


def gather(
    benchmark: str,
    data: Path | str,
    splits: Sequence[str] | None,
    workers: int,
    seconds: float,
    questions: Path | str | None = None,
    tables: Path | str | None = None,
    databases: Sequence[str] = (),
) -> Material:
    """Read the splits and run their gold queries; damaged or missing questions, schemas and databases are no errors.

    Args:
        splits: None: all whose files exist.
        questions: a file instead of the split's own; for one split only.
        tables, databases: instead of those in the data folder.

    Raises:
        InputError: files of a split are missing, a file has the wrong format, or a database is being written.
        RunError: a database can no longer be read.
    """
    there = splits_there(benchmark, data) if splits is None else list(dict.fromkeys(splits))
    asked: dict[str, list[Question]] = {}
    sources, damage = Sources(benchmark, data, tables, list(databases)), Damage("skip")
    for split in there:
        asked[split] = load_questions(benchmark, split, data, questions, damage)
        if db_ids := [question.db_id for question in asked[split] if question.db_id and not question.fault]:
            sources.add(split, db_ids, damage)
    every = [question for questions_of_split in asked.values() for question in questions_of_split]
    own = {f"question with {question.fault}" for question in every if question.fault}  # these have their findings
    # Each once, since splits may share a tables.json.
    faults = {f"{what}: {place}": None for what, where in damage.places.items() for place in where if what not in own}
    schemas, found = sources.schemas, sources.databases
    names = {db_id: schema.columns_by_table for db_id, schema in schemas.items()}
    seen = observe(every, found, names, benchmark, workers, seconds)
    unmatched, unchecked = unmatched_keys(schemas, found, workers, seconds)
    return Material(
        asked, splits is None, schemas, found, frozenset(sources.unread), frozenset(sources.known), seen,
        tuple(faults), unmatched, unchecked, seconds, workers,
    )  # fmt: skip
