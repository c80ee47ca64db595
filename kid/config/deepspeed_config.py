"""Read and check DeepSpeed configurations (ds_configs/), and complete them with values of the run's configuration."""

from __future__ import annotations

import json
from pathlib import Path

from kid.config.run_config import RunConfig, accumulation_steps
from kid.errors import InputError

# Keys derived from the run's configuration; a value in the file could contradict it.
SET_BY_THE_RUN = (
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "scheduler",
    "bf16",
    "fp16",
    "tensorboard",
    "activation_checkpointing",
    "lr",
    "weight_decay",
)
STUDENT_FLAG, TEACHER_FLAG = "--deepspeed", "--teacher-deepspeed"


def read_deepspeed_config(path: str, flag: str) -> dict:
    """Read a DeepSpeed configuration file.

    Raises:
        InputError: it is missing, not JSON, has no valid ZeRO stage, or has a key that the run sets.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{flag} {path}: {error.strerror}; see ds_configs/ for examples") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{flag} {path} is not valid JSON: {error}") from None
    sections = ("optimizer", "zero_optimization")
    if not isinstance(values, dict) or not all(isinstance(values.get(key, {}), dict) for key in sections):
        raise InputError(f"{flag} {path} is not a DeepSpeed configuration; see ds_configs/ for examples")
    if "optimizer" in values and "type" not in values["optimizer"]:
        raise InputError(f"{flag} {path}: optimizer has no type; give one that DeepSpeed supports, for example AdamW")
    given = {*values, *values.get("optimizer", {}).get("params", {})}
    for key in SET_BY_THE_RUN:
        if key in given:
            raise InputError(f"{flag} {path}: remove {key!r}; it is set by the run's flags")
    stage = values.get("zero_optimization", {}).get("stage")
    allowed = (0, 3) if flag == TEACHER_FLAG else (0, 1, 2, 3)
    if stage not in allowed:
        raise InputError(f"{flag} {path}: zero_optimization.stage is {stage}; it must be one of {allowed}")
    return values


def complete_deepspeed_config(values: dict, config: RunConfig, world_size: int, student: bool) -> dict:
    """Add the run's values to those of the file: batch sizes, dtype and, for the student, optimizer and monitor."""
    accumulation = accumulation_steps(config, world_size) if student else 1
    completed = {
        **values,
        "train_micro_batch_size_per_gpu": config.micro_batch_size,
        "gradient_accumulation_steps": accumulation,
        "train_batch_size": config.micro_batch_size * accumulation * world_size,
        "bf16": {"enabled": config.dtype == "bf16"},
        # The throughput timer synchronises the device before every forward pass.
        "timers": {"throughput": {"enabled": False}},
    }
    if not student:
        return {key: value for key, value in completed.items() if key != "optimizer"}
    optimizer = values.get("optimizer", {"type": "AdamW", "params": {}})
    params = {**optimizer.get("params", {}), "lr": config.lr, "weight_decay": config.weight_decay}
    completed["optimizer"] = {**optimizer, "params": params}
    completed["gradient_clipping"] = config.max_grad_norm
    board = {"output_path": config.output, "job_name": "tensorboard"}
    completed["tensorboard"] = {"enabled": "tensorboard" in config.trackers, **board}
    return completed
