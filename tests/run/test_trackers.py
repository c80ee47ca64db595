"""W&B's and MLflow's own libraries, without a network: what they hold of a run, also of one that is resumed."""

import json
import sys
import time
from pathlib import Path

import pytest

from kid.config.run_config import RunConfig
from kid.errors import InputError
from kid.run import trackers
from kid.run.trackers import check_trackers, open_trackers


@pytest.fixture
def run(tmp_path):
    (tmp_path / "environment.json").write_text('{"git_commit": "c0ffee"}')
    return tmp_path


def play(config, steps, finished):
    """The ids, after opening the trackers, sending some steps and ending them."""
    for tracker in open_trackers(config):
        for step in steps:
            assert tracker.log({"loss": 1 / step, "ex": 10.0 * step}, step)
        tracker.end([{"step": step, "ex": 10.0 * step} for step in steps] if finished else [], finished)
    return json.loads((Path(config.output) / "trackers.json").read_text())


def test_mlflow_keeps_one_run_over_a_resume(run):
    import mlflow

    config = RunConfig(output=str(run), report_to="tensorboard,mlflow", mask_ratio=0.3)
    first = play(config, (1, 2), finished=False)
    client = mlflow.MlflowClient((run / "mlruns").as_uri())
    assert client.get_run(first["mlflow"]).info.status == "KILLED"
    assert play(config, (2, 3), finished=True) == first  # step 2 is repeated after the checkpoint of step 1
    found = client.get_run(first["mlflow"])
    assert found.info.status == "FINISHED" and found.data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert found.data.params["mask_ratio"] == "0.3" and found.data.params["method"] == "kid"
    history = [(one.step, one.value) for one in client.get_metric_history(first["mlflow"], "ex")]
    assert history == [(1, 10.0), (2, 20.0), (2, 20.0), (3, 30.0)]
    table = json.loads(next((run / "mlruns").rglob("evaluations.json")).read_text())
    assert table == {"evaluations": [{"step": 2, "ex": 20.0}, {"step": 3, "ex": 30.0}]}


@pytest.mark.slow
def test_wandb_offline_keeps_one_id_over_a_resume(run, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = RunConfig(output=str(run), report_to="wandb")
    first = play(config, (1, 2), finished=False)
    assert play(config, (2, 3), finished=True) == first
    folders = sorted((run / "wandb").glob("offline-run-*"))
    assert len(folders) == 2 and all(folder.name.endswith(first["wandb"]) for folder in folders)
    wanted = (b"c0ffee", b"mask_ratio", b"loss")
    deadline = time.monotonic() + 20  # W&B's own process may still be writing
    while not all(word in next(folder.glob("*.wandb")).read_bytes() for folder in folders for word in wanted):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (table,) = folders[1].rglob("evaluations*.json")
    assert json.loads(table.read_text()) == {"columns": ["step", "ex"], "data": [[2, 20.0], [3, 30.0]]}


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda module: None)
    check_trackers(RunConfig(report_to="tensorboard"))
    with pytest.raises(InputError, match="--report-to mlflow: mlflow-skinny is not installed; pip install mlflow-skin"):
        check_trackers(RunConfig(report_to="tensorboard,mlflow"))


def test_a_tracker_that_cannot_be_opened_is_one_line(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"--report-to mlflow: .*; fix that, or remove it"):
        open_trackers(RunConfig(output=str(run), report_to="mlflow"))


def test_an_error_without_a_message_is_named(run, monkeypatch):
    def fails(*arguments):
        raise TimeoutError

    monkeypatch.setitem(trackers.OPENERS, "mlflow", fails)
    with pytest.raises(InputError, match=r"--report-to mlflow: TimeoutError\(\); fix that, or remove it"):
        open_trackers(RunConfig(output=str(run), report_to="mlflow"))


def test_a_tracker_that_cannot_be_opened_ends_those_before_it(run, monkeypatch):
    """And the next try does not continue their runs, which have another configuration."""
    import mlflow

    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="--report-to wandb: "):
        open_trackers(RunConfig(output=str(run), report_to="mlflow,wandb"))
    client = mlflow.MlflowClient((run / "mlruns").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("kid").experiment_id])
    assert found.info.status == "KILLED" and not (run / "trackers.json").exists()


def test_a_tracker_that_fails_is_said_once_and_left(capsys):
    def fails(*arguments):
        raise OSError("no network")

    tracker = trackers.Tracker("mlflow", fails, fails, fails)
    assert not tracker.log({"loss": 1.0}, 1)
    assert "note: --report-to mlflow has failed and is no longer used: no network" in capsys.readouterr().err
    tracker.end([], finished=False)  # a run's own error is what it ends with
    assert "no network" in capsys.readouterr().err
