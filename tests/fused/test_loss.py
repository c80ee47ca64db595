"""The fused head against the plain computation in float64: values, gradients, edges, precision, memory and products."""

import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kid.decoding import draw_tokens
from kid.divergence import DIVERGENCES, divergence, entropy, negative_log_likelihood
from kid.fused import loss as fused_loss
from kid.fused.head import Head
from kid.fused.loss import Plan, fused_divergence, logits_in_chunks
from kid.losses import predictions
from kid.pretrained import TokenIds

BACKENDS = ("torch", "triton")
WEIGHT = 0.3  # JSD's beta, the skewed KLs' alpha
EVERY = [*DIVERGENCES, None]


def draw(*shape, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)


def problem(rows=7, student=(50, 5), teacher=(60, 9), bias=True, dtype=torch.float32, scale=1.0, soft_cap=None):
    """Arguments of `fused_divergence`; of student and teacher: (vocabulary, hidden size), none a power of 2."""
    heads = [
        Head(
            draw(vocabulary, hidden, seed=seed, dtype=dtype).requires_grad_(seed == 1),
            draw(vocabulary, seed=seed + 2, dtype=dtype).requires_grad_(seed == 1) if bias else None,
            scale,
            soft_cap,
        )
        for (vocabulary, hidden), seed in ((student, 1), (teacher, 2))
    ]
    states = [draw(rows, hidden, seed=seed, dtype=dtype) for (_, hidden), seed in ((student, 5), (teacher, 6))]
    targets = torch.randint(student[0], (rows,), generator=torch.Generator().manual_seed(7))
    weights = draw(rows, seed=8).abs()
    return [states[0].requires_grad_(), heads[0], states[1], heads[1], targets, weights]


def plain(arguments, divergence_name=None, kd_weight=1.0, mle_weight=1.0, temperature=1.0, mixture_weight=0.5):
    """(loss, kd, nll, entropy, argmax, gradients by name) in float64, from all logits, by the reference."""
    hidden, head, teacher_hidden, teacher_head, targets, weights = arguments
    leaves = {"hidden": hidden, "weight": head.weight, "bias": head.bias}
    leaves = {k: v.detach().double().requires_grad_() for k, v in leaves.items() if v is not None}

    def logits(hidden, weight, bias, head):
        z = (hidden @ weight.T + (0 if bias is None else bias)) * head.scale
        return z if head.soft_cap is None else head.soft_cap * torch.tanh(z / head.soft_cap)

    student = logits(leaves["hidden"], leaves["weight"], leaves.get("bias"), head)
    kd = nll = torch.zeros(len(hidden), dtype=torch.float64)
    if divergence_name:
        parts = (teacher_head.weight, teacher_head.bias)
        parts = [None if part is None else part.detach().double() for part in parts]
        teacher = logits(teacher_hidden.double(), *parts, teacher_head)
        kd = divergence(divergence_name, student, teacher, temperature, mixture_weight)
    if targets is not None:
        nll = negative_log_likelihood(student, targets)
    loss = ((kd_weight * kd + mle_weight * nll) * weights.double()).sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return loss, kd, nll, entropy(student), student.argmax(-1), dict(zip(leaves, gradients, strict=True))


def fused(arguments, name, **options):
    """The same of the fused head, whose teacher is left out where there is no divergence."""
    hidden, head, teacher_hidden, teacher_head, targets, weights = arguments
    taught = (None, None) if name is None else (teacher_hidden, teacher_head)
    found = fused_divergence(hidden, head, *taught, targets, weights, divergence=name, **options)
    leaves = {"hidden": hidden, "weight": head.weight, "bias": head.bias}
    leaves = {key: leaf for key, leaf in leaves.items() if leaf is not None and leaf.requires_grad}
    gradients = torch.autograd.grad(found.loss, list(leaves.values()))
    return found, dict(zip(leaves, gradients, strict=True))


def check(arguments, name, backend, rtol=1e-5, **options):
    found, gradients = fused(arguments, name, backend=backend, mixture_weight=WEIGHT, **options)
    options.pop("memory_mb", None)
    loss, kd, nll, entropies, argmax, expected = plain(arguments, name, mixture_weight=WEIGHT, **options)
    torch.testing.assert_close(found.loss.double(), loss, rtol=rtol, atol=1e-6)
    for ours, theirs in ((found.kd, kd), (found.nll, nll), (found.entropy, entropies)):
        torch.testing.assert_close(ours.double(), theirs, rtol=rtol, atol=2e-6)
    assert torch.equal(found.argmax, argmax)
    for key, gradient in gradients.items():
        error = (gradient.double() - expected[key]).norm()
        assert error <= rtol * expected[key].norm() + 1e-12, key
        assert gradient.shape == expected[key].shape and gradient.dtype == arguments[0].dtype


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("torch", {}),
        ("torch", {"temperature": 2.5}),
        ("torch", {"kd_weight": 0.7, "mle_weight": 0.0}),
        ("torch", {"kd_weight": 0.0, "mle_weight": 0.3}),
        ("triton", {}),
        ("triton", {"temperature": 2.5, "kd_weight": 0.7, "mle_weight": 0.3}),
    ],
)
@pytest.mark.parametrize("vocabularies", [(50, 50), (50, 60), (60, 50)])
@pytest.mark.parametrize("name", EVERY)
def test_values_and_gradients(name, vocabularies, backend, options):
    """Of hidden states, head and bias; the teacher's vocabulary is as large, larger, smaller."""
    check(problem(student=(vocabularies[0], 5), teacher=(vocabularies[1], 9)), name, backend, **options)


@pytest.mark.parametrize("name", EVERY)
def test_values_and_gradients_in_float64(name):
    check(problem(dtype=torch.float64), name, "torch", rtol=1e-12, temperature=1.5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("scale", "soft_cap"), [(0.0625, None), (1.0, 3.0), (2.0, 5.0)])
def test_scaled_and_capped_logits(scale, soft_cap, backend):
    check(problem(scale=scale, soft_cap=soft_cap), "rkl", backend, temperature=2.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("targets", [True, False])
@pytest.mark.parametrize("name", ["rkl", "jsd"])
def test_a_vocabulary_of_several_tiles(name, targets, backend):
    """More ids than a block of the torch backend holds rows of, and than a Triton program reads at once."""
    arguments = problem(rows=5, student=(9001, 33), teacher=(8999, 40), bias=False)
    if not targets:
        arguments[4] = None
    check(arguments, name, backend, rtol=1e-4)  # distributions far apart: the plain computation in fp32 is off by 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EVERY)
def test_one_row_and_one_id(name, backend):
    check(problem(rows=1), name, backend)
    found, gradients = fused(problem(rows=1, student=(1, 3), teacher=(1, 2)), name, backend=backend)
    assert found.loss == 0 and not any(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EVERY)
def test_without_rows_the_gradients_are_zeros(name, backend):
    found, gradients = fused(problem(rows=0), name, backend=backend)
    assert found.loss == 0 and found.kd.shape == found.argmax.shape == (0,)
    assert gradients["hidden"].shape == (0, 5) and gradients["weight"].shape == (50, 5)
    assert not any(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EVERY)
def test_a_row_of_weight_0_is_left_out_whatever_it_holds(name, backend):
    arguments = problem()
    arguments[5][2] = 0
    expected, expected_gradients = fused(arguments, name, backend=backend)
    with torch.no_grad():
        arguments[0][2], arguments[2][2], arguments[4][2] = math.nan, math.inf, -100
    found, gradients = fused(arguments, name, backend=backend)
    assert found.loss == expected.loss and not gradients["hidden"][2].any()
    for scores in (found.kd, found.nll, found.entropy, found.argmax):
        assert scores[2] == 0
    assert all(torch.equal(gradients[key], expected_gradients[key]) for key in gradients)


def test_by_hand():
    """Two ids; q = (3/4, 1/4), p = (1/4, 3/4), the gold id is the second."""
    hidden = torch.tensor([[math.log(3), 0.0]], requires_grad=True)
    found = fused_divergence(
        hidden, Head(torch.eye(2)), torch.tensor([[0.0, math.log(3)]]), Head(torch.eye(2)), torch.tensor([1]),
        divergence="rkl", kd_weight=2.0, mle_weight=3.0,
    )  # fmt: skip
    assert found.kd.item() == pytest.approx(0.5 * math.log(3))
    assert found.nll.item() == pytest.approx(math.log(4))
    assert found.entropy.item() == pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4))
    assert found.argmax.item() == 0
    assert found.loss.item() == pytest.approx(math.log(3) + 3 * math.log(4))
    (gradient,) = torch.autograd.grad(found.loss, hidden)
    # RKL: 3/4 (log 3 - log 3 / 2), times 2; MLE: 3/4 - 0, times 3.
    first = 2 * 0.375 * math.log(3) + 3 * 0.75
    assert gradient[0].tolist() == pytest.approx([first, -first])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", DIVERGENCES)
def test_distributions_far_apart(name, backend):
    """Logits of standard deviation 60: most probabilities are below fp32's smallest number."""
    arguments = problem(rows=6, student=(300, 300), teacher=(300, 300), bias=False, dtype=torch.float64)
    far = [draw(6, 300, seed=seed, scale=60.0, dtype=torch.float32) for seed in (1, 2)]
    arguments[0], arguments[2] = far[0].requires_grad_(), far[1]
    arguments[1], arguments[3] = Head(torch.eye(300)), Head(torch.eye(300))  # the gradient is that of the logits
    found, gradients = fused(arguments, name, backend=backend, mixture_weight=WEIGHT, mle_weight=0.0)
    _, kd, _, _, _, expected = plain(arguments, name, mixture_weight=WEIGHT, mle_weight=0.0)
    torch.testing.assert_close(found.kd.double(), kd, rtol=1e-5, atol=1e-6)
    # A nearly one-hot student's gradient is a small difference of terms of the divergence's own size.
    bound = 1e-6 * (arguments[5].double() * (1 + kd))[:, None]
    assert ((gradients["hidden"].double() - expected["hidden"]).abs() <= bound).all()


def near(rkl: float, dtype: torch.dtype, rows=24, vocabulary=6000, hidden=96):
    """A student about `rkl` from its teacher, whose logits lie 5 higher: no distribution shows that."""
    head = draw(vocabulary, hidden, seed=1, scale=2.5 / hidden**0.5)
    noise = draw(vocabulary, 16, seed=2, scale=(2 * rkl) ** 0.5 / 4)
    states = draw(rows, hidden, seed=3)
    offset = torch.full((vocabulary, 1), 5.0)
    teacher_states = torch.cat([states, draw(rows, 16, seed=4), torch.ones(rows, 1)], dim=1)
    teacher_head = torch.cat([head, noise, offset], dim=1)
    targets = torch.randint(vocabulary, (rows,), generator=torch.Generator().manual_seed(5))
    tensors = [tensor.to(dtype) for tensor in (states, head, teacher_states, teacher_head)]
    weights = torch.full((rows,), 1 / rows)
    return [tensors[0].requires_grad_(), Head(tensors[1]), tensors[2], Head(tensors[3]), targets, weights]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mle_weight", [0.0, 1.0])
@pytest.mark.parametrize(
    ("rkl", "dtype", "bound"),
    [
        (1.0, torch.float32, 1e-5),
        (0.04, torch.float32, 1e-5),
        (1e-3, torch.float32, 5e-4),
        (1e-4, torch.float32, 5e-4),
        (1.0, torch.bfloat16, 5e-3),
        (0.04, torch.bfloat16, 5e-3),
        (1e-3, torch.bfloat16, 5e-3),
        (1e-4, torch.bfloat16, 5e-3),
    ],
)
def test_precision_as_the_student_nears_its_teacher(rkl, dtype, bound, mle_weight, backend):
    arguments = near(rkl, dtype)
    found, gradients = fused(arguments, "rkl", backend=backend, mle_weight=mle_weight)
    _, kd, _, _, _, expected = plain(arguments, "rkl", mle_weight=mle_weight)
    assert 0.5 * rkl < kd.mean() < 2 * rkl or dtype == torch.bfloat16  # bf16's own rounding adds some
    error = (gradients["hidden"].double() - expected["hidden"]).norm() / expected["hidden"].norm()
    assert error <= bound
    logged, exact = (found.kd.double() * arguments[5]).sum(), (kd * arguments[5]).sum()
    assert abs(logged - exact) <= 1e-6 + 1e-4 * exact


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("soft_cap", [None, 4.0])
@pytest.mark.parametrize("name", ["rkl", "fkl", "jsd", None])
def test_a_bf16_gradient_as_on_a_gpu(name, soft_cap, backend, monkeypatch):
    """Rounded once, also behind a soft cap and a scale; of hidden states, head and bias."""
    monkeypatch.setattr(fused_loss, "operand_dtype", lambda hidden: hidden.dtype)
    arguments = problem(student=(300, 33), teacher=(310, 40), dtype=torch.bfloat16, scale=0.3, soft_cap=soft_cap)
    # The interpreter cuts off where a GPU rounds, but the cap's gradient is not the kernel's to round.
    bound = 8e-3 if backend == "triton" and soft_cap is None else 5e-3
    _, gradients = fused(arguments, name, backend=backend)
    *_, expected = plain(arguments, name)
    for key, gradient in gradients.items():
        assert gradient.dtype == torch.bfloat16
        assert (gradient.double() - expected[key]).norm() <= bound * expected[key].norm(), key


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", EVERY)
def test_the_budget_changes_nothing_but_the_chunks(name, dtype, monkeypatch):
    arguments = problem(rows=30, student=(4000, 24), teacher=(4100, 40), bias=False, dtype=dtype)
    whole, expected = fused(arguments, name)
    calls = []
    monkeypatch.setattr(fused_loss.torch_rows, "BLOCK", 2000)
    rows = fused_loss.torch_rows.score_rows
    monkeypatch.setattr(fused_loss.torch_rows, "score_rows", lambda *args: calls.append(len(args[0])) or rows(*args))
    found, gradients = fused(arguments, name, memory_mb=0.5)
    assert sum(calls) == 30 and len(calls) >= 2 and max(calls) - min(calls) <= 1
    torch.testing.assert_close(found.loss, whole.loss)
    for key in expected:
        torch.testing.assert_close(
            gradients[key], expected[key], rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5
        )


def test_chunks_are_whole_tiles_of_a_gpus_products():
    edges = [(rows.start, rows.stop) for rows in Plan(512, 1).chunks(2100)]
    assert edges == [(0, 384), (384, 768), (768, 1280), (1280, 1664), (1664, 2100)]
    assert [rows.stop - rows.start for rows in Plan(100, 1).chunks(250)] == [83, 83, 84]
    assert Plan(256, 1).chunks(0) == [] and Plan(256, 1).chunks(3) == [slice(0, 3)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_may_be_views_of_any_layout(backend):
    arguments = problem()
    arguments[5] = torch.tensor(0.2).expand(7)
    expected, expected_gradients = fused(arguments, "rkl", backend=backend)
    hidden, head, teacher_hidden, teacher_head, targets, weights = arguments
    strided = torch.stack([targets - 1, targets], dim=1)[:, 1]
    head = Head(head.weight.detach().T.contiguous().T.requires_grad_(), head.bias)
    hidden = hidden.detach().T.contiguous().T.requires_grad_()
    teacher_hidden = torch.stack([teacher_hidden] * 2, dim=1)[:, 0]
    found, gradients = fused([hidden, head, teacher_hidden, teacher_head, strided, weights], "rkl", backend=backend)
    torch.testing.assert_close(found.loss, expected.loss)
    for key, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[key])


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
    student = SimpleNamespace(causal_lm=SimpleNamespace(get_output_embeddings=torch.nn.Identity), head=head)
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
    loss = fused_divergence(hidden, head, teacher_hidden, teacher_head, targets, divergence="rkl").loss
    assert products(loss.backward) == 0
    assert products(lambda: fused_divergence(hidden.detach(), head, targets=targets)) == 1
    with torch.no_grad():
        assert products(lambda: fused_divergence(hidden, head, targets=targets)) == 1
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


def test_backward_scales_the_gradient_and_weights_have_theirs():
    arguments = problem()
    arguments[5].requires_grad_()
    found, gradients = fused(arguments, "rkl", kd_weight=0.7, mle_weight=0.3)
    again = fused_divergence(*arguments, divergence="rkl", kd_weight=0.7, mle_weight=0.3)
    hidden, weights = torch.autograd.grad(3 * again.loss, (arguments[0], arguments[5]))
    torch.testing.assert_close(hidden, 3 * gradients["hidden"])
    torch.testing.assert_close(weights, 3 * (0.7 * found.kd + 0.3 * found.nll))
    assert not any(scores.requires_grad for scores in (found.kd, found.nll, found.entropy))


@pytest.mark.parametrize("backend", BACKENDS)
def test_argmax_is_the_first_of_equals_among_the_ids_that_count(backend):
    logits = torch.tensor([[0.0, 2, 1, 2, 9], [3, 3, 3, 3, 3], [-5, -4, -9, -4, -1]])
    for count, expected in ((5, [4, 0, 4]), (4, [1, 0, 1]), (1, [0, 0, 0])):
        found = fused_divergence(logits, Head(torch.eye(5)), vocabulary=count, backend=backend)
        assert found.argmax.tolist() == expected
    assert fused_divergence(logits, Head(torch.eye(5)), vocabulary=99, backend=backend).argmax.tolist() == [4, 0, 4]


def test_logits_in_chunks_are_all_logits():
    hidden, head, *_ = problem(rows=50, student=(4000, 24), bias=True, soft_cap=4.0)
    parts = list(logits_in_chunks(hidden, head, scratch=2, memory_mb=1))
    assert len(parts) > 2 and [place for rows, _ in parts for place in range(rows.start, rows.stop)] == [*range(50)]
    expected = 4 * torch.tanh((hidden @ head.weight.T + head.bias) / 4)
    torch.testing.assert_close(torch.cat([logits for _, logits in parts]), expected)
    assert list(logits_in_chunks(hidden[:0], head, scratch=2)) == []


def test_arguments_that_do_not_go_together():
    hidden, head, teacher_hidden, teacher_head, targets, _ = problem()
    with pytest.raises(ValueError, match="go together"):
        fused_divergence(hidden, head, divergence="rkl")
    with pytest.raises(ValueError, match="go together"):
        fused_divergence(hidden, head, teacher_hidden, teacher_head)
    with pytest.raises(ValueError, match="unknown divergence 'kl'"):
        fused_divergence(hidden, head, teacher_hidden, teacher_head, divergence="kl")
    with pytest.raises(ValueError, match=r"differ in rows: \[7, None, 6, None\]"):
        fused_divergence(hidden, head, targets=targets[:6])
