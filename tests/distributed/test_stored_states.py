"""Stored states of a teacher over two ranks, from writing them to a run that never loads the teacher."""

import json
import shutil
from pathlib import Path

import pytest

RKD = ["--method", "rkd", "--save-steps", "2"]
WRITE = ["train/teacher_states.py", "--micro-batch-size", "2", "--dtype", "fp32"]


@pytest.fixture(scope="module")
def teacher_flags(flags, tiny_models) -> list[str]:
    """Of a ZeRO-3 teacher; its ranks have 5 micro-batches of one shard, and none."""
    data, zero = (flags[flags.index(name) + 1] for name in ("--data", "--deepspeed"))
    return ["--data", data, "--teacher", str(tiny_models / "teacher"), "--teacher-deepspeed", zero]


@pytest.fixture(scope="module")
def states(teacher_flags, launch, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("states") / "s"
    done = launch(2, *WRITE, *teacher_flags, "--teacher-states", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "teacher states: 17 samples, " in done.stdout and f"train with --teacher-states {folder}" in done.stdout
    assert [path.name for path in folder.parent.iterdir()] == ["s"]  # no lock is left
    return folder


def losses(run: Path) -> list[tuple[float, ...]]:
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(row["loss"], row["kd"], row["mle"], row["grad_norm"]) for row in rows]


@pytest.fixture(scope="module")
def live(distil, launch, tmp_path_factory) -> Path:
    """A run with its teacher on two ranks, in steps of 8 samples of which the last of an epoch holds one; dropout."""
    folder = tmp_path_factory.mktemp("live") / "run"
    done = launch(2, "train/distill.py", *distil, *RKD, "--output", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_run_without_the_teacher_is_the_run_with_it(states, live, flags, launch, tmp_path):
    done = launch(2, "train/distill.py", *flags, *RKD, "--teacher-states", states, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"its states at the outputs are read from {states}" in done.stdout
    for found, expected in zip(losses(tmp_path / "run"), losses(live), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_a_run_with_the_teacher_goes_on_without_it(states, live, distil, launch, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(live, run)
    shutil.rmtree(run / "checkpoints" / "step-6")
    shutil.rmtree(run / "adapter")
    done = launch(2, "train/distill.py", *distil, *RKD, "--teacher-states", states, "--output", run, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"resuming from {run / 'checkpoints' / 'step-4'}" in done.stdout
    for found, expected in zip(losses(run), losses(live), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_what_is_there_is_not_written_again(states, teacher_flags, launch):
    before = {path.name: path.stat().st_mtime_ns for path in states.iterdir()}
    done = launch(1, *WRITE, *teacher_flags, "--teacher-states", states)
    assert done.returncode == 0 and f"{states} is finished: it holds the states of all 17 samples" in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in states.iterdir()} == before


def test_another_training_set_is_refused(states, flags, launch, tmp_path):
    at = flags.index("--data")
    questions = tmp_path / "questions.json"
    questions.write_text(json.dumps(json.loads((Path(flags[at + 1]) / "train_spider.json").read_text())[1:]))
    done = launch(
        1, "train/distill.py", *flags, "--method", "rkd", "--teacher-states", states, "--questions", questions,
        "--output", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode != 0
    assert "does not fit: its prompts differ: the data, the tokenizer" in done.stderr
    assert not (tmp_path / "run").exists()
