"""Steps of two ranks with and without a store of the teacher's prefixes: `stored_prefixes.py FOLDER`.

In the first step one rank has only stored prompts and the other none, then come rows of both kinds side by side, only
stored ones, and a rank without a sample. Each rank writes down losses and collectives.
"""

import json
import os
import sys
from pathlib import Path

import torch
from count_collectives import ZERO
from deepspeed.utils.timer import SynchronizedWallClockTimer
from torch.distributed.distributed_c10d import _get_default_group

import kid.data.order
from kid.config.recipe import merge_config
from kid.data.batching import Dataset, Sample
from kid.errors import run_script
from kid.models.engine import joined_ranks, student_engine, teacher_engine
from kid.models.pretrained import Pretrained, TokenIds
from kid.training.step import train_step
from kid.training.teacher_prefixes import open_store

SCHEMAS = [[5, 6, 7, 8, 9, 10], [5, 6, 7, 20, 21, 22, 23, 24]]
TOKENS = TokenIds(mask=1, eos=0, pad=1, count=500)


def stored(place: int) -> Sample:
    schema = SCHEMAS[place % 2]
    return Sample([*schema, 30 + place, 31, 32], [40 + place, 41, 0], len(schema))


def alone(place: int) -> Sample:
    return Sample([*range(50 + place, 60 + place), 33], [43 + place, 44, 45, 0])


SAMPLES = [kind(place) for place, kind in enumerate([stored, stored, alone, alone, stored, alone, alone, alone] +
                                                    [stored] * 5)]  # fmt: skip


def train(folder: Path, method: str, batching: str, stage: int, keep: bool) -> list[dict]:
    config = merge_config(
        None,
        {
            "method": method, "student": str(folder / "qwen2-student"), "teacher": str(folder / "qwen2-teacher"),
            "data": "d", "output": str(folder), "dtype": "fp32", "lora_rank": 4, "batch_size": 4,
            "micro_batch_size": 2, "lr": 1e-3, "warmup_ratio": 0, "mask_ratio": 0.5, "max_new_tokens": 4,
        },
    )  # fmt: skip
    dataset = Dataset(SAMPLES, ["db"] * len(SAMPLES), [])
    kid.data.order.random_order = lambda seed, epoch, count: list(range(count))
    teacher_values = {"zero_optimization": {**ZERO["zero_optimization"], "stage": stage}}
    teacher = teacher_engine(config, Pretrained(Path(config.teacher), None, Path(config.teacher)), teacher_values)
    student = student_engine(config, Path(config.student), ZERO, 4)
    student.train()
    store = open_store(config, teacher, "hash", dataset) if keep else None
    rank, ranks, group = torch.distributed.get_rank(), torch.distributed.get_world_size(), _get_default_group()
    source, lines = {"kid": "imperfect", "rkd": "gold", "gkd-rkl": "on-policy"}[method], []
    for step in range(4):
        before = group._get_sequence_number_for_group()
        batches = kid.data.order.micro_batches(
            dataset, config, step, rank, ranks, TOKENS.pad, batching == "schema", store
        )
        sums = train_step(config, source, student, teacher, batches, step, TOKENS, SynchronizedWallClockTimer())
        lines.append({"collectives": group._get_sequence_number_for_group() - before, "loss": sums["loss"]})
        lines[-1] |= {"grad_norm": float(student.get_global_grad_norm()), "stored": bool(batches[0].teacher)}
    return lines


def main() -> None:
    folder = Path(sys.argv[-1])
    with joined_ranks():
        found = {
            f"{method} {batching} {stage} {'stored' if keep else 'plain'}": train(folder, method, batching, stage, keep)
            for method in ("kid", "rkd", "gkd-rkl")
            for batching in ("random", "schema")
            for stage in (0, 3)
            for keep in (False, True)
        }
        (folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    run_script(main)
