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
from kid.data.prompts.template import PromptTemplate, find_form, prompt_text
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
    """A question, the database values that it mentions, and its gold SQL, normalised if possible.

    matches: (table, column) -> values.
    query: the gold SQL, or the output if the question has its own prompt.
    normalisation_error: why the SQL could not be normalised, or None.
    """

    question: Question
    matches: dict[tuple[str, str], list[str]]
    query: str
    normalisation_error: str | None


def question_with_evidence(question: Question, evidence: bool) -> str:
    """The question's text, preceded by its evidence if `evidence` is set."""
    return f"{question.evidence if evidence else ''} {question.question}".strip()


def annotate_database_questions(
    schema: Schema, database: Path | None, questions: list[Question], evidence: bool
) -> tuple[list[AnnotatedQuestion], list[str]]:
    """Annotate all questions on one database. If `database` is None, no values are matched.

    Also returns the columns whose values were not all searched, each with the reason.
    """
    left_out: list[str] = []
    matches: list[dict[tuple[str, str], list[str]]] = [{} for _ in questions]
    if database:
        texts = [question_with_evidence(question, evidence) for question in questions]
        index = build_value_index(database)
        matches, left_out = match_values(index, texts), left_out_columns(index)
    tables = schema.columns_by_table
    # Normalise each query once: many questions are paraphrases with the same query.
    queries = {question.query for question in questions}
    normalised = {query: normalise_sql(query, tables) if query else ("", None) for query in queries}
    annotated = [AnnotatedQuestion(q, m, *normalised[q.query]) for q, m in zip(questions, matches, strict=True)]
    return annotated, left_out


def start_worker(cache: Path) -> None:
    """Initialise a worker: use the caller's cache, and exit on Ctrl-C or when the caller has ended."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback: the caller prints what was interrupted
    # The fork server keeps the environment with which it was started.
    os.environ["KID_CACHE"] = str(cache)

    def watch() -> None:
        wait([parent_process().sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def check_workers_start(pool: ProcessPoolExecutor) -> None:
    """Start a worker. Raises InputError if it fails, for example because the main script runs when it is imported."""
    try:
        pool.submit(bool).result()
    except BrokenProcessPool:
        raise InputError(
            "no worker process starts (its error is above): a script that prepares data must do so below "
            '`if __name__ == "__main__":` and must be a file, because every worker imports it'
        ) from None


def annotate_questions(
    loaded: LoadedSplit, schemas: dict[str, Schema], evidence: bool, title: str
) -> dict[int, AnnotatedQuestion]:
    """Annotate each question that has a schema or its own prompt: index -> annotated question.

    Databases are processed in parallel, with a progress bar over the questions. A single question is annotated in this
    process: a worker would take half a second to start.

    Raises:
        InputError: a database is damaged, and damaged ones are not to be skipped.
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
        """Add the annotated questions of a database, or record its damage. Returns the number of questions added."""
        try:
            done, left_out = result()
        except DamagedDatabaseError as error:  # damage in rows that were not read for the schema's sample values
            loaded.damage.add("damaged database", str(error))
            return 0
        if left_out:
            line = f"not all values of {db_id} were searched in questions: {', '.join(left_out)}"
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
    # After Ctrl-C, Python's resource tracker removes the pool's semaphores; suppress its warning about that.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    bar = progress_bar(f"{title}: values and SQL", "question", total)
    # Large databases first, so that the cores finish together. Not fork, which would copy locks held by the caller's
    # threads.
    order = sorted(jobs, key=lambda db_id: file_size(loaded.databases.get(db_id)), reverse=True)
    with bar, ProcessPoolExecutor(workers, get_context("forkserver"), start_worker, (cache_folder(),)) as pool:
        check_workers_start(pool)
        running = {pool.submit(annotate_database_questions, *jobs[db_id]): db_id for db_id in order}
        for future in as_completed(running):
            try:
                bar.update(add(running[future], future.result))
            except BrokenProcessPool:
                raise InputError(
                    "a worker process was killed, perhaps because memory ran out; finished databases are kept, so run "
                    "it again with more memory or on fewer cores (taskset)"
                ) from None
    loaded.damage.raise_unless_skipped()
    return annotated


def file_size(path: Path | None) -> int:
    return path.stat().st_size if path else 0


def tokenizer_corpus(
    schemas: dict[str, Schema], annotated: dict[int, AnnotatedQuestion], evidence: bool, prompt: str = "codes"
) -> list[str]:
    """Texts to train a tokenizer on: each schema part once, and the rest of the prompt and the SQL of each question.

    prompt: the format, as in `find_form`; a template's prompts are not in parts, but whole.
    """
    form = find_form(prompt)
    parts = []
    if not isinstance(form, PromptTemplate):
        parts += [form.OPENING + form.schema_part(schema) for schema in schemas.values()]
    for _, item in sorted(annotated.items()):
        question = item.question
        if question.prompt:
            parts.append(question.prompt + item.query)
            continue
        schema, known = schemas[question.db_id], question.evidence if evidence else ""
        if isinstance(form, PromptTemplate):
            own = prompt_text(prompt, schema, item.matches, question.question, known)
        else:
            own = form.matched_part(schema, item.matches) + form.question_part(question.question, known)
        parts.append(own + item.query)
    return parts
