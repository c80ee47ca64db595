"""F.samples.jsonl, beside a file F of predictions: the outputs that eval/predict.py sampled for each question."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kid.errors import InputError


class SampledQuery(NamedTuple):
    """An output as one line of SQL, and its log-probability in nats."""

    sql: str
    log_probability: float


def samples_path(predictions: Path) -> Path:
    """Return the path of the samples that belong to a file of predictions."""
    return predictions.with_name(f"{predictions.name}.samples.jsonl")


def samples_line(index: int, samples: Sequence[SampledQuery]) -> str:
    """Return the line of a question with this index in the benchmark; a skipped question has no samples."""
    values = [{"sql": one.sql, "log_probability": round(one.log_probability, 6)} for one in samples]
    return json.dumps({"index": index, "samples": values}) + "\n"


def read_samples(path: Path, expected: int) -> list[list[SampledQuery]]:
    """Read the samples of each question of a split: the same number for each, none for a skipped question.

    Args:
        expected: the number of questions.

    Raises:
        InputError: the file cannot be read, or is not for these questions.
    """
    remedy = "create it with eval/predict.py --samples K"
    try:
        # Only \n ends a line, as in files of predictions.
        lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise InputError(f"cannot read samples {path}: {error.strerror}; {remedy}") from None
    if len(lines) != expected:
        raise InputError(f"{path} has {len(lines)} lines but the split has {expected} questions; {remedy}")
    found: list[list[SampledQuery]] = []
    for place, line in enumerate(lines):
        try:
            content = json.loads(line)
            found.append([SampledQuery(one["sql"], one["log_probability"]) for one in content["samples"]])
            well_formed = content["index"] == place and all(map(is_sample, found[-1]))
        except (ValueError, KeyError, TypeError, RecursionError):
            well_formed = False
        if not well_formed:
            raise InputError(f"{path}, line {place + 1} does not have the samples of question {place}; {remedy}")
    counts = {len(samples) for samples in found} - {0}
    if len(counts) != 1:
        what = f"{min(counts)} to {max(counts)} samples per question" if counts else "no samples"
        raise InputError(f"{path} has {what}; every question needs the same number: {remedy}")
    return found


def is_sample(sample: SampledQuery) -> bool:
    """Whether the values of a sample from a file have the right types."""
    value = sample.log_probability
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(sample.sql, str) and number
