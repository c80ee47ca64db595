"""A teacher's outputs for the prompts of a training set: a JSONL file, written once and refused where it does not fit.

Its first line says by which model and how they were decoded; each other line is one prompt's output.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kid.config import RunConfig
from kid.data.batching import Dataset, Sample
from kid.errors import InputError

# What a run's configuration says about decoding; a run that says otherwise does not take the file.
DECODING = ("sample_temperature", "top_p")


def prompt_hash(prompt_ids: list[int]) -> str:
    """By which an output finds its prompt: whatever changes the prompt's tokens changes it."""
    return hashlib.sha256(np.asarray(prompt_ids, dtype="<i4").tobytes()).hexdigest()[:24]


def header(config: RunConfig, teacher_fingerprint: str) -> dict:
    """The file's first line: all that the outputs depend on, their prompts aside."""
    decoding = {name: getattr(config, name) for name in DECODING}
    return {"teacher": teacher_fingerprint, **decoding, "max_new_tokens": config.decoding_limit, "seed": config.seed}


def different_values(there: dict, here: dict, keys: Iterable[str]) -> list[str]:
    """What to say of the keys whose values differ."""
    return [f"{key} ({there.get(key)!r} there, {here[key]!r} here)" for key in keys if there.get(key) != here[key]]


def read_lines(path: Path) -> list[dict]:
    """The header and the outputs. Raises InputError where a line is cut off or is something else."""
    lines = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                lines.append(json.loads(line))
                if not {"teacher"} <= lines[0].keys() or (number > 1 and not {"prompt", "ids"} <= lines[-1].keys()):
                    raise ValueError("it is no output of a teacher")
    except OSError as error:
        raise InputError(f"--teacher-outputs {path}: {error.strerror}; make it with train/generate.py") from None
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"--teacher-outputs {path}, line {number}: {error}; make it anew with train/generate.py"
        ) from None
    if not lines:
        raise InputError(f"--teacher-outputs {path} is empty; make it with train/generate.py")
    return lines


@dataclass(frozen=True)
class TeacherSamples(Sequence):
    """The samples of a training set with the teacher's output in place of the gold SQL."""

    samples: Sequence[Sample]
    outputs: dict[str, list[int]]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        return Sample(sample.prompt_ids, self.outputs[prompt_hash(sample.prompt_ids)])


def read_teacher_outputs(config: RunConfig, teacher_fingerprint: str, train: Dataset) -> Dataset:
    """The training set with the outputs in `config.teacher_outputs`.

    Raises:
        InputError: another teacher or another way of decoding made them, some are longer than the run's limit, or a
            prompt has none.
    """
    path = Path(config.teacher_outputs)
    first, *lines = read_lines(path)
    wanted = header(config, teacher_fingerprint)
    differ = different_values(first, wanted, DECODING)
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
    outputs = {line["prompt"]: line["ids"] for line in lines}
    lacking = sum(prompt_hash(sample.prompt_ids) not in outputs for sample in train.samples)
    if lacking:
        raise InputError(
            f"--teacher-outputs {path} has no output for {lacking} of {len(train.samples)} training prompts; make it "
            "anew with the data flags of this run"
        )
    return replace(train, samples=TeacherSamples(train.samples, outputs))
