"""The training loop: optimizer steps, evaluations, checkpoints and exports."""

from __future__ import annotations

import math
import os
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from deepspeed import DeepSpeedEngine
from deepspeed.accelerator import get_accelerator
from deepspeed.utils.timer import SynchronizedWallClockTimer
from tqdm import tqdm

from kid.config.methods import METHODS, ON_POLICY, TEACHER_OUTPUTS
from kid.config.run_config import RunConfig
from kid.data.batching import Dataset, collate, sample_weights
from kid.data.order import global_batch, micro_batches, steps_per_epoch
from kid.data.teacher_states import HEAD
from kid.errors import InputError, RunError
from kid.files import sync
from kid.models.engine import joined_ranks, student_engine, teacher_engine
from kid.models.prefix_cache import PrefixCache, forward_outputs
from kid.models.prefix_store import PrefixStore
from kid.models.stored_teacher import StoredTeacher, load_stored_teacher
from kid.models.windows import open_windows
from kid.models.zero3 import Model, bare_module
from kid.progress import log, progress_bar, silence_libraries
from kid.run.best import ends_early, find_best, link_best
from kid.run.checkpoint import (
    ResumePoint,
    convert_checkpoint,
    export_trained,
    find_checkpoint,
    load_checkpoint,
    newest_checkpoint,
    remove_partial,
    save_checkpoint,
    steps_done,
)
from kid.run.directory import (
    check_shared_directory,
    create_run_directory,
    save_nonfinite_batch,
)
from kid.run.lock import run_lock
from kid.run.metrics import Metrics, evaluations, read_rows, remove_tensorboard_events
from kid.run.stopping import stop_reason, stop_run, stop_watcher
from kid.run.trust import check_trusted
from kid.training.evaluation import evaluate_ex
from kid.training.inputs import Inputs, longest_sequence, name_teacher, read_inputs
from kid.training.readout import losses
from kid.training.reporting import (
    GB,
    STEPS_BEFORE_ADVICE,
    describe_sharing,
    log_inputs,
    memory_advice,
    not_finite_message,
    peak_memory,
    show_step,
)
from kid.training.sources import step_source
from kid.training.step import PARTS, train_step
from kid.training.teacher_prefixes import check_all_ranks, open_store


@torch.no_grad()
def validation_loss(config: RunConfig, student: Model, dataset: Dataset, pad_token_id: int) -> float:
    """Compute the negative log-likelihood of the gold SQL: mean over tokens, then over sequences. On every rank."""
    rank, world_size, size = torch.distributed.get_rank(), torch.distributed.get_world_size(), config.micro_batch_size
    samples = list(dataset.samples)
    # Every rank must run the same number of forwards: under ZeRO-3 each is a collective.
    samples += [None] * (-len(samples) % (size * world_size))
    weights = sample_weights([len(sample.completion_ids) if sample else 0 for sample in samples], "sequence")
    total = torch.zeros((), dtype=torch.float64, device=student.device)
    student.eval()
    for at in range(rank * size, len(samples), size * world_size):
        batch = collate(samples[at : at + size], weights[at : at + size], [], pad_token_id).to(student.device)
        states = forward_outputs(config, student, batch, PrefixCache(), batch.completion_ids)
        gold = batch.completion_ids[batch.completion_mask]
        total += (losses(config, student, states, batch.row_weights, gold).nll * batch.row_weights).sum()
    student.train()
    torch.distributed.all_reduce(total)
    return total.item()


def metrics_row(sums: dict[str, float], source: str, step: int, epoch: float, lr: float, grad_norm: float) -> dict:
    """Return the line of metrics.jsonl after step `step` (from 1), without timings."""
    row = {"step": step, "epoch": epoch, "source": source, "loss": sums["loss"], "kd": sums["kd"], "mle": sums["mle"]}
    row["error_rate"] = sums["changed"] / max(1.0, sums["output_tokens"])
    row["masked_error_rate"] = sums["changed"] / max(1.0, sums["masked"])
    row["masked_gold_rate"] = (sums["masked"] - sums["changed"]) / max(1.0, sums["masked"])
    row["lr"] = lr
    row["grad_norm"] = grad_norm
    row["tokens"] = int(sums["tokens"])
    row["shared_tokens"] = int(sums["shared_tokens"])
    return row


def train(config: RunConfig) -> float:
    """Train a student: the complete run, from checking the inputs to exporting the student.

    Returns:
        The peak bytes of tensors on this rank's GPU; 0 without a GPU, or if the run was already finished.

    Raises:
        InputError: the user's input is wrong; no step has been done, and a new run leaves no config.yaml.
        RunError: a loss is not finite, or the disk is full.
        StoppedError: stopped by a signal; a checkpoint has been written.
    """
    silence_libraries()
    stop_watcher()
    given_teacher, config = config.teacher, name_teacher(config)
    run, kind = Path(config.output), config.export_kind
    is_main = os.environ.get("RANK") == "0"
    with run_lock(run) if is_main else nullcontext():
        inputs = read_inputs(config, given_teacher)
        newest = newest_checkpoint(run)
        done = steps_done(newest) if newest else 0
        if done and (run / kind).exists() and (done == inputs.total_steps or ends_early(config, read_rows(run, done))):
            log.info(f"{run} is finished: {done} steps done, {run / kind} holds the trained student")
            return 0.0
        with joined_ranks():
            train_student(config, inputs)
    return peak_memory()[0]


def choose_checkpoint(run: Path, identity: dict[str, str]) -> ResumePoint:
    """Find the checkpoint to resume from on rank 0, and convert it if another number of ranks wrote it.

    Raises:
        InputError: on every rank: there are checkpoints but none can be used, or other users can write the one found.
    """
    answer: list = [None]
    if torch.distributed.get_rank() == 0:
        try:
            found = find_checkpoint(run, identity)
            warning = check_trusted(run, found.checkpoint)
            if warning:
                log.info(warning)
            remove_partial(run)
            if found.checkpoint and found.world_size != torch.distributed.get_world_size():
                log.info(f"{found.checkpoint} was written by {found.world_size} ranks and is converted")
                found = replace(found, universal=convert_checkpoint(found.checkpoint, found.world_size))
            answer = [found]
        except InputError as error:
            answer = [error]
    torch.distributed.broadcast_object_list(answer)
    if isinstance(answer[0], InputError):
        raise answer[0]
    return answer[0]


def open_metrics(config: RunConfig, skipped: dict[str, list[int]], monitor, done: int) -> Metrics | None:
    """Write the run's directory and open its metrics, called on every rank; only rank 0 gets them.

    Raises:
        InputError: on every rank: a node does not see the directory, or a tracker cannot be opened. A new run then
            leaves no config.yaml, so that the corrected command is not refused.
    """
    stored, is_main = Path(config.output) / "config.yaml", torch.distributed.get_rank() == 0
    metrics, error, is_new = None, "", not stored.exists()
    if is_main:
        create_run_directory(config, skipped)
    try:
        check_shared_directory(Path(config.output))
        if is_main:
            try:
                metrics = Metrics(config, monitor, done)
            except InputError as raised:
                error = str(raised)
        check_all_ranks(error)
    except InputError:
        if is_main and is_new:
            stored.unlink()
        raise
    return metrics


def train_student(config: RunConfig, inputs: Inputs) -> None:
    """Run the remaining steps, on every rank, and export the student."""
    run, kind = Path(config.output), config.export_kind
    is_main = torch.distributed.get_rank() == 0
    found = choose_checkpoint(run, inputs.identity)
    done = steps_done(found.checkpoint) if found.checkpoint else 0
    if is_main:
        remove_tensorboard_events(run)
    log_inputs(config, inputs, found, get_accelerator().device_name())
    teacher = teacher_engine(config, inputs.teacher, inputs.teacher_deepspeed) if inputs.teacher else None
    how = {"checkpoint": {"load_universal": True}} if found.universal else {}
    student = student_engine(config, inputs.student, inputs.student_deepspeed | how, inputs.total_steps)
    longest = longest_sequence(config, inputs.prompt_lengths)
    for model in filter(None, (student, teacher)):
        open_windows(bare_module(model).causal_lm, longest)
    can_share = can_share_prompts(config, student, teacher)
    share = can_share and config.batching == "schema"
    if can_share and is_main and (line := describe_sharing(config, inputs.train)):
        log.info(line)
    store = open_store(config, teacher, inputs.teacher_hash, inputs.train) if teacher else None
    if config.teacher_states:
        teacher = load_stored_teacher(Path(config.teacher_states) / HEAD, student.device)
    if found.checkpoint:
        load_checkpoint(student, found.universal or found.checkpoint)
        torch.distributed.barrier()
        if is_main:
            remove_partial(run)  # the universal copy
    # After the models are loaded, so that a run that cannot start leaves no directory.
    metrics = open_metrics(config, inputs.train.skipped, student.monitor, done)
    recorded = [evaluations(metrics.rows) if metrics else []]
    torch.distributed.broadcast_object_list(recorded)  # as rank 0 sees the file
    student.train()
    bar = progress_bar(config.method, "step", inputs.total_steps, done, quiet=not is_main)
    try:
        if is_main:
            link_best(config, run, recorded[0])
        done = run_steps(
            config, inputs, student, teacher, done=done, share=share, store=store, metrics=metrics, bar=bar,
            measured=recorded[0],
        )  # fmt: skip
        bar.close()
        export_trained(student.module.model, inputs.tokenizer, run / kind, inputs.student)
    except Exception as error:
        if isinstance(error, RunError):
            bar.close()  # so that the error starts on a new line; other errors may be printed by another rank
        if metrics:
            metrics.close(finished=False)  # the process ends without exit hooks, so a tracker would not notice
        raise
    stop_watcher().finished = True
    if metrics:
        metrics.close(finished=True)
    log.info(f"{config.method}: {done} steps done; {run / kind} holds the trained student")
    if best := find_best(recorded[0], config.keep_best) if config.keep_best else None:
        log.info(f"{run / 'best'} is the student after step {best.step}, with {config.keep_best} {best.value:.4g}")


def run_steps(
    config: RunConfig, inputs: Inputs, student: DeepSpeedEngine, teacher: DeepSpeedEngine | StoredTeacher | None, *,
    done: int, share: bool, store: PrefixStore | None, metrics: Metrics | None, bar: tqdm, measured: list[dict],
) -> int:  # fmt: skip
    """Run step `done` (from 0) to the last, on every rank; write a checkpoint when one is due or the run must stop.

    Args:
        measured: the evaluations so far; those of these steps are appended.

    Returns:
        The number of steps done: fewer than planned if --patience ended the run.

    Raises:
        RunError: a loss is not finite, or the disk is full.
        StoppedError: the run must stop; a checkpoint has been written.
    """
    run, kind = Path(config.output), config.export_kind
    per_epoch, checkpoint_seconds = steps_per_epoch(len(inputs.train.samples), config.batch_size), 0.0
    timers = SynchronizedWallClockTimer()
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    is_main, watcher = rank == 0, stop_watcher()
    watcher.kept = str(newest_checkpoint(run) or "nothing")
    if ends_early(config, measured):  # it was killed before its student was exported
        return done
    for step in range(done, inputs.total_steps):
        started = time.perf_counter()
        lr = student.get_lr()[0]
        source = step_source(config, step)
        data = inputs.teacher_outputs if source == TEACHER_OUTPUTS else inputs.train
        batches = micro_batches(data, config, step, rank, world_size, inputs.tokens.pad, share, store)
        sums = train_step(config, source, student, teacher, batches, step, inputs.tokens, timers)
        grad_norm = float(student.get_global_grad_norm() or 0)
        row = metrics_row(sums, source, step + 1, (step + 1) / per_epoch, lr, grad_norm)
        row["seconds"] = time.perf_counter() - started
        row["tokens_per_second"] = round(row["tokens"] / row["seconds"], 1)
        if peak := peak_memory()[0]:
            row["peak_memory_gb"] = round(peak / GB, 2)
        row |= {f"seconds_{part}": timers(part).elapsed(reset=True) / 1000 for part in PARTS}
        last = step + 1 == inputs.total_steps
        if not (math.isfinite(row["loss"]) and math.isfinite(grad_norm)):
            file = save_nonfinite_batch(run, data, global_batch(data, config, step), row) if is_main else None
            raise RunError(not_finite_message(row, file, newest_checkpoint(run)))
        row |= evaluate(config, inputs, student, step + 1, last)
        measured += evaluations([row])
        best = find_best(measured, config.keep_best) if config.keep_best else None
        is_best, over = bool(best and best.step == step + 1), not last and ends_early(config, measured)
        if is_main:
            metrics.write(row)
            show_step(config, bar, row, measured)
            if step == done + STEPS_BEFORE_ADVICE and (advice := memory_advice(config, world_size, *peak_memory())):
                bar.write(f"advice: {advice}")
        watcher.seconds_to_stop = row["seconds"] + checkpoint_seconds
        last = last or over
        saves = last or (config.save_steps and (step + 1) % config.save_steps == 0)
        reason = None if last else stop_reason(student.device)
        if saves or is_best:
            # Export before the checkpoint: a run killed in between repeats the step, so no export is missing.
            folder = run / f"{kind}s" / f"step-{step + 1}"
            export_trained(student.module.model, inputs.tokenizer, folder, inputs.student)
        if is_best and is_main:
            link_best(config, run, measured)
        if saves or reason:
            if is_main:
                sync(metrics.path)  # so that a checkpoint is never ahead of metrics.jsonl
            saving = time.perf_counter()
            save_checkpoint(student, run, step + 1, inputs.identity)
            checkpoint_seconds, watcher.kept = time.perf_counter() - saving, str(newest_checkpoint(run))
        if reason:
            bar.close()
            stop_run(f"{config.method}: stopped by {reason} after step {step + 1}; continue with --resume")
        if over:
            log.info(
                f"{config.method}: {config.keep_best} did not improve on {best.value:.4g} of step {best.step} in "
                f"{best.since} evaluations; --patience {config.patience} ends the run after step {step + 1}"
            )
            return step + 1
    return inputs.total_steps


def evaluate(config: RunConfig, inputs: Inputs, student: DeepSpeedEngine, step: int, last: bool) -> dict[str, float]:
    """Run the evaluations that are due after `step` steps or at the end, for the line of metrics; on every rank."""
    found: dict[str, float] = {}
    if inputs.validation and (last or step % config.eval_steps == 0):
        found["validation_loss"] = validation_loss(config, student, inputs.validation, inputs.tokens.pad)
    if inputs.ex and (last or step % config.eval_ex_steps == 0):
        file = Path(config.output) / "evaluations" / f"step-{step}.jsonl"
        found |= evaluate_ex(config, student, inputs.ex, inputs.tokenizer, file)
    return found


def can_share_prompts(config: RunConfig, student: Model, teacher: Model | None) -> bool:
    """Whether a micro-batch can encode a shared schema once: --prefix is on and both models support it.

    Raises:
        InputError: the method needs a student that decodes, but this one cannot.
    """
    if ON_POLICY in METHODS[config.method].sources and not bare_module(student).decodes:
        raise InputError(
            f"--student {config.student} cannot decode with a KV cache, as the method requires; give another method"
        )
    whole = {
        "student": bare_module(student).prefix_unsupported_reason,
        "teacher": teacher and bare_module(teacher).prefix_unsupported_reason,
    }
    for name, reason in whole.items():
        if reason and config.prefix:
            log.info(f"{name}: every pass processes whole sequences, as with --prefix off: {reason}")
    return config.prefix and not any(whole.values())
