"""Choose the prompt prefixes whose keys and values a teacher stores: whole schemas, the most used ones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kid.data.batching import Dataset, Sample
from kid.data.sharing import max_shared_length

Tokens = tuple[int, ...]


def stored_part(sample: Sample) -> Tokens:
    """The token ids of the prompt prefix that can be stored; () if the prompt has a schema of its own."""
    return tuple(sample.prompt_ids[: min(sample.shared, max_shared_length(sample.prompt_ids))])


def by_schema(samples: Sequence[Sample]) -> list[int]:
    """Indices of samples grouped by schema; schemas, and samples of a schema, are sorted by longest prompt first."""
    groups: dict[Tokens, list[int]] = {}
    for index in sorted(range(len(samples)), key=lambda index: -len(samples[index].prompt_ids)):
        groups.setdefault(stored_part(samples[index]) or (-1, index), []).append(index)
    return [index for group in groups.values() for index in group]


@dataclass(frozen=True)
class Coverage:
    """Chosen prefixes, the most used ones first, and the fractions of all prompts and prompt tokens that they cover."""

    prefixes: Sequence[Tokens]
    prompts: float
    tokens: float


def choose_prefixes(dataset: Dataset, bytes_per_token: int, budget: float) -> Coverage:
    """Choose prefixes that at least two prompts have, as many as fit in the budget.

    Per stored byte, a prefix saves in proportion to the number of its prompts, so those with the most prompts come
    first.

    Args:
        bytes_per_token: bytes of the teacher's keys and values per token, over all layers.
        budget: maximum total bytes.
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
