"""Losses and gradients of rows of logits, in torch: for the CPU, and for any device without Triton.

A divergence is a sum of terms f(p, q) over the vocabulary, and its gradient with respect to the student's logits is
q (f' - sum_j q_j f'_j), f' = df/dq: the softmax's derivative. So each is a function from (p, q) to (value, q f').
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kid.losses.divergence import RowStatistics

# exp of it is finite in fp32, and adding 1 / exp of it to 1 changes nothing in any dtype.
FAR = 80.0
# Elements of a block of rows on a CPU, few enough to stay in its cache from one operation to the next.
BLOCK = 2**18
# At most so many tensors of a block's size are alive at once (jsd at another temperature than 1).
SCRATCH = 10


@dataclass(frozen=True)
class Objective:
    """loss = sum_i w_i (kd_weight T^2 F(p || q)_i + mle_weight nll_i); F over the first `common` ids at temperature T.

    divergence: a key of `kid.losses.divergence.DIVERGENCES`, or None: no teacher. mixture_weight: JSD's beta, the
    skewed KLs' alpha. common: ids that both vocabularies have. vocabulary: only the first so many ids count for the
    argmax.
    """

    divergence: str | None
    kd_weight: float
    mle_weight: float
    temperature: float
    mixture_weight: float
    common: int
    vocabulary: int


def forward_kl(p: Tensor, q: Tensor, log_ratio: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """KL(p || q). All [n, C], log_ratio = log q - log p; returns (value [n], q f' [n, C])."""
    return -(p * log_ratio).sum(-1), -p


def reverse_kl(p: Tensor, q: Tensor, log_ratio: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """KL(q || p)."""
    terms = q * log_ratio
    return terms.sum(-1), terms


def jensen_shannon(p: Tensor, q: Tensor, log_ratio: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q, beta = weight."""
    log_ratio = log_ratio.clamp(-FAR, FAR)
    log_q_over_m = -(weight * (-log_ratio).exp_() + (1 - weight)).log_()
    slope = (1 - weight) * q * log_q_over_m
    return slope.sum(-1) + weight * (p * (log_q_over_m - log_ratio)).sum(-1), slope


def total_variation(p: Tensor, q: Tensor, log_ratio: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """sum |p - q| / 2."""
    difference = q - p
    return 0.5 * difference.abs().sum(-1), 0.5 * q * difference.sign()


def skewed_forward_kl(p: Tensor, q: Tensor, log_ratio: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """KL(p || m), m = alpha p + (1 - alpha) q, alpha = weight."""
    m_over_p = (1 - weight) * log_ratio.clamp(-FAR, FAR).exp_() + weight
    return -(p * m_over_p.log()).sum(-1), (weight - 1) * q / m_over_p


def skewed_reverse_kl(p: Tensor, q: Tensor, log_ratio: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """KL(q || m), m = alpha q + (1 - alpha) p, alpha = weight."""
    log_q_over_m = -((1 - weight) * (-log_ratio.clamp(-FAR, FAR)).exp_() + weight).log_()
    return (q * log_q_over_m).sum(-1), q * (log_q_over_m - weight * log_q_over_m.exp())


DIVERGENCES = {
    "fkl": forward_kl,
    "rkl": reverse_kl,
    "jsd": jensen_shannon,
    "tvd": total_variation,
    "skew-fkl": skewed_forward_kl,
    "skew-rkl": skewed_reverse_kl,
}


def softmax_parts(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(logits less their maximum, exp of that, its sum [n, 1])."""
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
    """Fill in the statistics of n rows and, unless it is None, dL/d logits of the student.

    Args:
        student, teacher: logits, [n, V_s] and [n, V_t], fp32 or wider.
        targets: int64 [n]; None: no likelihood.
        weights: [n].
        gradient: [n, V_s] of any dtype; may be `student` itself, which is else left as it is.
    """
    rows = max(1, BLOCK // student.shape[1]) if student.device.type == "cpu" else max(1, len(student))
    for at in range(0, len(student), rows):
        part = slice(at, at + rows)
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
    student, teacher, targets, weights, objective: Objective, statistics: RowStatistics, gradient
) -> None:
    """As `fill_row_statistics`, all rows at once; weights [n, 1]."""
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
        # The logarithm of a ratio: the rounding of two logarithms would drown the value of two near distributions.
        log_ratio = shifted.sub_(teacher_shifted).sub_((total / teacher_total).log_())
        value, slope = DIVERGENCES[objective.divergence](p, q_kd, log_ratio, objective.mixture_weight)
        statistics.kd.copy_(value * temperature**2)
    if gradient is None:
        return
    # Rounded once, at the end: q - 1 at a target of high probability would not survive bf16.
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
