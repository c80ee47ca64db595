"""Which beginnings of prompts a teacher's keys and values are kept of: whole schemas, those used most first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kid.data.batching import Dataset, Sample
from kid.data.sharing import max_shared_length

Tokens = tuple[int, ...]


def stored_part(sample: Sample) -> Tokens:
    """The token ids of a prompt's beginning that can be stored; () of a prompt whose schema is its own."""
    return tuple(sample.prompt_ids[: min(sample.shared, max_shared_length(sample.prompt_ids))])


def by_schema(samples: Sequence[Sample]) -> list[int]:
    """Places of samples, those with the same schema together; the longest prompts first, of the schemas and of each."""
    groups: dict[Tokens, list[int]] = {}
    for place in sorted(range(len(samples)), key=lambda place: -len(samples[place].prompt_ids)):
        groups.setdefault(stored_part(samples[place]) or (-1, place), []).append(place)
    return [place for group in groups.values() for place in group]


@dataclass(frozen=True)
class Coverage:
    """Chosen beginnings, those used most first, and what part of all prompts and of their tokens they are."""

    prefixes: Sequence[Tokens]
    prompts: float
    tokens: float


def choose_prefixes(dataset: Dataset, bytes_per_token: int, budget: float) -> Coverage:
    """The beginnings that at least two prompts have, as many as fit.

    Each saves as many runs of a byte's worth of tokens as it has prompts, so those with the most come first.

    Args:
        bytes_per_token: of the teacher's keys and values, all layers together.
        budget: bytes that all may take.
    """
    uses = Counter(stored_part(dataset.samples[index]) for index in range(len(dataset.samples)))
    del uses[()]
    chosen: list[Tokens] = []
    for prefix, count in sorted(uses.items(), key=lambda item: (-item[1], item[0])):
        size = len(prefix) * bytes_per_token
        if count > 1 and size <= budget:
            chosen.append(prefix)
            budget -= size
    prompts = sum(uses[prefix] for prefix in chosen)
    tokens = sum(uses[prefix] * len(prefix) for prefix in chosen)
    return Coverage(chosen, prompts / len(dataset.samples), tokens / sum(dataset.prompt_lengths))
