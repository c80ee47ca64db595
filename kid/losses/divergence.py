"""Divergences between teacher p and student q: the readable reference that the fused losses are tested against.

Appendix A.3 of the paper, and the skewed KL of DistiLLM. Each function takes log-probabilities, normalised in fp32 (in
fp64 if the logits are fp64), and returns one value per row. To keep gradients out of the teacher, pass teacher logits
that do not require grad.

An id with probability 0 under both distributions (logits of -inf) contributes nothing to the value or the gradient. The
value is infinite where the definition is (KL(a || b) with b = 0 < a), and NaN for a row without a finite logit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from kid.losses import terms


@dataclass(frozen=True)
class RowStatistics:
    """Divergence, likelihood, entropy and argmax of each row, [N].

    kd: the divergence times T^2; 0 without a teacher. nll: -log q(target); 0 without targets. entropy: of the
    student's distribution. These three are fp32 or wider, in nats. argmax: the student's most probable id, int64.
    """

    kd: Tensor
    nll: Tensor
    entropy: Tensor
    argmax: Tensor

    def select(self, rows: slice) -> RowStatistics:
        """Return views of the given rows."""
        return RowStatistics(self.kd[rows], self.nll[rows], self.entropy[rows], self.argmax[rows])


# Replaces log 0 where -inf would make the gradient NaN; its exp is 0 in every dtype.
LOG_ZERO = -1e4


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a || b) = sum a (log a - log b), Eq. 3. Both [N, V] log-probabilities; returns [N] nats.

    Adds sum b - sum a, which is 0, term by term: every term is then at least 0 and the rounding errors of the
    normalisers cancel. For two nearly equal distributions these errors would exceed the value.
    """
    a = log_a.exp()
    ratio = torch.where(a > 0, log_a - log_b, 0.0)
    return (a * ratio + (log_b.exp() - a)).sum(-1)


def log_mixture(log_a: Tensor, log_b: Tensor, weight: float) -> Tensor:
    """log(weight a + (1 - weight) b), [N, V], of two [N, V] log-probabilities."""
    log_a, log_b = log_a.clamp(min=LOG_ZERO), log_b.clamp(min=LOG_ZERO)
    return torch.logaddexp(log_a + math.log(weight), log_b + math.log1p(-weight))


def forward_kl(student: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """KL(p || q), Eq. 3. Log-probabilities [N, V]; `weight` is not used."""
    return kl(teacher, student)


def reverse_kl(student: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """KL(q || p), Eq. 3 with the arguments exchanged; `weight` is not used."""
    return kl(student, teacher)


def jensen_shannon(student: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q, beta = `weight`; Eq. 4 at 0.5."""
    mixture = log_mixture(teacher, student, weight)
    return weight * kl(teacher, mixture) + (1 - weight) * kl(student, mixture)


def total_variation(student: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """sum |p - q| / 2, Eq. 5; `weight` is not used."""
    return 0.5 * (teacher.exp() - student.exp()).abs().sum(-1)


def skewed_forward_kl(student: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """KL(p || alpha p + (1 - alpha) q), alpha = `weight` (DistiLLM, arXiv 2402.03898)."""
    return kl(teacher, log_mixture(teacher, student, weight))


def skewed_reverse_kl(student: Tensor, teacher: Tensor, weight: float) -> Tensor:
    """KL(q || alpha q + (1 - alpha) p), alpha = `weight` (DistiLLM)."""
    return kl(student, log_mixture(student, teacher, weight))


@dataclass(frozen=True)
class Divergence:
    """One divergence; kid/config/divergences.py has its name and the setting that holds its weight.

    value: the reference, (log q, log p, weight) [N, V] -> [N].
    terms: for the fused head, (p, q, log q - log p, weight) [n, C] -> (value [n], q f' [n, C]), kid/losses/terms.py.
    in_kernel: whether the Triton kernel also implements it; if not, GPUs use `terms`.
    """

    value: Callable[[Tensor, Tensor, float], Tensor]
    terms: Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]
    in_kernel: bool = False


DIVERGENCES = {
    "fkl": Divergence(forward_kl, terms.forward_kl, in_kernel=True),
    "rkl": Divergence(reverse_kl, terms.reverse_kl, in_kernel=True),
    "jsd": Divergence(jensen_shannon, terms.jensen_shannon, in_kernel=True),
    "tvd": Divergence(total_variation, terms.total_variation, in_kernel=True),
    "skew-fkl": Divergence(skewed_forward_kl, terms.skewed_forward_kl, in_kernel=True),
    "skew-rkl": Divergence(skewed_reverse_kl, terms.skewed_reverse_kl, in_kernel=True),
}


def divergence(
    name: str, student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0, weight: float = 0.5
) -> Tensor:
    """F(p || q) of each row, over the vocabulary ids that both models have.

    Models with the same tokenizer may pad the vocabulary to different sizes (Qwen1.5: 151936 and 152064 rows). Both
    distributions are normalised over the first min(V_s, V_t) ids.

    Args:
        name: a key of `DIVERGENCES`.
        student_logits: [N, V_s].
        teacher_logits: [N, V_t].
        temperature: T; both sets of logits are divided by it and the result is multiplied by T^2.
        weight: the mixture weight in (0, 1): beta of JSD, alpha of the skewed KLs.

    Returns:
        [N], fp32 or wider, in nats (total variation: from 0 to 1), times T^2.
    """
    common = min(student_logits.shape[-1], teacher_logits.shape[-1])
    dtype = torch.promote_types(student_logits.dtype, torch.float32)
    student = F.log_softmax(student_logits[:, :common].to(dtype) / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits[:, :common].to(dtype) / temperature, dim=-1)
    return DIVERGENCES[name].value(student, teacher, weight) * temperature**2


def negative_log_likelihood(student_logits: Tensor, targets: Tensor) -> Tensor:
    """-log q(target) of each row over the student's whole vocabulary, at temperature 1. [N, V_s], [N] -> [N] nats."""
    dtype = torch.promote_types(student_logits.dtype, torch.float32)
    return F.cross_entropy(student_logits.to(dtype), targets, reduction="none")


def entropy(student_logits: Tensor) -> Tensor:
    """-sum q log q of each row: [N, V] -> [N] nats, over the student's whole vocabulary."""
    dtype = torch.promote_types(student_logits.dtype, torch.float32)
    return torch.special.entr(F.softmax(student_logits.to(dtype), dim=-1)).sum(-1)
