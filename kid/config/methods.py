"""Table 1 of the paper as data: where a method's outputs y come from and by which divergence it learns from them."""

from __future__ import annotations

from dataclasses import dataclass

# Where an output y comes from; kid/training/sources.py makes each.
GOLD, IMPERFECT, TEACHER_OUTPUTS, ON_POLICY = "gold", "imperfect", "teacher", "on-policy"
# Section 3: the auxiliary MLE is added where the output is the gold SQL or made of it.
MLE_SOURCES = (GOLD, IMPERFECT)


@dataclass(frozen=True)
class Method:
    """One row of Table 1.

    sources: where the outputs come from; of several, one is drawn for each optimizer step, all equally likely.
    divergence: name in `kid.losses.divergence.DIVERGENCES`, or None for a method without a teacher.
    """

    sources: tuple[str, ...]
    divergence: str | None

    @property
    def needs_teacher(self) -> bool:
        return self.divergence is not None


METHODS: dict[str, Method] = {
    "sft": Method((GOLD,), None),
    "fkd": Method((GOLD,), "fkl"),
    "rkd": Method((GOLD,), "rkl"),
    "f-distill": Method((TEACHER_OUTPUTS, ON_POLICY), "tvd"),
    "imitkd": Method((GOLD, ON_POLICY), "fkl"),
    "gkd-fkl": Method((ON_POLICY,), "fkl"),
    "gkd-rkl": Method((ON_POLICY,), "rkl"),
    "gkd-jsd": Method((ON_POLICY,), "jsd"),
    "kid": Method((IMPERFECT,), "rkl"),
}
