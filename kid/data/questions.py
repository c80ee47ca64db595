"""Read a split's questions, and find its schemas and databases."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kid.config.benchmarks import BENCHMARKS, Benchmark, Split, find_split
from kid.data.cache import json_hash
from kid.data.faults import Damage
from kid.data.gold_rows import FIELD, GoldRows, read_gold_rows
from kid.data.items import location_of, read_items
from kid.errors import InputError, first_of
from kid.files import name_fault
from kid.progress import log

SQL_FIELDS = ("query", "sql", "SQL")  # names of the gold SQL in various files
DIFFICULTY_FIELD = "difficulty"  # in BIRD, and in users' own files


@dataclass(frozen=True)
class Question:
    """One example: a question on a database and its gold SQL, in the order of the benchmark's files.

    query: the gold SQL; empty if there are gold rows instead.
    prompt: set if the file has whole prompts (JSONL); then there is no database, and `query` is the output.
    messages: (role, text) of each turn before the output, if the file has conversations; `prompt` is their text.
    difficulty: the file's difficulty label, if it has one.
    fault: why the example cannot be used, if damaged ones are skipped; it keeps its index.
    gold_rows: the rows of a correct prediction, if the file names them instead of SQL.
    """

    index: int
    db_id: str
    question: str
    query: str
    evidence: str = ""
    difficulty: str = ""
    prompt: str = ""
    fault: str = ""
    gold_rows: GoldRows | None = None
    messages: tuple[tuple[str, str], ...] = ()


def split_folders(row: Split, data: Path | str) -> list[Path]:
    """The folders to search for a split's own files."""
    data = Path(data)
    folders = [root / name for name in row.folders for root in ((data, data.absolute().parent) if name else (data,))]
    return list(dict.fromkeys(folders))


def check_data_folder(data: Path | str) -> None:
    """Raise InputError if there is no such folder."""
    if not Path(data).is_dir():
        raise InputError(f"data folder {data} does not exist; give the benchmark's folder with --data")


def find_question_folder(row: Split, split: str, data: Path | str) -> Path:
    """The first folder that has a split's own questions. Raises InputError if none has."""
    folders = split_folders(row, data)
    folder = next((folder for folder in folders if (folder / row.questions[0]).is_file()), None)
    if folder is None:
        tried = " or ".join(str(folder / row.questions[0]) for folder in folders)
        raise InputError(f"no questions of split {split}: {tried} does not exist; give the folder with --data")
    return folder


def question_files(row: Split, split: str, data: Path | str, questions: Path | str | None) -> list[Path]:
    """The files of a split's questions, in order. Raises InputError if one is missing."""
    check_data_folder(data)
    if questions:
        return [Path(questions)]
    folder = find_question_folder(row, split, data)
    paths = [folder / name for name in row.questions]
    for path in (folder / name for name in row.optional):
        if path.is_file():
            paths.append(path)
        else:
            log.warning(f"note: {path} does not exist; {split} is read without it")
    return paths


def load_questions(
    benchmark: str,
    split: str,
    data: Path | str,
    questions: Path | str | None = None,
    damage: Damage | None = None,
) -> list[Question]:
    """Load all questions of a split, in file order.

    Args:
        benchmark: a key of `kid.config.benchmarks.BENCHMARKS`.
        split: a key of that benchmark.
        data: the benchmark's folder.
        questions: a file to read instead of those in the benchmark table.
        damage: collects faults for the caller; without it they are raised.

    Raises:
        InputError: the benchmark or split is unknown, or files are missing, or damaged and `damage` is None.
    """
    row, faults = find_split(benchmark, split), damage or Damage()
    paths = question_files(row, split, data, questions)
    loaded: list[Question] = []
    for path in paths:
        for position, item in read_items(path, faults):
            loaded.append(read_question(row, len(loaded), item, path.parent, location_of(path, position), faults))
    if not damage:
        faults.raise_unless_skipped()
    if not loaded:
        raise InputError("; ".join([*faults.lines(), f"{', '.join(map(str, paths))}: contains no questions"]))
    return loaded


def read_question(row: Split, index: int, item: dict, folder: Path, location: str, damage: Damage) -> Question:
    """Turn an item into a `Question`.

    If a field is missing or empty, its db_id cannot be the name of a folder, or its gold rows cannot be read, its
    `fault` is set and added to `damage`.

    folder: folder of the item's file, in or below which gold rows are searched.
    """
    messages: tuple[tuple[str, str], ...] = ()
    messages_fault = ""
    if "messages" in item and row.question_field not in item:
        messages, item, messages_fault = read_messages(item["messages"])
    if "prompt" in item:
        names = {"prompt": "prompt", "query": "completion"}
    else:
        names = {"db_id": "db_id", "question": row.question_field, "query": row.query_field}
    gold_rows, rows_fault = None, ""
    if item.get(FIELD) is not None and "prompt" not in item:
        del names["query"]
        gold_rows, rows_fault = read_gold_rows(item, folder)
        if item.get(row.query_field):
            gold_rows, rows_fault = None, f"both {row.query_field} and {FIELD}"
    values = {key: item.get(name) for key, name in names.items()}
    missing_fields = [names[key] for key, value in values.items() if not is_text(value) or not value.strip()]
    evidence = item.get(row.evidence_field) or ""
    if not is_text(evidence):
        missing_fields.append(f"text in {row.evidence_field}")
    fault = messages_fault or (f"no {' and no '.join(missing_fields)}" if missing_fields else "")
    other = next((name for name in SQL_FIELDS if is_text(value := item.get(name)) and value.strip()), None)
    if other and names.get("query") in missing_fields:
        fault += f" (its SQL is called {other}; rename it to {names['query']})"
    db_id = values.get("db_id")
    # The db_id is used in paths, so it must be a valid name; otherwise it is dropped.
    problem = name_fault(db_id) if is_text(db_id) and db_id.strip() else None
    if problem:
        fault = f"{f'{fault} and ' if fault else ''}a db_id that {problem}"
        values["db_id"] = None
    fault = " and ".join(filter(None, (fault, rows_fault)))
    if fault:
        damage.add(f"question with {fault}", location)
    difficulty = item.get(DIFFICULTY_FIELD)
    values = {"db_id": "", "question": "", "query": "", **values, "evidence": evidence, "difficulty": difficulty}
    texts = {key: value if is_text(value) else "" for key, value in values.items()}
    return Question(index, **texts, fault=fault, gold_rows=gold_rows, messages=messages)


def read_messages(turns: Any) -> tuple[tuple[tuple[str, str], ...], dict, str]:
    """A conversation as trl has it: the turns before its last, an item with prompt and completion, what is wrong."""
    good = isinstance(turns, list) and all(
        isinstance(turn, dict) and is_text(turn.get("role")) and is_text(turn.get("content")) for turn in turns
    )
    if not good or len(turns) < 2 or turns[-1]["role"] != "assistant":
        problem = "messages that are not turns with a role and a content, the last of them the assistant's"
        return (), {"prompt": "", "completion": ""}, problem
    before = tuple((turn["role"], turn["content"]) for turn in turns[:-1])
    item = {"prompt": "\n".join(text for _, text in before), "completion": turns[-1]["content"]}
    return before, item, ""


def check_gold_sql(questions: Sequence[Question], what: str) -> None:
    """Raise InputError if a question has gold rows instead of SQL. what: the subject of the error message."""
    without = [question.index for question in questions if question.gold_rows]
    if without:
        raise InputError(
            f"{what} needs gold SQL, but {len(without)} of {len(questions)} questions have {FIELD} instead "
            f"(first question {without[0]}); give a file of questions with SQL"
        )


def questions_hash(questions: Sequence[Question], gold: bool) -> str:
    """One hash of what predictions depend on (database, question, evidence or given prompt), and on request gold."""
    asked = [(each.db_id, each.question, each.evidence, each.prompt) for each in questions]
    golds = [(each.query, str(each.gold_rows)) for each in questions] if gold else []
    return json_hash([asked, golds])


def is_text(value: object) -> bool:
    """Whether a JSON value is text that can be encoded; JSON may contain lone surrogates, which cannot."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def infer_benchmark(data: Path | str) -> str:
    """The benchmark whose question files and tables.json are in a folder; logs which one it is.

    A question file is not enough, because Spider and BIRD both have a dev.json.

    Raises:
        InputError: the folder does not exist, or has the files of no benchmark or of several.
    """
    check_data_folder(data)
    data = Path(data)
    found = {name: file for name, benchmark in BENCHMARKS.items() if (file := file_of(benchmark, data))}
    if len(found) != 1:
        what = f"the files of {' and '.join(found)}" if found else "no files of a known benchmark"
        raise InputError(f"--data {data} has {what}; set --benchmark to one of {', '.join(BENCHMARKS)}")
    ((name, file),) = found.items()
    log.warning(f"note: --benchmark {name}, because of {file} in {data}")
    return name


def file_of(benchmark: Benchmark, data: Path) -> str | None:
    """The first question file of a benchmark in a folder, relative to it, that has its tables.json if one is required.

    Sibling folders of `data` are not searched, because they may belong to another benchmark.
    """
    for row in benchmark.splits.values():
        for name in row.folders:
            folder = data / name
            with_tables = not row.tables_required or any((root / row.tables).is_file() for root in (folder, data))
            if with_tables and (folder / row.questions[0]).is_file():
                return str(Path(name) / row.questions[0])
    return None


def find_tables(benchmark: str, split: str, data: Path | str, tables: Path | str | None = None) -> Path | None:
    """The split's tables.json, or None if there is none. Raises InputError if it is missing but required."""
    row = find_split(benchmark, split)
    paths = [Path(tables)] if tables else [folder / row.tables for folder in [*split_folders(row, data), Path(data)]]
    for path in paths:
        if path.is_file():
            return path
    if tables or row.tables_required:
        raise InputError(f"{' or '.join(map(str, dict.fromkeys(paths)))} does not exist; name the file with --tables")
    return None


def database_roots(
    benchmark: str, split: str, data: Path | str, databases: tuple[str, ...] | list[str] = ()
) -> list[Path]:
    """The folders of a split's databases: `databases`, or those of the benchmark table."""
    if databases:
        return [Path(root) for root in databases]
    row = find_split(benchmark, split)
    folders = dict.fromkeys([*split_folders(row, data), Path(data)])
    roots = [folder / name for folder in folders for name in row.databases]
    return [root for root in roots if root.is_dir()] or roots


def find_databases(
    benchmark: str,
    split: str,
    data: Path | str,
    db_ids: list[str],
    databases: tuple[str, ...] | list[str] = (),
    missing_database: str = "error",
) -> dict[str, Path]:
    """Path of each database's SQLite file, from the first root that has its db_id.

    A db_id is a single name under a root, so nothing outside of the roots is found, except targets of links in them.

    Args:
        databases: root folders to search instead of those in the benchmark table.
        missing_database: "error", or any other value to omit db_ids that are in no root from the result.

    Raises:
        InputError: some db_ids are in no root; the message counts them and names the first ones.
    """
    roots = database_roots(benchmark, split, data, databases)
    found: dict[str, Path] = {}
    for db_id in dict.fromkeys(db_ids):
        if name_fault(db_id):  # for example `..`
            continue
        for root in roots:
            path = root / db_id / f"{db_id}.sqlite"
            if os.path.isfile(path):  # Path.is_file raises an error if the name is too long
                found[db_id] = path
                break
    missing = sorted(set(db_ids) - set(found))
    if missing and missing_database == "error":
        raise InputError(
            f"no database for {len(missing)} of {len(set(db_ids))} db_ids under {', '.join(map(str, roots))}: "
            f"{first_of(missing)}; put each at DB_ID/DB_ID.sqlite in one of these folders"
        )
    return found
