"""One optimizer step: the passes of each micro-batch, in order, and what is read off them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kid.config.methods import IMPERFECT, METHODS, MLE_SOURCES, ON_POLICY
from kid.config.run_config import RunConfig
from kid.data.batching import Batch
from kid.models.engine import bare_module, forget_order, in_parts, trains_head, whole_heads, without_training
from kid.models.prefix_cache import Stem, read, run_prompts
from kid.models.pretrained import TokenIds
from kid.models.streams import beside, join
from kid.training.imperfect import BY_ENTROPY
from kid.training.readout import losses
from kid.training.sources import imperfect, on_policy

# Sums over the global batch, in the order of the tensor that is reduced over the ranks once a step.
TOTALS = ("loss", "kd", "mle", "changed", "masked", "output_tokens", "tokens", "shared_tokens")
PARTS = ("prompt", "decode", "rewrite", "teacher", "student", "loss", "backward", "update")

# Who runs, what is read after the prompt, and what is taken from it.
STUDENT, TEACHER = "student", "teacher"
Y, MASKED_Y, Y_HAT, ITS_OWN = "y", "masked y", "y_hat", "its own tokens"
ENTROPIES, PREDICTIONS, HIDDEN_STATES, KD, MLE = "entropies", "predictions", "hidden states", "divergence", "likelihood"


@dataclass(frozen=True)
class Pass:
    """`model` is fed the output tokens `reads` after the prompt; `gives` is what is taken from it."""

    model: str
    reads: str
    gives: tuple[str, ...]

    @property
    def trains(self) -> bool:
        """Whether it has a gradient."""
        return KD in self.gives or MLE in self.gives


def passes(config: RunConfig, source: str) -> list[Pass]:
    """All that runs on the outputs of a micro-batch, in this order; beside it, only prompts run."""
    rewrites, distils = source == IMPERFECT, METHODS[config.method].needs_teacher
    y = Y_HAT if rewrites else Y
    kd, mle = (KD,) if distils else (), (MLE,) if source in MLE_SOURCES else ()
    apart = rewrites and config.mle_on == "gold"
    table = [
        (source == ON_POLICY, STUDENT, ITS_OWN, (Y,)),
        (rewrites and config.mask_strategy in BY_ENTROPY, STUDENT, Y, (ENTROPIES,)),
        (rewrites and config.rewrite == "predict", STUDENT, MASKED_Y, (PREDICTIONS,)),
        (distils, TEACHER, y, (HIDDEN_STATES,)),
        (not apart, STUDENT, y, kd + mle),
        (apart, STUDENT, Y_HAT, kd),
        (apart, STUDENT, Y, mle),
    ]
    return [Pass(*row) for wanted, *row in table if wanted]


def seed_dropout(config: RunConfig, step: int, batch: Batch, column: int) -> None:
    """Dropout depends on (seed, step, place of the micro-batch in the global batch, first column of the pass)."""
    place = batch.positions[0] // config.micro_batch_size
    torch.manual_seed(int(np.random.SeedSequence([config.seed, step, place, column]).generate_state(1)[0]))


def student_prompts(config: RunConfig, student, batch: Batch, plan: list[Pass], step: int) -> tuple[Stem, Stem]:
    """The student's prompts for the passes in `plan` that train, and for those that do not.

    They run once. With dropout, a prompt in training is not what the student reads otherwise: then once for each.
    """
    runs = [run for run in plan if run.model == STUDENT]
    training = sum(run.trains for run in runs)
    looking = len(runs) - training
    seed_dropout(config, step, batch, 0)
    if looking and bare_module(student).draws_dropout:
        with without_training(student):
            looked = run_prompts(config, student, batch, apart=looking > 1)
        return run_prompts(config, student, batch, apart=training > 1), looked
    stem = run_prompts(config, student, batch, apart=len(runs) > 1)
    return stem, stem.detach()


def micro_batch_loss(
    config: RunConfig,
    source: str,
    student,
    teacher,
    batch: Batch,
    step: int,
    tokens: TokenIds,
    timers,
    prompts: tuple[Stem, Stem] | None = None,
) -> tuple[Tensor, Tensor]:
    """One micro-batch's share of the global batch's loss (Eq. 2, and MLE where the source has it).

    Args:
        student, teacher: engines, or bare modules.
        batch: with its outputs, on the student's device.
        prompts: what `student_prompts` returned, where it has run already.

    Returns:
        (the loss, a scalar with gradient; float64 [len(TOTALS)] without).
    """
    plan, device = [run for run in passes(config, source) if run.reads != ITS_OWN], batch.input_ids.device
    teacher_stem = Stem()
    if teacher is not None:
        # Prompts apart from the outputs save their last layer, and can run beside the student's work. What is not
        # shared of them is too little for that; and for a teacher in parts every pass is a gathering of its weights.
        whole = not in_parts(teacher)
        with torch.no_grad(), beside(device) if whole else nullcontext():
            timers("teacher").start()
            teacher_stem = run_prompts(config, teacher, batch, apart=whole and not batch.shared_width)
            timers("teacher").stop()
    timers("prompt").start()
    trained, looked = prompts or student_prompts(config, student, batch, plan, step)
    timers("prompt").stop()
    timers("rewrite").start()
    outputs, chosen = {Y: batch.completion_ids}, torch.zeros_like(batch.completion_mask)
    if source == IMPERFECT:
        # The passes of the plan that do not train.
        outputs[Y_HAT], chosen = imperfect(config, student, batch, step, tokens, looked)
    timers("rewrite").stop()
    gold, teacher_states = batch.completion_ids[batch.completion_mask], None
    loss = kd = mle = 0.0
    for run in plan:
        if run.model == TEACHER:
            join(device)
            timers("teacher").start()
            with torch.no_grad():
                teacher_states = read(config, teacher, batch, teacher_stem, outputs[run.reads])
            timers("teacher").stop()
        elif run.trains:
            timers("student").start()
            seed_dropout(config, step, batch, trained.width)
            states = read(config, student, batch, trained, outputs[run.reads])
            if run is not plan[-1]:
                forget_order(student)
            timers("student").stop()
            timers("loss").start()
            of_teacher = (teacher, teacher_states) if KD in run.gives else ()
            found = losses(config, student, states, batch.row_weights, gold if MLE in run.gives else None, *of_teacher)
            loss = loss + found.loss
            kd = kd + (found.kd * batch.row_weights).sum().detach()
            mle = mle + (found.nll * batch.row_weights).sum().detach()
            timers("loss").stop()
    written = outputs.get(Y_HAT, batch.completion_ids)
    counts = [(written != batch.completion_ids)[chosen].sum(), chosen.sum(), sum(max(0, n - 1) for n in batch.lengths)]
    totals = [loss.detach(), kd, mle, *counts, batch.tokens, batch.shared_tokens]
    return loss, torch.stack([torch.as_tensor(t, dtype=torch.float64, device=loss.device) for t in totals])


def train_step(
    config: RunConfig, source: str, student, teacher, batches: list[Batch], step: int, tokens: TokenIds, timers
) -> dict[str, float]:
    """One optimizer step on this rank's micro-batches; returns the global batch's sums (TOTALS), on every rank."""
    prompts = None
    if source == ON_POLICY:
        # With one micro-batch its prompts serve decoding and training. Those of several would have to be held at once
        # with all their activations: then decoding, which is cheapest for all samples side by side, runs its own.
        if len(batches) == 1:
            timers("prompt").start()
            plan = passes(config, source)
            prompts = student_prompts(config, student, batches[0].to(student.device), plan, step)
            timers("prompt").stop()
        timers("decode").start()
        batches = on_policy(config, student, batches, step, tokens, prompts[1] if prompts else None)
        timers("decode").stop()
    totals = torch.zeros(len(TOTALS), dtype=torch.float64, device=student.device)
    for batch in batches:
        loss, shares = micro_batch_loss(
            config, source, student, teacher, batch.to(student.device), step, tokens, timers, prompts
        )
        timers("backward").start()
        with whole_heads(*([student] if config.fused and trains_head(student) else [])):
            # Weights already sum to 1 over the global batch; the engine will average over ranks.
            student.backward(loss * torch.distributed.get_world_size(), scale_wrt_gas=False)
        timers("backward").stop()
        timers("update").start()
        student.step()
        timers("update").stop()
        totals += shares
    torch.distributed.all_reduce(totals)
    return dict(zip(TOTALS, totals.tolist(), strict=True))
