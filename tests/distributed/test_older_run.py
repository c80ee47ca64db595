"""A run directory that an older version wrote is resumed and reported as it would have been by that version.

older_run/ was written by commit 7ba7f17, before kid/ had packages: the models, data and DeepSpeed file of a run of four
steps, its directory as a kill after step 2 would have left it, and the metrics of the whole run.

    deepspeed --num_gpus 1 train/distill.py --method kid --student student --teacher teacher --benchmark jsonl \\
        --data data --deepspeed cpu.json --teacher-deepspeed cpu.json --dtype fp32 --lora-rank 2 --batch-size 2 \\
        --micro-batch-size 2 --max-steps 4 --save-steps 2 --eval-steps 2 --lr 1e-2 --seed 3 --output run
    python eval/predict.py --model run/adapter --benchmark jsonl --data data --output run/predictions/dev.sql \\
        --max-completion-length 12
    python eval/score.py --benchmark jsonl --data data --predictions run/predictions/dev.sql --json run/scores/dev.json
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.databases import make_database
from helpers.launcher import ROOT, launch_command
from helpers.run_files import adapter, metrics

FLAGS = """--method kid --student student --teacher teacher --benchmark jsonl --data data --deepspeed cpu.json
    --teacher-deepspeed cpu.json --dtype fp32 --lora-rank 2 --batch-size 2 --micro-batch-size 2 --max-steps 4
    --save-steps 2 --eval-steps 2 --lr 1e-2 --seed 3 --output run --resume"""


@pytest.fixture
def older(tmp_path) -> Path:
    """A copy in which to work; the run's paths are relative to it."""
    shutil.copytree(Path(__file__).parent / "older_run", tmp_path / "older")
    make_database(tmp_path / "older" / "data" / "database" / "concert" / "concert.sqlite")
    return tmp_path / "older"


def run(command: list, folder: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_older_run_is_resumed(older):
    before = metrics(older / "run")
    said = run(launch_command(1, ROOT / "train" / "distill.py", *FLAGS.split()), older)
    assert "step-2" in said and "kid: 4 steps done" in said
    expected = [json.loads(line) for line in (older / "metrics_of_the_whole_run.jsonl").read_text().splitlines()]
    found = metrics(older / "run")
    assert found[:2] == before and len(found) == 4
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.pop("source") == theirs.pop("source")
        assert ours == pytest.approx({key: theirs[key] for key in ours}, rel=1e-4)  # another machine's rounding
    assert adapter(older / "run")
    again = run(launch_command(1, ROOT / "train" / "distill.py", *FLAGS.split()), older)
    assert "run is finished: 4 steps done" in again


def test_an_older_run_is_reported(older):
    run([sys.executable, ROOT / "eval" / "report.py", "run", "--data", "data", "--output", "report"], older)
    text = (older / "report" / "report.md").read_text()
    assert json.loads((older / "run" / "scores" / "dev.json").read_text())["ex"] == 0
    assert "KID" in text and "| 0.0 |" in text
