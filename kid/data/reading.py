"""Load and check a split: its questions, the schemas of their databases, and the databases."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from kid.config.benchmarks import find_split
from kid.config.run_config import RunConfig
from kid.data.database import DamagedDatabaseError, check_not_in_use
from kid.data.faults import Damage
from kid.data.questions import Question, find_databases, find_tables, load_questions
from kid.data.schema import Schema, read_tables
from kid.data.schema_filter import Selection, read_rankings, select_top
from kid.data.sqlite_schema import completion_note, read_database
from kid.errors import InputError, first_of


@dataclass(frozen=True)
class LoadedSplit:
    """A split before prompts are built; the schemas have nothing from the databases yet.

    schemas: db_id -> schema, or None for a damaged one; None if there is no tables.json.
    databases: db_id -> path, for databases that exist.
    rankings: of the schema filter, one for each question; None unless they come from a file.
    notes: lines on what was skipped or added while schemas were read and questions annotated.
    partial: whether the SQLite files complete tables.json (JSONL); in other benchmarks only what it names is shown.
    """

    questions: list[Question]
    schemas: dict[str, Schema | None] | None
    tables: Path | None
    databases: dict[str, Path]
    rankings: list[Selection] | None
    damage: Damage
    notes: list[str] = field(default_factory=list)
    partial: bool = False


def load_split(config: RunConfig, split: str, index: int | None = None) -> LoadedSplit:
    """Read questions and schemas and find the databases; faults inside files go to `damage`.

    Args:
        index: load only this question, and what it needs.

    Raises:
        InputError: a file is missing, or the configuration does not match the files.
    """
    damage = Damage(config.damaged)
    questions = load_questions(config.benchmark, split, config.data, config.questions, damage)
    count = len(questions)
    if index is not None:
        if not 0 <= index < count:
            raise InputError(f"--index {index}: the split has questions 0 to {count - 1}")
        questions = [questions[index]]
    conversation = next((question.index for question in questions if question.messages), None)
    if conversation is not None and config.chat_template == "none":
        raise InputError(f"question {conversation} is a conversation (messages), which takes --chat-template auto")
    db_ids = [question.db_id for question in questions if question.db_id and not question.fault]
    tables = find_tables(config.benchmark, split, config.data, config.tables) if db_ids else None
    partial = not find_split(config.benchmark, split).tables_required
    schemas = read_tables(tables, damage, partial) if tables else None
    if schemas is not None and not partial:
        for db_id in sorted(set(db_ids) - set(schemas)):
            damage.add(f"db_id without schema in {tables}", db_id)
    try:
        databases = find_databases(
            config.benchmark, split, config.data, db_ids, config.databases, config.missing_database
        )
    except InputError as error:
        found = damage.lines() if damage.policy == "error" else []
        message = f"{error}, or use --missing-database schema-only (prompts from tables.json only) or skip"
        raise InputError("; ".join([*found, message])) from None
    for path in databases.values():
        check_not_in_use(path)
    missing = set(db_ids) - set(databases) - set(schemas or ())
    if missing and (schemas is None or partial) and config.missing_database == "schema-only":
        lacking = first_of(sorted(missing))
        raise InputError(f"--missing-database schema-only needs a tables.json, but none describes {lacking}")
    rankings = None
    if config.schema_filter not in ("none", "lexical"):
        # For training, gold SQL determines what is needed; the rankings in the file are for the split to predict.
        rankings = read_rankings(Path(config.schema_filter), None if split == "train" else count)
    if rankings and schemas and not partial and split != "train":
        known = [question for question in questions if schemas.get(question.db_id)]
        unranked = [q.index for q in known if not select_top(rankings[q.index], schemas[q.db_id])]
        if unranked:
            what = f"names no table of the database of question {first_of([*map(str, unranked)])}"
            raise InputError(f"--schema-filter {config.schema_filter} {what}; give a file made for this split")
    return LoadedSplit(questions, schemas, tables, databases, rankings, damage, partial=partial)


def lacks_schema(known: dict[str, Schema | None] | None, db_id: str, partial: bool) -> bool:
    """Whether the schema of a database is damaged in tables.json, or missing there although required (not `partial`).

    Args:
        known: the schemas in tables.json; None if there is no tables.json.
    """
    return known is not None and known.get(db_id) is None and not (partial and db_id not in known)


def read_schemas(loaded: LoadedSplit, missing_database: str) -> tuple[dict[str, Schema], dict[str, str]]:
    """(db_id -> complete schema, db_id -> reason for those without one), for the db_ids of the questions.

    Raises:
        InputError: the split or its databases have faults that are not to be skipped; one line lists them.
    """
    known = loaded.schemas or {}
    schemas: dict[str, Schema] = {}
    reasons: dict[str, str] = {}
    for db_id in dict.fromkeys(q.db_id for q in loaded.questions if q.db_id and not q.fault):
        if lacks_schema(loaded.schemas, db_id, loaded.partial):
            reasons[db_id] = "no schema of its database"
        elif db_id in loaded.databases:
            try:
                schemas[db_id] = read_database(known.get(db_id), db_id, loaded.databases[db_id], loaded.partial)
            except DamagedDatabaseError as error:
                loaded.damage.add("damaged database", str(error))
                reasons[db_id] = "damaged database"
        elif missing_database == "schema-only":
            schemas[db_id] = known[db_id]
        else:
            reasons[db_id] = "no database"
    loaded.damage.raise_unless_skipped()
    if loaded.partial and (note := completion_note(loaded.tables, known, schemas)):
        loaded.notes.append(note)
        print(f"note: {note}", file=sys.stderr)
    return schemas, reasons
