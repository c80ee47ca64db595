"""The imperfect data of section 3: select -> mask -> predict -> rewrite, inside the micro-batch.

A strategy selects the tokens of the gold SQL y to mask, by a rule or by the student's entropies. The student predicts
all of them in one pass, and its predictions replace them: y_hat.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kid.config.mask_strategies import MASK_STRATEGIES
from kid.randomness import FILL, MASK, sample_generator, sample_uniforms
from kid.training.passes import ENTROPIES, Y_HAT, MicroBatch, Pass, Y
from kid.training.readout import entropies, predictions


def mask_count(mask_ratio: float, length: int) -> int:
    """Return round(alpha |y|), but at least 1 if alpha > 0; 0 for an empty output. `length` is |y| without EOS."""
    if length == 0 or mask_ratio == 0:
        return 0
    return min(length, max(1, round(mask_ratio * length)))


def select_by_rule(
    strategy: str,
    outputs: Sequence[Sequence[int]],
    positions: Sequence[int],
    mask_ratio: float,
    seed: int,
    step: int,
    width: int,
) -> Tensor:
    """Select the output tokens of a micro-batch to mask, with a strategy that does not depend on the student.

    Args:
        strategy: a key of `MASK_STRATEGIES` that needs no entropies.
        outputs: token ids of y of each sample without EOS, [B] sequences of length |y|.
        positions: each sample's position in the global batch, [B].
        step: optimizer step, from 0.
        width: output tokens of the padded micro-batch.

    Returns:
        bool [B, width]; EOS and padding are never masked.
    """
    select = MASK_STRATEGIES[strategy].select
    masked = torch.zeros(len(outputs), width, dtype=torch.bool)
    for row, (token_ids, position) in enumerate(zip(outputs, positions, strict=True)):
        generator = sample_generator(seed, step, position, MASK)
        masked[row, torch.from_numpy(select(token_ids, mask_count(mask_ratio, len(token_ids)), generator))] = True
    return masked


def select_by_entropy(
    strategy: str, token_ids: Tensor, lengths: Sequence[int], mask_ratio: float, entropies: Tensor
) -> Tensor:
    """Select the output tokens to mask, with a strategy that uses the student's distribution; ties go to the first.

    Args:
        strategy: a key of `MASK_STRATEGIES` that needs entropies.
        token_ids: y, int64 [B, width].
        lengths: |y| of each sample without EOS, [B].
        entropies: of the student's distribution at each output position, given y before it, [B, width]; the values at
            EOS and padding are not used.

    Returns:
        bool [B, width], on the device of `entropies`; EOS and padding are never masked.
    """
    device, width = entropies.device, entropies.shape[1]
    counts = torch.tensor([mask_count(mask_ratio, length) for length in lengths], device=device)
    eligible = torch.arange(width, device=device) < torch.tensor(lengths, device=device)[:, None]
    priorities = MASK_STRATEGIES[strategy].select(token_ids, entropies)
    order = (-priorities).masked_fill(~eligible, torch.inf).argsort(dim=1, stable=True)
    first = torch.arange(width, device=device) < counts[:, None]
    return torch.zeros_like(eligible).scatter(1, order, first)


def mask_by_rule(work: MicroBatch, step_passes: list[Pass]) -> None:
    """Choose the masked tokens before the first pass, unless no pass needs them or one of the passes chooses them."""
    config, batch = work.config, work.batch
    given = [name for this in step_passes for name in this.gives]
    if Y_HAT in [this.reads for this in step_passes] and ENTROPIES not in given:
        masked = select_by_rule(
            config.mask_strategy,
            [sample.completion_ids[:-1] if sample else [] for sample in batch.samples],
            batch.positions,
            config.mask_ratio,
            config.seed,
            work.step,
            batch.completion_ids.shape[1],
        )
        work.mask(masked.to(batch.completion_ids.device))


def mask_by_entropy(work: MicroBatch, this: Pass, states: Tensor) -> None:
    """Handler of ENTROPIES: choose the masked tokens by the entropies of the student's distribution on y."""
    config, inside = work.config, work.batch.completion_mask
    values = entropies(config, work.student, states)
    profile = values.new_zeros(inside.shape).masked_scatter(inside, values)
    work.mask(select_by_entropy(config.mask_strategy, work.outputs[Y], work.lengths, config.mask_ratio, profile))


def write_predictions(work: MicroBatch, this: Pass, states: Tensor) -> None:
    """Handler of PREDICTIONS: replace each masked token by the student's prediction at the position before it."""
    config, y = work.config, work.outputs[Y]
    uniforms = None
    if config.fill == "sample":
        counts = [mask_count(config.mask_ratio, length) for length in work.lengths]
        uniforms = sample_uniforms(config.seed, work.step, work.batch.positions, FILL, counts).to(y.device)
    predicted = predictions(config, work.student, states, work.tokens, uniforms)
    work.outputs[Y_HAT] = y.masked_scatter(work.masked, predicted)
