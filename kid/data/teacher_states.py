"""A teacher's hidden states at the output tokens of a training set: a folder, rejected if it does not match the run.

header.json lists what the states depend on, states-NNNNN.safetensors contain them for SHARD_SAMPLES samples each, and
head.safetensors is the head that computes logits from them. HASHES_FILE is written last: without it, the folder is
incomplete.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kid.config.run_config import RunConfig
from kid.data.batching import Dataset
from kid.data.cache import json_hash
from kid.data.tokenizers import base_vocabulary
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

HEADER, HEAD = "header.json", "head.safetensors"
FORMAT = 2
SHARD_SAMPLES = 64  # samples that a rank computes at a time, and loses if it is killed
# Key of the header -> what is wrong if it differs.
CAUSES = {
    "format": "another version of this program wrote it",
    "teacher": "it was made with another teacher",
    "dtype": "it was made with another --dtype",
    "tokenizer": "it was made with another tokenizer",
    "prompts": "its prompts differ: the data, the tokenizer, the prompt format or --max-prompt-length",
    "outputs": "its outputs differ: the gold SQL, the tokenizer or --max-completion-length",
}


def shard_name(number: int) -> str:
    return f"states-{number:05}.safetensors"


@dataclass(frozen=True)
class Layout:
    """The location of each sample's states in the folder.

    order: sample indices in the order of the shards, grouped by database.
    lengths: |y| with EOS of each sample. prompts: hash of the prompts' token ids and of `order`. outputs: hash of the
    outputs' token ids.
    """

    order: list[int]
    lengths: list[int]
    prompts: str
    outputs: str

    @cached_property
    def shards(self) -> list[list[int]]:
        """Sample indices of each shard."""
        return [self.order[start : start + SHARD_SAMPLES] for start in range(0, len(self.order), SHARD_SAMPLES)]

    @property
    def tokens(self) -> int:
        """Number of output tokens of all samples."""
        return sum(self.lengths)

    @cached_property
    def places(self) -> dict[int, tuple[int, int]]:
        """Sample index -> (number of its shard, its first row in the shard)."""
        found = {}
        for number, shard in enumerate(self.shards):
            first = 0
            for index in shard:
                found[index] = number, first
                first += self.lengths[index]
        return found


def layout_of(train: Dataset) -> Layout:
    """Compute the layout of a training set, which reads every sample once."""
    prompts, outputs = hashlib.sha256(), hashlib.sha256()
    lengths, prompt_lengths = [], []
    for sample in train.samples:
        for digest, ids in ((prompts, sample.prompt_ids), (outputs, sample.completion_ids)):
            digest.update(np.asarray([len(ids), *ids], dtype="<i4").tobytes())
        lengths.append(len(sample.completion_ids))
        prompt_lengths.append(len(sample.prompt_ids))
    order = sorted(range(len(lengths)), key=lambda index: (train.db_ids[index], prompt_lengths[index], index))
    prompts.update(np.asarray(order, dtype="<i4").tobytes())  # the order also depends on the names of the databases
    return Layout(order, lengths, prompts.hexdigest(), outputs.hexdigest())


def states_header(config: RunConfig, teacher_hash: str, tokenizer: PreTrainedTokenizerFast, layout: Layout) -> dict:
    """Everything that the states depend on, and the teacher's name."""
    return {
        "format": FORMAT,
        "teacher": teacher_hash,
        "name": config.teacher,
        "dtype": config.dtype,
        "tokenizer": json_hash([sorted(base_vocabulary(tokenizer).items()), tokenizer.eos_token_id]),
        "prompts": layout.prompts,
        "outputs": layout.outputs,
    }


def read_header(folder: Path) -> dict:
    """The header of existing states. Raises InputError if there are none."""
    try:
        header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
        if not isinstance(header, dict) or not {*CAUSES, "name"} <= header.keys():
            raise ValueError("it is not a header of a teacher's states")
    except OSError as error:
        raise InputError(
            f"--teacher-states {folder}: {HEADER}: {error.strerror}; create it with train/teacher_states.py"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"--teacher-states {folder}: {HEADER} cannot be read ({error}); create it again") from None
    return header


def check_header(folder: Path, there: dict, here: dict, cure: str) -> None:
    """Raise InputError for the first key in which two headers differ. cure: what the message tells the user to do."""
    for key, cause in CAUSES.items():
        if there[key] != here[key]:
            raise InputError(f"--teacher-states {folder} does not fit: {cause}; {cure}")


@lru_cache(maxsize=256)  # limited, because a process may only open a limited number of files
def open_shard(file: Path) -> safe_open:
    return safe_open(file, framework="pt")


@dataclass(frozen=True)
class TeacherStates:
    """The states in a folder, read one sample at a time from memory-mapped files."""

    folder: Path
    layout: Layout

    def __getitem__(self, index: int) -> Tensor:
        """The states that predict the output tokens of a sample, [|y|, H_t]. Raises InputError for a damaged file."""
        number, first = self.layout.places[index]
        file = self.folder / shard_name(number)
        try:
            return open_shard(file).get_slice("states")[first : first + self.layout.lengths[index]]
        except (OSError, SafetensorError) as error:
            raise InputError(f"{file} cannot be read ({error}); create it again") from None
