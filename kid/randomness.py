"""Random generators keyed by seed, step, position and purpose, never by rank; and tokens sampled with them.

So there is no generator state to save, any number of ranks draws the same numbers, and a resumed run draws what the
uninterrupted run would have drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Purposes, the last part of a key: the draws of a sample's mask, of its filled-in tokens and of its decoded tokens are
# independent, and so are those of a teacher's outputs and of predictions, which are generated once and not for a step.
MASK, FILL, DECODE, SOURCE, TEACHER_OUTPUT, PREDICTION = range(6)


def sample_generator(seed: int, step: int, position: int, purpose: int) -> np.random.Generator:
    """The generator for one sample of one optimizer step; `position` is its index in the global batch."""
    return np.random.default_rng([seed, step, position, purpose])


def step_generator(seed: int, step: int, purpose: int) -> np.random.Generator:
    """The generator for choices that a whole global batch shares."""
    return np.random.default_rng([seed, step, 0, purpose])


def sample_uniforms(seed: int, step: int, positions: Sequence[int], purpose: int, counts: Sequence[int]) -> Tensor:
    """Uniform numbers in [0, 1), `counts[i]` for sample i, concatenated; float64 [sum of counts], on the CPU."""
    draws = [
        sample_generator(seed, step, position, purpose).random(count)
        for position, count in zip(positions, counts, strict=True)
    ]
    return torch.from_numpy(np.concatenate(draws))


def draw_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """Sample one token per row by inverting the cumulative distribution at the row's uniform number.

    Args:
        logits: [N, V].
        uniforms: float64 [N], in [0, 1).
        temperature: divides the logits; 0 takes the most probable token.
        top_p: sample only from the most probable tokens that together reach this probability; 1: from all.

    Returns:
        int64 [N].
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    # float64: over 150,000 tokens the rounding error of an fp32 running sum exceeds many probabilities.
    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    if top_p < 1:
        probabilities, ids = probabilities.sort(dim=-1, descending=True, stable=True)
        mass_before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(mass_before >= top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    thresholds = uniforms[:, None] * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, thresholds, right=True).clamp(max=logits.shape[-1] - 1)
    return (ids.gather(1, drawn) if top_p < 1 else drawn).squeeze(1)
