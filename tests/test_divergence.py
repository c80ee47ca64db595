"""Divergences against hand-computed values, a naive float64 loop, and the closed forms of their gradients."""

import math

import pytest
import torch

from kid.divergence import DIVERGENCES, divergence, negative_log_likelihood


def naive(name: str, p: list[float], q: list[float]) -> float:
    """One row, by the definitions of appendix A.3."""

    def kl(a, b):
        return sum(x * math.log(x / y) for x, y in zip(a, b, strict=True))

    m = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
    return {
        "fkl": kl(p, q),
        "rkl": kl(q, p),
        "jsd": (kl(p, m) + kl(q, m)) / 2,
        "tvd": sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2,
    }[name]


def closed_form_gradient(name: str, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """d divergence / d student logits of one row."""
    if name == "fkl":
        return q - p
    if name == "rkl":
        ratio = (q / p).log()
        return q * (ratio - (q * ratio).sum())
    if name == "jsd":
        ratio = (2 * q / (p + q)).log()
        return q * (ratio - (q * ratio).sum()) / 2
    sign = torch.sign(q - p)
    return q * (sign - (q * sign).sum()) / 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # p = (1/2, 1/2), q = (1/4, 3/4)
        ("fkl", 0.5 * math.log(2) + 0.5 * math.log(2 / 3)),
        ("rkl", 0.25 * math.log(0.5) + 0.75 * math.log(1.5)),
        ("tvd", 0.25),
    ],
)
def test_value_by_hand(name, expected):
    teacher, student = torch.zeros(1, 2), torch.tensor([[0.0, math.log(3)]])
    assert divergence(name, student, teacher).item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("name", DIVERGENCES)
def test_value_and_gradient_match_float64(name, temperature):
    torch.manual_seed(0)
    student = (3 * torch.randn(5, 11)).requires_grad_()
    teacher = 3 * torch.randn(5, 11)
    values = divergence(name, student, teacher, temperature)
    values.sum().backward()
    p = torch.softmax(teacher.double() / temperature, -1)
    q = torch.softmax(student.detach().double() / temperature, -1)
    for row in range(5):
        expected = naive(name, p[row].tolist(), q[row].tolist()) * temperature**2
        assert values[row].item() == pytest.approx(expected, rel=2e-6)
        gradient = closed_form_gradient(name, p[row], q[row]) * temperature
        torch.testing.assert_close(student.grad[row].double(), gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_equal_logits_diverge_by_nothing(name):
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(1))
    assert divergence(name, logits, logits).abs().max() < 1e-6


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


def test_bf16_logits_are_widened():
    student, teacher = torch.randn(2, 50).bfloat16(), torch.randn(2, 50).bfloat16()
    assert torch.equal(divergence("rkl", student, teacher), divergence("rkl", student.float(), teacher.float()))
