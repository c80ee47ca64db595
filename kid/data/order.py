"""Select the samples of each optimizer step. An epoch's order depends only on the seed and the batch sizes.

The last batch of an epoch is filled up with rows of weight 0, so that no sample is dropped or repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Dataset, Sample, StoredPrefixes, collate, sample_weights
from kid.data.sharing import shared_prefixes

# With --batching schema, micro-batches are sorted by length within windows of this many global batches.
LENGTH_SORT_WINDOW = 16
# How many prompts are read to measure what micro-batches share. All 8,325 of Spider's take two seconds and change the
# share by less than one percentage point.
MEASURED_SAMPLES = 4096


def steps_per_epoch(samples: int, batch_size: int) -> int:
    return -(-samples // batch_size)


def epoch_order(dataset: Dataset, config: RunConfig, epoch: int) -> list[int]:
    """Indices of all samples, each once, in the order of an epoch.

    "random": shuffled. "schema": micro-batches have samples of one database; samples that do not fill a micro-batch are
    combined across databases. Micro-batches are shuffled (an incomplete one comes last), but those of a global batch,
    which the ranks run in parallel, have prompts of similar length.
    """
    if config.batching == "random":
        return random_order(config.seed, epoch, len(dataset.samples))
    return schema_order(dataset, config.seed, epoch, config.micro_batch_size, config.batch_size)


@lru_cache(maxsize=2)  # called in every step
def random_order(seed: int, epoch: int, count: int) -> list[int]:
    return np.random.default_rng([seed, epoch]).permutation(count).tolist()


@lru_cache(maxsize=2)
def schema_order(dataset: Dataset, seed: int, epoch: int, size: int, batch_size: int) -> list[int]:
    """The order of `epoch_order` with --batching schema; `size` is the micro-batch size."""
    generator = np.random.default_rng([seed, epoch])
    groups: dict[str, list[int]] = {}
    for index in generator.permutation(len(dataset.samples)).tolist():
        groups.setdefault(dataset.db_ids[index], []).append(index)
    leftover = [index for group in groups.values() for index in group[len(group) // size * size :]]
    ordered = [index for group in groups.values() for index in group[: len(group) // size * size]] + leftover
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    last = [batches.pop()] if len(ordered) % size else []
    shuffled = [batches[number] for number in generator.permutation(len(batches))]
    grouped = group_by_length(shuffled, dataset.prompt_lengths, batch_size // size, generator)
    return [index for batch in grouped + last for index in batch]


def group_by_length(
    batches: list[list[int]], lengths: list[int], per_global_batch: int, generator: np.random.Generator
) -> list[list[int]]:
    """Reorder micro-batches so that those of a global batch have prompts of similar length.

    Within a window of global batches, micro-batches are sorted by their longest prompt. Then the global batches are
    shuffled, so that lengths stay mixed over an epoch. Micro-batches that do not fill a global batch stay at the end.

    Args:
        lengths: prompt length of each sample, in tokens.
        per_global_batch: number of micro-batches in a global batch.
    """
    ordered = []
    for start in range(0, len(batches), LENGTH_SORT_WINDOW * per_global_batch):
        window = batches[start : start + LENGTH_SORT_WINDOW * per_global_batch]
        whole = len(window) // per_global_batch
        full = window[: whole * per_global_batch]
        by_length = sorted(full, key=lambda batch: max(lengths[index] for index in batch))
        for number in generator.permutation(whole).tolist():
            ordered += by_length[number * per_global_batch : (number + 1) * per_global_batch]
        ordered += window[whole * per_global_batch :]
    return ordered


def shared_token_fraction(dataset: Dataset, config: RunConfig) -> float:
    """The fraction of an epoch's prompt tokens that are shared with another prompt of the micro-batch.

    Of more than MEASURED_SAMPLES samples, only every n-th micro-batch is read: the other ranks wait meanwhile.
    """
    size = config.micro_batch_size
    if size == 1:
        return 0.0
    order = epoch_order(dataset, config, 0)
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    batches = batches[:: -(-len(order) // MEASURED_SAMPLES)]
    saved = 0
    for batch in batches:
        groups, shared = shared_prefixes([dataset.samples[index].prompt_ids for index in batch])
        saved += sum(shared[group] for group in groups) - sum(shared)
    return saved / sum(dataset.prompt_lengths[index] for batch in batches for index in batch)


def global_batch(dataset: Dataset, config: RunConfig, step: int) -> list[int | None]:
    """Sample indices of optimizer step `step` (from 0), in order; None fills up an epoch's last batch."""
    epoch, within = divmod(step, steps_per_epoch(len(dataset.samples), config.batch_size))
    order = epoch_order(dataset, config, epoch)
    chosen = order[within * config.batch_size : (within + 1) * config.batch_size]
    return chosen + [None] * (config.batch_size - len(chosen))


def runs_prefix(samples: Sequence[Sample | None], share: bool, store: StoredPrefixes | None) -> bool:
    """Whether a teacher must run a forward over the first columns, because the store does not have all of them."""
    if store is None:
        return share
    missing = [store.stored_length(sample) == 0 for sample in samples if sample]
    return share if all(missing) else any(missing)


def micro_batches(
    dataset: Dataset,
    config: RunConfig,
    step: int,
    rank: int,
    world_size: int,
    pad_token_id: int,
    share: bool = False,
    store: StoredPrefixes | None = None,
) -> list[Batch]:
    """This rank's micro-batches of one optimizer step: a fixed part of the global batch.

    Args:
        share, store: see `collate`.
    """
    chosen = global_batch(dataset, config, step)
    samples = [None if index is None else dataset.samples[index] for index in chosen]
    lengths = [len(sample.completion_ids) if sample else 0 for sample in samples]
    weights = sample_weights(lengths, config.reduction)
    size = config.micro_batch_size
    found = []
    for start in range(0, config.batch_size, size * world_size):  # the micro-batches that the ranks run in parallel
        parts = [samples[first : first + size] for first in range(start, start + size * world_size, size)]
        first = start + rank * size
        positions, own = list(range(first, first + size)), parts[rank]
        if dataset.teacher_states is not None:
            own = [
                sample and replace(sample, teacher_states=dataset.teacher_states[index])
                for sample, index in zip(own, chosen[first : first + size], strict=True)
            ]
        batch = collate(own, weights[first : first + size], positions, pad_token_id, share, store)
        # Under ZeRO-3 a forward is a collective; from the order, every rank knows whether any rank needs one.
        batch.teacher_runs_prefix = any(runs_prefix(part, share, store) for part in parts)
        found.append(batch)
    return found
