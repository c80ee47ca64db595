"""A run's directory: checks whether this run may use it, and writes the files that exist before training."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from kid.config.keys import FREE_ON_RESUME
from kid.config.recipe import load_yaml
from kid.config.run_config import RunConfig, dump_config
from kid.config.templates import brief, dump_yaml
from kid.data.cache import json_hash
from kid.errors import InputError
from kid.files import check_writable, write_atomically
from kid.models.pretrained import Pretrained, fingerprint

if TYPE_CHECKING:
    from kid.data.batching import Dataset

# On a network file system, a node may cache for a minute that a file does not exist.
VISIBILITY_TIMEOUT_SECONDS = 90
PACKAGES = ("torch", "transformers", "peft", "deepspeed", "datasets", "sqlglot")
TRAINING_SET = "training set"  # the key of its hash in a run's identity


def check_run_directory(config: RunConfig) -> None:
    """Raise InputError if the directory holds a run that this one cannot resume. Writes nothing."""
    folder = Path(config.output)
    check_writable(folder, "--output")
    if not config.resume and any((folder / name).exists() for name in ("config.yaml", "checkpoints")):
        raise InputError(f"--output {config.output} holds a run; add --resume to continue it, or choose another")
    stored = stored_config(folder)
    if stored is None:
        return
    # A key that was added to RunConfig after the run was started counts as its default.
    before, now = fixed_on_resume({**as_yaml_values(RunConfig()), **stored}), fixed_on_resume(as_yaml_values(config))
    differ = [
        f"{key} ({brief(before.get(key))!r} there, {brief(now.get(key))!r} here)"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if differ:
        raise InputError(
            f"--output {config.output} holds a run with a different config; these keys differ: {', '.join(differ)}; "
            "give the same values to resume it, or choose another --output"
        )


def stored_config(folder: Path) -> dict | None:
    """Read a run's config.yaml; None if there is none. Raises InputError if it cannot be read."""
    path = folder / "config.yaml"
    try:
        return load_yaml(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); choose another --output") from None


def as_yaml_values(config: RunConfig) -> dict:
    """Return the configuration's values as read back from YAML."""
    return yaml.safe_load(dump_config(config))


def fixed_on_resume(values: dict) -> dict:
    """Return the part of a configuration that must be the same when a run is resumed."""
    return {key: value for key, value in values.items() if key not in FREE_ON_RESUME}


def config_to_store(config: RunConfig) -> dict:
    """Return the content of this run's config.yaml: all keys; for a resumed run without keys added since its start.

    An added key has its default, which must mean "as before" (`check_run_directory` refuses any other value). So the
    run's identity, by which it recognises its checkpoints, never changes.
    """
    values, stored = as_yaml_values(config), stored_config(Path(config.output))
    if stored is None:
        return values
    return {key: value for key, value in values.items() if key in stored or key in FREE_ON_RESUME}


def run_identity(
    config: RunConfig, student: Pretrained, teacher_hash: str, stage: int, training_set: str
) -> dict[str, str]:
    """Return hashes of what a checkpoint must match, by name: config, student, teacher, ZeRO stage and training set.

    teacher_hash: `kid.models.pretrained.fingerprint` of the teacher; empty without a teacher.
    training_set: a hash of the token ids of its prompts and outputs, in order.
    """
    identity = {"config": json_hash(fixed_on_resume(config_to_store(config))), "student": fingerprint(student)}
    return {**identity, "teacher": teacher_hash, "ZeRO stage": str(stage), TRAINING_SET: training_set}


def describe_environment() -> dict:
    """Return versions, git commit and hardware, for environment.json."""
    import torch  # here and below, because the directory is checked before torch is imported

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


def create_run_directory(config: RunConfig, skipped: dict[str, list[int]]) -> None:
    """Write environment.json, skipped.json and config.yaml; called on rank 0 after all user input has been checked.

    skipped: reason -> indices of the training questions that are not trained on.
    """
    folder = Path(config.output)
    write_atomically(folder / "skipped.json", json.dumps(skipped, indent=1) + "\n")
    write_atomically(folder / "environment.json", json.dumps(describe_environment(), indent=2) + "\n")
    write_atomically(folder / "config.yaml", dump_yaml(config_to_store(config)))


def save_nonfinite_batch(folder: Path, dataset: Dataset, chosen: list[int | None], row: dict) -> Path:
    """Write the metrics and questions of a step whose loss or gradient is not finite, and return the file.

    Args:
        chosen: positions in `dataset` of the step's samples; None for padding of the batch.
        row: the step's metrics.
    """
    questions = [
        {"index": dataset.indices[position], "db_id": dataset.db_ids[position]}
        for position in chosen
        if position is not None
    ]
    path = folder / f"not-finite-step-{row['step']}.json"
    numbers = {key: value if isinstance(value, int) else str(value) for key, value in row.items()}  # JSON has no NaN
    write_atomically(path, json.dumps({**numbers, "questions": questions}, indent=1) + "\n")
    return path


def check_shared_directory(folder: Path) -> None:
    """Raise InputError on every rank if a node does not see the run's directory.

    Called on every rank after `create_run_directory`.
    """
    import torch

    torch.distributed.barrier()
    deadline = time.monotonic() + VISIBILITY_TIMEOUT_SECONDS
    while not (folder / "config.yaml").exists() and time.monotonic() < deadline:
        time.sleep(1)
    missing_on: list = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(missing_on, "" if (folder / "config.yaml").exists() else platform.node())
    if any(missing_on):
        raise InputError(f"--output {folder} is a different folder on {max(missing_on)}; use one that all nodes share")
