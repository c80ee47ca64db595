"""A frozen teacher's keys and values of whole schemas, computed once before the first step and read in every step.

`kid.training.teacher_prefixes` writes one memory-mapped file per schema to the cache folder, shared by the ranks of a
node; each step reads the rows it needs (`kid.models.prefix_cache.encode_teacher_prompts`). The result is exact: the
stored values are those that the teacher would compute again.
"""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Sample
from kid.data.cache import cache_folder, json_hash
from kid.data.prefixes import Tokens, stored_part
from kid.models.loading import choose_attention
from kid.models.prefix_cache import PrefixCache, extend_tokens
from kid.models.response_model import ResponseModel
from kid.models.zero3 import Model

FILE = "states.safetensors"


class PrefixStore:
    """Keys and values of prompt prefixes, by their token ids.

    Args:
        folders: prefix -> the cache entry that holds its states.
        device: the model's device. On a GPU, the first prefixes are kept in its memory, up to `device_bytes`.
    """

    def __init__(self, folders: dict[Tokens, Path], device: torch.device, device_bytes: float = 0.0):
        self.folders, self.device = folders, device
        self.mapped: dict[Tokens, list[Tensor]] = {}
        self.resident: dict[Tokens, list[Tensor]] = {}
        for prefix in folders if device.type == "cuda" else ():
            states = self.read(prefix)
            device_bytes -= sum(tensor.nbytes for tensor in states)
            if device_bytes < 0:
                break
            self.resident[prefix] = [tensor.to(device) for tensor in states]

    def stored_length(self, sample: Sample) -> int:
        """The length of the stored prefix of the sample's prompt in tokens; 0 if none is stored."""
        prefix = stored_part(sample)
        return len(prefix) if prefix in self.folders else 0

    def read(self, prefix: Tokens) -> list[Tensor]:
        """Keys of each layer, then values of each layer, [heads, tokens, head size]; memory-mapped."""
        if prefix not in self.mapped:
            tensors = load_file(self.folders[prefix] / FILE)
            self.mapped[prefix] = [tensors[str(index)] for index in range(len(tensors))]
        return self.mapped[prefix]

    def on_device(self, prefix: Tokens) -> list[Tensor]:
        """Like `read`, on the model's device; a copy to a GPU is queued in the current stream."""
        if prefix in self.resident or self.device.type != "cuda":
            return self.resident.get(prefix) or self.read(prefix)
        return [tensor.pin_memory().to(self.device, non_blocking=True) for tensor in self.read(prefix)]

    def prefix(self, batch: Batch, own: PrefixCache) -> PrefixCache:
        """The prefix cache of a micro-batch's first columns.

        Args:
            batch: in the teacher's columns, see `Batch.teacher`.
            own: the cache of the rows `batch.representatives`, which are not stored and were encoded in this step;
                empty if there are none.
        """
        width = batch.shared_width
        found = [stored_part(each) if each and self.stored_length(each) else None for each in batch.samples]
        # In row order: `RecentPrefixes` keeps the most recent ones.
        states = {prefix: self.on_device(prefix) for prefix in dict.fromkeys(found) if prefix is not None}
        first = next(iter(states.values()))
        if len(states) == 1 and None not in found:  # all rows have the same schema
            columns = [tensor.expand(len(found), *tensor.shape) for tensor in first]
        else:
            columns = [tensor.new_zeros(len(found), tensor.shape[0], width, tensor.shape[2]) for tensor in first]
            own_rows = {row: index for index, row in enumerate(batch.representatives.tolist())}
            for index, column in enumerate(columns):
                for row, prefix in enumerate(found):
                    if prefix is not None:
                        column[row, :, width - len(prefix) :] = states[prefix][index]
                    elif row in own_rows:
                        column[row] = (*own.keys, *own.values)[index][own_rows[row]]
        half = len(columns) // 2
        return PrefixCache(width, tuple(columns[:half]), tuple(columns[half:]))


class RecentPrefixes(PrefixStore):
    """An in-memory prefix cache of the schemas that a model used most recently in evaluation.

    Args:
        samples: all prompts to come. A schema that occurs in only one of them is not cached, but encoded with it.
        keep: number of schemas to keep.
    """

    def __init__(self, model: ResponseModel, samples: Sequence[Sample], keep: int = 4):
        super().__init__({}, model.device)
        self.model, self.keep = model, keep
        uses = Counter(map(stored_part, samples))
        self.expected = {prefix for prefix, count in uses.items() if count > 1 and prefix}

    def stored_length(self, sample: Sample) -> int:
        prefix = stored_part(sample)
        return len(prefix) if prefix in self.expected else 0

    def on_device(self, prefix: Tokens) -> list[Tensor]:
        states = self.resident.pop(prefix, None) or self.compute(prefix)
        self.resident[prefix] = states  # in order of their last use
        while len(self.resident) > self.keep:
            del self.resident[next(iter(self.resident))]
        return states

    def compute(self, prefix: Tokens) -> list[Tensor]:
        """Compute the states of a prefix that is not in memory, see `states_of`."""
        return states_of(self.model, prefix)


class PromptPrefixes(RecentPrefixes):
    """Keys and values of whole prompts except their last two tokens: each prompt is encoded once for all its outputs.

    Args:
        schemas: the prefix cache of the schemas, which are encoded once for all prompts that contain them.
        samples: all prompts to come. Pass them to the decoder as `whole_prompt` returns them.
    """

    def __init__(self, schemas: RecentPrefixes, samples: Sequence[Sample]):
        super().__init__(schemas.model, [], schemas.keep)
        self.schemas = schemas
        self.schema_of = {stored_part(whole_prompt(sample)): stored_part(sample) for sample in samples}
        self.expected = self.schema_of.keys() - {()}

    def compute(self, prefix: Tokens) -> list[Tensor]:
        schema = self.schema_of[prefix]
        if schema not in self.schemas.expected:
            return states_of(self.model, prefix)
        states = self.schemas.on_device(schema)
        if schema == prefix:
            return states
        half = len(states) // 2
        keys, values = (tuple(tensor[None] for tensor in part) for part in (states[:half], states[half:]))
        return states_of(self.model, prefix[len(schema) :], PrefixCache(len(schema), keys, values))


def whole_prompt(sample: Sample) -> Sample:
    """The sample with its whole prompt as the prefix to cache."""
    return replace(sample, shared=len(sample.prompt_ids))


def states_of(teacher: Model, tokens: Sequence[int], prefix: PrefixCache | None = None) -> list[Tensor]:
    """Keys of each layer, then values of each layer, of `prefix` (None: empty) and the tokens that follow it."""
    found = extend_tokens(teacher, tokens, prefix)
    return [tensor[0].contiguous() for tensor in (*found.keys, *found.values)]


def store_folder(config: RunConfig, teacher_hash: str, device: torch.device) -> Path:
    """The cache folder of a teacher's states, named by everything that they depend on except the tokens."""
    parts = {
        "teacher": teacher_hash,
        "dtype": config.dtype,
        "attention": choose_attention(config.attention, config.dtype),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "machine": [platform.machine(), device.type],
    }
    return cache_folder() / "prefixes" / json_hash(parts)[:32]


def entry_of(folder: Path, prefix: Tokens) -> Path:
    """The cache entry of a prefix."""
    return folder / hashlib.sha256(np.array(prefix, dtype=np.int64).tobytes()).hexdigest()[:32]
