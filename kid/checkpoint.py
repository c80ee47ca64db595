"""Save, find and load checkpoints without frozen weights; export what was trained for others to load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import deepspeed
import torch
from torch import nn

from kid.errors import InputError
from kid.files import write_atomically

KEPT = 2  # older checkpoints are removed; the exports under adapters/ all stay
MARKER = "complete.json"  # written last: a checkpoint without it was cut off


def steps_done(checkpoint: Path) -> int:
    """Steps after which a checkpoint was written, by its name."""
    return int(checkpoint.name.removeprefix("step-"))


def complete_checkpoints(run: Path) -> list[Path]:
    """Those that were written to their end, oldest first."""
    return sorted((path.parent for path in (run / "checkpoints").glob(f"step-*/{MARKER}")), key=steps_done)


def newest_checkpoint(run: Path) -> Path | None:
    return next(reversed(complete_checkpoints(run)), None)


def check_world_size(checkpoint: Path, world_size: int) -> None:
    """Raises InputError if another number of ranks wrote it: its optimizer states are split among them."""
    written_by = json.loads((checkpoint / MARKER).read_text())["world_size"]
    if written_by != world_size:
        raise InputError(
            f"{checkpoint} was written by {written_by} ranks and this job has {world_size}; launch {written_by}"
        )


def save_checkpoint(engine, run: Path, step: int) -> None:
    """Optimizer states and trained weights after `step` steps; called on every rank."""
    folder = run / "checkpoints"
    name = f"step-{step}"
    # An incomplete one of the same step may be left of a run that was killed while it saved.
    if torch.distributed.get_rank() == 0:
        (folder / name / MARKER).unlink(missing_ok=True)
        shutil.rmtree(folder / name, ignore_errors=True)
    torch.distributed.barrier()
    engine.save_checkpoint(str(folder), tag=name, save_latest=False, exclude_frozen_parameters=True)
    torch.distributed.barrier()
    if torch.distributed.get_rank() == 0:
        write_atomically(folder / name / MARKER, json.dumps({"world_size": torch.distributed.get_world_size()}))
        for old in complete_checkpoints(run)[:-KEPT]:
            (old / MARKER).unlink()  # first: what is half removed must not count as complete
            shutil.rmtree(old)


def load_checkpoint(engine, checkpoint: Path) -> None:
    """Restore the engine. Frozen weights are not in a checkpoint and stay as loaded."""
    try:
        loaded, _ = engine.load_checkpoint(str(checkpoint.parent), tag=checkpoint.name, load_module_strict=False)
    except Exception as error:  # a damaged file raises whatever its reader does
        raise InputError(f"{checkpoint} cannot be loaded ({error}); remove it to go on from an earlier one") from None
    if loaded is None:
        raise InputError(f"{checkpoint} is not whole; remove it to go on from an earlier one")


def gather_trained(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trained weights by name, on the CPU of rank 0 (elsewhere empty); one is gathered at a time, on every rank."""
    state = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            with deepspeed.zero.GatheredParameters([parameter]):
                if torch.distributed.get_rank() == 0:
                    state[name] = parameter.detach().cpu().clone()
    return state


def export_trained(model: nn.Module, tokenizer, folder: Path) -> None:
    """What was trained, in the form others load: a PEFT directory (LoRA) or a model's folder (all weights).

    Args:
        model: the PEFT model or the causal language model inside the engine.
        folder: replaced as a whole, so that it is never half written.
    """
    state = gather_trained(model)
    if torch.distributed.get_rank() == 0:
        temporary = folder.with_name(folder.name + ".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        model.save_pretrained(temporary, state_dict=state)
        tokenizer.save_pretrained(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    torch.distributed.barrier()
