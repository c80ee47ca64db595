"""Turn prepared questions into batches: pad micro-batches, and weight output tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from kid.data.sharing import shared_prefixes

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Sample:
    """Token ids of a prompt (schema part, then question part) and of its output, which ends with EOS.

    shared: the length of the prompt's prefix of BOS and whole schema, which prompts on the same schema share; 0 if the
    schema was filtered or cut for this prompt.
    teacher_states: [|y|, H_t], the teacher's hidden states that predict the output; None: not stored.
    """

    prompt_ids: list[int]
    completion_ids: list[int]
    shared: int = 0
    teacher_states: Tensor | None = field(default=None, compare=False)


class StoredPrefixes(Protocol):
    """Prompt prefixes that a teacher does not need to encode: a `kid.models.prefix_store.PrefixStore`."""

    def stored_length(self, sample: Sample) -> int:
        """The length of the stored prefix of the sample's prompt in tokens; 0 if none is stored."""

    def prefix(self, batch: Batch, own: Any) -> Any:
        """The teacher's `kid.models.prefix_cache.PrefixCache` of a micro-batch; own: of the rows encoded now."""


class OutputStates(Protocol):
    """A teacher's hidden states by sample: a `kid.data.teacher_states.TeacherStates`."""

    def __getitem__(self, index: int) -> Tensor: ...


class ArrowSamples(Sequence):
    """Samples that are read from the Arrow cache one at a time, to save memory."""

    def __init__(self, rows: datasets.Dataset):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # it takes no slices
        row = self.rows[index]
        own_schema = row["filtered"] or row["cut"]
        return Sample(row["prompt_ids"], row["completion_ids"], 0 if own_schema else row["shared"])

    def lengths(self, column: str) -> list[int]:
        """Number of ids in each row of a column, without turning the ids into lists, which takes 25 times as long."""
        import pyarrow.compute as pc

        return pc.list_value_length(self.rows.select_columns(column).with_format("arrow")[:][column]).to_pylist()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in the benchmark's order, the db_id of each, and remarks on everything that was cut or skipped.

    indices: each sample's index among the benchmark's questions, some of which may have been skipped.
    skipped: reason -> indices of the skipped questions.
    asked: (db_id, question) of all questions of the split, in lower case; for a given prompt, the prompt's text.
    teacher_states: sample -> the teacher's stored states (`kid.data.teacher_states.TeacherStates`); None: not stored.
    """

    samples: Sequence[Sample]
    db_ids: list[str]
    remarks: list[str]
    indices: Sequence[int] = ()
    teacher_states: OutputStates | None = None
    skipped: dict[str, list[int]] = field(default_factory=dict)
    asked: frozenset[tuple[str, str]] = frozenset()

    @cached_property
    def prompt_lengths(self) -> list[int]:
        if isinstance(self.samples, ArrowSamples):
            return self.samples.lengths("prompt_ids")
        return [len(sample.prompt_ids) for sample in self.samples]

    @cached_property
    def completion_lengths(self) -> list[int]:
        if isinstance(self.samples, ArrowSamples):
            return self.samples.lengths("completion_ids")
        return [len(sample.completion_ids) for sample in self.samples]


@dataclass
class Batch:
    """One micro-batch: prompts padded on the left to width P, outputs padded on the right to width R.

    Prompts with a common prefix form a group. The first S of the P columns contain these prefixes, padded on the left.

    samples: [B]; None is a filler row, which only completes the batch.
    input_ids, attention_mask, position_ids: int64 [B, P + R].
    completion_ids: int64 [B, R].
    completion_mask: bool [B, R], true at output tokens.
    logit_positions: int64 [N], for each output token the index in the flattened [B, P + R] of the logits that predict
        it (the position before it).
    row_weights: fp32 [N]; over the whole global batch they sum to 1.
    lengths: [B], |y| with EOS; 0 for a filler row.
    positions: [B], positions in the global batch.
    shared_width: S; 0 if no prefixes are shared.
    representatives: int64 [G], one row of each group.
    group_of_row: int64 [B], the group of each row.
    shared_tokens: number of prompt tokens that are not encoded again because another row has them.
    store: the teacher's stored prefixes; None: there are none.
    teacher: the same micro-batch in a layout for the teacher, if the store has a prefix of any row; None: same layout.
        Stored prefixes are in the first S columns of their rows, and `representatives` are the rows without one.
    teacher_runs_prefix: whether a partitioned teacher runs a forward over the first columns, here or on another rank.
    teacher_states: [N, H_t], the teacher's stored hidden states at the output tokens; None: not stored.
    """

    samples: list[Sample | None]
    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    logit_positions: Tensor
    row_weights: Tensor
    lengths: list[int]
    positions: list[int]
    shared_width: int
    representatives: Tensor
    group_of_row: Tensor
    shared_tokens: int
    store: StoredPrefixes | None = None
    teacher: Batch | None = None
    teacher_runs_prefix: bool = False
    teacher_states: Tensor | None = None

    @property
    def prompt_width(self) -> int:
        return self.input_ids.shape[1] - self.completion_ids.shape[1]

    @property
    def tokens(self) -> int:
        """Number of prompt and output tokens, without padding."""
        return sum(len(sample.prompt_ids) for sample in self.samples if sample) + sum(self.lengths)

    def to(self, device: torch.device | str) -> Batch:
        moved: dict[str, Any] = {
            name: value.to(device) if isinstance(value, Tensor | Batch) else value for name, value in vars(self).items()
        }
        return Batch(**moved)


def sample_weights(lengths: list[int], reduction: str) -> list[float]:
    """The weight of an output token for each sample of a global batch; over all tokens, weights sum to 1 (Eq. 2).

    "sequence": 1 / (sequences |y|); "token": 1 / (sum of |y|). A length of 0 marks a filler row.
    """
    real = [length for length in lengths if length]
    if reduction == "token":
        return [1.0 / sum(real) if length else 0.0 for length in lengths]
    return [1.0 / (len(real) * length) if length else 0.0 for length in lengths]


def pad_left(prompts: Sequence[list[int]], pad_token_id: int, min_width: int = 0) -> tuple[Tensor, Tensor]:
    """(ids, attention mask), both int64 [B, P]; each prompt ends in the last column, and P is at least `min_width`."""
    width = max(min_width, *map(len, prompts))
    ids = torch.full((len(prompts), width), pad_token_id)
    attention_mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        attention_mask[row, width - len(prompt) :] = 1
    return ids, attention_mask


def pad_prompts(
    samples: Sequence[Sample | None], pad_token_id: int, share: bool
) -> tuple[Tensor, Tensor, int, list[int], list[int]]:
    """Pad prompts: (ids [B, P], mask [B, P], S, one row of each group, the group of each row); see `Batch`.

    Each of the two parts has at least one column on every rank, because under ZeRO-3 a forward over it is a collective.
    """
    real_rows = [row for row, sample in enumerate(samples) if sample]
    # A filler row has one token. If all rows are fillers, they have three, so that no part is only padding.
    prompts = [sample.prompt_ids if sample else [pad_token_id] * (1 if real_rows else 3) for sample in samples]
    if not share:
        ids, mask = pad_left(prompts, pad_token_id, min_width=2)
        return ids, mask, 0, [], [0] * len(samples)
    real_rows = real_rows or list(range(len(samples)))
    groups, lengths = shared_prefixes([prompts[row] for row in real_rows])
    group_of_row, shared = [0] * len(samples), [0] * len(samples)
    for row, number in zip(real_rows, groups, strict=True):
        group_of_row[row], shared[row] = number, lengths[number]
    representatives = [real_rows[groups.index(number)] for number in range(len(lengths))]
    parts = [
        pad_left([p[:count] for p, count in zip(prompts, shared, strict=True)], pad_token_id, min_width=1),
        pad_left([p[count:] for p, count in zip(prompts, shared, strict=True)], pad_token_id, min_width=2),
    ]
    ids, mask = (torch.cat(both, dim=1) for both in zip(*parts, strict=True))
    return ids, mask, parts[0][0].shape[1], representatives, group_of_row


def split_at_stored(
    samples: Sequence[Sample | None], pad_token_id: int, stored: Sequence[int]
) -> tuple[Tensor, Tensor, int, list[int], list[int]]:
    """Like `pad_prompts`, for a teacher with a stored prefix of at least one row.

    Args:
        stored: length of each row's stored prefix, or 0. A prompt without one is split so that its second part does not
            widen the columns after the stored prefixes.
    """
    prompts = [sample.prompt_ids if sample else [pad_token_id] * 2 for sample in samples]
    rows = list(range(len(prompts)))
    rest = max(len(prompts[row]) - stored[row] for row in rows if stored[row])
    unstored = [row for row in rows if not stored[row]]
    ends = [stored[row] or max(0, len(prompts[row]) - rest) for row in rows]
    parts = [
        pad_left([prompt[:end] for prompt, end in zip(prompts, ends, strict=True)], pad_token_id),
        pad_left([prompt[end:] for prompt, end in zip(prompts, ends, strict=True)], pad_token_id),
    ]
    ids, mask = (torch.cat(both, dim=1) for both in zip(*parts, strict=True))
    return ids, mask, parts[0][0].shape[1], [row for row in unstored if ends[row]], rows


def collate(
    samples: list[Sample | None],
    weights: list[float],
    positions: list[int],
    pad_token_id: int,
    share: bool = False,
    store: StoredPrefixes | None = None,
) -> Batch:
    """Pad a micro-batch. None becomes a filler row: it takes part in the forward, but has no output and no effect.

    Args:
        weights: [B], the weight of each output token of a sample.
        positions: [B], positions of the samples in the global batch.
        share: put common prefixes of prompts into separate columns.
        store: the teacher's stored prefixes, for which the batch gets a layout of its own (`Batch.teacher`).
    """
    batch = arrange(samples, weights, positions, pad_token_id, *pad_prompts(samples, pad_token_id, share))
    batch.store = store
    stored = [store.stored_length(sample) if store and sample else 0 for sample in samples]
    if any(stored):
        batch.teacher = arrange(
            samples, weights, positions, pad_token_id, *split_at_stored(samples, pad_token_id, stored)
        )
    return batch


def arrange(
    samples: list[Sample | None],
    weights: list[float],
    positions: list[int],
    pad_token_id: int,
    prompt_ids: Tensor,
    prompt_mask: Tensor,
    shared_width: int,
    representatives: list[int],
    group_of_row: list[int],
) -> Batch:
    """Append outputs to padded prompts. The arguments are those of `collate` and the results of `pad_prompts`."""
    completions = [sample.completion_ids if sample else [] for sample in samples]
    lengths = [len(completion) for completion in completions]
    prompt_width, width = prompt_ids.shape[1], max(1, *lengths)
    completion_ids = torch.full((len(samples), width), pad_token_id)
    logit_positions, row_weights = [], []
    for index, (completion, weight) in enumerate(zip(completions, weights, strict=True)):
        completion_ids[index, : len(completion)] = torch.tensor(completion)
        first = index * (prompt_width + width) + prompt_width - 1
        logit_positions.append(torch.arange(first, first + len(completion)))
        row_weights.append(torch.full((len(completion),), weight))
    completion_mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    attention_mask = torch.cat([prompt_mask, completion_mask.long()], dim=1)
    stored = [sample.teacher_states for sample in samples if sample and sample.teacher_states is not None]
    return Batch(
        samples=samples,
        input_ids=torch.cat([prompt_ids, completion_ids], dim=1),
        attention_mask=attention_mask,
        position_ids=(attention_mask.cumsum(1) - 1).clamp(min=0),
        completion_ids=completion_ids,
        completion_mask=completion_mask,
        logit_positions=torch.cat(logit_positions),
        row_weights=torch.cat(row_weights),
        lengths=lengths,
        positions=positions,
        shared_width=shared_width,
        representatives=torch.tensor(representatives, dtype=torch.long),
        group_of_row=torch.tensor(group_of_row),
        shared_tokens=int(prompt_mask[:, :shared_width].sum() - prompt_mask[representatives, :shared_width].sum()),
        teacher_states=torch.cat(stored) if stored else None,
    )
