"""Store a teacher's hidden states at the output tokens of a training set: shard by shard, shared among the ranks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kid.config.run_config import RunConfig
from kid.data.batching import Dataset, Sample, collate
from kid.data.teacher_states import (
    HEAD,
    HEADER,
    Layout,
    check_header,
    layout_of,
    read_header,
    shard_name,
    states_header,
)
from kid.errors import InputError
from kid.files import check_writable, write_atomically
from kid.models.engine import joined_ranks, teacher_engine
from kid.models.hashes import HASHES_FILE, find_damage, write_hashes
from kid.models.loading import DTYPES
from kid.models.prefix_cache import encode_teacher_prompts, forward_outputs
from kid.models.pretrained import padding_token
from kid.models.stored_teacher import head_bytes
from kid.models.windows import open_windows
from kid.models.zero3 import bare_module, eval_no_grad, gathered_heads, is_zero3
from kid.progress import log, progress_bar, silence_libraries
from kid.run.lock import run_lock
from kid.run.stopping import stop_reason, stop_run, stop_watcher
from kid.training.checks import check_launcher
from kid.training.inputs import longest_sequence, read_teacher_inputs
from kid.training.teacher_prefixes import check_all_ranks

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

GB = 10**9


def check_folder(folder: Path, header: dict) -> bool:
    """Whether the states in `folder` are complete and undamaged; otherwise they must be computed or repaired.

    Raises InputError if the folder holds other states or something else.
    """
    if not (folder / HEADER).exists():
        if folder.exists() and any(not path.name.startswith(f".{HEADER}") for path in folder.iterdir()):
            raise InputError(
                f"--teacher-states {folder} holds files that are not teacher states; choose another folder"
            )
        return False
    check_header(folder, read_header(folder), header, "choose another folder, or remove this one")
    return (folder / HASHES_FILE).exists() and find_damage(folder) is None


def digest(states: Tensor) -> str:
    """Return the SHA-256 of a tensor's bytes; each shard stores the one of its states."""
    return hashlib.sha256(states.contiguous().view(torch.uint8).numpy().data).hexdigest()


def is_whole(folder: Path, number: int, layout: Layout) -> bool:
    """Whether a shard exists with the states of all its samples, undamaged."""
    try:
        with safe_open(folder / shard_name(number), framework="pt") as file:
            states, expected = file.get_tensor("states"), (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return False
    return len(states) == sum(layout.lengths[index] for index in layout.shards[number]) and digest(states) == expected


def lack_of_space(folder: Path, size: float) -> str:
    """Return an error message if fewer than `size` bytes are free on the folder's disk; empty otherwise."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if size <= free:
        return ""
    return (
        f"--teacher-states {folder} needs {size / GB:.1f} GB, but only {free / GB:.1f} GB are free; free space or "
        "choose another folder"
    )


def store_teacher_states(config: RunConfig) -> None:
    """Write `config.teacher_states`: the states of every sample of the training set, and the teacher's head.

    Raises:
        InputError: the user's input is wrong.
        RunError: the disk is full.
        StoppedError: stopped by a signal; what has been written is kept.
    """
    check_launcher()
    silence_libraries()
    stop_watcher()
    folder = Path(config.teacher_states).absolute()
    check_writable(folder, "--teacher-states")
    if not folder.name:
        raise InputError(f"--teacher-states {folder} cannot be used; give a folder below it")
    is_main = os.environ["RANK"] == "0"
    lock = folder.with_name(f".{folder.name}.lock")  # outside of the folder, which must be empty at first
    with run_lock(lock, "--teacher-states") if is_main else nullcontext():
        store_with_lock(replace(config, fused=True), folder, is_main)  # for hidden states instead of logits


def store_with_lock(config: RunConfig, folder: Path, is_main: bool) -> None:
    """`store_teacher_states`, while holding the lock that prevents other jobs from writing these states."""
    inputs = read_teacher_inputs(config, decodes=False)
    layout = layout_of(inputs.train)
    header = states_header(config, inputs.teacher_hash, inputs.tokenizer, layout)
    if check_folder(folder, header):
        log.info(f"{folder} is finished: it holds the states of all {len(layout.lengths)} samples")
        return
    with joined_ranks():
        engine = teacher_engine(config, inputs.teacher, inputs.deepspeed)
        open_windows(engine.module.causal_lm, longest_sequence(config, inputs.train.prompt_lengths))
        numbers = range(len(layout.shards))
        missing = [[number for number in numbers if not is_whole(folder, number, layout)] if is_main else []]
        torch.distributed.broadcast_object_list(missing)  # as rank 0 sees the files
        with gathered_heads(engine) as (head,):
            width = head.weight.shape[1]
            per_token = width * DTYPES[config.dtype].itemsize
            tokens = sum(layout.lengths[index] for number in missing[0] for index in layout.shards[number])
            check_all_ranks(lack_of_space(folder, per_token * tokens + head.weight.nbytes) if is_main else "")
            if is_main:
                write_atomically(folder / HEADER, json.dumps(header, indent=1) + "\n")
                (folder / HASHES_FILE).unlink(missing_ok=True)  # of damaged states
                for partial in folder.glob(".*.safetensors.*"):  # left by killed runs
                    partial.unlink()
                write_atomically(folder / HEAD, head_bytes(head))
        for remark in inputs.train.remarks:
            log.info(f"train: {remark}")
        log.info(
            f"teacher states: {len(layout.lengths)} samples, {layout.tokens} output tokens of {per_token} bytes, "
            f"{per_token * layout.tokens / GB:.1f} GB in {folder}"
        )
        write_shards(config, engine, inputs.train, layout, missing[0], folder, padding_token(inputs.tokenizer))
        stop_watcher().finished = True
        torch.distributed.barrier()
        shards = [folder / shard_name(number) for number in numbers]
        elsewhere = is_main and not all(shard.exists() for shard in shards)
        check_all_ranks(
            f"--teacher-states {folder} is a different folder on other nodes; use one that all nodes share"
            if elsewhere
            else ""
        )
        if is_main:
            write_hashes(folder, [folder / HEADER, folder / HEAD, *shards])
            log.info(f"{folder}: complete; train with --teacher-states {folder}")
        torch.distributed.barrier()


@torch.no_grad()
def write_shards(
    config: RunConfig,
    engine: DeepSpeedEngine,
    train: Dataset,
    layout: Layout,
    missing: list[int],
    folder: Path,
    pad_token_id: int,
) -> None:
    """Compute and write this rank's part of the missing shards; forwards of a ZeRO-3 teacher are collectives."""
    rank, ranks, size = torch.distributed.get_rank(), torch.distributed.get_world_size(), config.micro_batch_size
    done = len(layout.lengths) - sum(len(layout.shards[number]) for number in missing)
    total = len(layout.lengths)
    with progress_bar("teacher states", "sample", total, done, quiet=rank > 0) as bar, eval_no_grad(engine):
        for at in range(0, len(missing), ranks):
            running = missing[at : at + ranks]  # one shard per rank
            mine = layout.shards[running[rank]] if rank < len(running) else []
            rounds = -(-max(len(layout.shards[number]) for number in running) // size)
            found = []
            for start in range(0, rounds * size, size):
                samples: list[Sample | None] = [train.samples[index] for index in mine[start : start + size]]
                if samples or is_zero3(engine):
                    samples += [None] * (size - len(samples))
                    found.append(output_states(config, engine, samples, pad_token_id))
                if reason := stop_reason(engine.device):
                    bar.close()
                    stop_run(f"teacher states: stopped by {reason}; run the same command again to resume")
            if mine:
                states = torch.cat(found)
                content = save({"states": states}, {"sha256": digest(states)})
                write_atomically(folder / shard_name(running[rank]), content)
            bar.update(sum(len(layout.shards[number]) for number in running))


@torch.no_grad()
def output_states(
    config: RunConfig, engine: DeepSpeedEngine, samples: list[Sample | None], pad_token_id: int
) -> Tensor:
    """Compute the teacher's states at the outputs of a micro-batch as training does: [N, H], on the CPU."""
    share = config.prefix and not bare_module(engine).prefix_unsupported_reason
    batch = collate(samples, [0.0] * len(samples), list(range(len(samples))), pad_token_id, share).to(engine.device)
    prefix = encode_teacher_prompts(config, engine, batch)
    return forward_outputs(config, engine, batch, prefix, batch.completion_ids).cpu()
