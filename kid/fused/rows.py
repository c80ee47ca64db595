"""What both backends compute of each row of logits, and how they are called."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """loss = sum_i w_i (kd_weight T^2 F(p || q)_i + mle_weight nll_i); F over the first `common` ids at temperature T.

    divergence: a key of `kid.divergence.DIVERGENCES`, or None: no teacher. mixture_weight: JSD's beta, the skewed KLs'
    alpha. common: ids that both vocabularies have. vocabulary: only the first so many ids count for the argmax.
    """

    divergence: str | None
    kd_weight: float
    mle_weight: float
    temperature: float
    mixture_weight: float
    common: int
    vocabulary: int


@dataclass(frozen=True)
class Scores:
    """Statistics of each row, [N].

    kd: the divergence, times T^2. nll: -log q(target), 0 without targets. entropy: of the student's distribution. All
    fp32 or wider, in nats, without gradient. argmax: the most probable id, int64.
    """

    kd: Tensor
    nll: Tensor
    entropy: Tensor
    argmax: Tensor

    def part(self, rows: slice) -> Scores:
        """Views of some rows."""
        return Scores(self.kd[rows], self.nll[rows], self.entropy[rows], self.argmax[rows])
