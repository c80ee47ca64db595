"""The fused head where it is meant to run: `test_triton_rows.py` runs this file, without the interpreter, if it can."""

import pytest
import torch
from helpers.fused_problems import near, plain, problem

from kid.losses.divergence import DIVERGENCES
from kid.losses.fused import fused_losses
from kid.losses.head import Head

BACKENDS = ("triton", "torch")


def moved(arguments: list) -> list:
    """The arguments on the GPU, what requires a gradient still does."""

    def move(part):
        if part is None:
            return None
        if isinstance(part, Head):
            return Head(move(part.weight), move(part.bias), part.scale, part.soft_cap)
        return part.detach().cuda().requires_grad_(part.requires_grad)

    return [move(part) for part in arguments]


def check(arguments: list, name: str, backend: str, bound: float, **options) -> None:
    """Loss, divergence and every gradient against float64."""
    hidden, head, *rest = moved(arguments)
    found = fused_losses(hidden, head, *rest, divergence=name, backend=backend, **options)
    found.loss.backward()
    loss, kd, _, _, argmax, expected = plain(arguments, name, **options)
    torch.testing.assert_close(found.loss.cpu().double(), loss, rtol=1e-3, atol=1e-5)
    logged, exact = ((values * arguments[5]).sum() for values in (found.kd.cpu(), kd))
    assert abs(logged - exact) <= 1e-6 + 1e-4 * exact
    assert (found.argmax.cpu() == argmax).all()
    for key, leaf in {"hidden": hidden, "weight": head.weight, "bias": head.bias}.items():
        if leaf is not None and leaf.requires_grad:
            error = (leaf.grad.cpu().double() - expected[key]).norm() / expected[key].norm()
            assert error <= bound, key


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 5e-4), (torch.bfloat16, 5e-3)])
@pytest.mark.parametrize("mle_weight", [0.0, 1.0])
@pytest.mark.parametrize("rkl", [1.0, 0.04, 1e-3, 1e-4])
@pytest.mark.parametrize("name", [name for name in DIVERGENCES if name != "tvd"])
def test_precision(name, rkl, mle_weight, dtype, bound, backend):
    """The gradient through bf16 products with fp32 results (tvd's jumps where p and q meet)."""
    check(near(rkl, dtype), name, backend, bound, mle_weight=mle_weight)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("scale", "soft_cap"), [(1.0, None), (0.0625, None), (2.0, 5.0)])
@pytest.mark.parametrize("vocabularies", [(9001, 9001), (9001, 9100), (9100, 9001)])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_trainable_heads_with_bias(name, temperature, vocabularies, scale, soft_cap, backend):
    """Logits that are scaled and capped, vocabularies of different size."""
    student, teacher = vocabularies
    arguments = problem(student=(student, 33), teacher=(teacher, 40), scale=scale, soft_cap=soft_cap)
    check(arguments, name, backend, 1e-3, temperature=temperature)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_host_never_waits(backend):
    on_gpu = moved(near(0.04, torch.bfloat16))
    fused_losses(*on_gpu, divergence="rkl", backend=backend).loss.backward()  # compiles
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        fused_losses(*on_gpu, divergence="rkl", backend=backend, memory_mb=1).loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_stays_within_the_budget(backend):
    on_gpu = moved(near(0.04, torch.bfloat16, rows=4096, vocabulary=30000))
    fused_losses(*on_gpu, divergence="rkl", backend=backend, memory_mb=64).loss.backward()
    on_gpu[0].grad = None
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    fused_losses(*on_gpu, divergence="rkl", backend=backend, memory_mb=64).loss.backward()
    gradient = 4 * on_gpu[0].numel() * on_gpu[0].itemsize
    assert torch.cuda.max_memory_allocated() - before <= 64 * 2**20 + gradient
