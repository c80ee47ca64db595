"""The fused head where it is meant to run; on machines without a GPU the interpreter's tests stand for these."""

import pytest
import torch
from test_loss import near, plain

from kid.divergence import DIVERGENCES
from kid.fused.head import Head
from kid.fused.loss import fused_divergence

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")


def moved(arguments: list) -> list:
    """The arguments on the GPU."""
    moved = [Head(part.weight.cuda()) if isinstance(part, Head) else part.detach().cuda() for part in arguments]
    return [moved[0].requires_grad_(), *moved[1:]]


@pytest.mark.parametrize("backend", ["triton", "torch"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 5e-4), (torch.bfloat16, 5e-3)])
@pytest.mark.parametrize("rkl", [1.0, 0.04, 1e-3, 1e-4])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_precision(name, rkl, dtype, bound, backend):
    """The gradient through bf16 products with fp32 results, of every divergence."""
    arguments = near(rkl, dtype)
    on_gpu = moved(arguments)
    found = fused_divergence(*on_gpu, divergence=name, backend=backend)
    found.loss.backward()
    loss, kd, _, _, _, expected = plain(arguments, name)
    error = (on_gpu[0].grad.cpu().double() - expected["hidden"]).norm() / expected["hidden"].norm()
    assert error <= bound
    torch.testing.assert_close(found.loss.cpu().double(), loss, rtol=1e-4, atol=1e-5)
    assert abs((found.kd.cpu() * arguments[5]).sum() - (kd * arguments[5]).sum()) <= 1e-6 + 1e-4 * kd.mean()


@pytest.mark.parametrize("backend", ["triton", "torch"])
def test_the_host_never_waits(backend):
    on_gpu = moved(near(0.04, torch.bfloat16))
    fused_divergence(*on_gpu, divergence="rkl", backend=backend).loss.backward()  # compiles
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        fused_divergence(*on_gpu, divergence="rkl", backend=backend, memory_mb=1).loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("backend", ["triton", "torch"])
def test_memory_stays_within_the_budget(backend):
    on_gpu = moved(near(0.04, torch.bfloat16, rows=4096, vocabulary=30000))
    fused_divergence(*on_gpu, divergence="rkl", backend=backend, memory_mb=64).loss.backward()
    on_gpu[0].grad = None
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    fused_divergence(*on_gpu, divergence="rkl", backend=backend, memory_mb=64).loss.backward()
    gradient = 4 * on_gpu[0].numel() * on_gpu[0].itemsize
    assert torch.cuda.max_memory_allocated() - before <= 64 * 2**20 + gradient
