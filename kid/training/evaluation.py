"""EX of the student during training: the ranks share questions of a split, decode greedily and execute the SQL."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from kid.config.run_config import RunConfig
from kid.data.batching import ArrowSamples, Sample
from kid.data.dataset import asked_questions
from kid.data.prefixes import by_schema
from kid.data.prepare import prepare
from kid.data.questions import Question, find_databases
from kid.errors import InputError
from kid.evaluation.execution import default_workers
from kid.evaluation.execution_accuracy import GOLD_FAILED, Verdict, percent_correct, score_predictions
from kid.evaluation.prediction import decode_candidates
from kid.files import write_atomically
from kid.models.zero3 import Model, gathered_model
from kid.progress import progress_bar

BATCH_SIZE = 32  # prompts decoded together, the default of eval/predict.py
MAX_WORKERS = 8  # per rank
# Far below the process group's timeout, 30 minutes by default, because the other ranks wait for the slowest one.
MAX_SECONDS = 600


@dataclass(frozen=True)
class ExQuestions:
    """The questions that EX is measured on during training.

    samples: the prompt of each question; None for a question without a prompt, which counts as wrong.
    databases: the SQLite file of each db_id.
    asked: see `kid.data.batching.Dataset`.
    """

    questions: list[Question]
    samples: list[Sample | None]
    databases: dict[str, list[Path]]
    remarks: list[str]
    asked: frozenset[tuple[str, str]]


def read_ex_questions(config: RunConfig, tokenizer: PreTrainedTokenizerFast) -> ExQuestions | None:
    """Read `config.eval_questions` questions of `config.eval_split`, evenly spaced over those that have a database.

    None if the run does not measure EX.

    Raises:
        InputError: files are missing or damaged, or no question has a database to execute its SQL on.
    """
    if not config.eval_ex_steps:
        return None
    split = config.eval_split
    # A file given with --questions replaces only the training questions; other splits are those of the benchmark.
    prepared = prepare(config if split == "train" else replace(config, questions=None), split, tokenizer)
    db_ids = list(dict.fromkeys(question.db_id for question in prepared.questions if question.db_id))
    found = find_databases(config.benchmark, split, config.data, db_ids, config.databases, config.missing_database)
    usable = [question for question in prepared.questions if question.fault or question.db_id in found]
    if not any(question.db_id in found for question in usable):
        raise InputError(
            f"--eval-ex-steps: no question of {config.benchmark} {split} has a database to execute its SQL on; give "
            "their folder with --databases, or use --eval-steps instead"
        )
    count = min(config.eval_questions, len(usable))
    chosen = [usable[place * len(usable) // count] for place in range(count)]
    rows, samples = {index: row for row, index in enumerate(prepared.rows["index"])}, ArrowSamples(prepared.rows)
    without = len(prepared.questions) - len(usable)
    return ExQuestions(
        chosen,
        [samples[rows[question.index]] if question.index in rows else None for question in chosen],
        {db_id: [path] for db_id, path in found.items()},
        [f"EX is measured on {count} of {len(prepared.questions)} questions"]
        + ([f"{without} of these have no database and are skipped"] if without else []),
        asked_questions(chosen),
    )


def share_of_rank(samples: Sequence[Sample | None], rank: int, ranks: int) -> list[int]:
    """Return the positions of a rank's questions; questions with the same schema stay on one rank if possible."""
    prompted = [place for place, sample in enumerate(samples) if sample is not None]
    order = [prompted[at] for at in by_schema([samples[place] for place in prompted])]
    order += [place for place, sample in enumerate(samples) if sample is None]
    return order[rank * len(order) // ranks : (rank + 1) * len(order) // ranks]


def evaluate_ex(
    config: RunConfig, student: Model, data: ExQuestions, tokenizer: PreTrainedTokenizerFast, file: Path
) -> dict[str, float]:
    """Measure EX of the current student, for the step's line of metrics; called on every rank, with the same result.

    Predictions are decoded as by eval/predict.py and scored as by eval/score.py. Under ZeRO-3 the weights are gathered
    once. Queries that have not been executed after `MAX_SECONDS` count as time-outs.

    Args:
        file: where rank 0 writes a JSON line for each question: index, db_id, sql, ex, error.

    Returns:
        ex: percent of the questions. ex_executes: percent of the questions whose SQL ran without error. ex_timeouts:
        number of queries that reached the time limit. ex_questions: number of questions. seconds_ex: total time.
    """
    started = time.monotonic()
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    own = share_of_rank(data.samples, rank, ranks)
    queries = dict.fromkeys(own, "")
    prompted = [place for place in own if data.samples[place] is not None]
    with (
        gathered_model(student) as model,
        progress_bar(f"EX on {config.eval_split}", "question", len(own), quiet=rank > 0, leave=False) as bar,
    ):
        samples = [data.samples[place] for place in prompted]
        causal_lm: Any = model.model  # including its adapter
        for batch in decode_candidates(causal_lm, tokenizer, samples, config.max_completion_length, BATCH_SIZE):
            queries |= {prompted[place]: lines[0] for place, lines in batch}
            bar.update(len(batch))
    workers = max(1, default_workers() // int(os.environ.get("LOCAL_SIZE") or 1))
    verdicts = score_predictions(
        [data.questions[place] for place in own], [queries[place] for place in own], data.databases,
        min(MAX_WORKERS, workers), benchmark=config.benchmark, quiet=True, seconds=MAX_SECONDS,
    )  # fmt: skip
    everyone: list = [None] * ranks
    torch.distributed.all_gather_object(everyone, list(zip(own, queries.values(), verdicts, strict=True)))
    found = sorted((one for part in everyone for one in part), key=lambda one: one[0])
    if rank == 0:
        write_atomically(file, "".join(json.dumps(line) + "\n" for line in evaluation_lines(data.questions, found)))
    counts = summary([verdict for _, _, verdict in found])
    return counts | {"seconds_ex": round(time.monotonic() - started, 2)}


def describe_evaluation(config: RunConfig, row: dict) -> str:
    """Describe the EX evaluation in a step's line of metrics, for the user."""
    return (
        f"step {row['step']}: EX {row['ex']:.1f} % on {row['ex_questions']} questions of {config.eval_split}, "
        f"{row['ex_executes']:.1f} % ran, {row['ex_timeouts']} time-outs, {row['seconds_ex']:.0f} s"
    )


def evaluation_lines(questions: Sequence[Question], found: Sequence[tuple[int, str, Verdict]]) -> list[dict]:
    """Convert each (position of the question, the student's SQL, the verdict) to the object that is written."""
    return [
        {"index": verdict.index, "db_id": questions[place].db_id, "sql": query, "ex": verdict.correct}
        | ({"error": verdict.error} if verdict.error else {})
        for place, query, verdict in found
    ]


def summary(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return EX, the percentage of SQL that ran, and the number of time-outs.

    If the gold SQL of a question fails, its predicted SQL counts as not run.
    """
    errors = Counter("gold" if (v.error or "").startswith(GOLD_FAILED) else v.error for v in verdicts)
    ran = 100 * errors[None] / len(verdicts)
    found = {"ex": percent_correct(verdicts), "ex_executes": round(ran, 2), "ex_timeouts": errors["timeout"]}
    return found | {"ex_questions": len(verdicts)}
