"""Which samples make up each optimizer step: an order of each epoch, a function of the seed and the batch sizes.

The last batch of an epoch is filled with rows of weight 0: no sample is dropped, none is repeated.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kid.data.batching import Batch, Dataset, collate, sample_weights
from kid.data.sharing import shared_prefixes

# Global batches over which micro-batches are sorted by length, with --batching schema.
BALANCED_OVER = 16


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
    epoch keeps its mixture. Micro-batches that do not fill a global batch stay at the end as they are.
    """
    ordered = []
    for at in range(0, len(batches), BALANCED_OVER * together):
        window = batches[at : at + BALANCED_OVER * together]
        whole = len(window) // together
        alike = sorted(window[: whole * together], key=lambda batch: max(lengths[index] for index in batch))
        for place in generator.permutation(whole).tolist():
            ordered += alike[place * together : (place + 1) * together]
        ordered += window[whole * together :]
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


def micro_batches(
    dataset: Dataset, config, step: int, rank: int, world_size: int, pad_token_id: int, share: bool = False
) -> list[Batch]:
    """This rank's micro-batches of one optimizer step: a fixed share of the global batch; `share`: see `collate`."""
    chosen = global_batch(dataset, config, step)
    samples = [None if index is None else dataset.samples[index] for index in chosen]
    lengths = [len(sample.completion_ids) if sample else 0 for sample in samples]
    weights = sample_weights(lengths, config.reduction)
    size = config.micro_batch_size
    return [
        collate(samples[at : at + size], weights[at : at + size], list(range(at, at + size)), pad_token_id, share)
        for at in range(rank * size, config.batch_size, size * world_size)
    ]
