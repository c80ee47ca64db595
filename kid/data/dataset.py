"""Load a split as samples, with remarks on questions that were skipped or cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kid.config.run_config import RunConfig
from kid.data.batching import ArrowSamples, Dataset
from kid.data.exclusion import exclusion_remark, read_exclusion
from kid.data.prepare import Prepared, prepare
from kid.data.questions import Question, check_gold_sql
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NAMED_OUTPUTS = 3  # how many outputs over the limit a remark names
MOST = 95  # percentage of prompts whose greatest length a remark says


def long_prompt_remarks(prepared: Prepared, limit: int) -> list[str]:
    """Remarks on prompts that are over the limit or were before they were shortened, and on their lengths."""
    rows, whole = prepared.rows, sorted(prepared.rows["whole"])
    counts = {
        f"prompts over {limit} tokens had their schema filtered": sum(rows["filtered"]),
        f"prompts over {limit} tokens lost the start of their schema": sum(cut > 0 for cut in rows["cut"]),
        f"prompts stay over {limit} tokens, because the question alone is": sum(
            length > limit for length in prepared.lengths("prompt_ids")
        ),
    }
    remarks = [f"{count} {what} ({100 * count / len(whole):.1f} %)" for what, count in counts.items() if count]
    if remarks:
        most = whole[-(-len(whole) * MOST // 100) - 1]
        remarks.append(
            f"before they were shortened, the longest prompt had {whole[-1]} tokens, and {MOST} % of all had at most "
            f"{most}; --max-prompt-length raises the limit"
        )
    return remarks


def filter_long_outputs(prepared: Prepared, limit: int) -> tuple[dict[str, list[int]], list[str], list[int]]:
    """(reason -> questions with outputs over the limit, a remark on them, the rows of the other questions)."""
    lengths, indices = prepared.lengths("completion_ids"), prepared.rows["index"]
    kept = [row for row, length in enumerate(lengths) if length <= limit]
    over = {indices[row]: length for row, length in enumerate(lengths) if length > limit}
    if not over:
        return {}, [], kept
    first = ", ".join(f"question {index} has {over[index]}" for index in list(over)[:NAMED_OUTPUTS])
    more = ", ..." if len(over) > NAMED_OUTPUTS else ""
    share = f"{100 * len(over) / len(lengths):.1f} %"
    remark = f"{len(over)} outputs over {limit} tokens ({share}) are skipped ({first}{more})"
    remark += "; --max-completion-length raises the limit"
    return {f"output over {limit} tokens": list(over)}, [remark], kept


def filter_excluded(
    prepared: Prepared, config: RunConfig, rows: list[int]
) -> tuple[dict[str, list[int]], list[str], list[int]]:
    """(reason -> training questions that `config.exclude` names, a remark on them, the rows of the other questions)."""
    if not config.exclude:
        return {}, [], rows
    path, indices = Path(config.exclude), prepared.rows["index"]
    named = read_exclusion(path, config.benchmark, "train", prepared.questions)
    left_out = {indices[row]: named[indices[row]] for row in rows if indices[row] in named}
    kept = [row for row in rows if indices[row] not in named]
    return {f"named in {path}": list(left_out)} if left_out else {}, [exclusion_remark(path, left_out)], kept


def load_dataset(
    config: RunConfig, split: str, tokenizer: PreTrainedTokenizerFast, max_samples: int | None = None
) -> Dataset:
    """Load a split as samples, from the cache if it has been prepared before.

    Args:
        config: the run's.
        split: "train" or "dev".
        tokenizer: the student's.
        max_samples: keep at most this many, evenly spaced over the split (dev is sorted by database).

    Raises:
        InputError: files are missing or damaged, or with `strict_length`, prompts or outputs are over their limits.
    """
    # A file given with --questions replaces the training questions only; dev remains the benchmark's.
    prepared = prepare(config if split == "train" else replace(config, questions=None), split, tokenizer)
    check_gold_sql(prepared.questions, f"training on {config.benchmark} {split}")
    skipped, remarks, kept = filter_long_outputs(prepared, config.max_completion_length)
    remarks = long_prompt_remarks(prepared, config.max_prompt_length) + remarks
    if config.strict_length and remarks:
        raise InputError(
            f"{config.benchmark} {split}: {'; '.join(remarks)}; raise the limits or remove --strict-length"
        )
    if not kept:
        raise InputError(f"--max-completion-length {config.max_completion_length} leaves no {split} sample; raise it")
    if split == "train":
        excluded, excluded_remarks, kept = filter_excluded(prepared, config, kept)
        skipped, remarks = skipped | excluded, remarks + excluded_remarks
        if not kept:
            raise InputError(f"--exclude {config.exclude} leaves no usable sample; exclude fewer questions")
    remarks += prepared.remarks()
    kept = kept[:: -(-len(kept) // max_samples)] if max_samples else kept
    rows = prepared.rows.select(kept)
    return Dataset(
        ArrowSamples(rows), list(rows["db_id"]), remarks, list(rows["index"]),
        skipped=prepared.left_out | skipped, asked=asked_questions(prepared.questions),
    )  # fmt: skip


def asked_questions(questions: Sequence[Question]) -> frozenset[tuple[str, str]]:
    """(db_id, text of the question or of its own prompt) of each question, in lower case with single spaces."""
    return frozenset((each.db_id, " ".join((each.prompt or each.question).lower().split())) for each in questions)
