"""A teacher's outputs for the prompts of a training set: a JSONL file, written once and rejected if it does not fit.

Its first line names the model and the decoding options; each other line is one prompt's output.
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
    """The key under which a prompt's output is stored: a hash of its token ids."""
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
    """Whether a line holds a prompt's output: at least one token id."""
    ids = line.get("ids")
    return "prompt" in line and isinstance(ids, list) and ids != [] and all(isinstance(token, int) for token in ids)


def read_lines(path: Path) -> list[dict]:
    """The header and the outputs. Raises InputError if a line is cut off or has another format."""
    lines, number = [], 1
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                lines.append(json.loads(line))
                if not (is_output(lines[-1]) if number > 1 else isinstance(lines[0], dict) and "teacher" in lines[0]):
                    raise ValueError("it is no output of a teacher")
    except OSError as error:
        raise InputError(f"--teacher-outputs {path}: {error.strerror}; make it with train/generate.py") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"--teacher-outputs {path}, line {number}: {error}; make it anew") from None
    if not lines:
        raise InputError(f"--teacher-outputs {path} is empty; make it with train/generate.py")
    return lines


def read_teacher_outputs(config: RunConfig, teacher_fingerprint: str) -> dict[str, list[int]]:
    """Prompt hash -> token ids of the outputs in `config.teacher_outputs`.

    Raises:
        InputError: another teacher or other decoding options made them, or some are longer than the run's limit.
    """
    path = Path(config.teacher_outputs)
    first, *lines = read_lines(path)
    wanted = outputs_header(config, teacher_fingerprint)
    differ = different_values(first, wanted, keys_affecting("decoding"))  # seed and dtype may be others
    if first["teacher"] != wanted["teacher"]:
        differ.insert(0, f"the teacher, which is not {config.teacher}")
    if differ:
        raise InputError(f"--teacher-outputs {path} was made with another value of {', '.join(differ)}; make it anew")
    longest = max((len(line["ids"]) for line in lines), default=0)
    if longest > config.max_completion_length:
        raise InputError(
            f"--teacher-outputs {path} holds outputs of {longest} tokens, over --max-completion-length "
            f"{config.max_completion_length}; raise it, or make them anew with --max-new-tokens"
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
            f"--teacher-outputs {path} has no output for {lacking} of {len(train.samples)} training prompts; make it "
            "anew with the data flags of this run"
        )
    return replace(train, samples=TeacherSamples(train.samples, outputs))
