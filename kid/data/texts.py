"""What is written about each question: values of its database that it mentions, and its gold SQL in normal form."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread

from kid.data.cache import cache_folder
from kid.data.matching import build_value_index, match_values
from kid.data.prompt import matched_part, question_part, schema_part
from kid.data.questions import Question
from kid.data.reading import LoadedSplit
from kid.data.schema import DamagedDatabaseError, Schema
from kid.errors import InputError
from kid.progress import progress_bar
from kid.sql.normalise import normalise_sql

MOST_WORKERS = 16


@dataclass(frozen=True)
class Text:
    """What is written about a question besides its schema: values of the database it mentions, and the gold SQL.

    reason: why the SQL is not in normal form, or None.
    """

    question: Question
    matches: dict[tuple[str, str], list[str]]
    query: str
    reason: str | None


def asked(question: Question, evidence: bool) -> str:
    """What the question says: its evidence, where that is wanted, and itself."""
    return f"{question.evidence if evidence else ''} {question.question}".strip()


def work_on_database(schema: Schema, database: Path | None, questions: list[Question], evidence: bool) -> list[Text]:
    """The texts of all questions on one database; without the file nothing is matched."""
    matches: list[dict[tuple[str, str], list[str]]] = [{} for _ in questions]
    if database:
        matches = match_values(build_value_index(database), [asked(question, evidence) for question in questions])
    normal = [normalise_sql(question.query, schema.columns_by_table) for question in questions]
    return [Text(q, m, *n) for q, m, n in zip(questions, matches, normal, strict=True)]


def start_worker(cache: Path) -> None:
    """In a worker: use the caller's cache, and end when the caller is gone instead of waiting for work for ever."""
    # The server that forks the workers has the environment of the time when it was started.
    os.environ["KID_CACHE"] = str(cache)

    def watch() -> None:
        wait([parent_process().sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def make_texts(
    loaded: LoadedSplit, schemas: dict[str, Schema], evidence: bool, title: str, quiet: bool = False
) -> dict[int, Text]:
    """The text of each question that has a schema or brings its prompt, by its index.

    Databases are worked on side by side, with a progress bar over the questions unless `quiet`.

    Raises:
        InputError: a database is damaged, unless damaged ones are to be left out.
    """
    groups: dict[str, list[Question]] = {}
    for question in loaded.questions:
        if question.db_id in schemas and not question.fault:
            groups.setdefault(question.db_id, []).append(question)
    whole = [question for question in loaded.questions if question.prompt and not question.fault]
    texts = {question.index: Text(question, {}, question.query, None) for question in whole}
    if not groups:
        return texts
    workers = min(MOST_WORKERS, len(os.sched_getaffinity(0)), len(groups))
    total = sum(map(len, groups.values()))
    bar = progress_bar(f"{title}: values and SQL", "question", total, quiet=quiet)
    # Large databases first, so that no core waits for the last of them; a fork would copy the caller's threads' locks.
    order = sorted(groups, key=lambda db_id: file_size(loaded.databases.get(db_id)), reverse=True)
    with bar, ProcessPoolExecutor(workers, get_context("forkserver"), start_worker, (cache_folder(),)) as pool:
        running = [
            pool.submit(work_on_database, schemas[db_id], loaded.databases.get(db_id), groups[db_id], evidence)
            for db_id in order
        ]
        for future in as_completed(running):
            try:
                done = future.result()
            except DamagedDatabaseError as error:  # damage beyond the rows that the schema's samples come from
                loaded.damage.add("damaged database", str(error))
                continue
            except BrokenProcessPool:
                raise InputError(
                    "a process that matched values was killed, perhaps for want of memory; databases done so far are "
                    "kept, so start again, on fewer cores (taskset) or with more memory"
                ) from None
            texts |= {text.question.index: text for text in done}
            bar.update(len(done))
    loaded.damage.settle()
    return texts


def file_size(path: Path | None) -> int:
    return path.stat().st_size if path else 0


def written_parts(schemas: dict[str, Schema], texts: dict[int, Text], evidence: bool) -> list[str]:
    """Every schema part once, and for every question the rest of its prompt with its gold SQL: text for a tokenizer."""
    parts = [schema_part(schema) for schema in schemas.values()]
    for _, text in sorted(texts.items()):
        question = text.question
        if question.prompt:
            parts.append(question.prompt + text.query)
        else:
            own = question_part(question.question, question.evidence if evidence else "")
            parts.append(matched_part(schemas[question.db_id], text.matches) + own + text.query)
    return parts
