"""A teacher's outputs for the prompts of a training set: a JSONL file, which is rejected if it does not match the run.

Its first line names the model and the decoding options; every other line is the output of one prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kid.config.keys import keys_affecting
from kid.config.run_config import RunConfig
from kid.data.batching import Dataset, Sample
from kid.errors import InputError


def prompt_hash(prompt_ids: list[int]) -> str:
    """The key of a prompt's output: a hash of the prompt's token ids."""
    return hashlib.sha256(np.asarray(prompt_ids, dtype="<i4").tobytes()).hexdigest()[:24]


def outputs_header(config: RunConfig, teacher_fingerprint: str) -> dict:
    """The file's first line: everything that the outputs depend on, except their prompts."""
    return {
        "teacher": teacher_fingerprint,
        "sample_temperature": config.sample_temperature,
        "top_p": config.top_p,
        "max_new_tokens": config.decoding_limit,
        "dtype": config.dtype,
        "seed": config.seed,
    }


def different_values(there: dict, here: dict, keys: Iterable[str]) -> list[str]:
    """A description of each key whose values differ."""
    return [f"{key} ({there.get(key)!r} there, {here[key]!r} here)" for key in keys if there.get(key) != here[key]]


def is_output(line: Any) -> bool:
    """Whether a line is the output of a prompt, with at least one token id."""
    ids = line.get("ids")
    return "prompt" in line and isinstance(ids, list) and ids != [] and all(isinstance(token, int) for token in ids)


def read_lines(path: Path) -> list[dict]:
    """The header and the outputs. Raises InputError if a line is truncated or has another format."""
    lines, number = [], 1
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                lines.append(json.loads(line))
                if not (is_output(lines[-1]) if number > 1 else isinstance(lines[0], dict) and "teacher" in lines[0]):
                    raise ValueError("it is not an output of a teacher")
    except OSError as error:
        raise InputError(f"--teacher-outputs {path}: {error.strerror}; create it with train/generate.py") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"--teacher-outputs {path}, line {number}: {error}; create it again") from None
    if not lines:
        raise InputError(f"--teacher-outputs {path} is empty; create it with train/generate.py")
    return lines


def read_teacher_outputs(config: RunConfig, teacher_fingerprint: str) -> dict[str, list[int]]:
    """Read the outputs in `config.teacher_outputs`: prompt hash -> token ids.

    Raises:
        InputError: they are of another teacher or other decoding options, or some are longer than the run's limit.
    """
    path = Path(config.teacher_outputs)
    first, *lines = read_lines(path)
    expected = outputs_header(config, teacher_fingerprint)
    differ = different_values(first, expected, keys_affecting("decoding"))  # seed and dtype may differ
    if first["teacher"] != expected["teacher"]:
        differ.insert(0, f"teacher (not {config.teacher})")
    if differ:
        raise InputError(f"--teacher-outputs {path} has other settings: {', '.join(differ)}; create it again")
    longest = max((len(line["ids"]) for line in lines), default=0)
    if longest > config.max_completion_length:
        raise InputError(
            f"--teacher-outputs {path} has outputs of {longest} tokens, over --max-completion-length "
            f"{config.max_completion_length}; raise it, or create the outputs again with --max-new-tokens"
        )
    return {line["prompt"]: line["ids"] for line in lines}


@dataclass(frozen=True)
class TeacherSamples(Sequence):
    """The samples of a training set with the teacher's output in place of the gold SQL."""

    samples: Sequence[Sample]
    outputs: dict[str, list[int]]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # it takes no slices
        sample = self.samples[index]
        return replace(sample, completion_ids=self.outputs[prompt_hash(sample.prompt_ids)])


def with_teacher_outputs(train: Dataset, outputs: dict[str, list[int]], path: str) -> Dataset:
    """The training set with the outputs read from `path`. Raises InputError if a prompt has none."""
    lacking = sum(prompt_hash(sample.prompt_ids) not in outputs for sample in train.samples)
    if lacking:
        raise InputError(
            f"--teacher-outputs {path} has no output for {lacking} of {len(train.samples)} training prompts; create it "
            "again with the data flags of this run"
        )
    return replace(train, samples=TeacherSamples(train.samples, outputs))
