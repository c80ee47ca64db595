"""Arguments of the fused head, and what it must return for them, by the plain computation in float64."""

import torch

from kid.losses.divergence import DIVERGENCES, divergence, entropy, negative_log_likelihood
from kid.losses.fused import fused_losses
from kid.losses.head import Head

WEIGHT = 0.3  # JSD's beta, the skewed KLs' alpha
EVERY = [*DIVERGENCES, None]


def draw(*shape, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)


def problem(rows=7, student=(50, 5), teacher=(60, 9), bias=True, dtype=torch.float32, scale=1.0, soft_cap=None):
    """Arguments of `fused_losses`; of student and teacher: (vocabulary, hidden size), none a power of 2."""
    heads = [
        Head(
            draw(vocabulary, hidden, seed=seed, dtype=dtype).requires_grad_(seed == 1),
            draw(vocabulary, seed=seed + 2, dtype=dtype).requires_grad_(seed == 1) if bias else None,
            scale,
            soft_cap,
        )
        for (vocabulary, hidden), seed in ((student, 1), (teacher, 2))
    ]
    states = [draw(rows, hidden, seed=seed, dtype=dtype) for (_, hidden), seed in ((student, 5), (teacher, 6))]
    targets = torch.randint(student[0], (rows,), generator=torch.Generator().manual_seed(7))
    weights = draw(rows, seed=8).abs()
    return [states[0].requires_grad_(), heads[0], states[1], heads[1], targets, weights]


def plain(arguments, divergence_name=None, kd_weight=1.0, mle_weight=1.0, temperature=1.0, mixture_weight=0.5):
    """(loss, kd, nll, entropy, argmax, gradients by name) in float64, from all logits, by the reference."""
    hidden, head, teacher_hidden, teacher_head, targets, weights = arguments
    leaves = {"hidden": hidden, "weight": head.weight, "bias": head.bias}
    leaves = {k: v.detach().double().requires_grad_() for k, v in leaves.items() if v is not None}

    def logits(hidden, weight, bias, head):
        z = (hidden @ weight.T + (0 if bias is None else bias)) * head.scale
        return z if head.soft_cap is None else head.soft_cap * torch.tanh(z / head.soft_cap)

    student = logits(leaves["hidden"], leaves["weight"], leaves.get("bias"), head)
    kd = nll = torch.zeros(len(hidden), dtype=torch.float64)
    if divergence_name:
        parts = (teacher_head.weight, teacher_head.bias)
        parts = [None if part is None else part.detach().double() for part in parts]
        teacher = logits(teacher_hidden.double(), *parts, teacher_head)
        kd = divergence(divergence_name, student, teacher, temperature, mixture_weight)
    if targets is not None:
        nll = negative_log_likelihood(student, targets)
    loss = ((kd_weight * kd + mle_weight * nll) * weights.double()).sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return loss, kd, nll, entropy(student), student.argmax(-1), dict(zip(leaves, gradients, strict=True))


def fused(arguments, name, **options):
    """The same of the fused head, whose teacher is left out where there is no divergence."""
    hidden, head, teacher_hidden, teacher_head, targets, weights = arguments
    taught = (None, None) if name is None else (teacher_hidden, teacher_head)
    found = fused_losses(hidden, head, *taught, targets, weights, divergence=name, **options)
    leaves = {"hidden": hidden, "weight": head.weight, "bias": head.bias}
    leaves = {key: leaf for key, leaf in leaves.items() if leaf is not None and leaf.requires_grad}
    gradients = torch.autograd.grad(found.loss, list(leaves.values()))
    return found, dict(zip(leaves, gradients, strict=True))


def near(rkl: float, dtype: torch.dtype, rows=24, vocabulary=6000, hidden=96):
    """A student about `rkl` from its teacher, whose logits lie 5 higher: no distribution shows that."""
    head = draw(vocabulary, hidden, seed=1, scale=2.5 / hidden**0.5)
    noise = draw(vocabulary, 16, seed=2, scale=(2 * rkl) ** 0.5 / 4)
    states = draw(rows, hidden, seed=3)
    offset = torch.full((vocabulary, 1), 5.0)
    teacher_states = torch.cat([states, draw(rows, 16, seed=4), torch.ones(rows, 1)], dim=1)
    teacher_head = torch.cat([head, noise, offset], dim=1)
    targets = torch.randint(vocabulary, (rows,), generator=torch.Generator().manual_seed(5))
    tensors = [tensor.to(dtype) for tensor in (states, head, teacher_states, teacher_head)]
    weights = torch.full((rows,), 1 / rows)
    return [tensors[0].requires_grad_(), Head(tensors[1]), tensors[2], Head(tensors[3]), targets, weights]
