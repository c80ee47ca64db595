"""Table 1 of the paper as data: where a method's output y comes from, its divergence, and whether MLE is added."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """One row of Table 1.

    source: where the output y comes from: "gold", or "imperfect" (gold rewritten with the student's predictions).
    divergence: name in `kid.divergence.DIVERGENCES`, or None for a method without a teacher.
    mle: whether the maximum-likelihood loss on the gold tokens is added (section 3: only where y is gold or imperfect).
    """

    source: str
    divergence: str | None
    mle: bool

    @property
    def needs_teacher(self) -> bool:
        return self.divergence is not None


METHODS: dict[str, Method] = {
    "sft": Method(source="gold", divergence=None, mle=True),
    "rkd": Method(source="gold", divergence="rkl", mle=True),
    "kid": Method(source="imperfect", divergence="rkl", mle=True),
}
