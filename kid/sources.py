"""Where the output y of a training step comes from: the gold SQL, or the gold SQL rewritten by the student (KID)."""

from __future__ import annotations

import torch
from torch import Tensor

from kid.config import RunConfig
from kid.data.batching import Batch
from kid.imperfect import rewrite, select_positions
from kid.methods import METHODS


def predict_masked(student, batch: Batch, masked: Tensor, chosen: Tensor) -> Tensor:
    """The student's most probable token at each chosen position, read off the position before it (section 3, stage 2).

    One forward without gradient, in eval mode, so that it draws nothing from the global generators.

    Returns:
        int64 [number of chosen positions], row-major.
    """
    was_training = student.training
    student.eval()
    with torch.no_grad():
        # `rows` lists the output positions in row-major order, as boolean indexing does.
        rows = batch.rows[chosen[batch.completion_mask]]
        logits = student(batch.with_completion(masked), batch.attention_mask, batch.position_ids, rows)
    student.train(was_training)
    return logits.argmax(dim=-1)


def make_output(config: RunConfig, student, batch: Batch, step: int, mask_token_id: int) -> tuple[Tensor, Tensor]:
    """The output tokens that student and teacher are run on.

    Args:
        student: the student's engine (KID's prediction pass).
        step: optimizer step, from 0.
        mask_token_id: written over the chosen tokens before they are predicted.

    Returns:
        (y or y_hat, int64 [B, R]; which of its tokens were masked, bool [B, R]).
    """
    gold = batch.completion_ids
    if METHODS[config.method].source == "gold" or config.mask_ratio == 0:
        return gold, torch.zeros_like(batch.completion_mask)
    without_eos = [max(0, length - 1) for length in batch.lengths]
    chosen = select_positions(
        without_eos, batch.positions, config.mask_ratio, config.seed, step, width=gold.shape[1]
    ).to(gold.device)
    return rewrite(gold, chosen, mask_token_id, lambda *masked: predict_masked(student, batch, *masked)), chosen
