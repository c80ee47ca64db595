"""The fused head against the plain computation in float64: values, gradients, edges and precision."""

import math

import pytest
import torch
from helpers.fused_problems import EVERY, WEIGHT, draw, fused, near, plain, problem

from kid.losses import fused as fused_loss
from kid.losses.divergence import DIVERGENCES
from kid.losses.fused import fused_losses
from kid.losses.head import Head

BACKENDS = ("torch", "triton")


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
    found = fused_losses(
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


@pytest.mark.slow
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


def test_backward_scales_the_gradient_and_weights_have_theirs():
    arguments = problem()
    arguments[5].requires_grad_()
    found, gradients = fused(arguments, "rkl", kd_weight=0.7, mle_weight=0.3)
    again = fused_losses(*arguments, divergence="rkl", kd_weight=0.7, mle_weight=0.3)
    hidden, weights = torch.autograd.grad(3 * again.loss, (arguments[0], arguments[5]))
    torch.testing.assert_close(hidden, 3 * gradients["hidden"])
    torch.testing.assert_close(weights, 3 * (0.7 * found.kd + 0.3 * found.nll))
    assert not any(scores.requires_grad for scores in (found.kd, found.nll, found.entropy))


@pytest.mark.parametrize("backend", BACKENDS)
def test_argmax_is_the_first_of_equals_among_the_ids_that_count(backend):
    logits = torch.tensor([[0.0, 2, 1, 2, 9], [3, 3, 3, 3, 3], [-5, -4, -9, -4, -1]])
    for count, expected in ((5, [4, 0, 4]), (4, [1, 0, 1]), (1, [0, 0, 0])):
        found = fused_losses(logits, Head(torch.eye(5)), vocabulary=count, backend=backend)
        assert found.argmax.tolist() == expected
    assert fused_losses(logits, Head(torch.eye(5)), vocabulary=99, backend=backend).argmax.tolist() == [4, 0, 4]


def test_arguments_that_do_not_go_together():
    hidden, head, teacher_hidden, teacher_head, targets, _ = problem()
    with pytest.raises(ValueError, match="together, or none"):
        fused_losses(hidden, head, divergence="rkl")
    with pytest.raises(ValueError, match="together, or none"):
        fused_losses(hidden, head, teacher_hidden, teacher_head)
    with pytest.raises(ValueError, match="unknown divergence 'kl'"):
        fused_losses(hidden, head, teacher_hidden, teacher_head, divergence="kl")
    with pytest.raises(ValueError, match=r"differ in their number of rows: \[7, None, 6, None\]"):
        fused_losses(hidden, head, targets=targets[:6])
