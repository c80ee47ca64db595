"""A full disk, a loss that is no number, a rank that fails, a node that is missing: one clear line, nothing lost."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
import torch
from helpers.launcher import ROOT
from helpers.run_files import adapter, metrics, one_line

from kid.run.checkpoint import list_checkpoints

PAGE = 4096


def pages(folder: Path) -> int:
    """Bytes that a folder's files take, in whole pages."""
    return sum(PAGE * -(-path.stat().st_size // PAGE) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def small_disk(kid_run, tmp_path):
    """A folder with room for kid_run's exports until step 4, and for one checkpoint and a half."""
    folder, one = tmp_path / "disk", pages(kid_run / "checkpoints" / "step-4")
    folder.mkdir()
    room = pages(kid_run) - pages(kid_run / "adapter") - pages(kid_run / "adapters" / "step-6") - one + one // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a disk that is small")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_costs_no_checkpoint(kid_run, kid_flags, small_disk, launch):
    run = small_disk / "run"
    said = one_line(launch(2, *kid_flags, "--output", run, fresh=True), status=1)
    assert f"{run / 'checkpoints' / 'step-4'} cannot be written (" in said and "--resume" in said
    assert [path.name for path in list_checkpoints(run)] == ["step-2"] and len(metrics(run)) == 4
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    done = launch(2, *kid_flags, "--output", run, "--resume")
    assert done.returncode == 0 and f"resuming from {run / 'checkpoints' / 'step-2'}" in done.stdout, done.stderr
    assert metrics(run) == metrics(kid_run) and not [*(run / "checkpoints").glob("*.partial")]
    assert all(torch.equal(adapter(run)[name], weight) for name, weight in adapter(kid_run).items())


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_questions(flags, launch, tmp_path):
    run = tmp_path / "run"
    more = ["--lr", "1e30", "--warmup-ratio", "0", "--save-steps", "1", "--lora-dropout", "0"]
    said = one_line(launch(2, "train/sft.py", *flags, *more, "--output", run, fresh=True), status=1)
    (file,) = run.glob("not-finite-step-*.json")
    kept = json.loads(file.read_text())
    step = kept["step"]
    assert not math.isfinite(float(kept["loss"])) and f"step {step}: the loss is {kept['loss']}" in said
    assert str(file) in said and str(run / "checkpoints" / f"step-{step - 1}") in said
    assert len(metrics(run)) == step - 1 and list_checkpoints(run)[-1].name == f"step-{step - 1}"
    data = json.loads((Path(flags[flags.index("--data") + 1]) / "train_spider.json").read_text())
    assert len(kept["questions"]) == (1 if step % 3 == 0 else 8)
    assert all(data[question["index"]]["db_id"] == question["db_id"] for question in kept["questions"])


def test_an_error_ends_the_run_of_a_tracker(flags, launch, tmp_path, monkeypatch):
    run = tmp_path / "run"
    more = ["--lr", "1e30", "--warmup-ratio", "0", "--report-to", "mlflow", "--output", run]
    assert ": the loss is " in one_line(launch(1, "train/sft.py", *flags, *more), status=1)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    tracked = json.loads((run / "trackers.json").read_text())["mlflow"]
    info = mlflow.MlflowClient((run / "mlruns").as_uri()).get_run(tracked).info
    assert info.status == "KILLED" and info.end_time


def test_a_tracker_that_cannot_be_opened_leaves_no_run(flags, launch, tmp_path):
    """mlflow is hidden from these ranks: it is found, but its import fails."""
    run = tmp_path / "run"
    command = ["train/sft.py", *flags, "--max-steps", "1", "--output", run]
    said = one_line(launch(2, *command, "--report-to", "tensorboard,mlflow", fresh=True))
    assert said.startswith("error: --report-to mlflow: mlflow is hidden") and said.endswith("; fix that, or remove it")
    assert not (run / "config.yaml").exists()
    done = launch(2, *command)
    assert done.returncode == 0 and len(metrics(run)) == 1, done.stdout + done.stderr


def test_a_rank_that_fails_ends_all_with_its_own_error_last(distil, launch, tmp_path):
    began = time.time()
    script = ROOT / "tests" / "helpers" / "failing_rank.py"
    done = launch(2, script, *distil, "--method", "kid", "--output", tmp_path / "run", fresh=True)
    print(f"{time.time() - began:.0f} s")
    assert done.returncode == 1
    own = [line for line in done.stderr.splitlines() if not line.startswith("[20")]  # the launcher's have a date
    assert own[-1] == "KeyError: 'an error of its own'", done.stderr
    assert done.stderr.count("Traceback") == 1 and "error:" not in done.stderr
    assert len(metrics(tmp_path / "run")) == 1


@pytest.mark.parametrize("more", [{}, {"LOCAL_SIZE": "2"}], ids=["of another node", "of this node"])
def test_a_node_that_does_not_come_is_said(more, tmp_path):
    """One of two ranks; DeepSpeed's ten minutes are a second here."""
    code = "from datetime import timedelta; from functools import partial; import deepspeed; import kid.models.engine\n"
    code += "from kid.errors import run_script\n"
    code += "deepspeed.init_distributed = partial(deepspeed.init_distributed, timeout=timedelta(seconds=1))\n"
    code += "def main():\n    with kid.models.engine.joined_ranks(): pass\nrun_script(main)"
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29671"}
    environment = {**os.environ, **ranks, **more}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    said = one_line(done, status=1)
    assert said.startswith("error: not all of the 2 ranks have joined (Timed out after ") and "127.0.0.1:29671" in said
