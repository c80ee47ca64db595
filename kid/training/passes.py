"""The passes of a training step as data, and the state of a micro-batch between its passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kid.config.mask_strategies import MASK_STRATEGIES
from kid.config.methods import IMPERFECT, METHODS, MLE_SOURCES, ON_POLICY
from kid.config.run_config import RunConfig
from kid.data.batching import Batch
from kid.models.pretrained import TokenIds
from kid.models.stored_teacher import StoredTeacher
from kid.models.zero3 import Model

# The model, the output tokens that it reads after the prompt, and what is computed from its states.
STUDENT, TEACHER = "student", "teacher"
Y, MASKED_Y, Y_HAT, OWN_TOKENS = "y", "masked y", "y_hat", "its own tokens"
ENTROPIES, PREDICTIONS, HIDDEN_STATES, KD, MLE = "entropies", "predictions", "hidden states", "divergence", "likelihood"


@dataclass(frozen=True)
class Pass:
    """A forward of `model` over the prompt and the output tokens `reads`; `gives` is computed from its states."""

    model: str
    reads: str
    gives: tuple[str, ...]

    @property
    def needs_gradient(self) -> bool:
        """Whether its states need a gradient, because a loss is computed from them."""
        return KD in self.gives or MLE in self.gives


def passes(config: RunConfig, source: str) -> list[Pass]:
    """List all passes over the outputs of a micro-batch, in order; the only other forwards encode prompts."""
    rewrites, distils = source == IMPERFECT, METHODS[config.method].needs_teacher
    y = Y_HAT if rewrites else Y
    kd, mle = (KD,) if distils else (), (MLE,) if source in MLE_SOURCES else ()
    gold_mle = rewrites and config.mle_on == "gold"
    table: list[tuple[bool, str, str, tuple[str, ...]]] = [
        (source == ON_POLICY, STUDENT, OWN_TOKENS, (Y,)),
        (rewrites and MASK_STRATEGIES[config.mask_strategy].needs_entropies, STUDENT, Y, (ENTROPIES,)),
        (rewrites and config.rewrite == "predict", STUDENT, MASKED_Y, (PREDICTIONS,)),
        (distils, TEACHER, y, (HIDDEN_STATES,)),
        (not gold_mle, STUDENT, y, kd + mle),
        (gold_mle, STUDENT, Y_HAT, kd),
        (gold_mle, STUDENT, Y, mle),
    ]
    return [Pass(model, reads, gives) for wanted, model, reads, gives in table if wanted]


def count_passes(step_passes: list[Pass]) -> tuple[int, int]:
    """Count the student's passes: (with gradient, without)."""
    mine = [this.needs_gradient for this in step_passes if this.model == STUDENT]
    return sum(mine), len(mine) - sum(mine)


class MicroBatch:
    """A micro-batch and the results of its passes so far.

    batch: on the models' device. outputs: name of what a pass reads -> token ids, int64 [B, R]. masked: bool [B, R],
    the tokens of y that are rewritten. teacher_states: hidden states [N, H_t], or with `--fused off` logits [N, V_t].
    loss: a scalar with gradient; kd, mle: its components, without gradient.
    """

    def __init__(
        self,
        config: RunConfig,
        student: Model,
        teacher: Model | StoredTeacher | None,
        batch: Batch,
        step: int,
        tokens: TokenIds,
    ):
        self.config, self.student, self.teacher, self.batch, self.step = config, student, teacher, batch, step
        self.tokens = tokens
        self.outputs: dict[str, Tensor] = {Y: batch.completion_ids}
        self.masked = torch.zeros_like(batch.completion_mask)
        self.teacher_states: Tensor | None = None
        self.loss: Any = 0.0  # a tensor after the first pass with a loss
        self.kd: Tensor | float = 0.0
        self.mle: Tensor | float = 0.0

    @property
    def lengths(self) -> list[int]:
        """|y| of each sample without EOS, [B]."""
        return [max(0, length - 1) for length in self.batch.lengths]

    @property
    def changed(self) -> Tensor:
        """The number of tokens of y_hat that differ from y, a scalar."""
        return (self.outputs.get(Y_HAT, self.outputs[Y]) != self.outputs[Y])[self.masked].sum()

    def mask(self, masked: Tensor) -> None:
        """Set the tokens of y to rewrite, bool [B, R].

        If no pass predicts them, the mask tokens stay in the output (the paper's "masking-only").
        """
        self.masked = masked
        self.outputs[MASKED_Y] = self.outputs[Y_HAT] = self.outputs[Y].masked_fill(masked, self.tokens.mask)
