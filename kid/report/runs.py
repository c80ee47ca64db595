"""A finished run as the report sees it: its configuration, its pace, its scores, and what is odd about any of them."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig
from kid.errors import InputError
from kid.progress import progress_bar
from kid.report.score_files import (
    EXPOSURE,
    Column,
    Score,
    is_number,
    read_exposure,
    read_object,
    read_scores,
)
from kid.report.text import counted


@dataclass(frozen=True, eq=False)
class Run:
    """A run's directory, read.

    seconds: median of a step; None where metrics.jsonl says nothing.
    steps: those in metrics.jsonl. finished: whether they are all that were planned.
    scores: of the finished student, on splits of the benchmark it was trained on.
    curve: step -> the same for adapters/step-N.
    exposure: eval/exposure_bias.py's figures, or None.
    """

    folder: Path
    config: RunConfig
    environment: dict
    seconds: float | None
    steps: int
    finished: bool
    scores: dict[Column, Score]
    curve: dict[int, dict[Column, Score]]
    exposure: dict | None

    @property
    def home(self) -> tuple:
        """The benchmark the run was trained on, for BIRD whether with evidence, and for JSONL whose files."""
        config = self.config
        if config.benchmark == "jsonl":
            return "jsonl", None, os.path.abspath(config.data), config.questions and os.path.abspath(config.questions)
        return config.benchmark, config.evidence if config.benchmark == "bird" else None

    @property
    def dev(self) -> Column:
        """The column of the run's own dev questions."""
        return self.config.benchmark, "dev", self.home[1]

    @property
    def hardware(self) -> str:
        """GPUs (or cores) of the first node; empty where environment.json does not say."""
        known = self.environment.get("hardware")
        if known is None:
            return ""
        gpus = known.get("gpus") or []
        if gpus:
            return " + ".join(f"{gpus.count(name)} x {name}" for name in dict.fromkeys(gpus))
        return f"{known.get('machine', 'CPU')}, {known.get('cpu_count', '?')} cores"

    @property
    def ranks(self) -> int | None:
        return self.environment.get("world_size")


def load_runs(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Every run, and one line for each thing in them that cannot be used as it is.

    Raises:
        InputError: a folder is no run's directory, or its config.yaml cannot be read.
    """
    for folder in folders:  # before the bar
        if not folder.is_dir():
            raise InputError(f"run {folder} does not exist; give the directory that --output named in training")
        if not (folder / "config.yaml").is_file():
            raise InputError(f"{folder} holds no config.yaml, so it is no run's directory; give those, one by one")
    runs, remarks, seen = [], [], set()
    with progress_bar("reading", "run", len(folders)) as bar:
        for folder in folders:
            if folder.resolve() in seen:
                remarks.append(f"{folder} was given twice; it counts once")
            else:
                seen.add(folder.resolve())
                runs.append(load_run(folder, remarks))
            bar.update()
    return runs, remarks


def load_run(folder: Path, remarks: list[str]) -> Run:
    """One run; what cannot be used in it is added to `remarks`. Raises InputError where its config.yaml is wrong."""
    config = merge_config(folder / "config.yaml", {})
    rows, damaged = read_metrics(folder / "metrics.jsonl")
    if damaged:
        remarks.append(f"{folder / 'metrics.jsonl'}: {counted(damaged, 'damaged line')} left out")
    last = rows[-1] if rows else {}
    steps = last.get("step", 0)
    finished = bool(rows) and (steps == config.max_steps or last.get("epoch", 0) >= config.epochs - 1e-9)
    if not finished:
        remarks.append(f"{folder}: not finished, {counted(steps, 'step')} so far; its numbers are those of now")
    return Run(
        folder,
        config,
        read_environment(folder / "environment.json", remarks),
        median_seconds(rows) if rows else None,
        steps,
        finished,
        read_scores(folder / "scores", config, remarks),
        read_curve(folder / "scores", config, remarks),
        read_exposure(folder / "scores" / EXPOSURE, config, remarks),
    )


def read_metrics(path: Path) -> tuple[list[dict], int]:
    """The lines of a metrics.jsonl that hold a step and its seconds, and the number of those that do not.

    A run still going, or one that was killed, may end in half a line.
    """
    rows, damaged = [], 0
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        needed = [row.get("step"), row.get("seconds"), row.get("epoch", 0)] if isinstance(row, dict) else [None]
        if all(map(is_number, needed)):
            rows.append(row)
        else:
            damaged += 1
    return rows, damaged


def median_seconds(rows: Sequence[dict]) -> float:
    """Of a step: the first ones, and a moment when the machine did something else, do not count."""
    return statistics.median(row["seconds"] for row in rows)


def read_environment(path: Path, remarks: list[str]) -> dict:
    """environment.json; empty, with a remark, where it does not say what the run was trained on."""
    environment = read_object(path, remarks)
    hardware = (environment or {}).get("hardware")
    gpus = (hardware.get("gpus") or []) if isinstance(hardware, dict) else None
    if isinstance(gpus, list) and all(isinstance(name, str) for name in gpus):
        return environment
    what = "no environment.json" if environment is None else "environment.json does not say what machine it was"
    remarks.append(f"{path.parent}: {what}, so its hardware is unknown and its latency is left out")
    return {}


def read_curve(folder: Path, config: RunConfig, remarks: list[str]) -> dict[int, dict[Column, Score]]:
    """Step -> the scores of adapters/step-N."""
    curve = {}
    for place in sorted(folder.glob("step-*")):
        if place.name[5:].isdecimal():
            curve[int(place.name[5:])] = read_scores(place, config, remarks)
        else:
            remarks.append(f"{place} was left out: {place.name} names no step, as step-100 does")
    return dict(sorted(curve.items()))
