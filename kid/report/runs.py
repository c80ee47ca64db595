"""Read a run for the report: configuration, step time, scores, and remarks about problems with them."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.config.benchmarks import BENCHMARKS
from kid.config.recipe import merge_config
from kid.config.run_config import MEASURES, RunConfig
from kid.errors import InputError
from kid.progress import progress_bar
from kid.report.score_files import (
    EXPOSURE_FILE,
    Score,
    ScoreColumn,
    is_number,
    read_exposure,
    read_object,
    read_scores,
)
from kid.report.text import pluralize
from kid.run.best import ends_early


@dataclass(frozen=True, eq=False)
class Run:
    """The contents of a run's directory.

    seconds: median per step; None if metrics.jsonl has no steps.
    steps: last step in metrics.jsonl. finished: whether training has reached its end.
    scores: of the finished student, on splits of the benchmark that it was trained on.
    losses: step -> training loss. curve: step -> the scores of adapters/step-N.
    evaluations: step -> EX measured during training. evaluated_on: the questions (benchmark, evidence, split, number);
        None without evaluations.
    exposure: the measurement of eval/exposure_bias.py, or None.
    """

    folder: Path
    config: RunConfig
    environment: dict
    seconds: float | None
    steps: int
    finished: bool
    losses: dict[int, float]
    scores: dict[ScoreColumn, Score]
    curve: dict[int, dict[ScoreColumn, Score]]
    evaluations: dict[int, float]
    evaluated_on: tuple | None
    exposure: dict | None

    @property
    def benchmark_key(self) -> tuple:
        """The benchmark that the run was trained on, and whether with evidence and on which files if that matters."""
        config, benchmark = self.config, BENCHMARKS[self.config.benchmark]
        evidence = config.evidence if benchmark.evidence else None
        if benchmark.own_files:
            return (
                config.benchmark,
                evidence,
                os.path.abspath(config.data),
                config.questions and os.path.abspath(config.questions),
            )
        return config.benchmark, evidence

    @property
    def dev_column(self) -> ScoreColumn:
        """The score column of the run's own dev questions."""
        return self.config.benchmark, "dev", self.benchmark_key[1]

    @property
    def hardware(self) -> str:
        """GPUs (or cores) of the first node; empty if environment.json does not have them."""
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
    """Load (all runs, remarks about everything in them that cannot be used).

    Raises:
        InputError: a folder is not a run's directory, or its config.yaml cannot be read.
    """
    for folder in folders:  # before the progress bar
        if not folder.is_dir():
            raise InputError(f"run {folder} does not exist; give the --output of a training")
        if not (folder / "config.yaml").is_file():
            raise InputError(f"{folder} has no config.yaml, so it is not a run's directory; give those, one by one")
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
    """Load a run; adds remarks about everything that cannot be used. Raises InputError if its config.yaml is wrong."""
    config = merge_config(folder / "config.yaml", {})
    rows, damaged = read_metrics(folder / "metrics.jsonl")
    if damaged:
        remarks.append(f"{folder / 'metrics.jsonl'}: {pluralize(damaged, 'damaged line')} skipped")
    last = rows[-1] if rows else {}
    steps = last.get("step", 0)
    finished = bool(rows) and (steps == config.max_steps or last.get("epoch", 0) >= config.epochs - 1e-9)
    sound = [row for row in rows if all(is_number(row[key]) for key in (*MEASURES, "ex_questions") if key in row)]
    # Not by the last line, which may be damaged: the student is exported at the end.
    finished = finished or ends_early(config, sound) or (folder / config.export_kind).is_dir()
    measured = {row["step"]: row for row in sound if "ex" in row and "ex_questions" in row}
    asked = {row["ex_questions"] for row in measured.values()}
    benchmark_key = (config.benchmark, config.evidence if BENCHMARKS[config.benchmark].evidence else None)
    if not finished:
        remarks.append(f"{folder}: not finished, {pluralize(steps, 'step')} so far; its numbers are preliminary")
    return Run(
        folder,
        config,
        read_environment(folder / "environment.json", remarks),
        median_seconds(rows) if rows else None,
        steps,
        finished,
        {row["step"]: row["loss"] for row in rows if is_number(row.get("loss"))},
        read_scores(folder / "scores", config, remarks),
        read_curve(folder / "scores", config, remarks),
        {step: row["ex"] for step, row in measured.items()},
        (*benchmark_key, config.eval_split, asked.pop()) if len(asked) == 1 else None,
        read_exposure(folder / "scores" / EXPOSURE_FILE, config, remarks),
    )


def read_metrics(path: Path) -> tuple[list[dict], int]:
    """Read (the lines of a metrics.jsonl with a step and its seconds, the number of other lines).

    The file of an unfinished or killed run may end with an incomplete line.
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
    """Return the median seconds per step; it is not affected by slow first steps and brief disturbances."""
    return statistics.median(row["seconds"] for row in rows)


def read_environment(path: Path, remarks: list[str]) -> dict:
    """Read environment.json; empty, with a remark, if it does not have the hardware."""
    environment = read_object(path, remarks)
    hardware = (environment or {}).get("hardware")
    gpus = (hardware.get("gpus") or []) if isinstance(hardware, dict) else None
    if isinstance(gpus, list) and all(isinstance(name, str) for name in gpus):
        return environment
    what = "no environment.json" if environment is None else "environment.json does not describe the machine"
    remarks.append(f"{path.parent}: {what}, so its hardware is unknown and its latency is not compared")
    return {}


def read_curve(folder: Path, config: RunConfig, remarks: list[str]) -> dict[int, dict[ScoreColumn, Score]]:
    """Read step -> the scores of adapters/step-N."""
    curve = {}
    for step_folder in sorted(folder.glob("step-*")):
        if step_folder.name[5:].isdecimal():
            curve[int(step_folder.name[5:])] = read_scores(step_folder, config, remarks)
        else:
            remarks.append(f"{step_folder} was skipped: {step_folder.name} is not the name of a step, such as step-100")
    return dict(sorted(curve.items()))
