"""Value and gradient of each divergence between two distributions, in the form that the fused head needs.

A divergence is a sum of terms f(p, q) over the vocabulary. By the derivative of the softmax, its gradient with respect
to the student's logits is q (f' - sum_j q_j f'_j), f' = df/dq. So each function here maps (p, q) to (value, q f').
"""

from __future__ import annotations

from torch import Tensor

# Log ratios are clamped to +-FAR: exp(FAR) is finite in fp32, and 1 + exp(-FAR) == 1 in every dtype.
FAR = 80.0


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
