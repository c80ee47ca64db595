"""The messages of a training: its inputs, advice at the start, a line after each evaluation, the progress bar."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import torch
from tqdm import tqdm

from kid.config.deepspeed_config import STUDENT_FLAG
from kid.config.run_config import RunConfig, accumulation_steps
from kid.data.batching import Dataset
from kid.data.dataset import asked_questions
from kid.data.faults import Damage
from kid.data.order import shared_token_fraction, steps_per_epoch
from kid.data.questions import load_questions
from kid.errors import InputError, first_of
from kid.progress import log
from kid.run.checkpoint import ResumePoint
from kid.training.evaluation import describe_evaluation
from kid.training.inputs import Inputs

GB = 1e9
WORTH_SHARING = 0.3  # minimum fraction of shared prompt tokens to advise --batching schema
SMALL_MICRO_BATCH, UNUSED_MEMORY = 2, 0.5  # maximum size, minimum unused memory to advise larger micro-batches
STEPS_BEFORE_ADVICE = 20  # their peak memory is taken for that of the run


def describe_end(max_steps: int, epochs: int, in_epochs: int) -> str:
    """Say which of --max-steps and --epochs ends a run; `in_epochs` is the number of steps in all epochs."""
    if max_steps > in_epochs:
        return f"--epochs {epochs} ends the run after {in_epochs} steps, before --max-steps {max_steps}"
    return f"--max-steps {max_steps} ends the run; --epochs {epochs} would be {in_epochs} steps"


def log_inputs(config: RunConfig, inputs: Inputs, found: ResumePoint, device: str) -> None:
    """Log the size of the training set, everything that was cut or skipped, and warnings about probable mistakes.

    device: the name of the accelerator that DeepSpeed found.
    """
    for warning in (device_warning(config, torch.distributed.get_world_size(), device), inputs.warning):
        if warning:
            log.warning(f"warning: {warning}")
    log.info(f"{config.benchmark}: {len(inputs.train.samples)} training samples, {inputs.total_steps} steps")
    in_epochs = config.epochs * steps_per_epoch(len(inputs.train.samples), config.batch_size)
    if config.max_steps:
        log.info(describe_end(config.max_steps, config.epochs, in_epochs))
    for split, data in (("train", inputs.train), ("dev", inputs.validation)):
        for remark in data.remarks if data else ():
            log.info(f"{split}: {remark}")
    if inputs.tokenizer_remark:
        log.info(inputs.tokenizer_remark)
    if config.teacher_states:
        log.info(f"teacher: not loaded; its states at the outputs are read from {config.teacher_states}")
    for remark in inputs.ex.remarks if inputs.ex else ():
        log.info(f"{config.eval_split}: {remark}")
    held_out = {"dev": inputs.validation.asked if inputs.validation else dev_questions(config)}
    held_out |= {config.eval_split: inputs.ex.asked} if inputs.ex and config.eval_split != "train" else {}
    for split, asked in held_out.items():
        if remark := shared_questions(inputs.train.asked, asked):
            log.warning(f"warning: {split}: {remark}")
    if not config.save_steps:
        log.info("without --save-steps, student and checkpoint are saved only at the end and when the run is stopped")
    for remark in found.remarks:
        log.info(remark)
    if found.checkpoint:
        log.info(f"resuming from {found.checkpoint}")


def dev_questions(config: RunConfig) -> frozenset[tuple[str, str]]:
    """Return `asked_questions` of dev, in a fraction of a second; none if it cannot be read: training needs no dev."""
    try:
        return asked_questions(load_questions(config.benchmark, "dev", config.data, damage=Damage("skip")))
    except InputError:
        return frozenset()


def shared_questions(train: frozenset[tuple[str, str]], held_out: frozenset[tuple[str, str]]) -> str:
    """Return a remark on questions of an evaluation split that are also training questions; empty if there are none."""
    both = sorted(train & held_out)
    if not both:
        return ""
    names = first_of([f'"{text}" ({db_id})' if db_id else f'"{text[-80:]}"' for db_id, text in both])
    return (
        f"{len(both)} of its questions are also in train, so scores on it are too high: {names}; "
        "eval/audit.py --exclude F --exclude-kinds same-question lists them"
    )


def device_warning(config: RunConfig, world_size: int, device: str) -> str:
    """Return a warning if a run that is configured for GPUs finds none; empty otherwise.

    device: the name of the accelerator that DeepSpeed found.
    """
    if device != "cpu" or config.dtype == "fp32":
        return ""
    return (
        f"no GPU was found: {world_size} ranks train on this machine's CPU, which is slow in {config.dtype}; give "
        f"{STUDENT_FLAG} ds_configs/cpu.json --dtype fp32, or check nvidia-smi, CUDA_VISIBLE_DEVICES and --num_gpus"
    )


def describe_sharing(config: RunConfig, train: Dataset) -> str:
    """Say which fraction of prompt tokens is not computed, because micro-batches share them, or would not be computed
    with --batching schema; empty if that would save little.
    """
    share = shared_token_fraction(train, replace(config, batching="schema"))
    if config.batching == "schema":
        return (
            f"train: about {share:.0%} of the prompt tokens are not computed, because a micro-batch shares its schema"
        )
    if share < WORTH_SHARING:
        return ""
    return (
        f"advice: with --batching schema, about {share:.0%} of the prompt tokens would not be computed, because the "
        "questions of a micro-batch would share a schema"
    )


def memory_advice(config: RunConfig, world_size: int, peak: float, total: float) -> str:
    """Advise a larger micro-batch size if it fits in memory; empty otherwise. peak, total: bytes of this rank's GPU."""
    size = config.micro_batch_size
    if (
        not total
        or size > SMALL_MICRO_BATCH
        or accumulation_steps(config, world_size) == 1
        or peak > (1 - UNUSED_MEMORY) * total
    ):
        return ""
    return (
        f"micro-batches of {size} leave {1 - peak / total:.0%} of the GPU's {total / GB:.0f} GB unused; "
        f"--micro-batch-size {2 * size} gives the same gradients in fewer, larger passes (train/plan.py estimates what "
        "fits)"
    )


def peak_memory() -> tuple[float, float]:
    """Return (this process's peak bytes on its GPU so far, the GPU's total bytes); (0, 0) without a GPU."""
    if not torch.cuda.is_available():
        return 0.0, 0.0
    return float(torch.cuda.max_memory_allocated()), float(torch.cuda.get_device_properties(0).total_memory)


def describe_results(config: RunConfig, row: dict) -> list[str]:
    """Describe the evaluations in a step's line of metrics, for the user."""
    lines = []
    if "validation_loss" in row:
        lines.append(
            f"step {row['step']}: validation loss {row['validation_loss']:.4f} nats per token, on gold SQL of dev"
        )
    return lines + ([describe_evaluation(config, row)] if "ex" in row else [])


def end_time(bar: tqdm, now: float) -> str:
    """Return when the bar will be complete, as HH:MM, with the date unless it is today; empty before the first step."""
    done, total, rate = bar.n - bar.initial, bar.total - bar.n, bar.format_dict["rate"]
    elapsed = bar.format_dict["elapsed"]
    rate = rate or (done / elapsed if elapsed else 0)
    if not done or not rate:
        return ""
    ends, today = datetime.fromtimestamp(now) + timedelta(seconds=total / rate), datetime.fromtimestamp(now).date()
    return f"{ends:%H:%M}" if ends.date() == today else f"{ends:%b %d %H:%M}"


def show_step(config: RunConfig, bar: tqdm, row: dict, measured: Sequence[dict]) -> None:
    """Advance the bar by a step; it shows both losses, the speed, the last EX, peak memory, and when the run ends.

    measured: the evaluations so far.
    """
    bar.update()
    for line in describe_results(config, row):
        bar.write(line)
    shown = {"loss": f"{row['loss']:.4f}"}
    if row["kd"] and row["mle"]:  # one of them alone is the loss, except for its weight
        shown |= {"kd": f"{row['kd']:.4f}", "mle": f"{row['mle']:.4f}"}
    if exs := [line["ex"] for line in measured if "ex" in line]:
        shown["ex"] = f"{exs[-1]:.1f}"
    shown["tokens/s"] = f"{row['tokens_per_second']:,.0f}"
    if "peak_memory_gb" in row:
        shown["GB"] = f"{row['peak_memory_gb']:.1f}"
    if ends := end_time(bar, time.time()):
        shown["ends"] = ends
    bar.set_postfix(shown, refresh=False)


def not_finite_message(row: dict, file: Path | None, checkpoint: Path | None) -> str:
    """Return the error message for a step whose loss or gradient is NaN or infinite."""
    return (
        f"step {row['step']}: the loss is {row['loss']}, its gradient's norm {row['grad_norm']}; check the batch's "
        f"questions in {file}, or lower --lr in a new run (last good state: {checkpoint or 'no checkpoint'})"
    )
