"""From prepared questions to token batches: how a micro-batch is padded, and what its tokens weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import datasets
import torch
from torch import Tensor

from kid.data.prepare import Prepared, prepare
from kid.data.reading import data_options
from kid.data.sharing import shared_prefixes
from kid.errors import InputError


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
    """Samples in the benchmark's order, the db_id of each, and lines on everything that was cut or left out.

    `indices`: where each question stands in the benchmark, of which some may have been left out.
    """

    samples: Sequence[Sample]
    db_ids: list[str]
    remarks: list[str]
    indices: Sequence[int] = ()

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
    return Dataset(ArrowSamples(rows), list(rows["db_id"]), remarks, list(rows["index"]))


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
