"""Every random choice of a training step, keyed by what it is about and never by rank; tokens drawn by such a choice.

So there is no state to save, any number of ranks draws the same, and a resumed run goes on as the run would have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# The last part of a key: one sample's mask, the tokens filled in and those decoded are independent draws, and so are
# a teacher's outputs, which are made once and not for a step.
MASK, FILL, DECODE, SOURCE, TEACHER_OUTPUT = range(5)


def sample_generator(seed: int, step: int, position: int, purpose: int) -> np.random.Generator:
    """The generator of one sample of one optimizer step; `position` counts within the global batch."""
    return np.random.default_rng([seed, step, position, purpose])


def step_generator(seed: int, step: int, purpose: int) -> np.random.Generator:
    """The generator of what a whole global batch shares."""
    return np.random.default_rng([seed, step, 0, purpose])


def sample_uniforms(seed: int, step: int, positions: Sequence[int], purpose: int, counts: Sequence[int]) -> Tensor:
    """Numbers in [0, 1), so many for each sample, one sample after the other; float64 [sum of counts], on the CPU."""
    draws = [
        sample_generator(seed, step, position, purpose).random(count)
        for position, count in zip(positions, counts, strict=True)
    ]
    return torch.from_numpy(np.concatenate(draws))


def draw_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token for each row, by inverting the distribution function at the row's uniform number.

    Args:
        logits: [N, V].
        uniforms: float64 [N], in [0, 1).
        temperature: of the distribution; 0: the most probable token.
        top_p: only the most probable tokens that together reach this probability may be drawn; 1: all.

    Returns:
        int64 [N].
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    # float64: over 150,000 tokens the rounding of an fp32 running sum is larger than many probabilities.
    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    if top_p < 1:
        probabilities, ids = probabilities.sort(dim=-1, descending=True, stable=True)
        more_probable = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(more_probable >= top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    wanted = uniforms[:, None] * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, wanted, right=True).clamp(max=logits.shape[-1] - 1)
    return (ids.gather(1, drawn) if top_p < 1 else drawn).squeeze(1)
