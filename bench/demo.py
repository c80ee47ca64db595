"""Does distillation help if labels are few and some are wrong? Trains a student by sft, rkd and kid.

The student base and the tiny teacher come with the project (kid/minibench/models). The labels are those of minibench,
one in five of them wrong. Every training runs the scripts in train/; this script starts them and writes the report.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from parts.demo_report import write_report
from parts.running import Command, console, differing, end_with_children, launched, run_jobs, show_status

from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically
from kid.minibench.build import LABEL_ERRORS, LABELS, TRAIN_DATABASES, build_minibench
from kid.minibench.tiny_models import MODELS
from kid.report.runs import median_seconds, read_metrics

METHODS = ("sft", "rkd", "kid")
STARTED = ("sft", "kid", "rkd")  # sft first: the others are compared with it
BATCH, EPOCHS = 16, 8
# As in the paper's recipe: eight epochs, and micro-batches of questions on few databases.
STUDENT = f"--lora-rank 0 --lr 3e-4 --epochs {EPOCHS} --batch-size {BATCH} --micro-batch-size 16 --batching schema"
WATCHED = "--eval-split valid --eval-questions 400 --keep-best ex"  # the whole valid split, after every epoch
TEACHER = f"--teacher {MODELS / 'teacher'} --teacher-deepspeed ds_configs/teacher_whole.json"
# Seconds of each job, WORKERS of them in parallel on two cores; the estimate of the time left uses these.
SECONDS = {"student base": 45, "teacher": 60, "sft": 220, "rkd": 270, "kid": 310}
WORKERS = 2


class Demo:
    """The demo's files, and the commands that create them."""

    methods = METHODS

    def __init__(self, output: Path, seeds: list[int], labels: int, label_errors: float) -> None:
        self.output, self.seeds, self.labels, self.label_errors = output.absolute(), seeds, labels, label_errors
        self.data = self.output / "minibench"
        self.models = {"student base": MODELS / "student", "teacher": MODELS / "teacher"}
        self.students = {f"{method}-seed{seed}": (method, seed) for seed in seeds for method in STARTED}

    def run(self, student: str) -> Path:
        return self.output / "students" / student

    def scores(self, name: str) -> Path:
        return self.output / "scores" / f"{name.replace(' ', '-')}.json"

    def check_settings(self) -> None:
        """Record the settings that the results depend on. Raises InputError if the folder has other settings."""
        file = self.output / "settings.json"
        now = {"labels": str(self.labels), "label_errors": str(self.label_errors), "student": STUDENT}
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if differ := differing(before, now):
            raise InputError(
                f"--output {self.output} contains another demo: {differ}; choose another folder, or remove it"
            )
        self.output.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(now, indent=1) + "\n")

    def make_data(self) -> None:
        if self.data.exists():
            return
        # Build in a temporary folder and rename it, so that an interrupted demo leaves no incomplete benchmark.
        partial = self.output / "minibench.partial"
        shutil.rmtree(partial, ignore_errors=True)
        build_minibench(partial, 0, self.labels, self.label_errors, min(TRAIN_DATABASES, self.labels))
        partial.rename(self.data)

    def steps_per_epoch(self) -> int:
        return math.ceil(self.labels / BATCH)

    def job(self, name: str) -> Iterator[Command]:
        """The commands that train (if it is a student) and evaluate a model; none if that is done."""
        if self.scores(name).exists():
            return
        log = self.output / "logs" / name.replace(" ", "-")
        judged = ["--model", self.models[name]] if name in self.models else ["--run", self.run(name)]
        if name in self.students:
            method, seed = self.students[name]
            flags = ["--method", method, "--student", MODELS / "student", *STUDENT.split(), "--seed", seed]
            flags += [*(TEACHER.split() if method != "sft" else []), *WATCHED.split()]
            flags += [word for key in ("--save-steps", "--eval-ex-steps") for word in (key, self.steps_per_epoch())]
            command = launched("train/distill.py", self.run(name), self.data, *map(str, flags), ranks=1)
            yield Path(f"{log}.log"), command
        command = [sys.executable, "bench/evaluate_run.py", *judged, "--data", self.data, "--json", self.scores(name)]
        yield Path(f"{log}.scores.log"), list(map(str, command))

    def planned_seconds(self, name: str) -> float:
        """The expected time of a job; 0 if it is done."""
        if self.scores(name).exists():
            return 0.0
        return SECONDS[name] if name in self.models else SECONDS[self.students[name][0]] * self.labels / LABELS

    def play(self) -> None:
        """Run the whole demo; finished parts are not repeated."""
        began = time.time()
        self.check_settings()
        console.print(f"minibench: {self.labels} labels, {100 * self.label_errors:g} % of them wrong ...")
        self.make_data()
        names = [*self.models, *self.students]
        ends = planned_ends({name: self.planned_seconds(name) for name in names}, WORKERS)
        console.print(
            f"{len(names)} models to train or evaluate, about {math.ceil(max(ends.values()) / 60)} min", markup=False
        )
        reported: set[str] = set()

        def watch(running: dict[str, Path], done: int) -> None:
            seconds = time.time() - began
            for name in names:
                if name not in reported and self.scores(name).exists():
                    reported.add(name)
                    line = f"[{seconds:4.0f} s] {name}: {self.summary(name)}{time_left(ends, reported, seconds)}"
                    console.print(line, markup=False)
            if sys.stdout.isatty():
                shown = ", ".join(f"{name}{self.ex_so_far(name)}" for name in running)
                show_status(f"    {len(reported)} of {len(names)} done; running: {shown}" if running else "")

        run_jobs({name: self.job(name) for name in names}, WORKERS, watch)
        watch({}, len(names))
        write_report(self)
        minutes = (time.time() - began) / 60
        console.print(f"done in {minutes:.1f} min; {self.output / 'report.md'} has the curves and ten predictions")

    def found(self, name: str) -> dict:
        return json.loads(self.scores(name).read_text(encoding="utf-8"))

    def summary(self, name: str) -> str:
        found = self.found(name)
        if name in self.models:
            return f"EX {found['ex']:.1f} on dev"
        last, best = found["last"]["ex"], found["best"]["ex"]
        return f"EX {last:.1f} on dev after the last epoch, {best:.1f} after the epoch that is best on valid"

    def ex_so_far(self, name: str) -> str:
        """The newest EX on valid of a student in training, as text to append; empty before the first one."""
        rows = read_metrics(self.run(name) / "metrics.jsonl")[0]
        found = [row for row in rows if "ex" in row]
        return f" (epoch {found[-1]['epoch']:.0f}: EX {found[-1]['ex']:.1f} on valid)" if found else ""

    def seconds(self, student: str) -> float:
        """Median seconds of a training step."""
        return median_seconds(read_metrics(self.run(student) / "metrics.jsonl")[0])


def planned_ends(seconds: dict[str, float], workers: int) -> dict[str, float]:
    """When each job would end, in seconds, if all took their planned time and were started in order."""
    free, ends = [0.0] * workers, {}
    for name, duration in seconds.items():
        worker = free.index(min(free))
        free[worker] += duration
        ends[name] = free[worker]
    return ends


def time_left(ends: dict[str, float], done: set[str], seconds: float) -> str:
    """The time left at the current pace, as text to append; empty if there is no pace yet or all is done."""
    planned = max(ends[name] for name in done)
    if not planned or len(done) == len(ends):
        return ""
    return f"; about {math.ceil((max(ends.values()) - planned) * seconds / planned / 60)} min left"


def main() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="folder for all results [runs/demo]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="train each student with each seed [0]")
    parser.add_argument("--labels", type=int, default=LABELS, help=f"number of training questions [{LABELS}]")
    parser.add_argument(
        "--label-errors", type=float, default=LABEL_ERRORS, metavar="SHARE",
        help=f"share of training questions with a wrong label [{LABEL_ERRORS}]",
    )  # fmt: skip
    arguments = parser.parse_args()
    # Check before anything is written, because the folder records its first settings.
    for flag, value, allowed, valid in (
        ("--seeds", min(arguments.seeds), "0 or more", min(arguments.seeds) >= 0),
        ("--labels", arguments.labels, "1 or more", arguments.labels >= 1),
        ("--label-errors", arguments.label_errors, "from 0 to below 1", 0 <= arguments.label_errors < 1),
    ):
        if not valid:
            raise InputError(f"{flag} {value:g} is out of range; it must be {allowed}")
    warnings.filterwarnings("ignore", category=FutureWarning)
    end_with_children()
    seeds = list(dict.fromkeys(arguments.seeds))
    Demo(arguments.output, seeds, arguments.labels, arguments.label_errors).play()


if __name__ == "__main__":
    run_script(main, kept="what is finished is kept; run the same command again to continue")
