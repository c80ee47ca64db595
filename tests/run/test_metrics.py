"""Lines of metrics are cut back on resume, shown again, and sent to the trackers that still work."""

import json

from kid.config.run_config import RunConfig
from kid.run.metrics import Metrics, evaluations


class Monitor:
    """Keeps what would go to TensorBoard."""

    def __init__(self):
        self.events = []

    def write_events(self, events):
        self.events += events


def begin(run, last_step=0, **keys):
    run.mkdir(exist_ok=True)
    (run / "environment.json").write_text('{"git_commit": "c0ffee"}')
    return Metrics(RunConfig(output=str(run), **keys), Monitor(), last_step)


def test_metrics_are_cut_back_and_shown_again(tmp_path):
    rows = [{"step": step, "loss": 1 / step} for step in (1, 2, 3, 4)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 5, "lo')
    metrics = begin(tmp_path, last_step=3)
    assert metrics.monitor.events == [("train/loss", 1 / step, step) for step in (1, 2, 3)]
    metrics.write({"step": 4, "loss": 0.5})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [*rows[:3], {"step": 4, "loss": 0.5}] == metrics.rows
    assert metrics.monitor.events[-1] == ("train/loss", 0.5, 4)


def test_evaluations_are_the_lines_that_have_one():
    rows = [
        {"step": 1, "epoch": 0.5, "loss": 3.0},
        {"step": 2, "epoch": 1.0, "loss": 2.0, "ex": 40.0, "ex_executes": 90.0, "ex_timeouts": 0, "seconds_ex": 3.0},
        {"step": 3, "epoch": 1.5, "loss": 1.0, "validation_loss": 0.5},
    ]
    assert evaluations(rows) == [
        {"step": 2, "epoch": 1.0, "ex": 40.0, "ex_executes": 90.0, "ex_timeouts": 0},
        {"step": 3, "epoch": 1.5, "validation_loss": 0.5},
    ]
