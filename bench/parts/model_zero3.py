"""Whether models work under ZeRO-3 with two ranks, for docs/models.md."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import torch
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException, spawn

RANKS = 2
SETTINGS = {
    "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
    "optimizer": {"type": "AdamW", "params": {"torch_adam": True}},
}
FREE_PORT = ("127.0.0.1", 0)


def check_folder(folder: Path) -> None:
    """Load a model partitioned, compare its states with those of the whole model, and run an optimizer step."""
    from kid.config.run_config import RunConfig
    from kid.data.batching import collate, sample_weights
    from kid.models.engine import student_engine
    from kid.models.prefix_cache import encode_prompts, forward_outputs
    from kid.models.response_model import ResponseModel
    from kid.models.windows import open_windows
    from parts.model_checks import LONGEST, SAMPLES, expect_close, loaded

    rank = torch.distributed.get_rank()
    own = SAMPLES[rank::RANKS]
    weights = sample_weights([len(sample.completion_ids) for sample in own], "sample")
    config = RunConfig(
        lora_rank=2,
        lora_dropout=0.0,
        dtype="fp32",
        batch_size=len(SAMPLES),
        micro_batch_size=len(own),
        report_to="none",
    )
    engine = student_engine(config, folder, SETTINGS, total_steps=1)
    whole = ResponseModel(loaded(folder))
    for model in (engine.module, whole):
        open_windows(model.causal_lm, LONGEST)
    batch = collate(own, weights, list(range(len(own))), 0, share=whole.prefix_unsupported_reason is None)
    with torch.no_grad():
        expected = forward_outputs(
            config, whole, batch, encode_prompts(config, whole, batch, False), batch.completion_ids
        )
    hidden = forward_outputs(
        config, engine, batch, encode_prompts(config, engine, batch, separately=False), batch.completion_ids
    )
    expect_close(hidden.detach(), expected)
    engine.backward(hidden.square().mean())
    engine.step()


def run_rank(rank: int, port: int, folders: list[Path], results: Path) -> None:
    """Check the folders that have no result yet, one after the other."""
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS), "LOCAL_SIZE": str(RANKS),
        "MASTER_ADDR": FREE_PORT[0], "MASTER_PORT": str(port),
    }  # fmt: skip
    from kid.models.engine import joined_ranks
    from kid.progress import silence_libraries

    silence_libraries()
    with joined_ranks():
        for folder in folders:
            check_folder(folder)
            torch.distributed.barrier()
            if rank == 0:
                (results / f"{folder.name}.json").write_text(json.dumps("yes"))


def check_zero3(folders: list[Path], results: Path) -> dict[str, str]:
    """Name of each folder -> "yes", or "no" with the reason.

    Ranks that fail end with the folder that they failed at; new ones continue with the next.
    """
    results.mkdir(exist_ok=True)
    waiting = list(folders)
    while waiting:
        with socket.socket() as probe:
            probe.bind(FREE_PORT)
            port = probe.getsockname()[1]
        try:
            spawn(run_rank, (port, waiting, results), nprocs=RANKS)
        except (ProcessRaisedException, ProcessExitedException) as error:
            failed = next(folder for folder in waiting if not (results / f"{folder.name}.json").exists())
            last = str(error).strip().splitlines()[-1]
            _, refused, rest = last.partition(" has ")  # our own line, which begins with a path
            reason = f"it has {rest.partition(';')[0]}" if "InputError" in last and refused else last[:150]
            (results / f"{failed.name}.json").write_text(json.dumps(f"no: {reason}"))
        waiting = [folder for folder in waiting if not (results / f"{folder.name}.json").exists()]
    return {folder.name: json.loads((results / f"{folder.name}.json").read_text()) for folder in folders}
