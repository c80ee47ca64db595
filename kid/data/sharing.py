"""Find common prefixes of the prompts of a micro-batch, so that each prefix is encoded only once.

Only token ids are compared. So this works for any prompt format, and also if the schema filter makes prompts on one
database differ: they share the prefix that they still have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any


def common_prefix_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Length of the common prefix of two sequences."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def max_shared_length(prompt: Sequence[int]) -> int:
    """How many tokens of a prompt may be shared: all except the last two, of which the last one starts the output."""
    return max(0, len(prompt) - 2)


def shared_prefixes(prompts: Sequence[list[int]]) -> tuple[list[int], list[int]]:
    """Group prompts by common prefixes so that the number of processed tokens, including padding, is minimal.

    Sorted prompts are grouped by a minimum length of the common prefix of neighbours; all minimum lengths are tried.

    Args:
        prompts: token ids of B prompts.

    Returns:
        (group of each prompt [B]; shared prefix length of each group [G], in tokens). A prompt without a common prefix
        forms its own group, and its beginning is still encoded separately.
    """
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    common = [common_prefix_length(prompts[a], prompts[b]) for a, b in pairwise(order)]
    best = None
    # Neighbours with at least `min_common` common tokens form a group; None: each prompt forms its own group.
    for min_common in [*sorted({count for count in common if count}), None]:
        groups, shared = [[order[0]]], [max_shared_length(prompts[order[0]])]
        for row, count in zip(order[1:], common, strict=True):
            if min_common is not None and count >= min_common:
                groups[-1].append(row)
                shared[-1] = min(shared[-1], count, max_shared_length(prompts[row]))
            else:
                groups.append([row])
                shared.append(max_shared_length(prompts[row]))
        # A single prompt uses the columns that groups of several prompts need, but no more.
        of_several = [count for group, count in zip(groups, shared, strict=True) if len(group) > 1]
        width = max([1, *of_several])
        shared = [min(count, width) for count in shared]
        own = max(len(prompts[row]) - count for group, count in zip(groups, shared, strict=True) for row in group)
        cost = len(groups) * width + len(prompts) * own
        if best is None or cost < best[0]:
            best = cost, groups, shared
    _, groups, shared = best
    group_of = {row: number for number, group in enumerate(groups) for row in group}
    return [group_of[row] for row in range(len(prompts))], shared
