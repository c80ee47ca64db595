"""What Triton's interpreter does not show: the kernel as machine code, and its gradient rounded to bf16."""

import os
import subprocess
import sys

import pytest
import torch
from helpers.fused_problems import near
from helpers.launcher import ROOT

from kid.losses import torch_rows, triton_rows
from kid.losses.divergence import DIVERGENCES, Divergence, RowStatistics
from kid.losses.fused import row_backend
from kid.losses.torch_rows import Objective

COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from kid.losses.triton_rows import BLOCK, WARPS, row_kernel

for divergence in sys.argv[1:]:
    shared = divergence != "jsd"  # at T = 1 over the same ids; else there is one more softmax
    flags = {"DIVERGENCE": divergence, "SHARED": shared, "HAS_TARGETS": True, "HAS_GRADIENT": True, "BLOCK": BLOCK}
    types = dict.fromkeys(row_kernel.arg_names, "fp32") | dict.fromkeys(flags, "constexpr")
    types |= {name: "*fp32" for name in types if name.endswith("_ptr")}
    types |= {"gradient_ptr": "*bf16", "targets_ptr": "*i64", "argmax_ptr": "*i64"}
    types |= {name: "i32" for name in types if name.endswith(("stride", "vocabulary", "common"))}
    kernel = triton.compile(
        ASTSource(row_kernel, types, constexprs=flags),
        target=GPUTarget("cuda", 90, 32),
        options={"num_warps": WARPS},
    )
    print(len(kernel.asm["cubin"]))
"""


@pytest.mark.slow
def test_the_kernel_compiles_for_hopper(tmp_path):
    """H100, H200 and H800, on any machine: Triton brings its own assembler."""
    script = tmp_path / "compile.py"
    script.write_text(COMPILE)
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, *DIVERGENCES, "none"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sizes = [int(size) for size in done.stdout.split()]
    assert len(sizes) == 7 and min(sizes) > 1000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")
def test_on_a_gpu():
    """In a process of its own: in this one Triton's kernels are interpreted."""
    command = [sys.executable, "-m", "pytest", ROOT / "tests" / "helpers" / "cuda_checks.py"]
    done = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "0"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.slow
@pytest.mark.parametrize("rkl", [1.0, 0.04, 1e-3, 1e-4])
@pytest.mark.parametrize("mle_weight", [0.0, 1.0])
def test_a_gradient_rounded_once_to_bf16(rkl, mle_weight):
    """As on a GPU, where it is an operand beside bf16 weights."""
    hidden, head, teacher_hidden, teacher_head, targets, weights = near(rkl, torch.bfloat16)
    count = len(targets)
    student, teacher = (
        hidden.detach().float() @ head.weight.T.float(),
        teacher_hidden.float() @ teacher_head.weight.T.float(),
    )
    objective = Objective("rkl", 1.0, mle_weight, 1.0, 0.5, common=6000, vocabulary=6000)
    statistics = RowStatistics(*(torch.zeros(count) for _ in range(3)), torch.zeros(count, dtype=torch.long))
    narrow, wide = (torch.empty(student.shape, dtype=dtype) for dtype in (torch.bfloat16, torch.float32))
    for gradient in (narrow, wide):
        triton_rows.fill_row_statistics(student, teacher, targets, weights, objective, statistics, gradient)
    # The interpreter cuts digits off where a GPU rounds: the two differ by less than one in the last place.
    torch.testing.assert_close(narrow.float(), wide, rtol=2**-7, atol=0)
    rounded, exact = wide.bfloat16().double() @ head.weight.double(), wide.double() @ head.weight.double()
    assert 0 < (rounded - exact).norm() <= 2.5e-3 * exact.norm()


def test_another_precision_is_refused():
    logits = torch.zeros(1, 4, dtype=torch.float64)
    with pytest.raises(TypeError, match=r"in fp32, not torch\.float64"):
        triton_rows.fill_row_statistics(logits, None, None, torch.ones(1), None, None, None)


def test_a_divergence_that_the_kernel_lacks_is_no_other_one(monkeypatch):
    """On a GPU torch computes it; whoever asks the kernel for it is refused."""
    monkeypatch.setitem(DIVERGENCES, "seventh", Divergence(DIVERGENCES["tvd"].value, DIVERGENCES["tvd"].terms))
    for name, module in (("seventh", torch_rows), ("tvd", triton_rows)):
        chosen, _ = row_backend(None, torch.device("cuda"), torch.float32, name)
        assert chosen is module.fill_row_statistics
    logits = torch.zeros(1, 4)
    objective = Objective("seventh", 1.0, 1.0, 1.0, 0.5, common=4, vocabulary=4)
    with pytest.raises(ValueError, match="does not compute seventh"):
        triton_rows.fill_row_statistics(logits, logits, None, torch.ones(1), objective, None, None)
