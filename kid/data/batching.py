"""From questions to token batches: which samples make up each optimizer step, and how a micro-batch is padded.

The order of samples is a function of (seed, epoch) alone. The last batch of an epoch is filled with rows of weight 0:
no sample is dropped, none is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kid.data.benchmarks import Question, find_databases, find_split, load_questions
from kid.data.prompt import completion_text, question_part, schema_part
from kid.data.schema import load_schemas


@dataclass(frozen=True)
class Sample:
    """Token ids of a prompt (its schema part, then its question part) and of the output, which ends in EOS."""

    prompt_ids: list[int]
    completion_ids: list[int]


@dataclass(frozen=True)
class Dataset:
    """Samples in the benchmark's order, and how many were cut or left out on the way."""

    samples: list[Sample]
    without_database: int
    cut_prompts: int
    dropped_completions: int


@dataclass
class Batch:
    """One micro-batch: prompts padded on the left to width P, outputs padded on the right to width R.

    input_ids, attention_mask, position_ids: int64 [B, P + R].
    completion_ids: int64 [B, R]. rows: int64 [N], where in the flattened [B, P + R] the logits of each output token
    come from (the position before it). row_weights: fp32 [N]; over the whole global batch they sum to 1.
    lengths: |y| with EOS, [B], 0 in rows that only fill the batch. positions: [B], places in the global batch.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    rows: Tensor
    row_weights: Tensor
    lengths: list[int]
    positions: list[int]

    def to(self, device: torch.device | str) -> Batch:
        moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in vars(self).items()}
        return Batch(**moved)

    def with_completion(self, completion_ids: Tensor) -> Tensor:
        """input_ids with other output tokens in the same places; padding stays as it is."""
        prompt = self.input_ids[:, : -self.completion_ids.shape[1]]
        kept = torch.where(self.completion_mask, completion_ids, self.completion_ids)
        return torch.cat([prompt, kept], dim=1)


def schema_texts(
    benchmark: str, split: str, data: Path, questions: list[Question], missing_database: str = "error"
) -> dict[str, str]:
    """db_id -> the prompt's schema part, for every database the questions are on and that is there."""
    db_ids = [question.db_id for question in questions]
    databases = find_databases(benchmark, split, data, db_ids, missing_database=missing_database)
    schemas = load_schemas(data / find_split(benchmark, split).tables, databases)
    return {db_id: schema_part(schema) for db_id, schema in schemas.items()}


def encode_prompts(tokenizer, questions: list[Question], schemas: dict[str, str], limit: int) -> tuple[list, int]:
    """Prompt ids of each question, and how many lost the start of their schema part to fit `limit` tokens.

    Schema part and question part are tokenised apart, so that the former's ids are the same for all its questions.
    BOS is written where the tokenizer itself would write it (LLaMA), once.
    """
    bos = [tokenizer.bos_token_id]
    bos = bos if tokenizer("a").input_ids[:1] == bos else []
    schema_ids = {db_id: tokenizer(text, add_special_tokens=False).input_ids for db_id, text in schemas.items()}
    prompts, cut = [], 0
    for question in questions:
        shared = schema_ids[question.db_id]
        own = tokenizer(question_part(question.question), add_special_tokens=False).input_ids
        room = max(0, limit - len(bos) - len(own))
        cut += len(shared) > room
        prompts.append(bos + shared[max(0, len(shared) - room) :] + own)
    return prompts, cut


def load_dataset(config, split: str, tokenizer, at_most: int | None = None) -> Dataset:
    """Questions of a split as samples.

    Args:
        config: the run's `RunConfig`: benchmark, data and the two length limits.
        split: "train" or "dev".
        tokenizer: the student's.
        at_most: only so many questions, evenly spaced over the split (dev is sorted by database).

    Raises:
        InputError: missing or damaged files.
    """
    data = Path(config.data)
    everything = load_questions(config.benchmark, split, data)
    everything = everything[:: -(-len(everything) // at_most)] if at_most else everything
    schemas = schema_texts(config.benchmark, split, data, everything, config.missing_database)
    questions = [question for question in everything if question.db_id in schemas]
    prompts, cut = encode_prompts(tokenizer, questions, schemas, config.max_prompt_length)
    completions = [
        [*tokenizer(completion_text(question.query), add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        for question in questions
    ]
    samples = [
        Sample(prompt, completion)
        for prompt, completion in zip(prompts, completions, strict=True)
        if len(completion) <= config.max_completion_length
    ]
    return Dataset(samples, len(everything) - len(questions), cut, len(questions) - len(samples))


def steps_per_epoch(samples: int, batch_size: int) -> int:
    return -(-samples // batch_size)


def global_batch(samples: int, batch_size: int, seed: int, step: int) -> list[int | None]:
    """Indices of the samples of optimizer step `step` (from 0), in order; None fills the last batch of an epoch."""
    per_epoch = steps_per_epoch(samples, batch_size)
    epoch, within = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    chosen = [int(index) for index in order[within * batch_size : (within + 1) * batch_size]]
    return chosen + [None] * (batch_size - len(chosen))


def sample_weights(lengths: list[int], reduction: str) -> list[float]:
    """Weight of each output token of each sample of a global batch, so that all weights sum to 1 (Eq. 2).

    "sequence": 1 / (sequences |y|); "token": 1 / (sum of |y|). A length of 0 marks a row that only fills the batch.
    """
    real = [length for length in lengths if length]
    if reduction == "token":
        return [1.0 / sum(real) if length else 0.0 for length in lengths]
    return [1.0 / (len(real) * length) if length else 0.0 for length in lengths]


def collate(samples: list[Sample | None], weights: list[float], positions: list[int], pad_token_id: int) -> Batch:
    """Pad a micro-batch. None becomes a row of one prompt token and no output: it joins the forward, adds nothing."""
    prompts = [sample.prompt_ids if sample else [pad_token_id] for sample in samples]
    completions = [sample.completion_ids if sample else [] for sample in samples]
    prompt_width, width = max(map(len, prompts)), max(1, *map(len, completions))
    input_ids = torch.full((len(samples), prompt_width + width), pad_token_id, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    rows, row_weights = [], []
    for index, (prompt, completion, weight) in enumerate(zip(prompts, completions, weights, strict=True)):
        start, end = prompt_width - len(prompt), prompt_width + len(completion)
        input_ids[index, start:end] = torch.tensor(prompt + completion)
        attention_mask[index, start:end] = 1
        first = index * input_ids.shape[1] + prompt_width - 1
        rows.append(torch.arange(first, first + len(completion)))
        row_weights.append(torch.full((len(completion),), weight))
    return Batch(
        input_ids=input_ids,
        attention_mask=attention_mask,
        position_ids=(attention_mask.cumsum(1) - 1).clamp(min=0),
        completion_ids=input_ids[:, prompt_width:].clone(),
        completion_mask=attention_mask[:, prompt_width:].bool(),
        rows=torch.cat(rows),
        row_weights=torch.cat(row_weights),
        lengths=[len(completion) for completion in completions],
        positions=positions,
    )


def micro_batches(dataset: Dataset, config, step: int, rank: int, world_size: int, pad_token_id: int) -> list[Batch]:
    """This rank's micro-batches of one optimizer step: a fixed share of the global batch."""
    chosen = global_batch(len(dataset.samples), config.batch_size, config.seed, step)
    samples = [None if index is None else dataset.samples[index] for index in chosen]
    lengths = [len(sample.completion_ids) if sample else 0 for sample in samples]
    weights = sample_weights(lengths, config.reduction)
    size = config.micro_batch_size
    return [
        collate(samples[at : at + size], weights[at : at + size], list(range(at, at + size)), pad_token_id)
        for at in range(rank * size, config.batch_size, size * world_size)
    ]
