"""The inputs of bench/step_latency.py: models of given shapes with random weights, and micro-batches of token ids."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest import mock

import deepspeed
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from kid.config.deepspeed_config import complete_deepspeed_config, read_deepspeed_config
from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Dataset, Sample, collate, sample_weights
from kid.data.dataset import load_dataset
from kid.data.order import micro_batches
from kid.errors import InputError
from kid.models.engine import with_fitting_bucket
from kid.models.loading import DTYPES, add_lora, choose_attention
from kid.models.prefix_store import PrefixStore
from kid.models.response_model import ResponseModel
from kid.training.teacher_prefixes import open_store
from kid.training.teacher_states import output_states

PAD = 0
QWEN, LLAMA, CODEGEN = "qwen2", "llama", "codegen"
# family, vocabulary, hidden size, intermediate size, layers, heads, key and value heads, tied head
SHAPES = {
    "tiny-student": (QWEN, 32000, 256, 704, 6, 4, 4, True),
    "tiny-teacher": (QWEN, 32000, 512, 1408, 8, 8, 8, True),
    "qwen1.5-0.5b": (QWEN, 151936, 1024, 2816, 24, 16, 16, True),
    "qwen1.5-1.8b": (QWEN, 151936, 2048, 5504, 24, 16, 16, False),
    "qwen1.5-4b": (QWEN, 151936, 2560, 6912, 40, 20, 20, False),
    "qwen1.5-7b": (QWEN, 151936, 4096, 11008, 32, 32, 32, False),
    "qwen1.5-14b": (QWEN, 152064, 5120, 13696, 40, 40, 40, False),
    "qwen1.5-32b": (QWEN, 152064, 5120, 27392, 64, 40, 8, False),
    "tinyllama-1.1b": (LLAMA, 32000, 2048, 5632, 22, 32, 4, False),
    "llama2-7b": (LLAMA, 32000, 4096, 11008, 32, 32, 32, False),
    "codegen-350m": (CODEGEN, 51200, 1024, 4096, 20, 16, 16, False),
    "codegen-2b": (CODEGEN, 51200, 2560, 10240, 32, 32, 32, False),
}
PAIRS = {
    "tiny": ("tiny-student", "tiny-teacher"),
    "codegen-350m:2b": ("codegen-350m", "codegen-2b"),
    "tinyllama:llama2-7b": ("tinyllama-1.1b", "llama2-7b"),
    **{f"qwen1.5-0.5b:{size}": ("qwen1.5-0.5b", f"qwen1.5-{size}") for size in ("1.8b", "4b", "7b", "14b", "32b")},
}


def make_model(shape: tuple, dtype: str, device: str, attention: str, seed: int) -> PreTrainedModel:
    """A causal language model of the given shape, with random weights, on the device."""
    family, vocabulary, hidden, intermediate, layers, heads, key_heads, tied = shape
    sizes = {
        "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": key_heads, "max_position_embeddings": 4096,
        "tie_word_embeddings": tied,
    }  # fmt: skip
    if family == CODEGEN:
        sizes = {"n_embd": hidden, "n_inner": intermediate, "n_layer": layers, "n_head": heads, "n_positions": 2048}
        sizes["rotary_dim"] = hidden // heads // 2
    config = AutoConfig.for_model(family, vocab_size=vocabulary, eos_token_id=None, pad_token_id=PAD, **sizes)
    torch.manual_seed(seed)
    with torch.device(device):
        made = AutoModelForCausalLM.from_config(
            config, dtype=DTYPES[dtype], attn_implementation=choose_attention(attention, dtype)
        )
    made.config.use_cache = False  # as in every trainer; passes that need a cache pass their own
    return made


class FullLogits(ResponseModel):
    """With `all_rows`, computes the logits of all positions and then selects rows, as trainers usually do."""

    all_rows = False

    def forward(self, input_ids, attention_mask, position_ids, rows, cache=None, logits=True) -> Tensor:
        if not (self.all_rows and logits and cache is None):
            return super().forward(input_ids, attention_mask, position_ids, rows, cache, logits)
        all_rows = torch.arange(input_ids.numel(), device=input_ids.device)
        return super().forward(input_ids, attention_mask, position_ids, all_rows)[rows]


def make_engine(config: RunConfig, student: PreTrainedModel):
    """The engine of the student with LoRA, without a monitor."""
    values = complete_deepspeed_config(read_deepspeed_config(config.deepspeed, "--deepspeed"), config, 1, student=True)
    values.pop("tensorboard")
    model = FullLogits(add_lora(student, config.lora_rank, config.lora_alpha, config.lora_dropout, config.seed))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    values = with_fitting_bucket(values, trained)
    engine, *_ = deepspeed.initialize(model=model, model_parameters=trained, config=values)
    engine.train()
    return engine


@dataclass(frozen=True)
class Lengths:
    """Lengths of made-up samples in tokens, and how many questions of a micro-batch share a schema."""

    batch: int = 4
    per_schema: int = 4
    schema: int = 448
    question: int = 64
    output: int = 48


def made_up_samples(lengths: Lengths, vocabulary: int, seed: int) -> list[Sample]:
    """Samples of random token ids."""
    draw = random.Random(seed)

    def tokens(count: int) -> list[int]:
        return [draw.randrange(1, vocabulary) for _ in range(count)]

    samples, schema = [], []
    for index in range(lengths.batch):
        if index % lengths.per_schema == 0:
            schema = tokens(lengths.schema)
        samples.append(Sample(schema + tokens(lengths.question), tokens(lengths.output), len(schema)))
    return samples


def real_samples(config: RunConfig, tokenizer, vocabulary: int, rounds: int) -> list[list[Sample]]:
    """Micro-batches of a benchmark's training questions, with the configuration's batching."""
    dataset = load_dataset(config, "train", tokenizer)
    if max(max(s.prompt_ids + s.completion_ids) for s in dataset.samples) >= vocabulary:
        raise InputError(f"the tokenizer has ids above the models' vocabulary size of {vocabulary}; use another one")
    return [micro_batches(dataset, config, step, 0, 1, PAD)[0].samples for step in range(rounds)]


def make_batch(samples: list[Sample], device: str, share: bool, store: PrefixStore | None) -> Batch:
    weights = sample_weights([len(sample.completion_ids) for sample in samples], "sequence")
    return collate(samples, weights, list(range(len(samples))), PAD, share, store).to(device)


def with_states(config: RunConfig, teacher: ResponseModel, samples: list[Sample]) -> list[Sample]:
    """Add the teacher's states at the outputs to the samples of a micro-batch."""
    states = output_states(config, teacher, list(samples), PAD).split(
        [len(sample.completion_ids) for sample in samples]
    )
    return [replace(sample, teacher_states=own) for sample, own in zip(samples, states, strict=True)]


@contextmanager
def store_of(config: RunConfig, teacher: ResponseModel, samples: list[Sample]) -> Iterator[PrefixStore | None]:
    """A prefix store of the schemas of all samples, in a temporary folder."""
    samples = samples * 2  # so that every schema occurs at least twice, as the store requires
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"KID_CACHE": folder}):
        yield open_store(config, teacher, "bench", Dataset(samples, [""] * len(samples), []))
