"""Which prompts of a micro-batch begin alike: what they have in common is run once for all of them.

Found in the token ids alone, so that it holds for any prompt format and also where the schema filter has made prompts
on one database differ: then what is common still is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def shareable(prompt: Sequence[int]) -> int:
    """Tokens of a prompt that may be run apart from it: two are left to it, of which the last starts the output."""
    return max(0, len(prompt) - 2)


def shared_prefixes(prompts: Sequence[list[int]]) -> tuple[list[int], list[int]]:
    """Prompts in groups that begin alike: of the groupings by how much neighbours share at least, the one that runs the
    fewest tokens, padding included.

    Args:
        prompts: token ids of each, B of them.

    Returns:
        (group of each prompt; of each group, the tokens of its beginning that are run once for all in it). A prompt
        with nothing in common with others is a group of its own, whose beginning is run apart all the same.
    """
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    alike = [common_length(prompts[a], prompts[b]) for a, b in pairwise(order)]
    best = None
    # Neighbours in sorted order with at least so many tokens in common are one group; last: all are alone.
    for least in [*sorted({count for count in alike if count}), None]:
        groups, shared = [[order[0]]], [shareable(prompts[order[0]])]
        for place, count in zip(order[1:], alike, strict=True):
            if least is not None and count >= least:
                groups[-1].append(place)
                shared[-1] = min(shared[-1], count, shareable(prompts[place]))
            else:
                groups.append([place])
                shared.append(shareable(prompts[place]))
        # A prompt alone fills the columns that the others need, and no more.
        several = [count for group, count in zip(groups, shared, strict=True) if len(group) > 1]
        width = max([1, *several])
        shared = [min(count, width) for count in shared]
        own = max(len(prompts[place]) - count for group, count in zip(groups, shared, strict=True) for place in group)
        cost = len(groups) * width + len(prompts) * own
        if best is None or cost < best[0]:
            best = cost, groups, shared
    _, groups, shared = best
    group_of = {place: number for number, group in enumerate(groups) for place in group}
    return [group_of[place] for place in range(len(prompts))], shared
