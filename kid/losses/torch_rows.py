"""Losses and gradients of rows of logits, in torch: for the CPU, and for any device without Triton.

kid/losses/terms.py has the value and gradient of each divergence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kid.losses.divergence import DIVERGENCES, RowStatistics

# Elements in a block of rows on a CPU: small enough to stay in the CPU cache from one operation to the next.
BLOCK = 2**18
# The most tensors of a block's size that are alive at once (jsd at a temperature other than 1).
SCRATCH = 10


@dataclass(frozen=True)
class Objective:
    """loss = sum_i w_i (kd_weight T^2 F(p || q)_i + mle_weight nll_i); F over the first `common` ids at temperature T.

    divergence: a key of `kid.losses.divergence.DIVERGENCES`, or None: no teacher. mixture_weight: beta of JSD, alpha
    of the skewed KLs. common: number of ids that both vocabularies have. vocabulary: the argmax is taken over the
    first `vocabulary` ids.
    """

    divergence: str | None
    kd_weight: float
    mle_weight: float
    temperature: float
    mixture_weight: float
    common: int
    vocabulary: int


def softmax_parts(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (logits minus their row maximum, its exp, the row sums [n, 1] of the exp)."""
    shifted = logits - logits.amax(-1, keepdim=True)
    exponential = shifted.exp()
    return shifted, exponential, exponential.sum(-1, keepdim=True)


def fill_row_statistics(
    student: Tensor,
    teacher: Tensor | None,
    targets: Tensor | None,
    weights: Tensor,
    objective: Objective,
    statistics: RowStatistics,
    gradient: Tensor | None,
) -> None:
    """Write the statistics of n rows to `statistics` and, if `gradient` is given, dL/d logits of the student to it.

    Args:
        student, teacher: logits, [n, V_s] and [n, V_t], fp32 or wider.
        targets: int64 [n]; None: no likelihood.
        weights: [n].
        gradient: [n, V_s] of any dtype; may be `student` itself, which is otherwise not modified.
    """
    rows = max(1, BLOCK // student.shape[1]) if student.device.type == "cpu" else max(1, len(student))
    for start in range(0, len(student), rows):
        part = slice(start, start + rows)
        fill_block_statistics(
            student[part],
            None if teacher is None else teacher[part],
            None if targets is None else targets[part],
            weights[part, None],
            objective,
            statistics.select(part),
            None if gradient is None else gradient[part],
        )


def fill_block_statistics(
    student: Tensor,
    teacher: Tensor | None,
    targets: Tensor | None,
    weights: Tensor,
    objective: Objective,
    statistics: RowStatistics,
    gradient: Tensor | None,
) -> None:
    """Like `fill_row_statistics`, for all rows at once; weights: [n, 1]."""
    statistics.argmax.copy_(student[:, : objective.vocabulary].argmax(-1))
    shifted, q, total = softmax_parts(student)
    statistics.entropy.copy_((total.log() - (q * shifted).sum(-1, keepdim=True) / total).squeeze(1))
    q.div_(total)
    if targets is not None:
        statistics.nll.copy_((total.log() - shifted.gather(1, targets[:, None])).squeeze(1))
    if teacher is not None:
        temperature, common = objective.temperature, objective.common
        p, q_kd = teacher[:, :common], q
        if temperature != 1 or common != student.shape[1]:
            shifted, q_kd, total = softmax_parts(student[:, :common] / temperature)
            q_kd.div_(total)
            p = p / temperature
        teacher_shifted, p, teacher_total = softmax_parts(p)
        p.div_(teacher_total)
        # log(a / b), not log a - log b: the rounding of two logarithms would exceed the value of close distributions.
        log_ratio = shifted.sub_(teacher_shifted).sub_((total / teacher_total).log_())
        value, slope = DIVERGENCES[objective.divergence].terms(p, q_kd, log_ratio, objective.mixture_weight)
        statistics.kd.copy_(value * temperature**2)
    if gradient is None:
        return
    # Round only at the end: in bf16, q - 1 would be lost at a target of high probability.
    full = gradient if gradient.dtype == q.dtype else torch.empty_like(q)
    if targets is None:
        full.zero_()
    else:
        mle_weight = weights * objective.mle_weight
        torch.mul(q, mle_weight, out=full).scatter_add_(1, targets[:, None], -mle_weight)
    if teacher is not None:
        centred = slope.sub_(q_kd * slope.sum(-1, keepdim=True))
        full[:, :common].addcmul_(centred, weights * (objective.kd_weight * temperature))
    if full is not gradient:
        gradient.copy_(full)
