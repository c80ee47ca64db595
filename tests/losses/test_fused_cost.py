"""What the fused head costs: chunks, memory, matrix products, and that nothing waits for a value."""

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from helpers.fused_problems import EVERY, fused, problem
from torch.utils._python_dispatch import TorchDispatchMode

from kid.losses import fused as fused_loss
from kid.losses.fused import ChunkPlan, fused_losses, logits_in_chunks
from kid.losses.head import Head
from kid.models.pretrained import TokenIds
from kid.randomness import draw_tokens
from kid.training.readout import predictions


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", EVERY)
def test_the_budget_changes_nothing_but_the_chunks(name, dtype, monkeypatch):
    arguments = problem(rows=30, student=(4000, 24), teacher=(4100, 40), bias=False, dtype=dtype)
    whole, expected = fused(arguments, name)
    calls = []
    monkeypatch.setattr(fused_loss.torch_rows, "BLOCK", 2000)
    rows = fused_loss.torch_rows.fill_row_statistics
    monkeypatch.setattr(
        fused_loss.torch_rows, "fill_row_statistics", lambda *args: calls.append(len(args[0])) or rows(*args)
    )
    found, gradients = fused(arguments, name, memory_mb=0.5)
    assert sum(calls) == 30 and len(calls) >= 2 and max(calls) - min(calls) <= 1
    torch.testing.assert_close(found.loss, whole.loss)
    for key in expected:
        torch.testing.assert_close(
            gradients[key], expected[key], rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5
        )


def test_chunks_are_whole_tiles_of_a_gpus_products():
    edges = [(rows.start, rows.stop) for rows in ChunkPlan(512, 1).chunks(2100)]
    assert edges == [(0, 384), (384, 768), (768, 1280), (1280, 1664), (1664, 2100)]
    assert [rows.stop - rows.start for rows in ChunkPlan(100, 1).chunks(250)] == [83, 83, 84]
    assert ChunkPlan(256, 1).chunks(0) == [] and ChunkPlan(256, 1).chunks(3) == [slice(0, 3)]


def peak_bytes(function) -> int:
    """What a call allocates at most at one time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        function()
    peak = held = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_mb", [24, 48])
@pytest.mark.parametrize("rows", [16, 200])
@pytest.mark.parametrize("name", ["rkl", "jsd", None])
def test_memory_stays_within_the_budget(name, rows, memory_mb, dtype):
    """All [N, V] logits of 200 rows would take 31 MB for each of student and teacher."""
    arguments = problem(rows=rows, student=(40000, 24), teacher=(40128, 40), bias=False, dtype=dtype)
    arguments[1].weight.requires_grad_(False)
    gradient = 3 * arguments[0].numel() * arguments[0].itemsize  # kept, scaled, and converted
    assert peak_bytes(lambda: fused(arguments, name, memory_mb=memory_mb)) <= memory_mb * 2**20 + gradient


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["jsd", None])
def test_memory_of_hidden_states_counts_too(name, dtype, monkeypatch):
    monkeypatch.setattr(fused_loss.torch_rows, "BLOCK", 2000)
    arguments = problem(rows=2000, student=(1000, 1000), teacher=(1001, 1200), bias=False, dtype=dtype)
    arguments[1].weight.requires_grad_(False)
    kept = 3 * arguments[0].numel() * arguments[0].itemsize + 2000 * 50
    assert peak_bytes(lambda: fused(arguments, name, memory_mb=8, temperature=2.5)) <= 8 * 2**20 + kept


def test_memory_of_drawing_tokens():
    hidden, head, *_ = problem(rows=300, student=(20000, 24), bias=False)
    config = SimpleNamespace(fused=True, logit_memory_mb=32, sample_temperature=1.0, top_p=0.9)
    student = SimpleNamespace(head_parameters=[], head=head)
    tokens, uniforms = TokenIds(mask=0, eos=1, pad=2, count=19990), torch.rand(300, dtype=torch.float64)
    drawn = []
    used = peak_bytes(lambda: drawn.append(predictions(config, student, hidden, tokens, uniforms)))
    assert used <= 32 * 2**20
    logits = hidden.detach() @ head.weight.detach().T
    assert torch.equal(drawn[0], draw_tokens(logits[:, :19990], uniforms, 1.0, 0.9))


@pytest.mark.parametrize("vocabularies", [(4000, 4128), (4128, 4000)])
@pytest.mark.parametrize("name", EVERY)
def test_the_scratch_of_a_block_is_what_the_plan_counts_on(name, vocabularies, monkeypatch):
    monkeypatch.setattr(fused_loss.torch_rows, "BLOCK", 2**30)  # one block
    arguments = problem(rows=64, student=(vocabularies[0], 8), teacher=(vocabularies[1], 8), bias=False)
    arguments[1].weight.requires_grad_(False)
    used = peak_bytes(lambda: fused(arguments, name, memory_mb=1e6, temperature=2.5))
    logits = 64 * 4 * sum(vocabularies if name else vocabularies[:1])
    assert used - logits <= (fused_loss.torch_rows.SCRATCH + 0.1) * 64 * 4 * 4128


class Products(TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.counts[function.overloadpacket.__name__] += function.overloadpacket in (
            torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_, torch.ops.aten.bmm,
        )  # fmt: skip
        return function(*args, **(kwargs or {}))


def products(function) -> int:
    with Products() as mode:
        function()
    return mode.counts.total()


def test_products():
    """Three with a frozen head, all in the forward sweep; what is not asked for is not computed."""
    arguments = problem(bias=False)
    arguments[1].weight.requires_grad_(False)
    found = []
    assert products(lambda: found.append(fused(arguments, "rkl"))) == 3
    assert products(lambda: fused(arguments, None)) == 2
    hidden, head, teacher_hidden, teacher_head, targets, _ = arguments
    loss = fused_losses(hidden, head, teacher_hidden, teacher_head, targets, divergence="rkl").loss
    assert products(loss.backward) == 0
    assert products(lambda: fused_losses(hidden.detach(), head, targets=targets)) == 1
    with torch.no_grad():
        assert products(lambda: fused_losses(hidden, head, targets=targets)) == 1
    head.weight.requires_grad_()
    assert products(lambda: fused(arguments, "rkl")) == 4


def test_nothing_waits_for_a_value():
    """Meta tensors have no values: whatever asked for one, as a host does that waits for its GPU, would fail."""
    arguments = [
        None if part is None else Head(part.weight.to("meta")) if isinstance(part, Head) else part.to("meta")
        for part in problem(bias=False)
    ]
    arguments[0] = arguments[0].detach().requires_grad_()
    for name in EVERY:
        found, gradients = fused(arguments, name, backend="torch", temperature=2.0)
        assert found.kd.is_meta and gradients["hidden"].is_meta


def test_logits_in_chunks_are_all_logits():
    hidden, head, *_ = problem(rows=50, student=(4000, 24), bias=True, soft_cap=4.0)
    parts = list(logits_in_chunks(hidden, head, scratch=2, memory_mb=1))
    assert len(parts) > 2 and [place for rows, _ in parts for place in range(rows.start, rows.stop)] == [*range(50)]
    expected = 4 * torch.tanh((hidden @ head.weight.T + head.bias) / 4)
    torch.testing.assert_close(torch.cat([logits for _, logits in parts]), expected)
    assert list(logits_in_chunks(hidden[:0], head, scratch=2)) == []
