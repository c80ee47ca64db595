"""The language-model head: hidden states to logits and back, in fp32 for any dtype of the weights.

Products of bf16 numbers are exact in fp32. If logits were rounded to bf16, the gradient of a student close to its
teacher would be off by 3 to 70 %. A GPU multiplies bf16 operands into an fp32 result. On other devices, operands are
converted first, `tile` vocabulary rows at a time, so that the whole head is never copied.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Head:
    """logits = cap(scale (h W^T + b)), cap(z) = soft_cap tanh(z / soft_cap).

    weight: W, [V, H], in the dtype of the hidden states. bias: b, [V], or None. scale: used by Cohere and Granite
    models. soft_cap: used by Gemma models; None: no cap.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    soft_cap: float | None = None


def project(hidden: Tensor, head: Head, out: Tensor, tile: int) -> None:
    """Compute the logits of `hidden` [n, H] into `out` [n, V], fp32 or wider."""
    weight = head.weight
    if hidden.dtype == weight.dtype == out.dtype:
        torch.mm(hidden, weight.t(), out=out)
    elif out.is_cuda:
        torch.mm(hidden, weight.t(), out_dtype=out.dtype, out=out)
    else:
        hidden = hidden.to(out.dtype)
        for start in range(0, len(weight), tile):
            part = slice(start, start + tile)
            torch.mm(hidden, weight[part].to(out.dtype).t(), out=out[:, part])
    if head.bias is not None:
        out.add_(head.bias)
    if head.scale != 1:
        out.mul_(head.scale)
    if head.soft_cap is not None:
        out.div_(head.soft_cap).tanh_().mul_(head.soft_cap)


def pull_back(gradient: Tensor, head: Head, out: Tensor, tile: int) -> None:
    """Compute dL/dh into `out` [n, H], fp32 or wider, from `gradient` = dL/d(h W^T) [n, V]."""
    weight = head.weight
    if gradient.dtype == weight.dtype == out.dtype:
        torch.mm(gradient, weight, out=out)
    elif out.is_cuda:
        torch.mm(gradient, weight, out_dtype=out.dtype, out=out)
    else:
        out.zero_()
        for start in range(0, len(weight), tile):
            part = slice(start, start + tile)
            out.addmm_(gradient[:, part].to(out.dtype), weight[part].to(out.dtype))


def add_weight_gradient(gradient: Tensor, hidden: Tensor, out: Tensor) -> None:
    """Add dL/dW of n rows to `out` [V, H], fp32 or wider. gradient: [n, V]; hidden: [n, H]."""
    if out.is_cuda and gradient.dtype != out.dtype:
        torch.addmm(out, gradient.t(), hidden, out_dtype=out.dtype, out=out)
    else:
        out.addmm_(gradient.t().to(out.dtype), hidden.to(out.dtype))
