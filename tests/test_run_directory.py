"""Which directory a run may have, which checkpoint it goes on from, and how its metrics are cut back."""

import json
from pathlib import Path

import pytest

from kid.checkpoint import check_world_size, complete_checkpoints, newest_checkpoint, steps_done
from kid.errors import InputError
from kid.recipe import resolve_config
from kid.run_directory import Metrics, check_run_directory, create_run_directory


class Monitor:
    """Keeps what would go to TensorBoard."""

    def __init__(self):
        self.events = []

    def write_events(self, events):
        self.events += events


def config(folder: Path, **changes):
    flags = {"method": "kid", "student": "s", "teacher": "t", "data": "d", "output": str(folder)}
    return resolve_config(None, {**flags, **changes})


def test_a_run_may_be_resumed_under_the_same_config_only(tmp_path):
    folder = tmp_path / "run"
    check_run_directory(config(folder))
    create_run_directory(config(folder))
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "environment.json"}
    check_run_directory(config(folder, resume=True))
    check_run_directory(config(folder, resume=True, fused="off", logit_memory_mb=100))  # how, not what is trained
    check_run_directory(config(folder, resume=True, prefix="off", activation_checkpointing="yes"))
    with pytest.raises(InputError, match="holds a run; add --resume"):
        check_run_directory(config(folder))
    with pytest.raises(InputError, match=r"differ: lr \(0.0002 there, 0.001 here\), seed \(0 there, 1 here\);"):
        check_run_directory(config(folder, resume=True, seed=1, lr=1e-3))
    (folder / "config.yaml").write_text("a: [")
    with pytest.raises(InputError, match="cannot be read"):
        check_run_directory(config(folder, resume=True))


def test_the_newest_complete_checkpoint_is_found_by_number(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    for step in (20, 100, 3):
        (tmp_path / "checkpoints" / f"step-{step}").mkdir(parents=True)
        (tmp_path / "checkpoints" / f"step-{step}" / "complete.json").write_text('{"world_size": 2}')
    (tmp_path / "checkpoints" / "step-200").mkdir()  # cut off while it was written
    assert [steps_done(path) for path in complete_checkpoints(tmp_path)] == [3, 20, 100]
    assert newest_checkpoint(tmp_path).name == "step-100"
    check_world_size(newest_checkpoint(tmp_path), 2)
    with pytest.raises(InputError, match="written by 2 ranks and this job has 4; launch 2"):
        check_world_size(newest_checkpoint(tmp_path), 4)


def test_metrics_are_cut_back_and_shown_again(tmp_path):
    rows = [{"step": step, "loss": 1 / step} for step in (1, 2, 3, 4)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 5, "lo')
    monitor = Monitor()
    metrics = Metrics(tmp_path, monitor, last_step=3)
    assert monitor.events == [("train/loss", 1 / step, step) for step in (1, 2, 3)]
    metrics.write({"step": 4, "loss": 0.5})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [*rows[:3], {"step": 4, "loss": 0.5}]
    assert monitor.events[-1] == ("train/loss", 0.5, 4)
