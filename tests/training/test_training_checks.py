"""A rank's checks that come before torch: each wrong flag ends it in one line, and nothing heavy is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers.launcher import ROOT

from kid.config.recipe import resolve_config
from kid.errors import InputError
from kid.training.checks import check_run, check_teacher_run

CPU = str(ROOT / "ds_configs" / "cpu.json")
# Runs a script in a process in which torch and transformers cannot be imported.
WITHOUT_TORCH = """
import runpy, sys
from pathlib import Path
sys.modules |= {"torch": None, "transformers": None}
sys.argv = sys.argv[1:]
sys.path[0] = str(Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def folder(tmp_path):
    """A student, a teacher and data, as far as their paths are looked at."""
    for name in ("student", "teacher"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "data").mkdir()
    for name in ("train_spider.json", "dev.json", "tables.json"):
        (tmp_path / "data" / name).write_text("[]")
    return tmp_path


def flags(folder, **changes) -> dict[str, str]:
    given = {name: str(folder / name) for name in ("student", "teacher", "data", "output")}
    configs = {"deepspeed": CPU, "teacher_deepspeed": CPU, "dtype": "fp32"}
    return given | configs | {name: str(value) for name, value in changes.items()}


def run(script: str, given: dict[str, str], ranks: str | None) -> str:
    """The last line on stderr of a script that ends with an error, as rank 0 of `ranks` or without a launcher."""
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    environment |= {"RANK": "0", "WORLD_SIZE": ranks} if ranks else {}
    command = [sys.executable, "-c", WITHOUT_TORCH, script, *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode
    return done.stderr.strip().splitlines()[-1]


def test_checks_come_before_torch(folder):
    assert run("train/distill.py", flags(folder), None) == (
        "error: start this script with the launcher: deepspeed --num_gpus N train/distill.py ..."
    )
    assert "use 12 or 18" in run("train/distill.py", flags(folder), "3")
    states = {name: value for name, value in flags(folder, teacher_states=folder / "s").items() if "teacher" in name}
    assert "--num_gpus N train/teacher_states.py" in run("train/teacher_states.py", {**states, "data": "d"}, None)
    without = {name: value for name, value in flags(folder).items() if name != "data"}
    assert run("train/distill.py", without, "2").startswith("error: --data is missing; give it as a flag or in")
    # And what is right goes on to the libraries.
    assert "torch" in run("train/distill.py", flags(folder), "1")


@pytest.fixture
def rank(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": "no/such/model"}, "--student no/such/model does not exist"),
        ({"teacher": "no/such/model"}, "--teacher no/such/model does not exist"),
        ({"teacher_deepspeed": "gone.json"}, "--teacher-deepspeed gone.json: No such file"),
        ({"exclude": "gone.json"}, "--exclude gone.json: No such file or directory; create it with eval/audit.py"),
        ({"questions": "gone.jsonl"}, "--questions gone.jsonl: No such file or directory; give an existing file"),
        ({"eval_ex_steps": 5, "eval_split": "seen"}, "no questions of split seen"),
        ({"data": "/gone"}, "data folder /gone does not exist"),
        ({"report_to": "wandb"}, "pip install wandb"),
        ({"batch_size": 6}, "use 4 or 8"),
    ],
)
def test_what_is_not_there(folder, rank, monkeypatch, changes, message):
    monkeypatch.setattr("kid.run.trackers.find_spec", lambda name: None)  # W&B may be installed
    with pytest.raises(InputError, match=message):
        check_run(resolve_config(None, flags(folder, **changes)))


def test_right_input_passes_and_nothing_is_written(folder, rank):
    before = sorted(folder.rglob("*"))
    config = resolve_config(None, flags(folder, eval_steps=5))
    check_run(config)
    check_teacher_run(config)
    assert sorted(folder.rglob("*")) == before


def test_a_hub_id_is_left_to_the_hub(folder, rank):
    check_run(resolve_config(None, flags(folder, student="owner/name", teacher="owner/name")))
