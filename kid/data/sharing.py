"""Find common prefixes of the prompts of a micro-batch, so that each prefix is run only once.

Only token ids are compared, so this works for any prompt format, and also where the schema filter has made prompts on
one database differ: what they still have in common is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def common_prefix_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix of two sequences."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def max_shared_length(prompt: Sequence[int]) -> int:
    """How many tokens of a prompt may be shared: the last two stay its own, and the last of them starts the output."""
    return max(0, len(prompt) - 2)


def shared_prefixes(prompts: Sequence[list[int]]) -> tuple[list[int], list[int]]:
    """Group prompts by common prefixes so that the fewest tokens are run, padding included.

    Sorted prompts are grouped by a minimum length of the prefix that neighbours share; every such minimum is tried.

    Args:
        prompts: token ids of B prompts.

    Returns:
        (group of each prompt [B]; shared prefix length of each group [G], in tokens). A prompt with no common prefix is
        a group of its own; its beginning is run separately all the same.
    """
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    common = [common_prefix_length(prompts[a], prompts[b]) for a, b in pairwise(order)]
    best = None
    # Neighbours in sorted order with at least this many common tokens are one group; with None, each prompt is alone.
    for min_common in [*sorted({count for count in common if count}), None]:
        groups, shared = [[order[0]]], [max_shared_length(prompts[order[0]])]
        for place, count in zip(order[1:], common, strict=True):
            if min_common is not None and count >= min_common:
                groups[-1].append(place)
                shared[-1] = min(shared[-1], count, max_shared_length(prompts[place]))
            else:
                groups.append([place])
                shared.append(max_shared_length(prompts[place]))
        # A prompt alone fills the columns that groups of several need, and no more.
        of_several = [count for group, count in zip(groups, shared, strict=True) if len(group) > 1]
        width = max([1, *of_several])
        shared = [min(count, width) for count in shared]
        own = max(len(prompts[place]) - count for group, count in zip(groups, shared, strict=True) for place in group)
        cost = len(groups) * width + len(prompts) * own
        if best is None or cost < best[0]:
            best = cost, groups, shared
    _, groups, shared = best
    group_of = {place: number for number, group in enumerate(groups) for place in group}
    return [group_of[place] for place in range(len(prompts))], shared
