"""Predict and score a run's students: which files are needed, and which already exist."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from kid.config.benchmarks import find_split
from kid.config.keys import FIELDS, as_flags, keys_affecting
from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig
from kid.config.trained import (
    OTHER_FORM_FLAG,
    PREDICTION_KEYS,
    RUN_FILE,
    best_step,
    complete_settings,
    saved_steps,
    student_folder,
)
from kid.console import Console
from kid.data.faults import Damage
from kid.data.questions import load_questions, questions_hash
from kid.errors import CALLER, INTERRUPTED_STATUS, InputError, script_name
from kid.evaluation.provenance import (
    HASH_KEY,
    QUESTIONS_KEY,
    SUITE_KEY,
    belongs,
    provenance_path,
    read_json,
    read_note,
)
from kid.evaluation.suites.folders import suite_hash
from kid.files import write_atomically

STEPS = ("last", "all", "best", "base")
SHOWN = ".txt"  # suffix of the file beside a score with the output of eval/score.py


@dataclass(frozen=True)
class Student:
    """A student of a run.

    step: N of adapters/step-N; 0: before training; None: the end of the run. weights: its fingerprint. settings: the
    settings of its predictions.
    """

    folder: Path
    step: int | None
    weights: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        return "end" if self.step is None else str(self.step)


@dataclass(frozen=True)
class Cell:
    """A student on a split, and the files from which the report reads its predictions and its score.

    asked, judged: hashes of the split's current questions, without and with their gold; empty if unknown.
    """

    run: Path
    config: RunConfig
    student: Student
    split: str
    asked: str = ""
    judged: str = ""

    def file(self, folder: str, suffix: str) -> Path:
        step = [] if self.student.step is None else [f"step-{self.student.step}"]
        return Path(self.run, folder, *step, f"{self.split}{suffix}")

    @property
    def predictions(self) -> Path:
        return self.file("predictions", ".sql")

    @property
    def score(self) -> Path:
        return self.file("scores", ".json")

    def is_predicted(self) -> bool:
        """Whether the predictions exist, unchanged, from this student and with the run's settings."""
        if not self.predictions.is_file():
            return False
        expected: dict[str, Any] = {"weights": self.student.weights, "split": self.split}
        expected |= {"benchmark": self.config.benchmark, "beams": 1, "merge": None, "settings": self.student.settings}
        note = read_note(self.predictions)
        same_questions = self.asked in ("", note.get(QUESTIONS_KEY, self.asked))
        return HASH_KEY in note and same_questions and all(note.get(key) == value for key, value in expected.items())

    def is_scored(self, test_suite: Path | None) -> bool:
        """Whether the score of these predictions exists, for all questions, with TS on the suite if there is one."""
        record = read_json(self.score)
        questions = (record.get("benchmark"), record.get("split")) == (self.config.benchmark, self.split)
        whole = not record.keys() & {"excluded", "keep_distinct"}
        if test_suite and whole:
            current = suite_hash(test_suite)  # scores of older versions do not name their suite
            whole = record.get("ts") is not None and record.get(SUITE_KEY, current) == current
        questions = questions and self.judged in ("", record.get(QUESTIONS_KEY, self.judged))
        return questions and whole and HASH_KEY in record and belongs(self.predictions, record)

    def data_flags(self) -> list[str]:
        return ["--benchmark", self.config.benchmark, "--data", self.config.data, "--split", self.split]

    def predict_flags(self, overwrite: bool) -> list[str]:
        """The flags of eval/predict.py, which reads the other settings from the run."""
        flags = ["--model", str(self.student.folder), *self.data_flags(), "--output", str(self.predictions)]
        if self.student.step == 0:  # its folder is not in the run
            for name, value in self.student.settings.items():
                value = tuple(value) if isinstance(value, list) else value  # a list in the note
                flags += [] if value in (None, ()) else as_flags(name, value)
            flags.append(OTHER_FORM_FLAG)  # the base may be an export of another run
        return flags + (["--overwrite"] if overwrite else [])

    def score_flags(self, test_suite: Path | None) -> list[str]:
        """The flags of eval/score.py. A score of other predictions may be overwritten, including its TS."""
        flags = [*self.data_flags(), "--predictions", str(self.predictions), "--json", str(self.score)]
        for name in keys_affecting("scores"):
            value = getattr(self.config, name)
            flags += as_flags(name, value) if value != FIELDS[name].default else []
        flags += ["--test-suite", str(test_suite)] if test_suite else []
        return flags + ([] if belongs(self.predictions, read_json(self.score)) else ["--overwrite"])


@dataclass
class Evaluation:
    """The evaluation of a run: its cells, and the scripts that fill them.

    scripts: the folder of eval/predict.py and eval/score.py. test_suite: the suite, or a folder with a suite for each
    split, named after it. overwrite: whether to replace different predictions in the same files. made: the cells for
    which something was computed.
    """

    cells: list[Cell]
    scripts: Path
    test_suite: Path | None
    overwrite: bool
    made: list[Cell] = field(default_factory=list)

    def suite(self, cell: Cell) -> Path | None:
        """Return the test suite for a cell: a suite is made for the gold queries of one split."""
        own = self.test_suite and self.test_suite / cell.split
        return own if own and own.is_dir() else self.test_suite

    def run(self) -> None:
        """Fill all cells. Raises InputError if a script fails, which has printed the reason."""
        for number, cell in enumerate(self.cells, start=1):
            title = f"[{number}/{len(self.cells)}] {cell.split}, step {cell.student.name}"
            if cell.is_predicted() and cell.is_scored(self.suite(cell)):
                print(f"{title}: up to date", flush=True)
                continue
            self.made.append(cell)
            if twin := self.find_twin(cell):
                print(f"{title}: the same weights as step {twin.student.name}", flush=True)
                copy_results(twin, cell)
                continue
            print(title, flush=True)
            if not cell.is_predicted():
                self.call("predict.py", cell.predict_flags(self.overwrite))
            if not cell.is_scored(self.suite(cell)):
                shown = self.call("score.py", cell.score_flags(self.suite(cell)), keep=True)
                write_atomically(cell.score.with_suffix(SHOWN), shown)

    def find_twin(self, cell: Cell) -> Cell | None:
        """Find a finished cell of the same split and weights: the last step-N equals the end of the run."""
        for other in self.cells:
            same = (other.split, other.student.weights) == (cell.split, cell.student.weights)
            if other is not cell and same and other.is_predicted() and other.is_scored(self.suite(other)):
                # eval/predict.py refuses to replace existing files that must not be overwritten.
                return other if self.overwrite or not cell.predictions.exists() else None
        return None

    def call(self, script: str, flags: Sequence[str], keep: bool = False) -> str:
        """Run a script. Its stdout is returned if `keep`, otherwise shown.

        Raises:
            InputError: the script failed.
            KeyboardInterrupt: Ctrl-C; the script has ended.
        """
        print(shlex.join(["python", f"eval/{script}", *flags]), flush=True)
        command = [sys.executable, str(self.scripts / script), *flags]
        environment = {**os.environ, CALLER: script_name()}
        with subprocess.Popen(command, stdout=subprocess.PIPE if keep else None, text=True, env=environment) as process:
            shown, _ = process.communicate()
        if process.returncode == INTERRUPTED_STATUS:
            raise KeyboardInterrupt
        if process.returncode:
            raise InputError(
                f"eval/{script} has failed, see above; finished files are kept, run the same command again to resume"
            )
        return shown or ""


def copy_results(source: Cell, target: Cell) -> None:
    """Copy predictions, their note and their score from one cell to another."""
    pairs = [
        (cell.predictions, provenance_path(cell.predictions), cell.score, cell.score.with_suffix(SHOWN))
        for cell in (source, target)
    ]
    for there, here in zip(*pairs, strict=True):
        if there.is_file():
            write_atomically(here, there.read_bytes())


def find_cells(run: Path, splits: Sequence[str], steps: str) -> list[Cell]:
    """List the cells of a run, split by split, steps in ascending order and the end of the run last.

    Args:
        steps: one of `STEPS`.

    Raises:
        InputError: there is no run, the split is unknown or not reported, or there is no such student.
    """
    if not (run / RUN_FILE).is_file():
        problem = f"has no {RUN_FILE}, so it is not a run's directory" if run.is_dir() else "does not exist"
        raise InputError(f"{run} {problem}; give the --output of a training")
    config = merge_config(run / RUN_FILE, {})
    for split in splits:
        if find_split(config.benchmark, split).title is None:
            raise InputError(f"--splits {split}: reports do not have this split of {config.benchmark}; remove it")
    folders = find_folders(run, config.export_kind, steps, config.student)
    from kid.models.pretrained import find_teacher, fingerprint  # here, so that wrong flags are reported immediately

    # eval/predict.py finds this config.yaml from each of the run's folders.
    settings, _ = complete_settings(dict.fromkeys(PREDICTION_KEYS), run / config.export_kind, config.data)
    settings = json.loads(json.dumps(settings))  # as in a note
    students = [
        Student(path, step, fingerprint(find_teacher(str(path), "run")), settings) for step, path in folders.items()
    ]
    hashes = {split: hashes_of(config, split) for split in splits}
    return [Cell(run, config, student, split, *found) for split, found in hashes.items() for student in students]


def hashes_of(config: RunConfig, split: str) -> tuple[str, str]:
    """Hash a split's questions without and with their gold; empty if they cannot be read, which is reported later."""
    try:
        questions = load_questions(config.benchmark, split, config.data, damage=Damage("skip"))
    except InputError:
        return "", ""
    return questions_hash(questions, gold=False), questions_hash(questions, gold=True)


def find_folders(run: Path, kind: str, steps: str, student: str) -> dict[int | None, Path]:
    """Find the students to evaluate: step -> folder; None: the end of the run, 0: the student before training.

    Args:
        student: the run's --student.

    Raises:
        InputError: there are no students.
    """
    if steps == "last":
        return {None: student_folder(run, "run")}
    if steps == "base":
        from kid.models.pretrained import find_model

        return {0: find_model(student, "--student of the run")}
    if steps == "best":
        step = best_step(run)
        return {step: run / f"{kind}s" / f"step-{step}"}
    found: dict[int | None, Path] = {step: run / f"{kind}s" / f"step-{step}" for step in saved_steps(run, kind)}
    if (run / kind).is_dir():
        found[None] = run / kind
    else:
        print(f"{run} is not finished: there is no {kind}/, so only the saved steps are evaluated")
    if not found:
        raise InputError(f"{run} has saved no student yet; train with --save-steps, or until the end")
    return found


def show_results(evaluation: Evaluation) -> None:
    """Print a row for each split and step, and the step with the best EX on each split; ties go to the first."""
    table = Table()
    for name in ("split", "step", "questions", "EX %", "TS %"):
        table.add_column(name, justify="left" if name == "split" else "right")
    if len(evaluation.made) < len(evaluation.cells):
        table.add_column("")
    best: dict[str, tuple[float, str]] = {}
    for cell in evaluation.cells:
        record = read_json(cell.score)
        figures = ["-" if record[kind] is None else f"{record[kind]:.2f}" for kind in ("ex", "ts")]
        said = [] if cell in evaluation.made else ["up to date"]
        table.add_row(cell.split, cell.student.name, str(record["n"]), *figures, *said)
        if cell.split not in best or record["ex"] > best[cell.split][0]:
            best[cell.split] = record["ex"], cell.student.name
    Console().print(table)
    if len(evaluation.cells) > len(best):
        for split, (ex, name) in best.items():
            print(f"best step on {split}: {name} (EX {ex:.2f} %)")
