"""A run's directory: may this run have it, what is written there first, and the line of metrics after each step."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from kid.config import FREE_ON_RESUME, RunConfig, dump_config
from kid.errors import InputError
from kid.files import check_writable, write_atomically

PACKAGES = ("torch", "transformers", "peft", "deepspeed", "datasets", "sqlglot")


def check_run_directory(config: RunConfig) -> None:
    """Raises InputError where the directory holds a run that this one may not go on with. Writes nothing."""
    folder = Path(config.output)
    path = folder / "config.yaml"
    check_writable(folder, "--output")
    if not path.exists():
        return
    if not config.resume:
        raise InputError(f"--output {config.output} holds a run; add --resume to go on with it, or choose another")
    try:
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path} cannot be read ({error}); choose another --output") from None
    now = yaml.safe_load(dump_config(config))
    differ = [
        f"{key} ({before.get(key)!r} there, {now.get(key)!r} here)"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key) and key not in FREE_ON_RESUME
    ]
    if differ:
        raise InputError(
            f"--output {config.output} holds a run of another config; these keys differ: {', '.join(differ)}; "
            "give the same values to resume it, or choose another --output"
        )


def describe_environment() -> dict:
    """Versions, git commit and hardware, for environment.json."""
    try:
        git = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        commit = git.stdout.strip() or None
    except OSError:  # git is not installed
        commit = None
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "git_commit": commit,
        "hardware": {"machine": platform.machine(), "cpu_count": os.cpu_count(), "gpus": gpus},
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
    }


def create_run_directory(config: RunConfig) -> None:
    """Called on rank 0, once everything the user gave has been checked."""
    folder = Path(config.output)
    write_atomically(folder / "environment.json", json.dumps(describe_environment(), indent=2) + "\n")
    write_atomically(folder / "config.yaml", dump_config(config))


class Metrics:
    """metrics.jsonl, one line a step, and the same numbers in TensorBoard through DeepSpeed's monitor."""

    def __init__(self, folder: Path, monitor, last_step: int):
        """Cut both back to `last_step`: what a killed run wrote after its last checkpoint will be written again.

        Event files cannot be cut in place, so they are written anew from the kept lines.
        """
        self.path, self.monitor = folder / "metrics.jsonl", monitor
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        rows = [json.loads(line) for line in lines[:last_step]]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        for row in rows:
            self.log_events(row)

    def log_events(self, row: dict) -> None:
        numbers = {key: value for key, value in row.items() if isinstance(value, int | float) and key != "step"}
        self.monitor.write_events([(f"train/{key}", value, row["step"]) for key, value in numbers.items()])

    def write(self, row: dict) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.log_events(row)


def remove_events(folder: Path) -> None:
    """TensorBoard's files of an earlier attempt at this run; before the monitor opens its own."""
    for path in (folder / "tensorboard").glob("events.out.tfevents.*"):
        path.unlink()
