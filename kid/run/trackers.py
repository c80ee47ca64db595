"""Send configuration, commit, curves and a final table of the evaluations to W&B and MLflow with their libraries.

The ids of their runs are stored in trackers.json, so that a resumed run continues the same run there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kid.config.run_config import RunConfig
from kid.config.templates import brief
from kid.errors import InputError, RunError
from kid.files import write_atomically
from kid.progress import log

PACKAGES = {"wandb": ("wandb", "wandb"), "mlflow": ("mlflow", "mlflow-skinny")}  # (module, package)
PROJECT = "kid"  # W&B's project and MLflow's experiment, unless their environment variables give another
IDS = "trackers.json"


def check_trackers(config: RunConfig) -> None:
    """Raise InputError if the package of a tracker in --report-to is not installed."""
    for name in config.trackers:
        module, package = PACKAGES.get(name, ("", ""))
        if module and find_spec(module) is None:
            raise InputError(f"--report-to {name}: {package} is not installed; pip install {package}, or remove it")


class Tracker:
    """A tracker's run. If it fails, for example without a network, one warning is printed and training continues."""

    def __init__(self, name: str, log_numbers: Callable, log_table: Callable, end: Callable):
        self.name, self.calls = name, {"log": log_numbers, "table": log_table, "end": end}

    def call(self, what: str, *arguments: Any) -> bool:
        try:
            self.calls[what](*arguments)
        except Exception as error:  # whatever its library raises
            log.warning(f"note: --report-to {self.name} has failed and is no longer used: {error}")
            return False
        return True

    def log(self, numbers: dict[str, float], step: int) -> bool:
        """Send a step's numbers; returns whether the tracker still works."""
        return self.call("log", numbers, step)

    def end(self, table: list[dict], finished: bool) -> None:
        """Send the table, if there is one, and end the run."""
        if not table or self.call("table", table):
            self.call("end", finished)


def open_wandb(config: RunConfig, commit: str, run_id: str | None) -> tuple[str, Tracker]:
    """Open a run at W&B: (its id, the tracker). Without a network, set WANDB_MODE=offline to keep it in the run."""
    import wandb

    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT), name=Path(config.output).name, id=run_id, resume="allow",
        dir=config.output, config=asdict(config) | {"git_commit": commit},
    )  # fmt: skip
    run.define_metric("step")
    run.define_metric("*", step_metric="step")  # W&B's own step counter rejects steps that a resumed run repeats

    def log_table(rows: list[dict]) -> None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        run.log({"evaluations": wandb.Table(columns, [[row.get(key) for key in columns] for row in rows])})

    return run.id, Tracker(
        "wandb",
        lambda numbers, step: run.log({**numbers, "step": step}),
        log_table,
        lambda finished: run.finish(exit_code=0 if finished else 1),
    )


def open_mlflow(config: RunConfig, commit: str, run_id: str | None) -> tuple[str, Tracker]:
    """Open a run at MLflow, at MLFLOW_TRACKING_URI or in mlruns/ of the run's directory: (its id, the tracker)."""
    import mlflow
    from mlflow.entities import Metric, Param

    place = os.environ.get("MLFLOW_TRACKING_URI")
    if not place:
        place = (Path(config.output).absolute() / "mlruns").as_uri()
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # otherwise MLflow refuses it
    client = mlflow.MlflowClient(place)
    if run_id is None:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        tags = {"mlflow.source.git.commit": commit}
        run_id = client.create_run(experiment, run_name=Path(config.output).name, tags=tags).info.run_id
        client.log_batch(run_id, params=[Param(key, str(brief(value))) for key, value in asdict(config).items()])
    else:
        client.update_run(run_id, status="RUNNING")

    def log_numbers(numbers: dict[str, float], step: int) -> None:
        now = round(1000 * time.time())
        client.log_batch(run_id, [Metric(key, value, now, step) for key, value in numbers.items()])  # one request

    return run_id, Tracker(
        "mlflow",
        log_numbers,
        lambda rows: client.log_dict(run_id, {"evaluations": rows}, "evaluations.json"),
        lambda finished: client.set_terminated(run_id, "FINISHED" if finished else "KILLED"),
    )


OPENERS: dict[str, Callable[[RunConfig, str, str | None], tuple[str, Tracker]]] = {
    "wandb": open_wandb,
    "mlflow": open_mlflow,
}


def open_trackers(config: RunConfig) -> list[Tracker]:
    """Open the trackers of --report-to except TensorBoard, which DeepSpeed's monitor writes; a resume continues runs.

    If one fails, the runs of those before it are ended, and `IDS` stays as it was.

    Raises:
        InputError: a tracker cannot be opened.
        RunError: the ids cannot be written.
    """
    run, opened = Path(config.output), []
    ids = json.loads((run / IDS).read_text(encoding="utf-8")) if (run / IDS).exists() else {}
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    try:
        for name in filter(OPENERS.get, config.trackers):
            try:
                ids[name], tracker = OPENERS[name](config, environment["git_commit"] or "", ids.get(name))
            except Exception as error:  # whatever its library raises
                reason = (str(error) or repr(error)).splitlines()[0]
                raise InputError(f"--report-to {name}: {reason}; fix that, or remove it") from error
            opened.append(tracker)
        if opened:
            write_atomically(run / IDS, json.dumps(ids) + "\n")
    except (InputError, RunError):
        for tracker in opened:
            tracker.end([], finished=False)
        raise
    return opened
