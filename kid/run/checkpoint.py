"""Checkpoints: written aside and renamed when whole, checked before they are used, for any number of ranks."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from kid.errors import InputError, RunError, writing
from kid.files import sync, write_atomically
from kid.models.zero3 import gathered

KEPT = 2  # older checkpoints are removed; the exports under adapters/ all stay
MANIFEST = "complete.json"  # the ranks that wrote it, the run's identity, each file's size and SHA-256


@dataclass(frozen=True)
class Found:
    """The checkpoint to go on from (None: from the beginning), its number of ranks, and remarks on those passed over.

    `universal`: the copy of it that other numbers of ranks can load, where that is needed.
    """

    checkpoint: Path | None
    world_size: int | None
    remarks: list[str]
    universal: Path | None = None


def steps_done(checkpoint: Path) -> int:
    """Steps after which a checkpoint was written, by its name."""
    return int(checkpoint.name.removeprefix("step-"))


def checkpoints(run: Path) -> list[Path]:
    """All of them, oldest first; what a killed run had begun to write has another name."""
    return sorted((run / "checkpoints").glob("step-*[0-9]"), key=steps_done)


def newest_checkpoint(run: Path) -> Path | None:
    return next(reversed(checkpoints(run)), None)


def file_digest(path: Path) -> list:
    """[size in bytes, SHA-256] of a file."""
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]


def fault(checkpoint: Path, identity: dict[str, str]) -> tuple[str | None, dict]:
    """(what is wrong with a checkpoint of this run, or None; its manifest). Reads all of it."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        for name, expected in files.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing", manifest
            if path.stat().st_size != expected[0]:
                return f"{name} has {path.stat().st_size} bytes instead of {expected[0]}", manifest
        other = [key for key, value in identity.items() if manifest["identity"][key] != value]
        if other:
            return f"it belongs to a run with another {' and another '.join(other)}", manifest
        for name, expected in files.items():
            if file_digest(checkpoint / name) != expected:
                return f"{name} is not what was written", manifest
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its {MANIFEST} cannot be used ({error})", {}
    return None, manifest


def find_checkpoint(run: Path, identity: dict[str, str]) -> Found:
    """The newest checkpoint that is whole and this run's own.

    Args:
        identity: what the run is made of -> a hash of it: config, student, teacher, and the ZeRO stage.

    Raises:
        InputError: there are checkpoints, and none can be used.
    """
    remarks = []
    for checkpoint in reversed(checkpoints(run)):
        reason, manifest = fault(checkpoint, identity)
        if reason is None:
            return Found(checkpoint, manifest["world_size"], remarks)
        remarks.append(f"{checkpoint} is passed over: {reason}")
    if remarks:
        raise InputError(
            f"no checkpoint in {run} can be used ({'; '.join(remarks)}); remove {run / 'checkpoints'} to start from "
            "the beginning, or choose another --output"
        )
    return Found(None, None, [])


def files_of(folder: Path, rank: int) -> list[Path]:
    """What a rank has written into a checkpoint; on a network's file system it alone is sure to see it at once."""
    ranks = {path: re.search(r"pp_rank_(\d+)_", path.name) for path in folder.iterdir() if path.is_file()}
    return sorted(path for path, found in ranks.items() if int(found[1] if found else 0) == rank)


def save_checkpoint(engine, run: Path, step: int, identity: dict[str, str]) -> None:
    """Optimizer states and trained weights after `step` steps; called on every rank.

    Everything is written under another name, synced and hashed, and then renamed: a checkpoint is whole or not there.

    Raises:
        RunError: the disk is full, or cannot be written to.
    """
    folder, name = run / "checkpoints", f"step-{step}"
    partial = folder / f"{name}.partial"
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    with writing(folder / name):
        if rank == 0:
            shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed while it saved
        torch.distributed.barrier()
        engine.save_checkpoint(str(folder), tag=partial.name, save_latest=False, exclude_frozen_parameters=True)
        torch.distributed.barrier()
        digests = {}
        for path in files_of(partial, rank):
            sync(path)
            digests[path.name] = file_digest(path)
        parts: list = [None] * world_size
        torch.distributed.all_gather_object(parts, digests)
        if rank == 0:
            every = dict(sorted((name, digest) for part in parts for name, digest in part.items()))
            manifest = {"step": step, "world_size": world_size, "identity": identity, "files": every}
            write_atomically(partial / MANIFEST, json.dumps(manifest, indent=1) + "\n")
            sync(partial)
            shutil.rmtree(folder / name, ignore_errors=True)  # one that was passed over
            partial.rename(folder / name)
            sync(folder)
            write_atomically(folder / "latest", name)  # for DeepSpeed's own tools
            prune(run, step)


def prune(run: Path, step: int) -> None:
    """Once that of `step` is there: all but the newest, and any later ones, which were passed over."""
    found = checkpoints(run)
    done = [path for path in found if steps_done(path) <= step]
    for checkpoint in [*found[len(done) :], *done[:-KEPT]]:
        # Under another name first: what is half removed must not count as one.
        partial = checkpoint.with_name(f"{checkpoint.name}.partial")
        checkpoint.rename(partial)
        shutil.rmtree(partial, ignore_errors=True)


def remove_partial(run: Path) -> None:
    """What killed runs had begun to write, to convert or to remove; before this one writes."""
    for pattern in ("checkpoints/*.partial", "checkpoints/universal-*", "*/step-*.tmp"):
        for folder in run.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
    for file in (run / "checkpoints").glob(".latest.*"):
        file.unlink()


def convert_checkpoint(checkpoint: Path, world_size: int) -> Path:
    """A copy of a checkpoint that any number of ranks can load, made by DeepSpeed's converter; called on one rank.

    Args:
        world_size: the ranks that have written it.

    Raises:
        InputError: DeepSpeed cannot convert it.
    """
    # The process's own: the converter of one that was killed may still be at work.
    universal = checkpoint.parent / f"universal-{platform.node()}-{os.getpid()}" / checkpoint.name
    command = [sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", "--inject_missing_state"]
    command += ["--input_folder", str(checkpoint), "--output_folder", str(universal)]
    # A process of its own, as it is a script: it starts others and prints what it likes.
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise InputError(
            f"{checkpoint} was written by {world_size} ranks, and DeepSpeed cannot convert it for another number "
            f"({said[-1] if said else done.returncode}); launch {world_size} again"
        )
    return universal


def load_checkpoint(engine, checkpoint: Path) -> None:
    """Restore the engine. Frozen weights are not in a checkpoint and stay as loaded."""
    loaded, _ = engine.load_checkpoint(str(checkpoint.parent), tag=checkpoint.name, load_module_strict=False)
    if loaded is None:
        raise RunError(f"{checkpoint} cannot be loaded by DeepSpeed; remove it to go on from an earlier one")


def gather_trained(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trained weights by name, on the CPU of rank 0 (elsewhere empty); one is gathered at a time, on every rank."""
    state = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            with gathered([parameter]):
                if torch.distributed.get_rank() == 0:
                    state[name] = parameter.detach().cpu().clone()
    return state


def export_trained(model: nn.Module, tokenizer, folder: Path) -> None:
    """What was trained, in the form others load: a PEFT directory (LoRA) or a model's folder (all weights).

    Args:
        model: the PEFT model or the causal language model inside the engine.
        folder: replaced as a whole, so that it is never half written.

    Raises:
        RunError: the disk is full, or cannot be written to.
    """
    state = gather_trained(model)
    if torch.distributed.get_rank() == 0:
        temporary = folder.with_name(folder.name + ".tmp")
        with writing(folder):
            shutil.rmtree(temporary, ignore_errors=True)
            model.save_pretrained(temporary, state_dict=state)
            tokenizer.save_pretrained(temporary)
            for path in [*filter(Path.is_file, temporary.rglob("*")), temporary]:
                sync(path)
            shutil.rmtree(folder, ignore_errors=True)
            temporary.replace(folder)
            sync(folder.parent)
    torch.distributed.barrier()
