"""A run's directory: may this run have it, what is written there first, and the line of metrics after each step."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from kid.config.run_config import FREE_ON_RESUME, RunConfig, dump_config
from kid.data.cache import key_of
from kid.errors import InputError, writing
from kid.files import check_writable, write_atomically
from kid.models.pretrained import Pretrained, fingerprint

# A node may remember for a minute that a file of a network's file system was not there.
SEEN_WITHIN_SECONDS = 90
PACKAGES = ("torch", "transformers", "peft", "deepspeed", "datasets", "sqlglot")


def check_run_directory(config: RunConfig) -> None:
    """Raises InputError where the directory holds a run that this one may not resume. Writes nothing."""
    folder = Path(config.output)
    check_writable(folder, "--output")
    stored = stored_config(folder)
    if not config.resume and (stored is not None or (folder / "checkpoints").exists()):
        raise InputError(f"--output {config.output} holds a run; add --resume to go on with it, or choose another")
    if stored is None:
        return
    # A key that came after the run has its default in it.
    before, now = kept_keys({**as_stored(RunConfig()), **stored}), kept_keys(as_stored(config))
    differ = [
        f"{key} ({before.get(key)!r} there, {now.get(key)!r} here)"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if differ:
        raise InputError(
            f"--output {config.output} holds a run of another config; these keys differ: {', '.join(differ)}; "
            "give the same values to resume it, or choose another --output"
        )


def stored_config(folder: Path) -> dict | None:
    """What a run's config.yaml holds; None where there is none. Raises InputError if it cannot be read."""
    path = folder / "config.yaml"
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return None
    except yaml.YAMLError as error:
        raise InputError(f"{path} cannot be read ({error}); choose another --output") from None


def as_stored(config: RunConfig) -> dict:
    """The configuration as YAML gives it back."""
    return yaml.safe_load(dump_config(config))


def kept_keys(values: dict) -> dict:
    """Of a configuration, what a run may not change when it is resumed."""
    return {key: value for key, value in values.items() if key not in FREE_ON_RESUME}


def own_config(config: RunConfig) -> dict:
    """What this run's config.yaml is to hold: all keys, but of a run that is resumed no key that came after it began.

    Such a key has its default, which must mean "as before" (`check_run_directory` has refused any other value). So a
    run's identity, by which it knows its checkpoints, stays the same for its whole life.
    """
    values, stored = as_stored(config), stored_config(Path(config.output))
    if stored is None:
        return values
    return {key: value for key, value in values.items() if key in stored or key in FREE_ON_RESUME}


def run_identity(config: RunConfig, student: Pretrained, teacher: Pretrained | None, stage: int) -> dict[str, str]:
    """What a run's checkpoints depend on beside themselves -> a hash of it: config, student, teacher, ZeRO stage."""
    identity = {"config": key_of(kept_keys(own_config(config))), "student": fingerprint(student)}
    return {**identity, "teacher": fingerprint(teacher) if teacher else "", "ZeRO stage": str(stage)}


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
    write_atomically(folder / "config.yaml", yaml.safe_dump(own_config(config), sort_keys=False))


def save_batch(folder: Path, dataset, chosen: list[int | None], row: dict) -> Path:
    """What a step that must not count was made of: its numbers, and its questions. Returns the file."""
    questions = [
        {"index": dataset.indices[place], "db_id": dataset.db_ids[place]} for place in chosen if place is not None
    ]
    path = folder / f"not-finite-step-{row['step']}.json"
    numbers = {key: value if isinstance(value, int) else str(value) for key, value in row.items()}  # JSON has no NaN
    write_atomically(path, json.dumps({**numbers, "questions": questions}, indent=1) + "\n")
    return path


def check_shared(folder: Path) -> None:
    """After `create_run_directory`, on every rank. Raises InputError on all where a node does not see the directory."""
    torch.distributed.barrier()
    deadline = time.monotonic() + SEEN_WITHIN_SECONDS
    while not (folder / "config.yaml").exists() and time.monotonic() < deadline:
        time.sleep(1)
    blind: list = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(blind, "" if (folder / "config.yaml").exists() else platform.node())
    if any(blind):
        raise InputError(f"--output {folder} is another folder on {max(blind)}; take one that all nodes share")


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
        with writing(self.path):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self.log_events(row)


def remove_events(folder: Path) -> None:
    """TensorBoard's files of an earlier attempt at this run; before the monitor opens its own."""
    for path in (folder / "tensorboard").glob("events.out.tfevents.*"):
        path.unlink()
