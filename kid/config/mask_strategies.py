"""The masking strategies of section 3 as data: which tokens of the gold SQL y the student rewrites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class MaskStrategy:
    """How the masked tokens of an output are chosen.

    needs_entropies: whether the choice depends on the student's distribution on y, which takes one more forward.
    select: without entropies, (token ids of y [|y|], number of tokens to mask, generator keyed by the sample) ->
        positions in [0, |y|). With entropies, (token ids int64 [B, R], entropies [B, R] of the student's distribution
        at each output position given y before it) -> ranking [B, R]: the highest are masked, ties go to the first.
    """

    select: Callable[..., Any]
    needs_entropies: bool = False


def select_random(token_ids: Sequence[int], count: int, generator: np.random.Generator) -> np.ndarray:
    """The paper's strategy "Random": uniform without replacement."""
    return generator.choice(len(token_ids), size=count, replace=False)


def select_uniform(token_ids: Sequence[int], count: int, generator: np.random.Generator) -> np.ndarray:
    """The paper's strategy "Uniform": evenly spaced from a random offset."""
    length = len(token_ids)
    offset = generator.integers(max(1, length))
    import numpy as np  # here, because every --help imports this module for the names of the strategies

    return (np.arange(count) * length + offset) // max(1, count)


def select_hard(token_ids, entropies):
    """The paper's strategy "Hard": highest entropy, lowest confidence."""
    return entropies


def select_easy(token_ids, entropies):
    """The paper's strategy "Easy": lowest entropy."""
    return -entropies


MASK_STRATEGIES: dict[str, MaskStrategy] = {
    "random": MaskStrategy(select_random),
    "uniform": MaskStrategy(select_uniform),
    "hard": MaskStrategy(select_hard, needs_entropies=True),
    "easy": MaskStrategy(select_easy, needs_entropies=True),
}
