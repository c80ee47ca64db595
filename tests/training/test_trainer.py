"""What a run says at its start, and what a start that fails leaves."""

import sys

import pytest

from kid.config.run_config import RunConfig
from kid.errors import InputError
from kid.run.directory import check_run_directory, create_run_directory
from kid.training import trainer
from kid.training.reporting import describe_end
from kid.training.trainer import open_metrics


@pytest.mark.parametrize(
    ("max_steps", "said"),
    [
        (500, "--epochs 3 ends the run after 240 steps, before --max-steps 500"),
        (240, "--max-steps 240 ends the run; --epochs 3 would be 240 steps"),
        (10, "--max-steps 10 ends the run; --epochs 3 would be 240 steps"),
    ],
)
def test_which_of_steps_and_epochs_ends_the_run(max_steps, said):
    assert describe_end(max_steps, 3, 240) == said


def test_a_tracker_that_cannot_be_opened_leaves_a_run_only_where_one_was(tmp_path, monkeypatch, one_rank):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    config = RunConfig(output=str(tmp_path), report_to="mlflow")
    with pytest.raises(InputError, match="--report-to mlflow: "):
        open_metrics(config, {}, None, 0)
    check_run_directory(config)  # does not ask for --resume
    create_run_directory(config, {})
    with pytest.raises(InputError, match="--report-to mlflow: "):
        open_metrics(config, {}, None, 0)
    assert (tmp_path / "config.yaml").exists()


def test_a_directory_that_a_node_does_not_see_gets_no_run_and_no_trackers(tmp_path, monkeypatch, one_rank):
    def differs(folder):
        raise InputError("--output is a different folder")

    monkeypatch.setattr(trainer, "check_shared_directory", differs)
    with pytest.raises(InputError, match="a different folder"):
        open_metrics(RunConfig(output=str(tmp_path), report_to="mlflow"), {}, None, 0)
    assert {path.name for path in tmp_path.iterdir()} == {"environment.json", "skipped.json"}
