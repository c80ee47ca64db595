"""The imperfect data of section 3: select -> mask -> predict -> rewrite, inside the micro-batch.

Every random choice about a sample comes from a generator keyed by (seed, optimizer step, position in the global
batch), so it is the same on any number of ranks and after a resume, and there is no state to save.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def sample_generator(seed: int, step: int, position: int) -> np.random.Generator:
    """The generator of one sample of one optimizer step; `position` counts within the global batch."""
    return np.random.default_rng([seed, step, position])


def mask_count(mask_ratio: float, length: int) -> int:
    """round(alpha |y|), at least 1 where alpha > 0; `length` is |y| without EOS. Nothing of an empty output."""
    if length == 0 or mask_ratio == 0:
        return 0
    return min(length, max(1, round(mask_ratio * length)))


def select_random(length: int, mask_ratio: float, generator: np.random.Generator) -> np.ndarray:
    """The paper's strategy "Random": positions in [0, length), uniform without replacement, ascending."""
    return np.sort(generator.choice(length, size=mask_count(mask_ratio, length), replace=False))


def select_positions(
    lengths: list[int], positions: list[int], mask_ratio: float, seed: int, step: int, width: int
) -> Tensor:
    """Which output tokens of a micro-batch are masked.

    Args:
        lengths: |y| of each sample without EOS, [B].
        positions: each sample's position in the global batch, [B].
        width: output tokens of the padded micro-batch.

    Returns:
        bool [B, width]; EOS and padding are never chosen.
    """
    chosen = torch.zeros(len(lengths), width, dtype=torch.bool)
    for row, (length, position) in enumerate(zip(lengths, positions, strict=True)):
        generator = sample_generator(seed, step, position)
        chosen[row, torch.from_numpy(select_random(length, mask_ratio, generator))] = True
    return chosen


def rewrite(
    completion_ids: Tensor, chosen: Tensor, mask_token_id: int, predict: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """y -> y_hat: the chosen tokens are masked, predicted in one forward pass and written back.

    Args:
        completion_ids: y, int64 [B, R].
        chosen: bool [B, R], from `select_positions`.
        predict: (masked y [B, R], chosen [B, R]) -> the student's prediction at each chosen position, in row-major
            order. It is called on every rank, also on one where nothing is chosen: its forward is a collective.

    Returns:
        y_hat, int64 [B, R]; equal to y wherever nothing was chosen.
    """
    masked = completion_ids.masked_fill(chosen, mask_token_id)
    return completion_ids.masked_scatter(chosen, predict(masked, chosen))
