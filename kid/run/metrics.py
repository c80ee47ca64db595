"""Write metrics.jsonl, one line per step, and send the same numbers to the trackers of --report-to."""

from __future__ import annotations

import json
from pathlib import Path

from kid.config.run_config import MEASURES, RunConfig
from kid.errors import report_write_errors
from kid.files import write_atomically
from kid.run.trackers import open_trackers


def read_rows(run: Path, last_step: int) -> list[dict]:
    """Read the lines of a run's metrics.jsonl up to `last_step`."""
    path = run / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines[:last_step]]


def numbers_of(row: dict) -> dict[str, float]:
    """Select the values of a line that can be plotted over the steps."""
    return {key: value for key, value in row.items() if isinstance(value, int | float) and key != "step"}


def evaluations(rows: list[dict]) -> list[dict]:
    """Select the results of lines with an evaluation, for the table at the end of a run."""
    kept = ("step", "epoch", *MEASURES, "ex_executes", "ex_timeouts", "ex_questions")
    return [{key: row[key] for key in kept if key in row} for row in rows if MEASURES.keys() & row.keys()]


class Metrics:
    """The lines of metrics.jsonl and the trackers that receive them; DeepSpeed's monitor writes TensorBoard's files."""

    def __init__(self, config: RunConfig, monitor, last_step: int):
        """Remove lines after `last_step`: steps that a killed run did after its last checkpoint are repeated.

        TensorBoard's files cannot be truncated in place, so they are written again from the remaining lines.
        """
        self.run, self.monitor = Path(config.output), monitor
        self.path = self.run / "metrics.jsonl"
        self.rows = read_rows(self.run, last_step)
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))
        for row in self.rows:
            self.log_events(row)
        self.trackers = open_trackers(config)

    def log_events(self, row: dict) -> None:
        self.monitor.write_events([(f"train/{key}", value, row["step"]) for key, value in numbers_of(row).items()])

    def write(self, row: dict) -> None:
        """Add the line of a step. Raises RunError if it cannot be written. Trackers that fail get a warning instead."""
        with report_write_errors(self.path):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self.log_events(row)
        self.rows.append(row)
        self.trackers = [tracker for tracker in self.trackers if tracker.log(numbers_of(row), row["step"])]

    def close(self, finished: bool) -> None:
        """End the trackers' runs; if the run has finished, send the table of its evaluations first."""
        for tracker in self.trackers:
            tracker.end(evaluations(self.rows) if finished else [], finished)


def remove_tensorboard_events(folder: Path) -> None:
    """Remove TensorBoard files from before a resume; called before the monitor opens a new one."""
    for path in (folder / "tensorboard").glob("events.out.tfevents.*"):
        path.unlink()
