"""The imperfect data of section 3: select -> mask -> predict -> rewrite, inside the micro-batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from kid.randomness import MASK, sample_generator

# The masking strategies that need the student's entropies, i.e. one more forward on y.
BY_ENTROPY = ("hard", "easy")


def mask_count(mask_ratio: float, length: int) -> int:
    """round(alpha |y|), at least 1 where alpha > 0; `length` is |y| without EOS. Nothing of an empty output."""
    if length == 0 or mask_ratio == 0:
        return 0
    return min(length, max(1, round(mask_ratio * length)))


def select_random(length: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """The paper's strategy "Random": `count` positions in [0, length), uniform without replacement."""
    return generator.choice(length, size=count, replace=False)


def select_uniform(length: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """The paper's strategy "Uniform": `count` positions in [0, length), evenly spaced from a random offset."""
    offset = generator.integers(max(1, length))
    return (np.arange(count) * length + offset) // max(1, count)


def select_by_rule(
    strategy: str, lengths: list[int], positions: list[int], mask_ratio: float, seed: int, step: int, width: int
) -> Tensor:
    """Which output tokens of a micro-batch are masked by a strategy that does not look at the student.

    Args:
        strategy: "random" or "uniform".
        lengths: |y| of each sample without EOS, [B].
        positions: each sample's position in the global batch, [B].
        width: output tokens of the padded micro-batch.

    Returns:
        bool [B, width]; EOS and padding are never chosen.
    """
    select = {"random": select_random, "uniform": select_uniform}[strategy]
    chosen = torch.zeros(len(lengths), width, dtype=torch.bool)
    for row, (length, position) in enumerate(zip(lengths, positions, strict=True)):
        generator = sample_generator(seed, step, position, MASK)
        chosen[row, torch.from_numpy(select(length, mask_count(mask_ratio, length), generator))] = True
    return chosen


def select_by_entropy(strategy: str, lengths: list[int], mask_ratio: float, entropies: Tensor) -> Tensor:
    """Which output tokens are masked where the student's own distribution decides; of equals, the first.

    Args:
        strategy: "hard" (highest entropy: lowest confidence) or "easy" (lowest).
        lengths: |y| of each sample without EOS, [B].
        entropies: of the student's distribution at each output position, given y before it, [B, width]; what it holds
            at EOS and padding does not matter.

    Returns:
        bool [B, width], on the device of `entropies`; EOS and padding are never chosen.
    """
    device, width = entropies.device, entropies.shape[1]
    counts = torch.tensor([mask_count(mask_ratio, length) for length in lengths], device=device)
    eligible = torch.arange(width, device=device) < torch.tensor(lengths, device=device)[:, None]
    keys = (entropies if strategy == "easy" else -entropies).masked_fill(~eligible, torch.inf)
    order = keys.argsort(dim=1, stable=True)
    first = torch.arange(width, device=device) < counts[:, None]
    return torch.zeros_like(eligible).scatter(1, order, first)


def rewrite(
    completion_ids: Tensor, chosen: Tensor, mask_token_id: int, predict: Callable[[Tensor, Tensor], Tensor] | None
) -> Tensor:
    """y -> y_hat: the chosen tokens are masked, predicted in one forward pass and written back.

    Args:
        completion_ids: y, int64 [B, R].
        chosen: bool [B, R], from `select_by_rule` or `select_by_entropy`.
        predict: (masked y [B, R], chosen [B, R]) -> the student's prediction at each chosen position, in row-major
            order. It is called on every rank, also on one where nothing is chosen: its forward is a collective.
            None: the masked sequence itself is the output (the paper's "masking-only").

    Returns:
        y_hat, int64 [B, R]; equal to y wherever nothing was chosen.
    """
    masked = completion_ids.masked_fill(chosen, mask_token_id)
    return masked if predict is None else completion_ids.masked_scatter(chosen, predict(masked, chosen))
