"""Losses and gradients of rows of logits, as one Triton kernel: one program per row, in fp32 registers.

It reads the logits twice for the two KLs, whose value is accumulated in the first pass over the row, and three times
for the others. `kid.losses.torch_rows` computes the same and explains the formulas. With TRITON_INTERPRET=1 it runs on
a CPU.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

from kid.losses.divergence import DIVERGENCES, RowStatistics
from kid.losses.terms import FAR
from kid.losses.torch_rows import Objective

BLOCK = 4096
WARPS = 8
# Replaces minus infinity, so that the difference of two is not NaN.
LOWEST = tl.constexpr(-1e38)
LIMIT = tl.constexpr(FAR)


@triton.jit
def add_tile(logits, inside, maximum, total):
    """Update a running softmax with one tile.

    Returns (new maximum, new sum of exp(logits - maximum), the tile's exponentials, its shifted logits, the factor
    that rescales sums over earlier tiles).
    """
    new = tl.maximum(maximum, tl.max(tl.where(inside, logits, LOWEST), axis=0))
    shifted = tl.where(inside, logits - new, 0.0)
    exponential = tl.where(inside, tl.exp(shifted), 0.0)
    rescale = tl.exp(maximum - new)
    return new, total * rescale + tl.sum(exponential, axis=0), exponential, shifted, rescale


@triton.jit
def divergence_terms(p, q, log_ratio, weight, DIVERGENCE: tl.constexpr):
    """Return for each id its term of the divergence, and q times the term's derivative with respect to q."""
    ratio = tl.minimum(tl.maximum(log_ratio, -LIMIT), LIMIT)
    if DIVERGENCE == "fkl":
        value = -p * log_ratio
        slope = -p
    elif DIVERGENCE == "rkl":
        value = q * log_ratio
        slope = value
    elif DIVERGENCE == "jsd":
        log_q_over_m = -tl.log(weight * tl.exp(-ratio) + (1 - weight))
        slope = (1 - weight) * q * log_q_over_m
        value = slope + weight * p * (log_q_over_m - ratio)
    elif DIVERGENCE == "tvd":
        value = 0.5 * tl.abs(q - p)
        slope = 0.5 * q * tl.where(q > p, 1.0, tl.where(q < p, -1.0, 0.0))
    elif DIVERGENCE == "skew-fkl":
        m_over_p = (1 - weight) * tl.exp(ratio) + weight
        value = -p * tl.log(m_over_p)
        slope = (weight - 1) * q / m_over_p
    elif DIVERGENCE == "skew-rkl":
        log_q_over_m = -tl.log((1 - weight) * tl.exp(-ratio) + weight)
        value = q * log_q_over_m
        slope = q * (log_q_over_m - weight * tl.exp(log_q_over_m))
    return value, slope


@triton.jit
def row_kernel(
    student_ptr, teacher_ptr, gradient_ptr, targets_ptr, weights_ptr, kd_ptr, nll_ptr, entropy_ptr, argmax_ptr,
    student_stride, teacher_stride, gradient_stride,
    student_vocabulary, common, vocabulary, inverse_temperature, mixture_weight, kd_weight, mle_weight,
    DIVERGENCE: tl.constexpr, SHARED: tl.constexpr, HAS_TARGETS: tl.constexpr, HAS_GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Process one row. SHARED: divergence and likelihood use one student distribution (T = 1, the same ids)."""
    row = tl.program_id(0).to(tl.int64)
    student_ptr += row * student_stride
    teacher_ptr += row * teacher_stride
    gradient_ptr += row * gradient_stride

    # First pass: normalisers, entropy, argmax, and the value of the two KLs.
    maximum = LOWEST
    total = 0.0
    moment = 0.0  # sum of exp(z - maximum) (z - maximum)
    best = LOWEST
    best_id = 0
    kd_maximum = LOWEST
    kd_total = 0.0
    teacher_maximum = LOWEST
    teacher_total = 0.0
    gap = 0.0  # sum of exp(...) (z_s - z_t - offset), weighted by the student for rkl, by the teacher for fkl
    offset = 0.0  # near the mean of z_s - z_t: subtracting it keeps the precision of the differences
    for start in range(0, student_vocabulary, BLOCK):
        ids = start + tl.arange(0, BLOCK)
        inside = ids < student_vocabulary
        logits = tl.load(student_ptr + ids, mask=inside, other=0.0)
        tile_best, tile_id = tl.max(tl.where(ids < vocabulary, logits, LOWEST), axis=0, return_indices=True)
        best_id = tl.where(tile_best > best, start + tile_id, best_id)  # ties go to the first
        best = tl.maximum(best, tile_best)
        before, total_before = maximum, total
        maximum, total, exponential, shifted, rescale = add_tile(logits, inside, maximum, total)
        moment = rescale * (moment + total_before * (before - maximum)) + tl.sum(exponential * shifted, axis=0)
        if DIVERGENCE != "none":
            inside = ids < common
            teacher = tl.load(teacher_ptr + ids, mask=inside, other=0.0) * inverse_temperature
            scaled = logits * inverse_temperature
            if SHARED:
                kd_maximum, kd_total, kd_exponential, kd_rescale = maximum, total, exponential, rescale
            else:
                kd_maximum, kd_total, kd_exponential, shifted, kd_rescale = add_tile(
                    scaled, inside, kd_maximum, kd_total
                )
            teacher_maximum, teacher_total, teacher_exponential, shifted, teacher_rescale = add_tile(
                teacher, inside, teacher_maximum, teacher_total
            )
            offset = tl.where(start == 0, kd_maximum - teacher_maximum, offset)
            if DIVERGENCE == "rkl":
                gap = gap * kd_rescale + tl.sum(kd_exponential * (scaled - teacher - offset), axis=0)
            if DIVERGENCE == "fkl":
                gap = gap * teacher_rescale + tl.sum(teacher_exponential * (scaled - teacher - offset), axis=0)
    tl.store(entropy_ptr + row, tl.log(total) - moment / total)
    tl.store(argmax_ptr + row, best_id)
    if HAS_TARGETS:
        target = tl.load(targets_ptr + row)
        tl.store(nll_ptr + row, tl.log(total) - (tl.load(student_ptr + target) - maximum))

    # log q - log p = z_s - z_t - offset - log_normaliser. Second pass: the value of the other divergences.
    log_normaliser = 0.0
    value = 0.0
    slope_sum = 0.0
    if DIVERGENCE != "none":
        log_normaliser = (kd_maximum - teacher_maximum - offset) + tl.log(kd_total / teacher_total)
        if DIVERGENCE == "rkl":
            value = gap / kd_total - log_normaliser
            slope_sum = value
        elif DIVERGENCE == "fkl":
            value = log_normaliser - gap / teacher_total
            slope_sum = -1.0
        else:
            for start in range(0, common, BLOCK):
                ids = start + tl.arange(0, BLOCK)
                inside = ids < common
                scaled = tl.load(student_ptr + ids, mask=inside, other=0.0) * inverse_temperature
                teacher = tl.load(teacher_ptr + ids, mask=inside, other=0.0) * inverse_temperature
                q = tl.where(inside, tl.exp(scaled - kd_maximum) / kd_total, 0.0)
                p = tl.where(inside, tl.exp(teacher - teacher_maximum) / teacher_total, 0.0)
                log_ratio = tl.where(inside, scaled - teacher - offset - log_normaliser, 0.0)
                terms, slope = divergence_terms(p, q, log_ratio, mixture_weight, DIVERGENCE)
                value += tl.sum(terms, axis=0)
                slope_sum += tl.sum(slope, axis=0)
        tl.store(kd_ptr + row, value / (inverse_temperature * inverse_temperature))

    # Last pass: the gradient, rounded once. It may overwrite the student's logits, so the barrier waits until all
    # threads have read the target's logit above.
    if HAS_GRADIENT:
        tl.debug_barrier()
        weight = tl.load(weights_ptr + row)
        for start in range(0, student_vocabulary, BLOCK):
            ids = start + tl.arange(0, BLOCK)
            inside = ids < student_vocabulary
            logits = tl.load(student_ptr + ids, mask=inside, other=0.0)
            probability = tl.exp(logits - maximum) / total
            gradient = tl.zeros((BLOCK,), tl.float32)
            if HAS_TARGETS:
                gradient = mle_weight * (probability - tl.where(ids == target, 1.0, 0.0))
            if DIVERGENCE != "none":
                shared = ids < common
                scaled = logits * inverse_temperature
                teacher = tl.load(teacher_ptr + ids, mask=shared, other=0.0) * inverse_temperature
                q = probability if SHARED else tl.exp(scaled - kd_maximum) / kd_total
                p = tl.exp(teacher - teacher_maximum) / teacher_total
                log_ratio = scaled - teacher - offset - log_normaliser
                terms, slope = divergence_terms(p, q, log_ratio, mixture_weight, DIVERGENCE)
                gradient += tl.where(shared, kd_weight / inverse_temperature * (slope - q * slope_sum), 0.0)
            gradient *= weight
            tl.store(gradient_ptr + ids, gradient.to(gradient_ptr.dtype.element_ty), mask=inside)


def fill_row_statistics(
    student: Tensor,
    teacher: Tensor | None,
    targets: Tensor | None,
    weights: Tensor,
    objective: Objective,
    statistics: RowStatistics,
    gradient: Tensor | None,
) -> None:
    """Like `kid.losses.torch_rows.fill_row_statistics`; logits must be fp32 with contiguous rows.

    Raises:
        TypeError: the logits have another dtype.
        ValueError: the kernel does not implement the divergence.
    """
    if student.dtype != torch.float32:
        raise TypeError(f"the Triton backend computes in fp32, not {student.dtype}; use backend='torch'")
    if objective.divergence is not None and not DIVERGENCES[objective.divergence].in_kernel:
        raise ValueError(f"the Triton kernel does not compute {objective.divergence}; use backend='torch'")
    unused = student  # a pointer for absent tensors, which the kernel does not read
    with torch.cuda.device(student.device) if student.is_cuda else nullcontext():
        row_kernel[(len(student),)](
            student,
            unused if teacher is None else teacher,
            unused if gradient is None else gradient,
            unused if targets is None else targets,
            weights,
            statistics.kd,
            statistics.nll,
            statistics.entropy,
            statistics.argmax,
            student.stride(0),
            0 if teacher is None else teacher.stride(0),
            0 if gradient is None else gradient.stride(0),
            student.shape[1],
            objective.common,
            objective.vocabulary,
            1 / objective.temperature,
            float(objective.mixture_weight),
            float(objective.kd_weight),
            float(objective.mle_weight),
            DIVERGENCE=objective.divergence or "none",
            SHARED=objective.temperature == 1 and objective.common == student.shape[1],
            HAS_TARGETS=targets is not None,
            HAS_GRADIENT=gradient is not None,
            BLOCK=BLOCK,
            num_warps=WARPS,
        )
