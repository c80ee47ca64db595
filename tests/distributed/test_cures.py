"""What the planner names as a cure: real engines take each, and train the same with it."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
from helpers.launcher import ROOT
from helpers.run_files import adapter, metrics

from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig
from kid.planning.cures import CURES, candidate_configs, changed_flags

CONFIGS = ROOT / "ds_configs"
PARTS, OFFLOAD = "teacher_zero3.json", "teacher_zero3_offload.json"
# Each cure changes something of it.
START = {
    "method": "rkd", "deepspeed": str(CONFIGS / "student_zero2.json"), "fused": "off", "lora_dropout": 0,
    "teacher_deepspeed": str(CONFIGS / "teacher_whole.json"), "warmup_ratio": 0, "max_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def start(distil) -> RunConfig:
    flags = {name[2:].replace("-", "_"): value for name, value in zip(distil[::2], distil[1::2], strict=True)}
    return merge_config(None, {**flags, **START})


@pytest.fixture(scope="module")
def runs(start, launch, tmp_path_factory) -> dict[str, Path]:
    """Flags -> the run under them; none, each cure's, those of all cures together."""
    folder = tmp_path_factory.mktemp("cures")
    configs = candidate_configs(start)
    found = {changed_flags(start, config): config for config in [start, *configs[: len(CURES)], configs[-1]]}
    outputs = {flags: folder / str(number) for number, flags in enumerate(found)}
    entries = [{**asdict(config), "output": str(outputs[flags])} for flags, config in found.items()]
    (folder / "list.json").write_text(json.dumps(entries))
    done = launch(2, ROOT / "tests" / "helpers" / "train_many.py", folder / "list.json")
    assert done.returncode == 0, done.stdout + done.stderr
    return outputs


def test_every_cure_trains_the_same(runs):
    """But for schemas that micro-batches share, which puts other questions into a step."""
    expected = metrics(runs[""])
    assert len(runs) == len(CURES) + 2
    for flags, run in runs.items():
        rows = metrics(run)
        assert len(rows) == 2 and all(row["kd"] > 0 and row["grad_norm"] > 0 for row in rows), flags
        for row, other in zip(rows, expected, strict=True):
            same = {key: row[key] == pytest.approx(other[key], rel=1e-5) for key in ("loss", "kd", "mle", "grad_norm")}
            assert "--batching schema" in flags or all(same.values()), (flags, same)


def test_a_teacher_in_the_hosts_memory_changes_no_bit(runs):
    parts, offloaded = (runs[f"--teacher-deepspeed {CONFIGS / name}"] for name in (PARTS, OFFLOAD))
    assert metrics(offloaded) == metrics(parts)
    ours, theirs = adapter(offloaded), adapter(parts)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_deepspeed_reads_where_the_teacher_shall_lie():
    """On a CPU the two places are one: what it makes of the file is all there is to see."""
    zero = [json.loads((CONFIGS / name).read_text())["zero_optimization"] for name in (PARTS, OFFLOAD)]
    parts, offloaded = (DeepSpeedZeroConfig(**values) for values in zero)
    assert parts.offload_param is None
    assert (offloaded.offload_param.device, offloaded.offload_param.pin_memory) == ("cpu", True)
