"""Annotate each question with the database values that it mentions and its normalised gold SQL."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread

from kid.data.cache import cache_folder
from kid.data.database import DamagedDatabaseError
from kid.data.matching import match_values
from kid.data.prompt import matched_part, question_part, schema_part
from kid.data.questions import Question
from kid.data.reading import LoadedSplit
from kid.data.schema import Schema
from kid.data.value_index import build_value_index, left_out_columns
from kid.errors import InputError
from kid.progress import progress_bar
from kid.sql.normalise import normalise_sql

MAX_WORKERS = 16


@dataclass(frozen=True)
class AnnotatedQuestion:
    """A question, the database values that it mentions, and its gold SQL, normalised where that is possible.

    matches: (table, column) -> values.
    query: the gold SQL, or the output of a question that brings its own prompt.
    normalisation_error: why the SQL could not be normalised, or None.
    """

    question: Question
    matches: dict[tuple[str, str], list[str]]
    query: str
    normalisation_error: str | None


def question_with_evidence(question: Question, evidence: bool) -> str:
    """The question's text, with its evidence (if `evidence`) before it."""
    return f"{question.evidence if evidence else ''} {question.question}".strip()


def annotate_database_questions(
    schema: Schema, database: Path | None, questions: list[Question], evidence: bool
) -> tuple[list[AnnotatedQuestion], list[str]]:
    """Annotate all questions on one database; without the file no values are matched.

    Also returns the columns whose values are not all matched, each with the reason.
    """
    left_out: list[str] = []
    matches: list[dict[tuple[str, str], list[str]]] = [{} for _ in questions]
    if database:
        texts = [question_with_evidence(question, evidence) for question in questions]
        index = build_value_index(database)
        matches, left_out = match_values(index, texts), left_out_columns(index)
    tables = schema.columns_by_table
    # Many questions ask the same in other words.
    queries = {question.query for question in questions}
    normalised = {query: normalise_sql(query, tables) if query else ("", None) for query in queries}
    annotated = [AnnotatedQuestion(q, m, *normalised[q.query]) for q, m in zip(questions, matches, strict=True)]
    return annotated, left_out


def start_worker(cache: Path) -> None:
    """Initialise a worker: use the caller's cache, and exit on Ctrl-C or when the caller is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a traceback: the caller says what was interrupted
    # The server that forks the workers keeps the environment in which it was started.
    os.environ["KID_CACHE"] = str(cache)

    def watch() -> None:
        wait([parent_process().sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def check_workers_start(pool: ProcessPoolExecutor) -> None:
    """Run nothing in a worker. Raises InputError where none starts, as under a script that runs when it is imported."""
    try:
        pool.submit(bool).result()
    except BrokenProcessPool:
        raise InputError(
            "no worker process for the values in questions starts (its message is above): a script that prepares data "
            'must do it below `if __name__ == "__main__":` and be a file, as every worker imports it'
        ) from None


def annotate_questions(
    loaded: LoadedSplit, schemas: dict[str, Schema], evidence: bool, title: str
) -> dict[int, AnnotatedQuestion]:
    """Each question that has a schema or brings its own prompt, annotated, by its index.

    Databases are processed in parallel, with a progress bar over the questions. A single question is annotated in this
    process: a worker would take half a second to start.

    Raises:
        InputError: a database is damaged, unless damaged ones are to be skipped.
    """
    groups: dict[str, list[Question]] = {}
    for question in loaded.questions:
        if question.db_id in schemas and not question.fault:
            groups.setdefault(question.db_id, []).append(question)
    with_prompt = [question for question in loaded.questions if question.prompt and not question.fault]
    annotated = {question.index: AnnotatedQuestion(question, {}, question.query, None) for question in with_prompt}
    if not groups:
        return annotated
    jobs = {
        db_id: (schemas[db_id], loaded.databases.get(db_id), questions, evidence) for db_id, questions in groups.items()
    }

    def add(db_id: str, result: Callable[[], tuple[list[AnnotatedQuestion], list[str]]]) -> int:
        """Add the annotated questions of a database, or its damage; the number of questions added."""
        try:
            done, left_out = result()
        except DamagedDatabaseError as error:  # damage in rows that the schema's sample values do not come from
            loaded.damage.add("damaged database", str(error))
            return 0
        if left_out:
            line = f"values of {db_id} not all looked for in questions: {', '.join(left_out)}"
            loaded.notes.append(line)
            print(f"note: {line}", file=sys.stderr)
        annotated.update((item.question.index, item) for item in done)
        return len(done)

    total = sum(map(len, groups.values()))
    if total == 1:
        ((db_id, job),) = jobs.items()
        add(db_id, lambda: annotate_database_questions(*job))
        loaded.damage.raise_unless_skipped()
        return annotated
    workers = min(MAX_WORKERS, len(os.sched_getaffinity(0)), len(groups))
    # After Ctrl-C Python's tracker of semaphores removes the pool's, and should not warn that it had to.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    bar = progress_bar(f"{title}: values and SQL", "question", total)
    # Large databases first, so that no core waits for one of them at the end. Not fork: it would copy the locks of the
    # caller's threads.
    order = sorted(jobs, key=lambda db_id: file_size(loaded.databases.get(db_id)), reverse=True)
    with bar, ProcessPoolExecutor(workers, get_context("forkserver"), start_worker, (cache_folder(),)) as pool:
        check_workers_start(pool)
        running = {pool.submit(annotate_database_questions, *jobs[db_id]): db_id for db_id in order}
        for future in as_completed(running):
            try:
                bar.update(add(running[future], future.result))
            except BrokenProcessPool:
                raise InputError(
                    "a process that matched values was killed, perhaps for want of memory; databases done so far are "
                    "kept, so start again, on fewer cores (taskset) or with more memory"
                ) from None
    loaded.damage.raise_unless_skipped()
    return annotated


def file_size(path: Path | None) -> int:
    return path.stat().st_size if path else 0


def tokenizer_corpus(schemas: dict[str, Schema], annotated: dict[int, AnnotatedQuestion], evidence: bool) -> list[str]:
    """Texts to train a tokenizer on: each schema part once; for each question the rest of its prompt and its SQL."""
    parts = [schema_part(schema) for schema in schemas.values()]
    for _, item in sorted(annotated.items()):
        question = item.question
        if question.prompt:
            parts.append(question.prompt + item.query)
        else:
            own = question_part(question.question, question.evidence if evidence else "")
            parts.append(matched_part(schemas[question.db_id], item.matches) + own + item.query)
    return parts
