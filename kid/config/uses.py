"""Which runs use a key of `RunConfig`: each function returns the reason why a run does not, or None if it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kid.config.divergences import DIVERGENCES
from kid.config.methods import IMPERFECT, METHODS, MLE_SOURCES, ON_POLICY, TEACHER_OUTPUTS

if TYPE_CHECKING:
    from kid.config.run_config import RunConfig


def every_run(config: RunConfig) -> str | None:
    return None


def with_teacher(config: RunConfig) -> str | None:
    return None if METHODS[config.method].needs_teacher else f"method {config.method} has no teacher"


def with_lora(config: RunConfig) -> str | None:
    return None if config.lora_rank else "--lora-rank 0 trains all weights"


def with_mle(config: RunConfig) -> str | None:
    """The maximum-likelihood loss is added where outputs are gold or imperfect."""
    used = any(source in MLE_SOURCES for source in METHODS[config.method].sources)
    return None if used else f"method {config.method} has no maximum-likelihood loss"


def with_mixture(key: str) -> Callable[[RunConfig], str | None]:
    """For keys used only by the divergences whose mixture weight is `key`."""

    def used(config: RunConfig) -> str | None:
        name = config.resolved_divergence
        return with_teacher(config) or (None if DIVERGENCES[name] == key else f"the divergence is {name}")

    return used


def with_imperfect_data(config: RunConfig) -> str | None:
    used = IMPERFECT in METHODS[config.method].sources
    return None if used else f"method {config.method} does not rewrite outputs; kid does"


def with_masks(config: RunConfig) -> str | None:
    return with_imperfect_data(config) or ("--rewrite none masks nothing" if config.rewrite == "none" else None)


def with_predictions(config: RunConfig) -> str | None:
    """Masked tokens are replaced by the student's predictions."""
    return with_masks(config) or ("--rewrite mask-only predicts nothing" if config.rewrite == "mask-only" else None)


def with_generated_outputs(config: RunConfig) -> str | None:
    used = ON_POLICY in METHODS[config.method].sources
    return None if used else f"method {config.method} does not learn from outputs that the student generates"


def with_sampling(config: RunConfig) -> str | None:
    """Tokens are sampled from the student's distribution: whole outputs, or kid's masked tokens."""
    if with_predictions(config) is None:
        return None if config.fill == "sample" else "--fill argmax does not sample"
    return with_generated_outputs(config)


def with_teacher_outputs(config: RunConfig) -> str | None:
    used = TEACHER_OUTPUTS in METHODS[config.method].sources
    return None if used else f"method {config.method} does not read a teacher's outputs; f-distill does"


def with_ex(config: RunConfig) -> str | None:
    return None if config.eval_ex_steps else "EX is only measured with --eval-ex-steps"


def with_best(config: RunConfig) -> str | None:
    return None if config.keep_best else "it requires --keep-best"


def with_fixed_outputs(config: RunConfig) -> str | None:
    """The teacher processes the same outputs in every epoch."""
    if METHODS[config.method].fixed_outputs:
        return None
    return with_teacher(config) or (
        f"method {config.method} has new outputs in every step, which the teacher must process; only fkd and rkd can "
        "use stored states"
    )
