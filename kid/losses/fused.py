"""The fused head: divergence, likelihood and their gradient from hidden states, a chunk of rows at a time.

With a frozen head it needs three matrix products (student logits, teacher logits, dL/dh), all of them in the forward
pass; the backward pass only scales the gradient. Logits are freed with their chunk, so memory stays within `memory_mb`
for any number of rows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kid.losses import torch_rows
from kid.losses.divergence import DIVERGENCES, RowStatistics
from kid.losses.head import Head, add_weight_gradient, project, pull_back
from kid.losses.torch_rows import Objective

MEMORY_MB = 768
# Rows of one tile in a GPU matrix product.
TILE = 128


@dataclass(frozen=True)
class FusedLosses(RowStatistics):
    """Row statistics, and loss = sum_i w_i (kd_weight kd_i + mle_weight nll_i), a scalar with gradient."""

    loss: Tensor


@dataclass(frozen=True)
class ChunkPlan:
    """Chunk size. rows: rows of logits. tile: vocabulary rows of a bf16 head that are converted to fp32 at a time."""

    rows: int
    tile: int

    def chunks(self, count: int) -> list[slice]:
        """Split `count` rows into as few chunks as possible, of nearly equal size, at multiples of TILE if it fits."""
        unit = TILE if self.rows >= TILE else 1
        units = -(-count // unit)
        chunks = -(-units // (self.rows // unit))
        edges = [min(count, units * index // chunks * unit) for index in range(chunks)] + [count]
        return [slice(*edge) for edge in pairwise(edges)]


def plan_chunks(
    heads: list[Head], device: torch.device, logit_bytes: int, gradient_bytes: int, scratch: int, memory_mb: float
) -> ChunkPlan:
    """Return chunks of as many rows as fit in the budget, at least one.

    Args:
        heads: the student's, and the teacher's if there is one.
        logit_bytes: bytes per logit.
        gradient_bytes: bytes per element of a separate gradient buffer; 0 if the gradient overwrites the logits.
        scratch: number of block-sized tensors that the backend needs in addition to the logits.
        memory_mb: the budget in MiB.
    """
    budget = int(memory_mb * 2**20)
    vocabulary = max(len(head.weight) for head in heads)
    # Of each row's hidden state there are a copy, its conversion, and the gradient.
    row_bytes = logit_bytes * sum(sum(head.weight.shape) + head.weight.shape[1] for head in heads)
    row_bytes += gradient_bytes * len(heads[0].weight)
    tile = vocabulary
    if device.type == "cpu":
        budget -= scratch * logit_bytes * max(torch_rows.BLOCK, vocabulary)
    else:
        row_bytes += scratch * logit_bytes * vocabulary
    if device.type != "cuda" and any(head.weight.element_size() < logit_bytes for head in heads):
        hidden = max(head.weight.shape[1] for head in heads)
        tile = max(1, budget // 8 // (logit_bytes * hidden))
        budget -= tile * logit_bytes * hidden
    rows = max(1, budget // row_bytes)
    return ChunkPlan(rows if rows < TILE else rows // TILE * TILE, tile)


def row_backend(
    name: str | None, device: torch.device, dtype: torch.dtype, divergence: str | None
) -> tuple[Callable[..., None], int]:
    """Return (the backend's `fill_row_statistics`, the number of scratch tensors it needs).

    name: "torch" or "triton"; None selects Triton for fp32 logits on a GPU if its kernel implements the divergence,
    and torch otherwise.
    """
    if name is None:
        usable = device.type == "cuda" and dtype == torch.float32 and importlib.util.find_spec("triton") is not None
        usable = usable and (divergence is None or DIVERGENCES[divergence].in_kernel)
        name = "triton" if usable else "torch"
    if name == "torch":
        return torch_rows.fill_row_statistics, torch_rows.SCRATCH
    from kid.losses import triton_rows  # on a CPU only tests get here, with Triton's interpreter

    return triton_rows.fill_row_statistics, 0


def fused_losses(
    student_hidden: Tensor,
    student_head: Head,
    teacher_hidden: Tensor | None = None,
    teacher_head: Head | None = None,
    targets: Tensor | None = None,
    weights: Tensor | None = None,
    *,
    divergence: str | None = None,
    kd_weight: float = 1.0,
    mle_weight: float = 1.0,
    temperature: float = 1.0,
    mixture_weight: float = 0.5,
    vocabulary: int | None = None,
    memory_mb: float = MEMORY_MB,
    backend: str | None = None,
) -> FusedLosses:
    """Compute the losses of a student's rows (Eq. 2 to 5, and MLE) without materialising all of their logits.

    For the divergence, both distributions are normalised over the ids that both heads have, the first min(V_s, V_t).
    Likelihood and entropy use the student's whole vocabulary at temperature 1.

    Args:
        student_hidden: [N, H_s], fp32, bf16 or fp64; response rows only. N may be 0.
        student_head: has V_s rows; its weight and bias get a gradient if they require one.
        teacher_hidden: [N, H_t]; never gets a gradient. Required with a divergence, like `teacher_head` of V_t rows.
        targets: int64 [N], the gold ids; None: no likelihood.
        weights: [N]; None: all 1. Rows of weight 0 are skipped: their content, target included, may be anything, and
            their statistics are 0.
        divergence: a key of `kid.losses.divergence.DIVERGENCES`; None: no teacher.
        temperature: T; the logits of the divergence are divided by it, and the divergence is multiplied by T^2.
        mixture_weight: in (0, 1): beta of JSD, alpha of the skewed KLs.
        vocabulary: number of ids with a token; the argmax ignores the padding ids after them. None: no padding.
        memory_mb: budget in MiB for everything but inputs, dL/dh and the gradient of a trainable head.
        backend: "torch", "triton", or None to select one (see `row_backend`).

    Raises:
        ValueError: inconsistent arguments.
    """
    heads = [student_head] if divergence is None else [student_head, teacher_head]
    if (divergence is None) != (teacher_head is None) or (teacher_head is None) != (teacher_hidden is None):
        raise ValueError("pass divergence, teacher_hidden and teacher_head together, or none of them")
    if divergence is not None and divergence not in DIVERGENCES:
        raise ValueError(f"unknown divergence {divergence!r}; choose one of {', '.join(DIVERGENCES)}")
    inputs = [student_hidden, teacher_hidden, targets, weights]
    if any(tensor is not None and len(tensor) != len(student_hidden) for tensor in inputs):
        raise ValueError(f"inputs differ in their number of rows: {[None if t is None else len(t) for t in inputs]}")
    objective = Objective(
        divergence,
        kd_weight=kd_weight,
        mle_weight=mle_weight,
        temperature=temperature,
        mixture_weight=mixture_weight,
        common=min(len(head.weight) for head in heads),
        vocabulary=min(vocabulary or len(student_head.weight), len(student_head.weight)),
    )
    logit_dtype = torch.promote_types(student_hidden.dtype, torch.float32)
    if weights is None:
        weights = student_hidden.new_ones(len(student_hidden))
    chosen_backend = row_backend(backend, student_hidden.device, logit_dtype, divergence)
    loss, kd, nll, entropy, argmax = FusedHead.apply(
        student_hidden, student_head.weight, student_head.bias, weights.to(logit_dtype), student_head, teacher_hidden,
        teacher_head, targets, objective, memory_mb, chosen_backend, torch.is_grad_enabled(),
    )  # fmt: skip
    return FusedLosses(kd, nll, entropy, argmax, loss)


def operand_dtype(hidden: Tensor) -> torch.dtype:
    """Return the dtype of dL/d logits as a matrix operand. On a GPU it is the weight's: both operands must agree."""
    return hidden.dtype if hidden.is_cuda else torch.promote_types(hidden.dtype, torch.float32)


@torch.no_grad()
def logits_in_chunks(
    hidden: Tensor, head: Head, scratch: int, memory_mb: float = MEMORY_MB
) -> Iterator[tuple[slice, Tensor]]:
    """Yield (slice of rows, their logits [n, V]) over all rows of `hidden` [N, H], e.g. for sampling.

    Args:
        scratch: number of tensors of the logits' size that the caller derives from them; the budget includes them.
    """
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    chunk_plan = plan_chunks([head], hidden.device, dtype.itemsize, dtype.itemsize * scratch, 0, memory_mb)
    for rows in chunk_plan.chunks(len(hidden)):
        logits = torch.empty(rows.stop - rows.start, len(head.weight), dtype=dtype, device=hidden.device)
        project(hidden[rows], head, logits, chunk_plan.tile)
        yield rows, logits


class FusedHead(torch.autograd.Function):
    """The autograd function behind `fused_losses`."""

    @staticmethod
    def forward(
        ctx, hidden, weight, bias, weights, head, teacher_hidden, teacher_head, targets, objective, memory_mb, backend,
        with_gradient,
    ):  # fmt: skip
        fill_row_statistics, scratch = backend
        needs_grad = [with_gradient and needed for needed in ctx.needs_input_grad[:4]]
        trains = any(needs_grad[:3])
        count, device = len(hidden), hidden.device
        logit_dtype = torch.promote_types(hidden.dtype, torch.float32)
        # The gradient is rounded to grad_dtype once: after the derivative of the soft cap, which needs the logits too.
        grad_dtype, capped = operand_dtype(hidden), head.soft_cap is not None
        buffer_dtype = logit_dtype if capped else grad_dtype
        separate_gradient = trains and (buffer_dtype != logit_dtype or capped)
        gradient_bytes = (
            separate_gradient * buffer_dtype.itemsize + (trains and buffer_dtype != grad_dtype) * grad_dtype.itemsize
        )
        heads = [head] if teacher_head is None else [head, teacher_head]
        chunk_plan = plan_chunks(heads, device, logit_dtype.itemsize, gradient_bytes, scratch, memory_mb)
        chunks = chunk_plan.chunks(count)
        largest = max((rows.stop - rows.start for rows in chunks), default=0)

        def buffer(width: int, dtype: torch.dtype = logit_dtype) -> Tensor:
            return torch.empty(largest, width, dtype=dtype, device=device)

        logits, states = buffer(len(weight)), buffer(hidden.shape[1])
        teacher_logits = None if teacher_head is None else buffer(len(teacher_head.weight))
        gradient = (buffer(len(weight), buffer_dtype) if separate_gradient else logits) if trains else None
        d_hidden = torch.empty_like(hidden) if needs_grad[0] else None
        d_weight = torch.zeros(weight.shape, dtype=logit_dtype, device=device) if needs_grad[1] else None
        d_bias = torch.zeros(bias.shape, dtype=logit_dtype, device=device) if needs_grad[2] else None
        kd, nll, entropy = (torch.zeros(count, dtype=logit_dtype, device=device) for _ in range(3))
        statistics = RowStatistics(kd, nll, entropy, torch.zeros(count, dtype=torch.long, device=device))
        dropped = weights == 0
        # masked_fill and the product also make both contiguous, as the Triton kernel requires.
        targets = None if targets is None else targets.masked_fill(dropped, 0)
        row_weights = weights * head.scale  # d(scale z) / dz
        for rows in chunks:
            n = rows.stop - rows.start

            def without_skipped(states: Tensor, rows: slice = rows) -> Tensor:
                return states[rows].masked_fill(dropped[rows, None], 0)

            inputs = without_skipped(hidden)
            project(inputs, head, logits[:n], chunk_plan.tile)
            if teacher_head is not None:
                project(without_skipped(teacher_hidden), teacher_head, teacher_logits[:n], chunk_plan.tile)
            fill_row_statistics(
                logits[:n],
                None if teacher_head is None else teacher_logits[:n],
                None if targets is None else targets[rows],
                row_weights[rows],
                objective,
                statistics.select(rows),
                None if gradient is None else gradient[:n],
            )
            if not trains:
                continue
            d_logits = gradient[:n]
            if capped:  # d cap(z) / dz = 1 - (cap(z) / soft_cap)^2
                d_logits = d_logits.mul_(logits[:n].div_(head.soft_cap).square_().neg_().add_(1)).to(grad_dtype)
            if needs_grad[0]:
                pull_back(d_logits, head, states[:n], chunk_plan.tile)
                d_hidden[rows] = states[:n]
            if needs_grad[1]:
                add_weight_gradient(d_logits, inputs, d_weight)
            if needs_grad[2]:
                d_bias += d_logits.sum(0, dtype=logit_dtype)
        for values in (statistics.kd, statistics.nll, statistics.entropy, statistics.argmax):
            values.masked_fill_(dropped, 0)
        per_row = objective.kd_weight * statistics.kd + objective.mle_weight * statistics.nll
        ctx.save_for_backward(d_hidden, d_weight, d_bias, per_row if needs_grad[3] else None)
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in (hidden, weight, bias, weights)]
        ctx.mark_non_differentiable(statistics.kd, statistics.nll, statistics.entropy, statistics.argmax)
        return (per_row * weights).sum(), statistics.kd, statistics.nll, statistics.entropy, statistics.argmax

    @staticmethod
    @once_differentiable
    def backward(ctx, d_loss, *_):
        gradients = (
            None if gradient is None else (gradient * d_loss).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return *gradients, *[None] * 8
