"""Divergences between teacher p and student q on logits: the readable reference everything else is tested against.

Appendix A.3 of the paper. All functions take logits, normalise them in fp32 (or in fp64 if given fp64) and return one
value per row; gradients flow to the student only if the caller gives teacher logits without gradient.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def forward_kl(student_log_probs: Tensor, teacher_log_probs: Tensor) -> Tensor:
    """KL(p || q) = sum p (log p - log q), Eq. 3. Both [N, V] log-probabilities; returns [N] nats."""
    return (teacher_log_probs.exp() * (teacher_log_probs - student_log_probs)).sum(-1)


def reverse_kl(student_log_probs: Tensor, teacher_log_probs: Tensor) -> Tensor:
    """KL(q || p) = sum q (log q - log p), Eq. 3 with the arguments exchanged."""
    return (student_log_probs.exp() * (student_log_probs - teacher_log_probs)).sum(-1)


def jensen_shannon(student_log_probs: Tensor, teacher_log_probs: Tensor) -> Tensor:
    """(KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, Eq. 4."""
    mixture = torch.logaddexp(student_log_probs, teacher_log_probs) - math.log(2.0)
    return 0.5 * (forward_kl(mixture, teacher_log_probs) + forward_kl(mixture, student_log_probs))


def total_variation(student_log_probs: Tensor, teacher_log_probs: Tensor) -> Tensor:
    """sum |p - q| / 2, Eq. 5."""
    return 0.5 * (teacher_log_probs.exp() - student_log_probs.exp()).abs().sum(-1)


DIVERGENCES = {"fkl": forward_kl, "rkl": reverse_kl, "jsd": jensen_shannon, "tvd": total_variation}


def divergence(name: str, student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """F(p || q) of each row, over the vocabulary ids that both models have.

    One tokenizer's vocabulary padded to different sizes (Qwen1.5: 151936 and 152064 rows) is compared over the first
    min(V_s, V_t) ids, both distributions normalised there.

    Args:
        name: a key of `DIVERGENCES`.
        student_logits: [N, V_s].
        teacher_logits: [N, V_t].
        temperature: T; both logits are divided by it and the result is multiplied by T^2.

    Returns:
        [N], fp32 or wider, in nats (total variation: a number from 0 to 1, times T^2).
    """
    common = min(student_logits.shape[-1], teacher_logits.shape[-1])
    dtype = torch.promote_types(student_logits.dtype, torch.float32)
    student = F.log_softmax(student_logits[:, :common].to(dtype) / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits[:, :common].to(dtype) / temperature, dim=-1)
    return DIVERGENCES[name](student, teacher) * temperature**2


def negative_log_likelihood(student_logits: Tensor, targets: Tensor) -> Tensor:
    """-log q(target) of each row over the student's whole vocabulary, at temperature 1. [N, V_s], [N] -> [N] nats."""
    dtype = torch.promote_types(student_logits.dtype, torch.float32)
    return F.cross_entropy(student_logits.to(dtype), targets, reduction="none")
