"""From prepared questions to token batches: which samples make up each optimizer step, how a micro-batch is padded.

The order of samples is a function of (seed, epoch) alone. The last batch of an epoch is filled with rows of weight 0:
no sample is dropped, none is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import datasets
import numpy as np
import torch
from torch import Tensor

from kid.data.prepare import Prepared, prepare
from kid.data.reading import data_options
from kid.data.sharing import shared_prefixes
from kid.errors import InputError

# Global batches over which micro-batches are sorted by length, with --batching schema.
BALANCED_OVER = 16


@dataclass(frozen=True)
class Sample:
    """Token ids of a prompt (its schema part, then its question part) and of the output, which ends in EOS."""

    prompt_ids: list[int]
    completion_ids: list[int]


class ArrowSamples(Sequence):
    """Samples read from the Arrow cache one by one, so that they need no memory of their own."""

    def __init__(self, rows: datasets.Dataset):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        row = self.rows[index]
        return Sample(row["prompt_ids"], row["completion_ids"])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in the benchmark's order, the db_id of each, and lines on everything that was cut or left out."""

    samples: Sequence[Sample]
    db_ids: list[str]
    remarks: list[str]

    @cached_property
    def prompt_lengths(self) -> list[int]:
        return [len(sample.prompt_ids) for sample in self.samples]


@dataclass
class Batch:
    """One micro-batch: prompts padded on the left to width P, outputs padded on the right to width R.

    Of the P columns the first S hold what groups of prompts have in common, padded on the left by itself.

    samples: what it was made of, [B]; None is a row that only fills the batch.
    input_ids, attention_mask, position_ids: int64 [B, P + R].
    completion_ids: int64 [B, R]. rows: int64 [N], where in the flattened [B, P + R] the logits of each output token
    come from (the position before it). row_weights: fp32 [N]; over the whole global batch they sum to 1.
    lengths: |y| with EOS, [B], 0 in a row that only fills the batch. positions: [B], places in the global batch.
    shared_width: S; 0 where prompts are not to be shared. owners: int64 [G], a row of each group. group: int64 [B], the
    group of each row. shared_tokens: how many tokens of prompts need not be run because another row has them.
    """

    samples: list[Sample | None]
    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    rows: Tensor
    row_weights: Tensor
    lengths: list[int]
    positions: list[int]
    shared_width: int
    owners: Tensor
    group: Tensor
    shared_tokens: int

    @property
    def prompt_width(self) -> int:
        return self.input_ids.shape[1] - self.completion_ids.shape[1]

    @property
    def tokens(self) -> int:
        """Of prompts and outputs, without padding."""
        return sum(len(sample.prompt_ids) for sample in self.samples if sample) + sum(self.lengths)

    def to(self, device: torch.device | str) -> Batch:
        moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in vars(self).items()}
        return Batch(**moved)

    def with_completion(self, completion_ids: Tensor) -> Tensor:
        """input_ids with other output tokens in the same places; padding stays as it is."""
        prompt = self.input_ids[:, : -self.completion_ids.shape[1]]
        kept = torch.where(self.completion_mask, completion_ids, self.completion_ids)
        return torch.cat([prompt, kept], dim=1)


def long_prompts(prepared: Prepared, limit: int) -> list[str]:
    """Lines on the prompts that are over the limit, or were."""
    rows = prepared.rows
    counts = {
        f"prompts over {limit} tokens had their schema filtered": sum(rows["filtered"]),
        f"prompts over {limit} tokens lost the start of their schema": sum(cut > 0 for cut in rows["cut"]),
        f"prompts stay over {limit} tokens: their question alone is": sum(
            length > limit for length in prepared.lengths("prompt_ids")
        ),
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def long_outputs(prepared: Prepared, limit: int) -> tuple[list[str], list[int]]:
    """A line on the outputs over the limit if there are any, and the rows of those that are not."""
    lengths = prepared.lengths("completion_ids")
    kept = [place for place, length in enumerate(lengths) if length <= limit]
    over = len(lengths) - len(kept)
    return [f"{over} outputs over {limit} tokens left out"] if over else [], kept


def load_dataset(config, split: str, tokenizer, at_most: int | None = None) -> Dataset:
    """A split as samples, prepared or from the cache.

    Args:
        config: the run's `RunConfig`.
        split: "train" or "dev".
        tokenizer: the student's.
        at_most: only so many samples, evenly spaced over the split (dev is sorted by database).

    Raises:
        InputError: missing or damaged files; with `strict_length`, prompts or outputs over their limits.
    """
    # A file of questions given by hand is one of training questions; dev stays the benchmark's.
    changes = {} if split == "train" else {"questions": None}
    prepared = prepare(data_options(config, **changes), split, tokenizer)
    remarks, kept = long_outputs(prepared, config.max_completion_length)
    remarks = long_prompts(prepared, config.max_prompt_length) + remarks
    if config.strict_length and remarks:
        raise InputError(
            f"{config.benchmark} {split}: {'; '.join(remarks)}; raise the limits or leave out --strict-length"
        )
    if not kept:
        raise InputError(f"--max-completion-length {config.max_completion_length} leaves no {split} sample; raise it")
    remarks += prepared.remarks()
    kept = kept[:: -(-len(kept) // at_most)] if at_most else kept
    rows = prepared.rows.select(kept)
    return Dataset(ArrowSamples(rows), list(rows["db_id"]), remarks)


def steps_per_epoch(samples: int, batch_size: int) -> int:
    return -(-samples // batch_size)


def epoch_order(dataset: Dataset, config, epoch: int) -> list[int]:
    """Every sample once, in the order of an epoch.

    "random": any order. "schema": every micro-batch holds samples of one database as far as their number allows, what
    remains of each is put together; micro-batches come in any order, one that is not full is the last, but those of a
    global batch, which ranks run side by side, have prompts of like length.
    """
    if config.batching == "random":
        return random_order(config.seed, epoch, len(dataset.samples))
    return schema_order(dataset, config.seed, epoch, config.micro_batch_size, config.batch_size)


@lru_cache(maxsize=2)  # asked for in every step
def random_order(seed: int, epoch: int, count: int) -> list[int]:
    return np.random.default_rng([seed, epoch]).permutation(count).tolist()


@lru_cache(maxsize=2)
def schema_order(dataset: Dataset, seed: int, epoch: int, size: int, batch_size: int) -> list[int]:
    """See `epoch_order`; `size` is a micro-batch's."""
    generator, groups = np.random.default_rng([seed, epoch]), {}
    for index in generator.permutation(len(dataset.samples)).tolist():
        groups.setdefault(dataset.db_ids[index], []).append(index)
    remains = [index for group in groups.values() for index in group[len(group) // size * size :]]
    whole = [index for group in groups.values() for index in group[: len(group) // size * size]] + remains
    batches = [whole[at : at + size] for at in range(0, len(whole), size)]
    last = [batches.pop()] if len(whole) % size else []
    shuffled = [batches[place] for place in generator.permutation(len(batches))]
    balanced = balance(shuffled, dataset.prompt_lengths, batch_size // size, generator)
    return [index for batch in balanced + last for index in batch]


def balance(
    batches: list[list[int]], lengths: list[int], together: int, generator: np.random.Generator
) -> list[list[int]]:
    """Micro-batches in another order, in which those that make up a global batch have prompts of like length.

    Within a window of global batches they are sorted by their longest prompt, and the global batches then shuffled: an
    epoch keeps its mixture.
    """
    ordered = []
    for at in range(0, len(batches), BALANCED_OVER * together):
        window = sorted(batches[at : at + BALANCED_OVER * together], key=lambda batch: max(lengths[i] for i in batch))
        whole = len(window) // together
        for place in [*generator.permutation(whole).tolist(), whole]:
            ordered += window[place * together : (place + 1) * together]
    return ordered


def shared_share(dataset: Dataset, config) -> float:
    """Which share of the tokens of an epoch's prompts need not be run, another one of their micro-batch having them."""
    order, size, saved = epoch_order(dataset, config, 0), config.micro_batch_size, 0
    for at in range(0, len(order), size):
        groups, shared = shared_prefixes([dataset.samples[index].prompt_ids for index in order[at : at + size]])
        saved += sum(shared[group] for group in groups) - sum(shared)
    return saved / sum(dataset.prompt_lengths)


def global_batch(dataset: Dataset, config, step: int) -> list[int | None]:
    """Indices of the samples of optimizer step `step` (from 0), in order; None fills the last batch of an epoch."""
    epoch, within = divmod(step, steps_per_epoch(len(dataset.samples), config.batch_size))
    order = epoch_order(dataset, config, epoch)
    chosen = order[within * config.batch_size : (within + 1) * config.batch_size]
    return chosen + [None] * (config.batch_size - len(chosen))


def sample_weights(lengths: list[int], reduction: str) -> list[float]:
    """Weight of each output token of each sample of a global batch, so that all weights sum to 1 (Eq. 2).

    "sequence": 1 / (sequences |y|); "token": 1 / (sum of |y|). A length of 0 marks a row that only fills the batch.
    """
    real = [length for length in lengths if length]
    if reduction == "token":
        return [1.0 / sum(real) if length else 0.0 for length in lengths]
    return [1.0 / (len(real) * length) if length else 0.0 for length in lengths]


def pad_left(prompts: Sequence[list[int]], pad_token_id: int, at_least: int = 0) -> tuple[Tensor, Tensor]:
    """(ids, attention mask), both int64 [B, P]: each prompt ends in the last column."""
    width = max(at_least, *map(len, prompts))
    ids = torch.full((len(prompts), width), pad_token_id)
    attention_mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        attention_mask[row, width - len(prompt) :] = 1
    return ids, attention_mask


def pad_prompts(
    samples: Sequence[Sample | None], pad_token_id: int, share: bool
) -> tuple[Tensor, Tensor, int, list[int], list[int]]:
    """(ids [B, P], mask [B, P], S, a row of each group, the group of each row); see `Batch`.

    Every part has a column, on every rank: under ZeRO-3 a forward over it is a collective.
    """
    places = [row for row, sample in enumerate(samples) if sample]
    # A row that only fills the batch has one token; where all do, one in each part, so that no part is padding alone.
    prompts = [sample.prompt_ids if sample else [pad_token_id] * (1 if places else 3) for sample in samples]
    if not share:
        ids, mask = pad_left(prompts, pad_token_id, at_least=2)
        return ids, mask, 0, [], [0] * len(samples)
    places = places or list(range(len(samples)))
    groups, lengths = shared_prefixes([prompts[row] for row in places])
    group, shared = [0] * len(samples), [0] * len(samples)
    for row, number in zip(places, groups, strict=True):
        group[row], shared[row] = number, lengths[number]
    owners = [places[groups.index(number)] for number in range(len(lengths))]
    parts = [
        pad_left([p[:count] for p, count in zip(prompts, shared, strict=True)], pad_token_id, at_least=1),
        pad_left([p[count:] for p, count in zip(prompts, shared, strict=True)], pad_token_id, at_least=2),
    ]
    ids, mask = (torch.cat(both, dim=1) for both in zip(*parts, strict=True))
    return ids, mask, parts[0][0].shape[1], owners, group


def collate(
    samples: list[Sample | None], weights: list[float], positions: list[int], pad_token_id: int, share: bool = False
) -> Batch:
    """Pad a micro-batch. None becomes a row without an output: it joins the forward, adds nothing.

    Args:
        weights: of each output token of each sample.
        positions: of the samples in the global batch.
        share: put what prompts have in common into columns of its own.
    """
    prompt_ids, prompt_mask, shared_width, owners, group = pad_prompts(samples, pad_token_id, share)
    completions = [sample.completion_ids if sample else [] for sample in samples]
    lengths = [len(completion) for completion in completions]
    prompt_width, width = prompt_ids.shape[1], max(1, *lengths)
    completion_ids = torch.full((len(samples), width), pad_token_id)
    rows, row_weights = [], []
    for index, (completion, weight) in enumerate(zip(completions, weights, strict=True)):
        completion_ids[index, : len(completion)] = torch.tensor(completion)
        first = index * (prompt_width + width) + prompt_width - 1
        rows.append(torch.arange(first, first + len(completion)))
        row_weights.append(torch.full((len(completion),), weight))
    completion_mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    attention_mask = torch.cat([prompt_mask, completion_mask.long()], dim=1)
    return Batch(
        samples=samples,
        input_ids=torch.cat([prompt_ids, completion_ids], dim=1),
        attention_mask=attention_mask,
        position_ids=(attention_mask.cumsum(1) - 1).clamp(min=0),
        completion_ids=completion_ids,
        completion_mask=completion_mask,
        rows=torch.cat(rows),
        row_weights=torch.cat(row_weights),
        lengths=lengths,
        positions=positions,
        shared_width=shared_width,
        owners=torch.tensor(owners, dtype=torch.long),
        group=torch.tensor(group),
        shared_tokens=int(prompt_mask[:, :shared_width].sum() - prompt_mask[owners, :shared_width].sum()),
    )


def micro_batches(dataset: Dataset, config, step: int, rank: int, world_size: int, pad_token_id: int) -> list[Batch]:
    """This rank's micro-batches of one optimizer step: a fixed share of the global batch."""
    chosen = global_batch(dataset, config, step)
    samples = [None if index is None else dataset.samples[index] for index in chosen]
    lengths = [len(sample.completion_ids) if sample else 0 for sample in samples]
    weights = sample_weights(lengths, config.reduction)
    size, share = config.micro_batch_size, config.prefix and config.batching == "schema"
    return [
        collate(samples[at : at + size], weights[at : at + size], list(range(at, at + size)), pad_token_id, share)
        for at in range(rank * size, config.batch_size, size * world_size)
    ]
