"""A frozen teacher's keys and values of whole schemas, computed once before the first step and read in every one.

They lie in the cache as memory-mapped files, one a schema, which the ranks of a node share
(`kid.training.teacher_prefixes` writes them); a step takes the rows it needs
(`kid.models.prefix_cache.encode_teacher_prompts`). Exact: they are what the teacher would compute again.
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
    """Keys and values of prompts' beginnings, by their token ids.

    Args:
        folders: of each beginning, the entry of the cache that holds its states.
        device: where the model is; on a GPU the first beginnings are kept there as far as `device_bytes` reach.
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
        """How many of the prompt's first tokens are stored; 0 if none are."""
        prefix = stored_part(sample)
        return len(prefix) if prefix in self.folders else 0

    def read(self, prefix: Tokens) -> list[Tensor]:
        """Keys of each layer, then values of each layer, [heads, tokens, head size]; memory-mapped."""
        if prefix not in self.mapped:
            tensors = load_file(self.folders[prefix] / FILE)
            self.mapped[prefix] = [tensors[str(place)] for place in range(len(tensors))]
        return self.mapped[prefix]

    def on_device(self, prefix: Tokens) -> list[Tensor]:
        """`read`, on the model's device; a copy to a GPU is queued in the current stream."""
        if prefix in self.resident or self.device.type != "cuda":
            return self.resident.get(prefix) or self.read(prefix)
        return [tensor.pin_memory().to(self.device, non_blocking=True) for tensor in self.read(prefix)]

    def prefix(self, batch: Batch, own: PrefixCache) -> PrefixCache:
        """The first columns of a micro-batch.

        Args:
            batch: in the teacher's columns, see `Batch.teacher`.
            own: the rows `batch.representatives`, which are not stored, run now; empty if there are none.
        """
        width = batch.shared_width
        found = [stored_part(each) if each and self.stored_length(each) else None for each in batch.samples]
        # In the order of the rows: a `RecentPrefixes` keeps the last ones.
        states = {prefix: self.on_device(prefix) for prefix in dict.fromkeys(found) if prefix is not None}
        first = next(iter(states.values()))
        if len(states) == 1 and None not in found:  # one schema, the same columns for all
            columns = [tensor.expand(len(found), *tensor.shape) for tensor in first]
        else:
            columns = [tensor.new_zeros(len(found), tensor.shape[0], width, tensor.shape[2]) for tensor in first]
            run = {row: place for place, row in enumerate(batch.representatives.tolist())}
            for place, column in enumerate(columns):
                for row, prefix in enumerate(found):
                    if prefix is not None:
                        column[row, :, width - len(prefix) :] = states[prefix][place]
                    elif row in run:
                        column[row] = (*own.keys, *own.values)[place][run[row]]
        half = len(columns) // 2
        return PrefixCache(width, tuple(columns[:half]), tuple(columns[half:]))


class RecentPrefixes(PrefixStore):
    """Keys and values of schemas, of which a model being evaluated has met these last, in memory.

    Args:
        samples: all prompts to come. A schema that only one of them has runs with it, side by side with others.
        keep: number of schemas.
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
        self.resident[prefix] = states  # the last one used stands last
        while len(self.resident) > self.keep:
            del self.resident[next(iter(self.resident))]
        return states

    def compute(self, prefix: Tokens) -> list[Tensor]:
        """The states of a beginning that is not in memory, see `states_of`."""
        return states_of(self.model, prefix)


class PromptPrefixes(RecentPrefixes):
    """Keys and values of whole prompts but their last two tokens: a prompt runs once, however many outputs it gets.

    Args:
        schemas: those of the schemas, which run once for all prompts that have them.
        samples: all prompts to come. The decoder must get them as `whole_prompt` returns them.
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
    """The sample with all of its prompt as the part that is kept."""
    return replace(sample, shared=len(sample.prompt_ids))


def states_of(teacher: Model, tokens: Sequence[int], prefix: PrefixCache | None = None) -> list[Tensor]:
    """Keys of each layer, then values of each layer, of a prefix (None: empty) and the tokens that follow it."""
    found = extend_tokens(teacher, tokens, prefix)
    return [tensor[0].contiguous() for tensor in (*found.keys, *found.values)]


def store_folder(config: RunConfig, teacher_hash: str, device: torch.device) -> Path:
    """Where the states of a teacher lie: by all that they depend on but the tokens."""
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
    return folder / hashlib.sha256(np.array(prefix, dtype=np.int64).tobytes()).hexdigest()[:32]
