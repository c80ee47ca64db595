"""Every random choice of a training step, keyed by what it is about and never by rank.

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
