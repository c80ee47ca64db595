"""The language-model head: from hidden states to logits and back, in fp32 whatever the dtype of the weights.

The products of bf16 numbers are exact in fp32; rounded to bf16, the logits of a student near its teacher would cost 3
to 70 % of the gradient. A GPU multiplies bf16 operands into an fp32 result. Elsewhere they are converted first, `tile`
rows of the vocabulary at a time, so that no whole head is ever copied.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Head:
    """logits = cap(scale (h W^T + b)), cap(z) = soft_cap tanh(z / soft_cap).

    weight: W, [V, H], in the dtype of the hidden states. bias: b, [V], or None. scale: Cohere's and Granite's models
    have one. soft_cap: Gemma's have one; None: no cap.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    soft_cap: float | None = None


def project(hidden: Tensor, head: Head, out: Tensor, tile: int) -> None:
    """Logits of all rows: [n, H] -> `out` [n, V], fp32 or wider."""
    weight = head.weight
    if hidden.dtype == weight.dtype == out.dtype:
        torch.mm(hidden, weight.t(), out=out)
    elif out.is_cuda:
        torch.mm(hidden, weight.t(), out_dtype=out.dtype, out=out)
    else:
        hidden = hidden.to(out.dtype)
        for at in range(0, len(weight), tile):
            torch.mm(hidden, weight[at : at + tile].to(out.dtype).t(), out=out[:, at : at + tile])
    if head.bias is not None:
        out.add_(head.bias)
    if head.scale != 1:
        out.mul_(head.scale)
    if head.soft_cap is not None:
        out.div_(head.soft_cap).tanh_().mul_(head.soft_cap)


def pull_back(gradient: Tensor, head: Head, out: Tensor, tile: int) -> None:
    """dL/dh out of dL/d(h W^T): [n, V] -> `out` [n, H], fp32 or wider."""
    weight = head.weight
    if gradient.dtype == weight.dtype == out.dtype:
        torch.mm(gradient, weight, out=out)
    elif out.is_cuda:
        torch.mm(gradient, weight, out_dtype=out.dtype, out=out)
    else:
        out.zero_()
        for at in range(0, len(weight), tile):
            out.addmm_(gradient[:, at : at + tile].to(out.dtype), weight[at : at + tile].to(out.dtype))


def add_weight_gradient(gradient: Tensor, hidden: Tensor, out: Tensor) -> None:
    """dL/dW of some rows, [n, V] and [n, H], added to `out` [V, H], fp32 or wider."""
    if out.is_cuda and gradient.dtype != out.dtype:
        torch.addmm(out, gradient.t(), hidden, out_dtype=out.dtype, out=out)
    else:
        out.addmm_(gradient.t().to(out.dtype), hidden.to(out.dtype))
