"""Checkpoints: written under a temporary name, verified before they are loaded, usable with any number of ranks."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kid.data.cache import json_hash
from kid.errors import InputError, RunError, report_write_errors
from kid.files import move_into_place, remove_folder, remove_unfinished_writes, sync, write_atomically
from kid.models.dropout import keep_dropout_of
from kid.models.hashes import file_digest, write_hashes
from kid.models.loading import persistent_buffers
from kid.models.windows import own_windows
from kid.models.zero3 import gathered
from kid.run.directory import TRAINING_SET
from kid.run.trust import OWNER_ONLY_MODE, keep_to_owner

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

CHECKPOINTS_KEPT = 2  # older checkpoints are removed; all exports in adapters/ are kept
MANIFEST_KEYS = {"step", "world_size", "identity", "files"}
MANIFEST = "complete.json"  # number of ranks that wrote the checkpoint, the run's identity, file sizes and SHA-256


@dataclass(frozen=True)
class ResumePoint:
    """Where a run starts.

    checkpoint: the checkpoint to resume from; None: start from the beginning.
    world_size: the number of ranks that wrote it.
    remarks: one for each checkpoint that was skipped.
    universal: its copy for another number of ranks, if one is needed.
    """

    checkpoint: Path | None
    world_size: int | None
    remarks: list[str]
    universal: Path | None = None


def steps_done(checkpoint: Path) -> int:
    """Return the number of optimizer steps done when a checkpoint was written, from its name."""
    return int(checkpoint.name.removeprefix("step-"))


def list_checkpoints(run: Path) -> list[Path]:
    """List the complete checkpoints of a run, oldest first; incomplete ones have a different name."""
    named = (run / "checkpoints").glob("step-*")
    return sorted((path for path in named if path.name.removeprefix("step-").isdecimal()), key=steps_done)


def newest_checkpoint(run: Path) -> Path | None:
    return next(reversed(list_checkpoints(run)), None)


def verify_checkpoint(checkpoint: Path, identity: dict[str, str]) -> tuple[str | None, dict]:
    """Return (why a run with this identity cannot use the checkpoint, or None; its manifest). Reads every file."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        checksum = manifest.pop("checksum", None)  # older checkpoints have none
        if not set(manifest) <= MANIFEST_KEYS or checksum not in (None, json_hash(manifest)):
            return f"{MANIFEST} has changed since it was written", {}
        files = manifest["files"]
        for name, expected in files.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing", manifest
            if path.stat().st_size != expected[0]:
                return f"{name} has {path.stat().st_size} bytes instead of {expected[0]}", manifest
        before = {TRAINING_SET: identity.get(TRAINING_SET), **manifest["identity"]}  # older checkpoints do not name it
        other = [key for key, value in identity.items() if before[key] != value]
        if other:
            return f"it belongs to a run with a different {' and a different '.join(other)}", manifest
        for name, expected in files.items():
            if file_digest(checkpoint / name) != expected:
                return f"{name} has changed since it was written", manifest
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its {MANIFEST} is missing or damaged ({error})", {}
    return None, manifest


def find_checkpoint(run: Path, identity: dict[str, str]) -> ResumePoint:
    """Find the newest intact checkpoint that belongs to this run.

    Args:
        identity: hashes of config, student, teacher, ZeRO stage and training set, by these names.

    Raises:
        InputError: there are checkpoints, but none can be used.
    """
    remarks: list[str] = []
    for checkpoint in reversed(list_checkpoints(run)):
        reason, manifest = verify_checkpoint(checkpoint, identity)
        if reason is None:
            return ResumePoint(checkpoint, manifest["world_size"], remarks)
        remarks.append(f"{checkpoint} is skipped: {reason}")
    if remarks:
        raise InputError(
            f"no checkpoint in {run} can be used ({'; '.join(remarks)}); remove {run / 'checkpoints'} to start from "
            "the beginning, or choose another --output"
        )
    return ResumePoint(None, None, [])


def files_written_by(folder: Path, rank: int) -> list[Path]:
    """List the files that a rank wrote to a checkpoint; on a network file system, others may see them only later."""
    matches = {path: re.search(r"pp_rank_(\d+)_", path.name) for path in folder.iterdir() if path.is_file()}
    return sorted(path for path, match in matches.items() if int(match[1] if match else 0) == rank)


def save_checkpoint(engine: DeepSpeedEngine, run: Path, step: int, identity: dict[str, str]) -> None:
    """Save optimizer states and trained weights after `step` steps; called on every rank.

    The files are written to a folder with a temporary name, synced and hashed; then the folder is renamed. So a
    checkpoint is either complete or absent.

    Raises:
        RunError: the disk is full or cannot be written to.
    """
    folder, name = run / "checkpoints", f"step-{step}"
    partial = folder / f"{name}.partial"
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    with report_write_errors(folder / name):
        if rank == 0:
            remove_folder(partial)  # left by a run that was killed while saving
            folder.mkdir(mode=OWNER_ONLY_MODE, parents=True, exist_ok=True)
        torch.distributed.barrier()
        engine.save_checkpoint(str(folder), tag=partial.name, save_latest=False, exclude_frozen_parameters=True)
        torch.distributed.barrier()
        digests = {}
        for path in files_written_by(partial, rank):
            keep_to_owner(path)  # otherwise --resume would refuse it
            sync(path)
            digests[path.name] = file_digest(path)
        per_rank: list = [None] * world_size
        torch.distributed.all_gather_object(per_rank, digests)
        if rank == 0:
            files = dict(sorted((name, digest) for own in per_rank for name, digest in own.items()))
            manifest = {"step": step, "world_size": world_size, "identity": identity, "files": files}
            manifest["checksum"] = json_hash(manifest)
            write_atomically(partial / MANIFEST, json.dumps(manifest, indent=1) + "\n")
            keep_to_owner(partial / MANIFEST)
            keep_to_owner(partial)
            remove_folder(folder / name)  # a damaged one that was skipped
            move_into_place(partial, folder / name)
            write_atomically(folder / "latest", name)  # for DeepSpeed's own tools
            remove_old_checkpoints(run, step)


def remove_old_checkpoints(run: Path, step: int) -> None:
    """Keep the newest checkpoints up to `step`; remove older ones, and later ones, which were skipped."""
    present = list_checkpoints(run)
    done = [path for path in present if steps_done(path) <= step]
    for checkpoint in [*present[len(done) :], *done[:-CHECKPOINTS_KEPT]]:
        # Renamed first, so that a partly removed checkpoint does not look complete.
        partial = checkpoint.with_name(f"{checkpoint.name}.partial")
        remove_folder(partial)
        checkpoint.rename(partial)
        remove_folder(partial)


def remove_partial(run: Path) -> None:
    """Remove folders that killed runs were writing, converting or removing; called before this run writes."""
    for pattern in ("checkpoints/*.partial", "checkpoints/universal-*", "adapters/step-*.tmp", "models/step-*.tmp"):
        for folder in run.glob(pattern):
            remove_folder(folder)
    remove_unfinished_writes(run / "checkpoints" / "latest")


def convert_checkpoint(checkpoint: Path, world_size: int) -> Path:
    """Convert a checkpoint with DeepSpeed to a copy that any number of ranks can load; called on one rank.

    Args:
        world_size: the number of ranks that wrote it.

    Returns:
        The folder of the copy.

    Raises:
        InputError: DeepSpeed cannot convert it.
    """
    # A separate folder for this process: the converter of a killed run may still be writing to its own.
    universal = checkpoint.parent / f"universal-{platform.node()}-{os.getpid()}" / checkpoint.name
    command = [sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", "--inject_missing_state"]
    command += ["--input_folder", str(checkpoint), "--output_folder", str(universal)]
    # In a separate process, because the converter is a script that starts other processes and prints.
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode:
        error_lines = result.stderr.strip().splitlines()
        raise InputError(
            f"{checkpoint} was written by {world_size} ranks, and DeepSpeed cannot convert it for another number "
            f"({error_lines[-1] if error_lines else result.returncode}); resume with {world_size} ranks"
        )
    return universal


def load_checkpoint(engine: DeepSpeedEngine, checkpoint: Path) -> None:
    """Restore the engine's state.

    Frozen weights are not in a checkpoint and stay as loaded. Persistent buffers stay too: nothing trains them, and
    checkpoints of older versions have wrong ones, which were not read from the base.
    """
    buffers = persistent_buffers(engine.module)
    before = {name: buffer.clone() for name, buffer in buffers.items()}
    loaded, _ = engine.load_checkpoint(str(checkpoint.parent), tag=checkpoint.name, load_module_strict=False)
    if loaded is None:
        raise RunError(f"{checkpoint} cannot be loaded by DeepSpeed; remove it to resume from an earlier one")
    for name, buffer in buffers.items():
        buffer.copy_(before[name])
    # The optimizer's state has the learning rate of the schedule with which the checkpoint was written.
    schedule = engine.lr_scheduler
    groups = schedule.optimizer.param_groups
    for group, peak, share in zip(groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = peak * share(schedule.last_epoch)


def gather_trained(model: nn.Module) -> dict[str, torch.Tensor]:
    """Gather trained weights by name on the CPU of rank 0 (empty on other ranks), one at a time; on every rank."""
    state = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            with gathered([parameter]):
                if torch.distributed.get_rank() == 0:
                    state[name] = parameter.detach().cpu().clone()
    return state


def export_trained(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerFast, folder: Path, base: Path | None = None
) -> None:
    """Export the trained weights for other tools: a PEFT directory (LoRA), or a model folder (all weights).

    A model folder also has the persistent buffers of the base.

    Args:
        model: the PEFT model or the causal language model inside the engine.
        folder: replaced as a whole, so it is never incomplete.
        base: the folder of the student's base; a model folder's config.json has the base's dropout rates.

    Raises:
        RunError: the disk is full or cannot be written to.
    """
    state = gather_trained(model)
    if torch.distributed.get_rank() == 0:
        temporary = folder.with_name(folder.name + ".tmp")
        with report_write_errors(folder):
            remove_folder(temporary)
            whole = not isinstance(model, PeftModel)
            saved = state | persistent_buffers(model) if whole else state
            with own_windows(model):
                model.save_pretrained(temporary, state_dict=saved)  # type: ignore[arg-type]  # PEFT accepts paths too
            if whole and base:
                keep_dropout_of(base, temporary)
            tokenizer.save_pretrained(temporary)
            write_hashes(temporary)
            for path in [*filter(Path.is_file, temporary.rglob("*")), temporary]:
                sync(path)
            remove_folder(folder)
            temporary.replace(folder)
            sync(folder.parent)
    torch.distributed.barrier()
