"""One optimizer step: the loop over the passes of each micro-batch, and the handlers of their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kid.config.run_config import RunConfig
from kid.data.batching import Batch
from kid.models.prefix_cache import (
    PrefixCache,
    encode_student_prompts,
    encode_teacher_prompts,
    forward_outputs,
    seed_dropout,
)
from kid.models.pretrained import TokenIds
from kid.models.stored_teacher import StoredTeacher
from kid.models.streams import on_side_stream, wait_side_stream
from kid.models.zero3 import Model, eval_no_grad, gathered_heads, is_zero3, trains_head
from kid.training.imperfect import mask_by_entropy, mask_by_rule, write_predictions
from kid.training.passes import (
    ENTROPIES,
    HIDDEN_STATES,
    KD,
    MLE,
    OWN_TOKENS,
    PREDICTIONS,
    TEACHER,
    MicroBatch,
    Pass,
    count_passes,
    passes,
)
from kid.training.readout import losses
from kid.training.sources import on_policy

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine
    from deepspeed.utils.timer import SynchronizedWallClockTimer

# Sums over the global batch, in the order of the tensor that is reduced over the ranks once per step.
TOTALS = ("loss", "kd", "mle", "changed", "masked", "output_tokens", "tokens", "shared_tokens")
# Parts of a step that are timed separately.
PARTS = ("prompt", "decode", "rewrite", "teacher", "student", "loss", "backward", "update")


def keep_teacher_states(work: MicroBatch, this: Pass, states: Tensor) -> None:
    """Handler of HIDDEN_STATES: keep the teacher's states for the divergence."""
    work.teacher_states = states


def add_losses(work: MicroBatch, this: Pass, states: Tensor) -> None:
    """Handler of KD and MLE: add the weighted divergence and likelihood of the gold tokens to the loss (Eq. 2)."""
    batch = work.batch
    gold = batch.completion_ids[batch.completion_mask] if MLE in this.gives else None
    of_teacher = (work.teacher, work.teacher_states) if KD in this.gives else ()
    found = losses(work.config, work.student, states, batch.row_weights, gold, *of_teacher)
    work.loss = work.loss + found.loss
    work.kd = work.kd + (found.kd * batch.row_weights).sum().detach()
    work.mle = work.mle + (found.nll * batch.row_weights).sum().detach()


# What a pass gives -> the handler of its states. KD and MLE of one pass are computed together.
HANDLERS: dict[str, Callable[[MicroBatch, Pass, Tensor], None]] = {
    ENTROPIES: mask_by_entropy,
    PREDICTIONS: write_predictions,
    HIDDEN_STATES: keep_teacher_states,
    KD: add_losses,
    MLE: add_losses,
}


@contextmanager
def timed(timers: SynchronizedWallClockTimer, part: str) -> Iterator[None]:
    """Add the time of the block to one of `PARTS`."""
    timers(part).start()
    yield
    timers(part).stop()


def micro_batch_loss(
    config: RunConfig,
    source: str,
    student: Model,
    teacher: Model | StoredTeacher | None,
    batch: Batch,
    step: int,
    tokens: TokenIds,
    timers: SynchronizedWallClockTimer,
    prefixes: tuple[PrefixCache, PrefixCache] | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute one micro-batch's part of the global batch's loss (Eq. 2, plus MLE if the source has it).

    Args:
        student, teacher: engines or bare modules; the teacher may be a `StoredTeacher`.
        batch: with its outputs, on the student's device.
        step: optimizer step, from 0.
        prefixes: the result of `encode_student_prompts`, if the prompts were already encoded for decoding.

    Returns:
        (the loss, a scalar with gradient; the values of TOTALS, float64 [len(TOTALS)] without gradient).
    """
    step_passes = [this for this in passes(config, source) if this.reads != OWN_TOKENS]
    work = MicroBatch(config, student, teacher, batch, step, tokens)
    with timed(timers, "rewrite"):
        mask_by_rule(work, step_passes)
    teacher_prefix, device = PrefixCache(), batch.input_ids.device
    if teacher is not None and not isinstance(teacher, StoredTeacher):
        # An unpartitioned teacher can encode its prompts while the student computes.
        with nullcontext() if is_zero3(teacher) else on_side_stream(device), timed(timers, "teacher"):
            teacher_prefix = encode_teacher_prompts(config, teacher, batch)
    with timed(timers, "prompt"):
        train_prefix, eval_prefix = prefixes or encode_student_prompts(
            config, student, batch, step, *count_passes(step_passes)
        )
    for place, this in enumerate(step_passes):
        if this.model == TEACHER and isinstance(teacher, StoredTeacher):
            HANDLERS[this.gives[0]](work, this, teacher.states(batch))
            continue
        model, prefix, columns = student, eval_prefix, batch
        forward_part, handler_part = "rewrite", "rewrite"
        if this.model == TEACHER:
            model, prefix, columns = teacher, teacher_prefix, batch.teacher or batch
            forward_part, handler_part = "teacher", "teacher"
            wait_side_stream(device)
        elif this.needs_gradient:
            prefix, forward_part, handler_part = train_prefix, "student", "loss"
            seed_dropout(config, step, batch, prefix.width)
        with timed(timers, forward_part), nullcontext() if this.needs_gradient else eval_no_grad(model):
            states = forward_outputs(
                config, model, columns, prefix, work.outputs[this.reads],
                token_mask=work.masked if PREDICTIONS in this.gives else None,
                last_forward=this.model not in [later.model for later in step_passes[place + 1 :]],
            )  # fmt: skip
        with timed(timers, handler_part):
            HANDLERS[this.gives[0]](work, this, states)
        del states  # they are large: every output token, with `--fused off` its logits
    totals = {
        "loss": work.loss.detach(), "kd": work.kd, "mle": work.mle,
        "changed": work.changed, "masked": work.masked.sum(), "output_tokens": sum(work.lengths),
        "tokens": batch.tokens, "shared_tokens": batch.shared_tokens,
    }  # fmt: skip
    as_numbers = [torch.as_tensor(totals[name], dtype=torch.float64, device=work.loss.device) for name in TOTALS]
    return work.loss, torch.stack(as_numbers)


def train_step(
    config: RunConfig,
    source: str,
    student: DeepSpeedEngine,
    teacher: DeepSpeedEngine | StoredTeacher | None,
    batches: list[Batch],
    step: int,
    tokens: TokenIds,
    timers: SynchronizedWallClockTimer,
) -> dict[str, float]:
    """Run an optimizer step on this rank's micro-batches. Returns the global batch's TOTALS, on every rank."""
    step_passes, prefixes = passes(config, source), None
    if step_passes[0].reads == OWN_TOKENS:
        # With one micro-batch, decoding and training share the encoded prompts. With several, the activations of all of
        # them would have to stay in memory; instead, decoding encodes the prompts of all samples together, by itself.
        if len(batches) == 1:
            with timed(timers, "prompt"):
                batch = batches[0].to(student.device)
                prefixes = encode_student_prompts(config, student, batch, step, *count_passes(step_passes))
        with timed(timers, "decode"):
            batches = on_policy(config, student, batches, step, tokens, prefixes[1] if prefixes else None)
    totals = torch.zeros(len(TOTALS), dtype=torch.float64, device=student.device)
    for batch in batches:
        loss, shares = micro_batch_loss(
            config, source, student, teacher, batch.to(student.device), step, tokens, timers, prefixes
        )
        with timed(timers, "backward"), gathered_heads(*([student] if config.fused and trains_head(student) else [])):
            # The weights sum to 1 over the global batch, but the engine averages over the ranks.
            student.backward(loss * torch.distributed.get_world_size(), scale_wrt_gas=False)
        with timed(timers, "update"):
            student.step()
        totals += shares
    torch.distributed.all_reduce(totals)
    return dict(zip(TOTALS, totals.tolist(), strict=True))
