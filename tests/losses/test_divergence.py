"""Divergences against hand-computed values, a float64 reference by the definitions, and the ends of their range."""

import math

import pytest
import torch
from helpers.reference import reference

from kid.losses.divergence import DIVERGENCES, divergence, entropy, negative_log_likelihood

# Named as in the definitions; 0.5 for jsd is the paper's Eq. 4.
WEIGHTS = {"jsd": [0.5, 0.1, 0.9], "skew-fkl": [0.1, 0.5], "skew-rkl": [0.1, 0.5]}
CASES = [(name, weight) for name in DIVERGENCES for weight in WEIGHTS.get(name, [0.5])]


def regime(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Student and teacher logits, float64 [6, 300]."""
    generator = torch.Generator().manual_seed(0)
    base, other = (3 * torch.randn(6, 300, generator=generator, dtype=torch.float64) for _ in range(2))
    if name == "nearly equal":
        return base + 1e-3 * other, base
    if name == "extreme":  # most probabilities are below fp32's smallest number, some distributions are one-hot
        return 20 * base, 20 * other
    return base, other


def value_and_gradient(function, name, student, teacher, weight):
    student = student.clone().requires_grad_()
    values = function(name, student, teacher, weight)
    (gradient,) = torch.autograd.grad(values.sum(), student)
    return values.detach(), gradient


def ours(name, student, teacher, weight):
    return divergence(name, student, teacher, weight=weight)


def largest_errors(got: torch.Tensor, expected: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each row: the largest absolute error, and the largest expected element."""
    got, expected = got.double().reshape(len(got), -1), expected.reshape(len(got), -1)
    return (got - expected).abs().amax(1), expected.abs().amax(1)


@pytest.mark.parametrize("name_of_regime", ["random", "nearly equal", "extreme"])
@pytest.mark.parametrize(("name", "weight"), CASES)
def test_float64_matches_the_reference(name, weight, name_of_regime):
    student, teacher = regime(name_of_regime)
    values, gradient = value_and_gradient(ours, name, student, teacher, weight)
    expected, expected_gradient = value_and_gradient(reference, name, student, teacher, weight)
    error, size = largest_errors(values, expected)
    assert (error <= 1e-6 * size).all()
    error, size = largest_errors(gradient, expected_gradient)
    # A one-hot student's gradient is 0 but for the last digits of its terms.
    assert (error <= 1e-6 * size + 1e-12).all()


@pytest.mark.parametrize(
    ("name_of_regime", "of_value", "of_gradient"),
    [
        ("random", 1e-6, 1e-5),
        # p and q differ in their last four digits: so many are left of what is made of the difference. The value is of
        # second order in it, and only right to 1e-7 of a nat.
        ("nearly equal", 0.0, 5e-4),
        # Values are hundreds of nats, gradients the small difference of such.
        ("extreme", 1e-6, None),
    ],
)
@pytest.mark.parametrize(("name", "weight"), CASES)
def test_fp32_error_is_bounded(name, weight, name_of_regime, of_value, of_gradient):
    student, teacher = (logits.float() for logits in regime(name_of_regime))
    values, gradient = value_and_gradient(ours, name, student, teacher, weight)
    expected, expected_gradient = value_and_gradient(ours, name, student.double(), teacher.double(), weight)
    error, size = largest_errors(values, expected)
    assert (error <= of_value * size + 1e-7).all()
    error, gradient_size = largest_errors(gradient, expected_gradient)
    assert (error <= 1e-6 * gradient_size + 5e-7 * size.clamp(min=0.1)).all()
    assert of_gradient is None or (error <= of_gradient * gradient_size).all()


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        # p = (1/2, 1/2), q = (1/4, 3/4)
        ("fkl", 0.5, 0.5 * math.log(2) + 0.5 * math.log(2 / 3)),
        ("rkl", 0.5, 0.25 * math.log(0.5) + 0.75 * math.log(1.5)),
        ("tvd", 0.5, 0.25),
        # m = (3/8, 5/8)
        (
            "jsd",
            0.5,
            (0.5 * math.log(4 / 3) + 0.5 * math.log(4 / 5)) / 2 + (0.25 * math.log(2 / 3) + 0.75 * math.log(6 / 5)) / 2,
        ),
        # 1/10 p + 9/10 q = (11/40, 29/40)
        ("skew-fkl", 0.1, 0.5 * math.log(20 / 11) + 0.5 * math.log(20 / 29)),
        # 1/10 q + 9/10 p = (19/40, 21/40)
        ("skew-rkl", 0.1, 0.25 * math.log(10 / 19) + 0.75 * math.log(10 / 7)),
        # beta 1/4: m = (5/16, 11/16)
        (
            "jsd",
            0.25,
            0.25 * (0.5 * math.log(8 / 5) + 0.5 * math.log(8 / 11))
            + 0.75 * (0.25 * math.log(4 / 5) + 0.75 * math.log(12 / 11)),
        ),
    ],
)  # fmt: skip
def test_value_by_hand(name, weight, expected):
    teacher, student = torch.zeros(1, 2), torch.tensor([[0.0, math.log(3)]])
    assert divergence(name, student, teacher, weight=weight).item() == pytest.approx(expected, abs=1e-7)


def test_tvd_and_jsd_of_disjoint_distributions():
    """One-hot against another one-hot: the largest values there are."""
    student, teacher = torch.tensor([[0.0, -torch.inf, 0.0]]), torch.tensor([[-torch.inf, 0.0, -torch.inf]])
    assert divergence("tvd", student, teacher).item() == pytest.approx(1)
    assert divergence("jsd", student, teacher).item() == pytest.approx(math.log(2))
    assert divergence("skew-fkl", student, teacher, weight=0.1).item() == pytest.approx(-math.log(0.1))


@pytest.mark.parametrize("temperature", [0.7, 2.5])
@pytest.mark.parametrize(("name", "weight"), CASES)
def test_temperature_divides_the_logits_and_multiplies_the_loss_by_its_square(name, weight, temperature):
    student, teacher = regime("random")
    got = divergence(name, student, teacher, temperature, weight)
    expected = divergence(name, student / temperature, teacher / temperature, 1.0, weight) * temperature**2
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "weight"), CASES)
def test_equal_logits_diverge_by_nothing(name, weight, dtype):
    logits = 5 * torch.randn(3, 700, generator=torch.Generator().manual_seed(1), dtype=dtype)
    values, gradient = value_and_gradient(ours, name, logits, logits, weight)
    exact = name in ("fkl", "rkl", "tvd")
    assert values.abs().max() <= (0 if exact else 1e-6)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("hot", ["student", "teacher", "both"])
@pytest.mark.parametrize(("name", "weight"), CASES)
def test_one_hot_distributions(name, weight, hot):
    """Logits so far apart that all probabilities but one are 0 in fp32: values and gradients stay finite and right."""
    one_hot, flat = torch.zeros(1, 5), torch.tensor([[0.3, -0.2, 0.1, 0.0, 0.5]])
    one_hot[0, 2] = 2000.0
    student = one_hot if hot != "teacher" else flat
    teacher = one_hot if hot != "student" else flat
    values, gradient = value_and_gradient(ours, name, student, teacher, weight)
    expected, expected_gradient = value_and_gradient(ours, name, student.double(), teacher.double(), weight)
    assert values.isfinite().all() and gradient.isfinite().all()
    torch.testing.assert_close(values.double(), expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "weight"), CASES)
def test_ids_without_probability_in_both_add_nothing(name, weight):
    """A vocabulary's unused ids at -inf change neither value nor gradient, wherever they stand."""
    student, teacher = regime("random")
    padded = [torch.full((6, 304), -torch.inf, dtype=torch.float64) for _ in range(2)]
    for wide, logits in zip(padded, (student, teacher), strict=True):
        wide[:, 2:302] = logits
    values, gradient = value_and_gradient(ours, name, *padded, weight)
    expected, expected_gradient = value_and_gradient(ours, name, student, teacher, weight)
    torch.testing.assert_close(values, expected)
    torch.testing.assert_close(gradient[:, 2:302], expected_gradient)
    assert not gradient[:, :2].any() and not gradient[:, 302:].any()


@pytest.mark.parametrize(("name", "weight"), CASES)
def test_an_id_without_probability_in_one(name, weight):
    """The bounded divergences stay finite; a KL is infinite exactly where its definition is."""
    some, all_ids = torch.tensor([[0.5, -torch.inf, 0.0]]), torch.tensor([[0.2, 0.1, 0.0]])
    lacking_in_student, _ = value_and_gradient(ours, name, some, all_ids, weight)
    lacking_in_teacher, gradient = value_and_gradient(ours, name, all_ids, some, weight)
    assert lacking_in_student.isfinite().all() == (name != "fkl")
    assert lacking_in_teacher.isfinite().all() == (name != "rkl")
    assert not lacking_in_student.isnan().any() and not lacking_in_teacher.isnan().any()
    assert gradient.isfinite().all() == (name != "rkl")


@pytest.mark.parametrize(("name", "weight"), CASES)
def test_a_row_that_is_no_distribution_leaves_the_others_alone(name, weight):
    student, teacher = regime("random")
    expected, expected_gradient = value_and_gradient(ours, name, student, teacher, weight)
    student[2] = -torch.inf
    values, gradient = value_and_gradient(ours, name, student, teacher, weight)
    others = [0, 1, 3, 4, 5]
    assert values[2].isnan()
    assert torch.equal(values[others], expected[others]) and torch.equal(gradient[others], expected_gradient[others])


@pytest.mark.parametrize("name", DIVERGENCES)
def test_padded_vocabularies_are_compared_over_the_common_ids(name):
    torch.manual_seed(2)
    student, teacher = torch.randn(4, 9), torch.randn(4, 12)
    assert torch.equal(divergence(name, student, teacher), divergence(name, student, teacher[:, :9]))
    assert torch.equal(divergence(name, teacher, student), divergence(name, teacher[:, :9], student))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_no_rows(name):
    student = torch.zeros(0, 5, requires_grad=True)
    total = divergence(name, student, torch.zeros(0, 5)).sum()
    total.backward()
    assert total.item() == 0 and student.grad.shape == (0, 5)


def test_likelihood_is_over_the_whole_vocabulary_at_temperature_one():
    logits, targets = torch.randn(4, 9, generator=torch.Generator().manual_seed(3)), torch.tensor([0, 8, 3, 3])
    expected = [-math.log(torch.softmax(row.double(), -1)[t]) for row, t in zip(logits, targets, strict=True)]
    assert negative_log_likelihood(logits, targets).tolist() == pytest.approx(expected, rel=1e-6)


def test_entropy_by_hand():
    logits = torch.tensor([[0.0, 0.0, -torch.inf], [900.0, 0.0, 0.0], [0.0, math.log(3), -torch.inf]])
    expected = [math.log(2), 0.0, 0.25 * math.log(4) + 0.75 * math.log(4 / 3)]
    assert entropy(logits).tolist() == pytest.approx(expected, abs=1e-7)


def test_bf16_logits_are_widened():
    student, teacher = torch.randn(2, 50).bfloat16(), torch.randn(2, 50).bfloat16()
    assert torch.equal(divergence("rkl", student, teacher), divergence("rkl", student.float(), teacher.float()))
