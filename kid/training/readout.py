"""Losses, entropies and predictions from the states of a micro-batch's response rows.

The fused head computes them from hidden states, one chunk of rows at a time; with `--fused off` they are computed from
all logits at once, for comparison. `states` are the result of `kid.models.prefix_cache.forward_outputs`: hidden states
[N, H] or logits [N, V].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kid.config.run_config import RunConfig
from kid.losses.divergence import divergence, entropy, negative_log_likelihood
from kid.losses.fused import fused_losses, logits_in_chunks
from kid.models.pretrained import TokenIds
from kid.models.stored_teacher import StoredTeacher
from kid.models.zero3 import Model, gathered_heads
from kid.randomness import draw_tokens

# Peak memory of draw_tokens, which computes in fp64, as a number of fp32 tensors of the logits' size.
DRAW_SCRATCH = 12


@dataclass(frozen=True)
class Losses:
    """loss = sum_i w_i (kd_weight kd_i + mle_weight nll_i), a scalar with gradient; kd, nll: [N], without gradient."""

    loss: Tensor
    kd: Tensor
    nll: Tensor


def losses(
    config: RunConfig,
    student: Model,
    states: Tensor,
    weights: Tensor,
    targets: Tensor | None = None,
    teacher: Model | StoredTeacher | None = None,
    teacher_states: Tensor | None = None,
) -> Losses:
    """Compute the rows' losses (Eq. 2): the run's divergence if a teacher is given, the likelihood if targets are.

    Args:
        student, teacher: engines or bare modules.
        weights: [N]; they sum to 1 over the global batch.
        targets: int64 [N], the gold ids.
    """
    name = None if teacher is None else config.resolved_divergence
    if config.fused:
        with gathered_heads(*(model for model in (student, teacher) if model is not None)) as heads:
            teacher_head = None if teacher is None else heads[1]
            found = fused_losses(
                states, heads[0], teacher_states, teacher_head, targets, weights, divergence=name,
                kd_weight=config.kd_weight, mle_weight=config.mle_weight, temperature=config.temperature,
                mixture_weight=config.mixture_weight, memory_mb=config.logit_memory_mb,
            )  # fmt: skip
        return Losses(found.loss, found.kd, found.nll)
    kd = nll = torch.zeros_like(weights)
    if teacher is not None:
        kd = divergence(name, states, teacher_states, config.temperature, config.mixture_weight)
    if targets is not None:
        nll = negative_log_likelihood(states, targets)
    loss = ((config.kd_weight * kd + config.mle_weight * nll) * weights).sum()
    return Losses(loss, kd.detach(), nll.detach())


@torch.no_grad()
def entropies(config: RunConfig, student: Model, states: Tensor) -> Tensor:
    """Compute the entropy of the student's distribution in each row, [N], in nats."""
    if not config.fused:
        return entropy(states)
    with gathered_heads(student) as (head,):
        return fused_losses(states, head, memory_mb=config.logit_memory_mb).entropy


@torch.no_grad()
def predictions(config: RunConfig, student: Model, states: Tensor, tokens: TokenIds, uniforms: Tensor | None) -> Tensor:
    """Predict the student's next token in each row, int64 [N]: the most probable, or sampled with uniforms [N]."""
    if not config.fused:
        logits = states[:, : tokens.count]
        if uniforms is None:
            return logits.argmax(-1)
        return draw_tokens(logits, uniforms, config.sample_temperature, config.top_p)
    with gathered_heads(student) as (head,):
        if uniforms is None:
            return fused_losses(states, head, vocabulary=tokens.count, memory_mb=config.logit_memory_mb).argmax
        drawn = torch.empty(len(states), dtype=torch.long, device=states.device)
        for rows, logits in logits_in_chunks(states, head, DRAW_SCRATCH, config.logit_memory_mb):
            chosen = draw_tokens(logits[:, : tokens.count], uniforms[rows], config.sample_temperature, config.top_p)
            drawn[rows] = chosen
        return drawn
