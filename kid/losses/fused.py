"""The fused head: divergence, likelihood and their gradient from hidden states, a chunk of rows at a time.

With a frozen head it takes three matrix products - the student's logits, the teacher's, dL/dh - all in the forward
sweep; backward only scales. No logits outlive their chunk: memory is what `memory_mb` says, however many rows.
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
# Rows in one tile of a GPU's matrix products.
TILE = 128


@dataclass(frozen=True)
class FusedLosses(RowStatistics):
    """The statistics of each row, and loss = sum_i w_i (kd_weight kd_i + mle_weight nll_i): a scalar with gradient."""

    loss: Tensor


@dataclass(frozen=True)
class ChunkPlan:
    """Size of a chunk. rows: of logits. tile: vocabulary rows of a bf16 head that are converted to fp32 at a time."""

    rows: int
    tile: int

    def chunks(self, count: int) -> list[slice]:
        """`count` rows in as few chunks as possible, of nearly equal size: whole tiles of a GPU's matrix products."""
        unit = TILE if self.rows >= TILE else 1
        units = -(-count // unit)
        chunks = -(-units // (self.rows // unit))
        edges = [min(count, units * at // chunks * unit) for at in range(chunks)] + [count]
        return [slice(*edge) for edge in pairwise(edges)]


def plan_chunks(
    heads: list[Head], device: torch.device, wide: int, gradient: int, scratch: int, memory_mb: float
) -> ChunkPlan:
    """Chunks of as many rows as the budget allows, at least one.

    Args:
        heads: the student's, and the teacher's if there is one.
        wide: bytes of a logit.
        gradient: bytes of an element of the gradient's own buffer, 0 if it has none.
        scratch: tensors of a block's size that the backend needs beside the logits.
        memory_mb: the budget in MiB.
    """
    budget = int(memory_mb * 2**20)
    vocabulary = max(len(head.weight) for head in heads)
    # Of hidden states there are a copy, its conversion, and the gradient.
    row = wide * sum(sum(head.weight.shape) + head.weight.shape[1] for head in heads) + gradient * len(heads[0].weight)
    tile = vocabulary
    if device.type == "cpu":
        budget -= scratch * wide * max(torch_rows.BLOCK, vocabulary)
    else:
        row += scratch * wide * vocabulary
    if device.type != "cuda" and any(head.weight.element_size() < wide for head in heads):
        hidden = max(head.weight.shape[1] for head in heads)
        tile = max(1, budget // 8 // (wide * hidden))
        budget -= tile * wide * hidden
    rows = max(1, budget // row)
    return ChunkPlan(rows if rows < TILE else rows // TILE * TILE, tile)


def row_backend(
    name: str | None, device: torch.device, dtype: torch.dtype, divergence: str | None
) -> tuple[Callable[..., None], int]:
    """(its `fill_row_statistics`, tensors of scratch it needs).

    None: Triton for fp32 logits on a GPU and a divergence that its kernel has, else torch.
    """
    if name is None:
        usable = device.type == "cuda" and dtype == torch.float32 and importlib.util.find_spec("triton") is not None
        usable = usable and (divergence is None or DIVERGENCES[divergence].in_kernel)
        name = "triton" if usable else "torch"
    if name == "torch":
        return torch_rows.fill_row_statistics, torch_rows.SCRATCH
    from kid.losses import triton_rows  # on a CPU only the tests import it, with Triton's interpreter

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
    """The losses of a student's rows (Eq. 2 to 5, and MLE) without their logits in memory.

    The divergence is taken over the ids that both heads have, the first min(V_s, V_t), both distributions normalised
    there; the likelihood and the entropy over the student's whole vocabulary at temperature 1.

    Args:
        student_hidden: [N, H_s], fp32, bf16 or fp64; response rows only. N may be 0.
        student_head: with V_s rows; the weight and bias get a gradient if they require one.
        teacher_hidden: [N, H_t]; never gets a gradient. Needed with a divergence, like `teacher_head`, of V_t rows.
        targets: int64 [N], the gold ids; None: no likelihood.
        weights: [N]; None: 1 each. A row of weight 0 is skipped, whatever it holds, target included; its statistics are
            0.
        divergence: a key of `kid.losses.divergence.DIVERGENCES`; None: no teacher.
        temperature: T; the divergence's logits are divided by it, the divergence is multiplied by T^2.
        mixture_weight: in (0, 1), JSD's beta, the skewed KLs' alpha.
        vocabulary: ids from here on only pad the vocabulary and are not taken for the argmax; None: all count.
        memory_mb: budget in MiB for everything but inputs, dL/dh and the gradient of a trainable head.
        backend: "torch", "triton"; None: Triton on CUDA.

    Raises:
        ValueError: arguments that do not go together.
    """
    heads = [student_head] if divergence is None else [student_head, teacher_head]
    if (divergence is None) != (teacher_head is None) or (teacher_head is None) != (teacher_hidden is None):
        raise ValueError("a divergence, the teacher's hidden states and its head go together: give all three or none")
    if divergence is not None and divergence not in DIVERGENCES:
        raise ValueError(f"unknown divergence {divergence!r}; choose one of {', '.join(DIVERGENCES)}")
    inputs = [student_hidden, teacher_hidden, targets, weights]
    if any(tensor is not None and len(tensor) != len(student_hidden) for tensor in inputs):
        raise ValueError(f"inputs differ in rows: {[None if t is None else len(t) for t in inputs]}")
    objective = Objective(
        divergence,
        kd_weight=kd_weight,
        mle_weight=mle_weight,
        temperature=temperature,
        mixture_weight=mixture_weight,
        common=min(len(head.weight) for head in heads),
        vocabulary=min(vocabulary or len(student_head.weight), len(student_head.weight)),
    )
    wide = torch.promote_types(student_hidden.dtype, torch.float32)
    if weights is None:
        weights = student_hidden.new_ones(len(student_hidden))
    rows = row_backend(backend, student_hidden.device, wide, divergence)
    loss, kd, nll, entropy, argmax = FusedHead.apply(
        student_hidden, student_head.weight, student_head.bias, weights.to(wide), student_head, teacher_hidden,
        teacher_head, targets, objective, memory_mb, rows, torch.is_grad_enabled(),
    )  # fmt: skip
    return FusedLosses(kd, nll, entropy, argmax, loss)


def operand_dtype(hidden: Tensor) -> torch.dtype:
    """In which dL/d logits enters the last product: the weight's on a GPU, whose products take no two dtypes."""
    return hidden.dtype if hidden.is_cuda else torch.promote_types(hidden.dtype, torch.float32)


@torch.no_grad()
def logits_in_chunks(
    hidden: Tensor, head: Head, scratch: int, memory_mb: float = MEMORY_MB
) -> Iterator[tuple[slice, Tensor]]:
    """(which rows, their logits [n, V]) of all rows of [N, H], for what must see whole distributions.

    Args:
        scratch: tensors as large as the logits that the caller makes of them; they count into the budget.
    """
    wide = torch.promote_types(hidden.dtype, torch.float32)
    chunk_plan = plan_chunks([head], hidden.device, wide.itemsize, wide.itemsize * scratch, 0, memory_mb)
    for rows in chunk_plan.chunks(len(hidden)):
        logits = torch.empty(rows.stop - rows.start, len(head.weight), dtype=wide, device=hidden.device)
        project(hidden[rows], head, logits, chunk_plan.tile)
        yield rows, logits


class FusedHead(torch.autograd.Function):
    """Use `fused_losses`."""

    @staticmethod
    def forward(
        ctx, hidden, weight, bias, weights, head, teacher_hidden, teacher_head, targets, objective, memory_mb, backend,
        with_gradient,
    ):  # fmt: skip
        fill_row_statistics, scratch = backend
        needs_grad = [with_gradient and needed for needed in ctx.needs_input_grad[:4]]
        backwards = any(needs_grad[:3])
        count, device = len(hidden), hidden.device
        logit_dtype = torch.promote_types(hidden.dtype, torch.float32)
        # Rounded to it once: after the soft cap, which needs_grad the logits beside the gradient.
        grad_dtype, capped = operand_dtype(hidden), head.soft_cap is not None
        buffer_dtype = logit_dtype if capped else grad_dtype
        separate_gradient = backwards and (buffer_dtype != logit_dtype or capped)
        gradient_bytes = (
            separate_gradient * buffer_dtype.itemsize + (backwards and buffer_dtype != grad_dtype) * grad_dtype.itemsize
        )
        heads = [head] if teacher_head is None else [head, teacher_head]
        chunk_plan = plan_chunks(heads, device, logit_dtype.itemsize, gradient_bytes, scratch, memory_mb)
        chunks = chunk_plan.chunks(count)
        largest = max((rows.stop - rows.start for rows in chunks), default=0)

        def buffer(width: int, dtype: torch.dtype = logit_dtype) -> Tensor:
            return torch.empty(largest, width, dtype=dtype, device=device)

        logits, states = buffer(len(weight)), buffer(hidden.shape[1])
        teacher_logits = None if teacher_head is None else buffer(len(teacher_head.weight))
        gradient = (buffer(len(weight), buffer_dtype) if separate_gradient else logits) if backwards else None
        d_hidden = torch.empty_like(hidden) if needs_grad[0] else None
        d_weight = torch.zeros(weight.shape, dtype=logit_dtype, device=device) if needs_grad[1] else None
        d_bias = torch.zeros(bias.shape, dtype=logit_dtype, device=device) if needs_grad[2] else None
        kd, nll, entropy = (torch.zeros(count, dtype=logit_dtype, device=device) for _ in range(3))
        statistics = RowStatistics(kd, nll, entropy, torch.zeros(count, dtype=torch.long, device=device))
        dropped = weights == 0
        targets = None if targets is None else targets.masked_fill(dropped, 0)  # contiguous, like the next
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
            if not backwards:
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
