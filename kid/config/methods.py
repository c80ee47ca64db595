"""Table 1 of the paper as data: the sources of each method's outputs y, and its divergence."""

from __future__ import annotations

from dataclasses import dataclass

# Sources of outputs y; kid/training/sources.py implements them.
GOLD, IMPERFECT, TEACHER_OUTPUTS, ON_POLICY = "gold", "imperfect", "teacher", "on-policy"
# Section 3: the auxiliary MLE loss is added if the output is the gold SQL or derived from it.
MLE_SOURCES = (GOLD, IMPERFECT)


@dataclass(frozen=True)
class Method:
    """One row of Table 1.

    sources: where the outputs come from; with several, one is drawn uniformly for each optimizer step.
    divergence: a name in `kid.losses.divergence.DIVERGENCES`; None for a method without a teacher.
    """

    sources: tuple[str, ...]
    divergence: str | None

    @property
    def needs_teacher(self) -> bool:
        return self.divergence is not None

    @property
    def fixed_outputs(self) -> bool:
        """Whether the teacher processes the same outputs in every epoch, so that its states can be stored."""
        return self.needs_teacher and self.sources == (GOLD,)


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
