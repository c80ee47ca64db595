"""The divergences by their definitions, in float64."""

import torch


def reference(name: str, student: torch.Tensor, teacher: torch.Tensor, weight: float) -> torch.Tensor:
    """By the definitions of appendix A.3, on float64 probabilities, without any care for stability."""
    q, p = torch.softmax(student.double(), -1), torch.softmax(teacher.double(), -1)

    def kl(a, b):
        return (a * (a.log() - b.log())).sum(-1)

    mixture = weight * p + (1 - weight) * q
    return {
        "fkl": lambda: kl(p, q),
        "rkl": lambda: kl(q, p),
        "jsd": lambda: weight * kl(p, mixture) + (1 - weight) * kl(q, mixture),
        "tvd": lambda: (p - q).abs().sum(-1) / 2,
        "skew-fkl": lambda: kl(p, mixture),
        "skew-rkl": lambda: kl(q, weight * q + (1 - weight) * p),
    }[name]()
