"""Compare the fused head with other libraries: `python bench/fused_divergence.py --device cpu`.

The libraries are those of requirements-bench.txt. Every entry gets the same hidden states of response rows and the same
frozen heads, and computes the gradient of the loss with respect to the student's hidden states. Rounds are interleaved,
so that noise of the machine affects all entries. Each library runs with its fastest settings. The error of the gradient
is measured against float64.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from kid.console import Console
from kid.errors import InputError, OneLineParser, run_script
from kid.losses.fused import MEMORY_MB, fused_losses
from kid.losses.head import Head

OURS, BEST_PEER = "kid rkl + mle", "trl rkl"
PEERS = ("trl", "liger-kernel")
# vocabulary:hidden size of the student/teacher: the paper's pairs, and a small one for a CPU.
SHAPES = {
    "cpu": ["32000:256/512", "151936:256/512"],
    "cuda": ["32000:2048/4096", "51200:1024/2560", "151936:1024/2048", "151936:1024/2560", "151936:1024/4096",
             "151936:1024/5120"],
}  # fmt: skip
ROWS = {"cpu": [128, 512, 2048], "cuda": [128, 512, 2048, 8192]}
ERROR_ROWS = 64


@dataclass
class Problem:
    """Hidden states [N, H], frozen head weights [V, H], gold ids [N]."""

    student_hidden: Tensor
    student_weight: Tensor
    teacher_hidden: Tensor
    teacher_weight: Tensor
    targets: Tensor

    def reference(self, with_mle: bool) -> Tensor:
        """The gradient of the first ERROR_ROWS rows in float64."""
        rows = slice(0, ERROR_ROWS)
        hidden = self.student_hidden.detach()[rows].double().requires_grad_()
        log_q = F.log_softmax(hidden @ self.student_weight.double().t(), dim=-1)
        log_p = F.log_softmax(self.teacher_hidden[rows].double() @ self.teacher_weight.double().t(), dim=-1)
        loss = (log_q.exp() * (log_q - log_p)).sum()
        if with_mle:
            loss = loss + F.nll_loss(log_q, self.targets[rows], reduction="sum")
        return torch.autograd.grad(loss / len(self.student_hidden), hidden)[0]


def make_problem(
    rows: int, vocabulary: int, student: int, teacher: int, rkl: float, dtype: torch.dtype, device: str
) -> Problem:
    """Random logits of standard deviation 2.5; the teacher's add noise to the student's, for a reverse KL of `rkl`."""
    torch.manual_seed(0)
    hidden = torch.randn(rows, student, device=device)
    weight = torch.randn(vocabulary, student, device=device) * (2.5 / student**0.5)
    extra = teacher - student
    noise = torch.randn(vocabulary, extra, device=device) * ((2 * rkl) ** 0.5 / extra**0.5)
    teacher_hidden = torch.cat([hidden, torch.randn(rows, extra, device=device)], dim=1)
    return Problem(
        hidden.to(dtype).requires_grad_(),
        weight.to(dtype),
        teacher_hidden.to(dtype),
        torch.cat([weight, noise], dim=1).to(dtype),
        torch.randint(vocabulary, (rows,), device=device),
    )


def kid(memory_mb: float, with_mle: bool) -> Callable[[Problem], Tensor]:
    def run(problem: Problem) -> Tensor:
        count = len(problem.targets)
        weights = torch.full((count,), 1 / count, device=problem.targets.device)
        return fused_losses(
            problem.student_hidden, Head(problem.student_weight), problem.teacher_hidden, Head(problem.teacher_weight),
            problem.targets if with_mle else None, weights, divergence="rkl", memory_mb=memory_mb,
        ).loss  # fmt: skip

    return run


def plain(problem: Problem) -> Tensor:
    """Plain torch on all response rows at once: logits in the weights' dtype, the rest in fp32."""
    student = (problem.student_hidden @ problem.student_weight.t()).float()
    teacher = (problem.teacher_hidden @ problem.teacher_weight.t()).float()
    log_q = F.log_softmax(student, dim=-1)
    rkl = F.kl_div(F.log_softmax(teacher, dim=-1), log_q, reduction="sum", log_target=True)
    return (rkl + F.nll_loss(log_q, problem.targets, reduction="sum")) / len(problem.targets)


def trl(problem: Problem) -> Tensor:
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    divergence, _ = ChunkedDivergenceFunction.apply(
        problem.student_hidden, problem.student_weight, None, problem.teacher_hidden, problem.teacher_weight, None, 1.0
    )
    return divergence.mean()


def liger_chunked(compiled: bool, chunk: int) -> Callable[[Problem], Tensor]:
    from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

    loss = LigerFusedLinearJSDLoss(
        weight_hard_loss=0.0, weight_soft_loss=1.0, beta=1.0, compiled=compiled, chunk_size=chunk
    )
    return lambda problem: loss(
        problem.student_hidden, problem.student_weight, problem.teacher_hidden, problem.teacher_weight, problem.targets
    )


def liger_ops(problem: Problem) -> Tensor:
    from liger_kernel.ops import LigerFusedLinearJSDFunction

    return LigerFusedLinearJSDFunction.apply(
        problem.student_hidden, problem.student_weight, problem.teacher_hidden, problem.teacher_weight, None, 1.0
    )


def contestants(device: str, memory_mb: float) -> dict[str, dict[str, Callable[[Problem], Tensor]]]:
    """Name -> setting -> function that computes the loss."""
    chunks = itertools.product((False, True), (256, 1024, 4096))
    entries = {
        OURS: {"": kid(memory_mb, True)},
        "kid rkl": {"": kid(memory_mb, False)},
        BEST_PEER: {"": trl},
        "liger chunked_loss rkl": {f"compiled={c} chunk={n}": liger_chunked(c, n) for c, n in chunks},
        "torch rkl + mle": {"": plain},
        "torch compiled rkl + mle": {"": torch.compile(plain, dynamic=False)},
    }
    if device == "cuda":  # a Triton kernel
        entries["liger fused_linear_jsd rkl"] = {"": liger_ops}
    return entries


def seconds(run: Callable[[Problem], Tensor], problem: Problem) -> float:
    """Seconds of a forward and backward."""
    problem.student_hidden.grad = None
    on_gpu = problem.targets.is_cuda
    if on_gpu:
        torch.cuda.synchronize()
    started = time.perf_counter()
    run(problem).backward()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_bytes(run: Callable[[Problem], Tensor], problem: Problem) -> int:
    """Peak bytes that forward and backward allocate in addition to the problem."""
    problem.student_hidden.grad = None
    if problem.targets.is_cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(problem).backward()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run(problem).backward()
    allocations = [event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(itertools.accumulate(allocations, initial=0))


def matmul_rate(dtype: torch.dtype, device: str) -> float:
    """Floating-point operations per second (2 per multiply-add) of a large square matrix product."""
    size = 8192 if device == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(10):
        if device == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(times)


def measure(shape: str, rows: int, arguments: argparse.Namespace, rate: float) -> list[dict]:
    """Measure all entries on one problem: a line for each, with its fastest setting."""
    torch._dynamo.reset()  # otherwise, after a few shapes, it silently runs functions uncompiled
    vocabulary, _, pair = shape.partition(":")
    student, teacher = map(int, pair.split("/"))
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype]
    problem = make_problem(rows, int(vocabulary), student, teacher, arguments.rkl, dtype, arguments.device)
    operations = 2 * rows * int(vocabulary) * (2 * student + teacher)
    references = {with_mle: problem.reference(with_mle) for with_mle in (False, True)}
    chosen, lines = {}, {}
    bar = tqdm(contestants(arguments.device, arguments.memory_mb).items(), desc=f"{shape}, {rows} rows", leave=False)
    for name, settings in bar:
        bar.set_postfix_str(name)
        try:
            trials = {label: min(seconds(run, problem) for _ in range(3)) for label, run in settings.items()}
            label = min(trials, key=trials.get)
            chosen[name] = run = settings[label]
            seconds(run, problem)
            gradient, exact = problem.student_hidden.grad[:ERROR_ROWS].double(), references["mle" in name]
            error = ((gradient - exact).norm() / exact.norm()).item()
            lines[name] = {"setting": label, "error": error, "peak_mb": peak_bytes(run, problem) / 2**20}
        except torch.OutOfMemoryError as error:
            lines[name] = {"failed": str(error).splitlines()[0]}
    times = {name: [] for name in chosen}
    for _ in tqdm(range(arguments.rounds), desc="rounds", leave=False):
        for name, run in chosen.items():
            times[name].append(seconds(run, problem))
    for name, values in times.items():
        lines[name] |= {"seconds": statistics.median(values), "spread": [min(values), max(values)]}
        lines[name]["of_matmul_rate"] = operations / lines[name]["seconds"] / rate
    return [{"shape": shape, "rows": rows, "name": name, **line} for name, line in lines.items()]


def show(lines: list[dict], console: Console) -> None:
    """Print the table of one problem, with times relative to trl's kernel, which only computes the divergence."""
    unit = next(line.get("seconds") for line in lines if line["name"] == BEST_PEER)
    table = Table(title=f"V:student/teacher {lines[0]['shape']}, {lines[0]['rows']} rows")
    for column in ("", "seconds", "min to max", "time / trl", "extra MiB", "of matmul rate", "gradient error"):
        table.add_column(column, justify="left" if not column else "right")
    for line in lines:
        if "failed" in line:
            table.add_row(line["name"], line["failed"][:60])
            continue
        low, high = line["spread"]
        ratio = f"{line['seconds'] / unit:.2f}" if unit else ""
        table.add_row(
            f"{line['name']} {line['setting']}".strip(), f"{line['seconds']:.4f}", f"{low:.4f} to {high:.4f}", ratio,
            f"{line['peak_mb']:.0f}", f"{line['of_matmul_rate']:.2f}", f"{line['error']:.1e}",
        )  # fmt: skip
    console.print(table)


def plot(lines: list[dict], path: Path) -> None:
    """Plot time and extra memory over rows, with a pair of panels for each shape."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    shapes = list(dict.fromkeys(line["shape"] for line in lines))
    figure, axes = plt.subplots(len(shapes), 2, figsize=(11, 3.6 * len(shapes)), squeeze=False)
    for (left, right), shape in zip(axes, shapes, strict=True):
        for name in dict.fromkeys(line["name"] for line in lines):
            own = [line for line in lines if (line["shape"], line["name"]) == (shape, name) and "seconds" in line]
            style = {"marker": "o", "label": name, "linewidth": 2.5 if name == OURS else 1.2}
            style["linestyle"] = ":" if name == "kid rkl" else "-"  # the two curves mostly coincide
            left.plot([line["rows"] for line in own], [line["seconds"] for line in own], **style)
            right.plot([line["rows"] for line in own], [line["peak_mb"] for line in own], **style)
        for axis, title in ((left, "seconds, forward and backward"), (right, "extra memory, MiB")):
            axis.set(xscale="log", yscale="log", xlabel="rows", title=f"{title} (V:H {shape})")
            axis.set_xticks(sorted({line["rows"] for line in lines if line["shape"] == shape}))
            axis.minorticks_off()
            axis.xaxis.set_major_formatter("{x:.0f}")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), help="default: bf16 on cuda, fp32 on cpu")
    parser.add_argument("--rows", type=int, nargs="+", help="response rows [cpu: 128 to 2048; cuda: 128 to 8192]")
    parser.add_argument("--shapes", nargs="+", metavar="V:H/H", help="vocabulary:hidden sizes of student/teacher")
    parser.add_argument("--rkl", type=float, default=0.04, help="approximate reverse KL of the two models [0.04]")
    parser.add_argument("--memory-mb", type=float, default=MEMORY_MB, help=f"our memory budget in MiB [{MEMORY_MB}]")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds, after three warm-up rounds [7]")
    parser.add_argument("--json", type=Path, help="write every number to this file")
    parser.add_argument("--plot", type=Path, help="draw time and memory over rows into this PNG file")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU; use a machine with a GPU, or --device cpu")
    missing = [name for name in PEERS if not importlib.util.find_spec(name.replace("-", "_"))]
    if missing:
        raise InputError(f"not installed: {', '.join(missing)}; pip install -r requirements-bench.txt")
    arguments.dtype = arguments.dtype or {"cpu": "fp32", "cuda": "bf16"}[arguments.device]
    rate = matmul_rate({"fp32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype], arguments.device)
    about = {
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "matmul_tflops": rate / 1e12,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "triton", *PEERS)},
        **{key: value for key, value in vars(arguments).items() if key not in ("json", "plot")},
    }
    console = Console(width=130)
    console.print(about)
    lines = []
    for shape in arguments.shapes or SHAPES[arguments.device]:
        for rows in arguments.rows or ROWS[arguments.device]:
            found = measure(shape, rows, arguments, rate)
            show(found, console)
            lines += found
            # Write after every problem, because large ones take minutes.
            if arguments.json:
                arguments.json.write_text(json.dumps({**about, "lines": lines}, indent=1) + "\n")
            if arguments.plot:
                plot(lines, arguments.plot)


if __name__ == "__main__":
    run_script(main)
