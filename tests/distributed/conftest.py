"""What the tests of launched jobs share: a few questions, flags, and one whole run by kid on two ranks."""

import json
import shutil
from pathlib import Path

import pytest

STEPS = 6
SAMPLES = 17  # at 8 a step, the third and the sixth hold one sample: the second rank has not a single row then


@pytest.fixture(scope="session")
def flags(minibench, tiny_models, tmp_path_factory) -> list[str]:
    """What all runs here share. Every parameter is partitioned, however small, and there is dropout."""
    data = tmp_path_factory.mktemp("few") / "data"
    shutil.copytree(minibench, data)
    questions = json.loads((data / "train_spider.json").read_text())
    (data / "train_spider.json").write_text(json.dumps(questions[:: len(questions) // SAMPLES][:SAMPLES]))
    zero = tmp_path_factory.mktemp("ds") / "zero3.json"
    settings = {"stage": 3, "stage3_param_persistence_threshold": 0}
    optimizer = {"type": "AdamW", "params": {"torch_adam": True}}
    zero.write_text(json.dumps({"zero_optimization": settings, "optimizer": optimizer}))
    return [
        *("--student", str(tiny_models / "student"), "--data", str(data), "--deepspeed", str(zero)),
        *("--dtype", "fp32", "--lora-rank", "4", "--lora-dropout", "0.1", "--max-steps", str(STEPS), "--lr", "1e-2"),
        *("--batch-size", "8", "--micro-batch-size", "2", "--seed", "7"),
        *("--warmup-ratio", "0.34"),
    ]


@pytest.fixture(scope="session")
def distil(flags, tiny_models) -> list[str]:
    zero = flags[flags.index("--deepspeed") + 1]
    return [*flags, "--teacher", str(tiny_models / "teacher"), "--teacher-deepspeed", zero]


@pytest.fixture(scope="session")
def kid_flags(distil) -> list[str]:
    return ["train/distill.py", *distil, "--method", "kid", "--save-steps", "2", "--eval-steps", "3"]


@pytest.fixture(scope="session")
def kid_run(kid_flags, launch, tmp_path_factory) -> Path:
    """Two ranks, from start to end."""
    folder = tmp_path_factory.mktemp("runs") / "kid"
    before = set(Path("/dev/shm").glob("deepspeed*"))
    done = launch(2, *kid_flags, "--output", folder, fresh=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(Path("/dev/shm").glob("deepspeed*")) <= before  # memory that would stay taken
    return folder
