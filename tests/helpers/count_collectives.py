"""Steps on ranks with 0, 1 and 500 output tokens, by the fused head and plainly: `count_collectives.py FOLDER`.

Each rank writes down the losses, the number of its collectives in every step, and the largest weight difference between
what the two ways trained where the head is trained too.
"""

import json
import os
import sys
from pathlib import Path

import deepspeed
import torch
from deepspeed.accelerator import get_accelerator
from deepspeed.utils.timer import SynchronizedWallClockTimer
from torch.distributed.distributed_c10d import _get_default_group

import kid.training.readout
from kid.config.recipe import merge_config
from kid.data.batching import Sample, collate, sample_weights
from kid.errors import run_script
from kid.losses.fused import fused_losses
from kid.models.engine import joined_ranks, student_engine, teacher_engine
from kid.models.pretrained import Pretrained, TokenIds
from kid.training.step import train_step

# family, rank of LoRA or 0, where outputs come from, whether prompts are shared, --prefix
CASES = {
    "lora": ("qwen2", 4, "imperfect", True, "on"),  # tied
    "on-policy": ("qwen2", 4, "on-policy", True, "on"),
    "on-policy whole": ("qwen2", 4, "on-policy", False, "off"),
    "tied": ("qwen2", 0, "imperfect", False, "on"),
    "bias": ("codegen", 0, "imperfect", False, "on"),
}
LENGTHS = ([], [1], [250, 250])
STEPS, RANKS = 3, 3
ZERO = {
    "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
    "optimizer": {"type": "AdamW", "params": {"torch_adam": True}},
}


def batch_of(step: int, tokens: TokenIds, share: bool):
    """This rank's micro-batch: each rank has every number of tokens in turn."""
    lengths = [LENGTHS[(rank + step) % RANKS] for rank in range(RANKS)]
    weights = iter(sample_weights([length for own in lengths for length in own], "sequence"))
    batches = []
    for own in lengths:
        samples = [Sample([5, 6, 7 + step], [8 + (step + at) % 90 for at in range(length)]) for length in own]
        own_weights = [next(weights) for _ in own]
        missing = 2 - len(own)
        samples, own_weights = samples + [None] * missing, own_weights + [0.0] * missing
        batches.append(collate(samples, own_weights, [2 * len(batches), 2 * len(batches) + 1], tokens.pad, share))
    return batches[torch.distributed.get_rank()]


def train(
    folder: Path, family: str, lora_rank: int, source: str, share: bool, prefix: str, fused: str
) -> tuple[list[dict], list[torch.Tensor]]:
    """A line for each step, and the trained weights."""
    config = merge_config(
        None,
        {
            "student": str(folder / f"{family}-student"), "teacher": str(folder / f"{family}-teacher"), "data": "d",
            "output": str(folder), "dtype": "fp32", "lora_rank": lora_rank, "batch_size": 6, "micro_batch_size": 2,
            "mask_strategy": "hard", "mle_on": "imperfect" if lora_rank else "gold", "fused": fused,
            "lr": 1e-3, "warmup_ratio": 0, "max_new_tokens": 8, "prefix": prefix,
        },
    )  # fmt: skip
    tokens = TokenIds(mask=1, eos=0, pad=1, count=500)
    teacher = teacher_engine(config, Pretrained(Path(config.teacher), None, Path(config.teacher)), ZERO)
    student = student_engine(config, Path(config.student), ZERO, STEPS)
    student.train()
    group, lines, waits = _get_default_group(), [], []
    get_accelerator().synchronize = lambda *_: waits.append(1)  # there is nothing to wait for on a CPU
    for step in range(STEPS):
        before = group._get_sequence_number_for_group()
        timers = SynchronizedWallClockTimer()
        batches = [batch_of(step, tokens, share)]
        sums = train_step(config, source, student, teacher, batches, step, tokens, timers)
        lines.append({"collectives": group._get_sequence_number_for_group() - before, "loss": sums["loss"]})
        lines[-1]["waits"] = len(waits)
        offloads = (student.optimizer.parameter_offload, teacher.optimizer)
        lines[-1]["prefetches"] = [offload.get_param_coordinator().is_complete_trace() for offload in offloads]
    trained = [parameter for parameter in student.module.parameters() if parameter.requires_grad]
    with deepspeed.zero.GatheredParameters(trained):
        return lines, [parameter.detach().clone() for parameter in trained]


def main() -> None:
    folder = Path(sys.argv[-1])
    with joined_ranks():
        count(folder)


def count(folder: Path) -> None:
    # One rank has so little memory that it works row by row.
    memory = 0.1 if torch.distributed.get_rank() == 1 else 100
    kid.training.readout.fused_losses = lambda *args, **options: fused_losses(*args, **{**options, "memory_mb": memory})
    found = {}
    for name, case in CASES.items():
        lines, weights = train(folder, *case, "on")
        found[name] = {"on": lines}
        if not case[1]:
            found[name]["off"], others = train(folder, *case, "off")
            differences = [(one - other).abs().max().item() for one, other in zip(weights, others, strict=True)]
            found[name]["difference"] = max(differences)
    (folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    run_script(main)
