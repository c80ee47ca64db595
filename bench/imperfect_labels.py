"""Does distilling pay where labels are few and some are wrong? A student by sft, rkd and kid, from a tiny teacher.

Student base and teacher come with the project (kid/minibench/models); the labels are minibench's, one in five wrong.
Every training is a run of the scripts in train/; this file only starts them and writes the report.
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

import numpy as np
from rich.table import Table
from running import Command, console, differing, end_with_children, launched, run_jobs, show_status

from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically
from kid.minibench.build import LABEL_ERRORS, LABELS, TRAIN_DATABASES, build_minibench
from kid.minibench.tiny_models import MODELS
from kid.report.significance import paired_bootstrap
from kid.report.text import code_block, escape_markdown, markdown_table, marked_predictions

METHODS = ("sft", "rkd", "kid")
BATCH, EPOCHS = 16, 8
# The paper's recipe: eight epochs, micro-batches of questions on one database.
STUDENT = f"--lora-rank 0 --lr 1e-3 --epochs {EPOCHS} --batch-size {BATCH} --micro-batch-size 8 --batching schema"
TEACHER = f"--teacher {MODELS / 'teacher'} --teacher-deepspeed ds_configs/teacher_whole.json"
SHOWN = 5  # questions of each of two kinds in the report
ALPHA = 1.96  # standard errors of a 95 % interval


class Comparison:
    """Where the runs keep their things, and the commands that make them."""

    def __init__(self, output: Path, seeds: list[int], labels: int, label_errors: float) -> None:
        self.output, self.seeds, self.labels, self.label_errors = output.absolute(), seeds, labels, label_errors
        self.data = self.output / "minibench"
        self.models = {"student base": MODELS / "student", "teacher": MODELS / "teacher"}
        self.students = {f"{method}-seed{seed}": (method, seed) for seed in seeds for method in METHODS}

    def run(self, student: str) -> Path:
        return self.output / "students" / student

    def scores(self, name: str) -> Path:
        return self.output / "scores" / f"{name.replace(' ', '-')}.json"

    def check_settings(self) -> None:
        """Write down what the results hang on. Raises InputError where the folder holds others'."""
        file = self.output / "settings.json"
        if not (MODELS / "teacher").is_dir():
            raise InputError(
                f"{MODELS / 'teacher'} is missing; make it with python bench/pretrain_minibench.py teacher --output "
                f"{MODELS / 'teacher'}"
            )
        now = {"labels": str(self.labels), "label_errors": str(self.label_errors), "student": STUDENT}
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if differ := differing(before, now):
            raise InputError(
                f"--output {self.output} holds runs of other settings: {differ}; choose another, or remove that folder"
            )
        self.output.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(now, indent=1) + "\n")

    def make_data(self) -> None:
        if self.data.exists():
            return
        # Made beside its place and moved there whole: one that was stopped half-way does not find half of it.
        partial = self.output / "minibench.partial"
        shutil.rmtree(partial, ignore_errors=True)
        build_minibench(partial, 0, self.labels, self.label_errors, min(TRAIN_DATABASES, self.labels))
        partial.rename(self.data)

    def steps_per_epoch(self) -> int:
        return math.ceil(self.labels / BATCH)

    def job(self, name: str) -> Iterator[Command]:
        """Train, if it is a student, and evaluate; nothing where that is done."""
        if self.scores(name).exists():
            return
        log = self.output / "logs" / name.replace(" ", "-")
        judged = ["--model", self.models[name]] if name in self.models else ["--run", self.run(name)]
        if name in self.students:
            method, seed = self.students[name]
            flags = ["--method", method, "--student", MODELS / "student", *STUDENT.split(), "--seed", seed]
            flags += [*(TEACHER.split() if method != "sft" else []), "--save-steps", self.steps_per_epoch()]
            command = launched("train/distill.py", self.run(name), self.data, *map(str, flags), ranks=1)
            yield Path(f"{log}.log"), command
        command = [sys.executable, "bench/evaluate_run.py", *judged, "--data", self.data, "--json", self.scores(name)]
        yield Path(f"{log}.scores.log"), list(map(str, command))

    def play(self) -> None:
        """All of it; what is done already is not done again."""
        began = time.time()
        self.check_settings()
        console.print(f"minibench: {self.labels} labels, {100 * self.label_errors:g} % of them wrong ...")
        self.make_data()
        names = [*self.models, *self.students]
        told: set[str] = set()

        def watch(running: dict[str, Path], done: int) -> None:
            for name in names:
                if name not in told and self.scores(name).exists():
                    told.add(name)
                    console.print(f"[{time.time() - began:4.0f} s] {name}: {self.summary(name)}", markup=False)
            if sys.stdout.isatty():
                show_status(f"    {len(told)} of {len(names)} done; running: {', '.join(running)}" if running else "")

        run_jobs({name: self.job(name) for name in names}, 2, watch)
        watch({}, len(names))
        self.report()
        minutes = (time.time() - began) / 60
        console.print(f"done in {minutes:.1f} min; {self.output / 'report.md'} has the curves and ten predictions")

    def found(self, name: str) -> dict:
        return json.loads(self.scores(name).read_text(encoding="utf-8"))

    def summary(self, name: str) -> str:
        found = self.found(name)
        if name in self.models:
            return f"EX {found['ex']:.1f} on dev"
        return (
            f"EX {found['last']['ex']:.1f} on dev after the last epoch, {found['best']['ex']:.1f} at the best on valid"
        )

    def seconds(self, student: str) -> float:
        from kid.report.runs import median_seconds, read_metrics

        return median_seconds(read_metrics(self.run(student) / "metrics.jsonl")[0])

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows: every model's EX on dev with its interval, its price, and the wrong labels it repeats."""
        header = [
            "model",
            "EX last",
            "±",
            "EX best",
            "best epoch",
            "s/step to sft",
            "wrong labels repeated",
            "put right",
        ]
        rows = []
        for name in self.models:
            found = self.found(name)
            labels = found["wrong_labels"]
            rows.append([name, f"{found['ex']:.1f}", half_width([found["right"]]), "-", "-", "-", *shares([labels])])
        for method in METHODS:
            results = [self.found(f"{method}-seed{seed}") for seed in self.seeds]
            price = np.mean([self.seconds(f"{method}-seed{s}") / self.seconds(f"sft-seed{s}") for s in self.seeds])
            epochs = [result["best_step"] / self.steps_per_epoch() for result in results]
            rows.append(
                [
                    method, f"{np.mean([result['last']['ex'] for result in results]):.1f}",
                    half_width([result["last"]["right"] for result in results]),
                    f"{np.mean([result['best']['ex'] for result in results]):.1f}", f"{np.mean(epochs):.1f}",
                    f"{price:.2f}", *shares([result["last"]["wrong_labels"] for result in results]),
                ]
            )  # fmt: skip
        return header, rows

    def conclusion(self) -> str:
        """One sentence on what was seen, whichever way it fell."""
        right = {
            method: digits([self.found(f"{method}-seed{seed}")["last"]["right"] for seed in self.seeds]).mean(axis=0)
            for method in METHODS
        }
        base = digits([self.found("student base")["right"]]).mean()
        said = []
        for method in METHODS[1:]:
            difference, p = paired_bootstrap(right[method], right["sft"])
            error = ALPHA * float(np.std(right[method] - right["sft"])) / math.sqrt(len(right["sft"]))
            low, high = 100 * (difference - error), 100 * (difference + error)
            points = f"{100 * difference:+.1f} points ({low:+.1f} to {high:+.1f})"
            verdict = "above" if p < 0.05 and difference > 0 else "below" if p < 0.05 else "not apart from"
            said.append(f"{method} ends {verdict} sft, {points}")
        moved = 100 * (right["sft"].mean() - base)
        start = (
            f"With {self.labels} labels, {100 * self.label_errors:g} % of them wrong, fine-tuning moves the base by "
        )
        return f"{start}{moved:+.1f} points; {' and '.join(said)}, on {len(right['sft'])} questions on new databases."

    def report(self) -> None:
        """The table and the conclusion on the terminal; these, curves and ten predictions in report.md."""
        from plots import plot_epochs

        header, rows = self.table()
        table = Table(title="minibench, EX in percent on 100 new databases")
        for number, column in enumerate(header):
            table.add_column(column, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        conclusion = self.conclusion()
        console.print(conclusion)
        steps = self.steps_per_epoch()
        curves = {
            method: [
                [(int(step) / steps, ex) for step, ex in self.found(f"{method}-seed{seed}")["valid"].items()]
                for seed in self.seeds
            ]
            for method in METHODS
        }
        runs = {method: self.run(f"{method}-seed{self.seeds[0]}") for method in METHODS}
        plot_epochs(curves, runs, self.output / "curves.png")
        notes = (
            "EX in percent on dev: 1,000 questions on 100 databases in no other split; ± half of its 95 % interval. "
            "Last: after eight epochs; best: the epoch with the highest EX on valid. The columns on wrong labels are "
            "of the training questions that have one: how many predictions give the label's rows, and how many the "
            "gold's."
        )
        lines = ["# A tiny teacher distilled into a tiny student, with imperfect labels", "", conclusion, ""]
        lines += [
            markdown_table(header, rows),
            "",
            notes,
            "",
            "![EX on valid and training loss over epochs](curves.png)",
        ]
        lines += ["", "## Predictions", "", *self.predictions()]
        write_atomically(self.output / "report.md", "\n".join(lines) + "\n")

    def predictions(self) -> list[str]:
        """Markdown: questions of dev, and training questions with a wrong label, with every model's SQL for them."""
        names = ["teacher", "student base", *(f"{method}-seed{self.seeds[0]}" for method in METHODS)]
        found = {name: self.found(name) for name in names}
        last = {name: result.get("last", result) for name, result in found.items()}
        dev = json.loads((self.data / "dev.json").read_text(encoding="utf-8"))
        lines = []
        for index in range(0, len(dev), len(dev) // SHOWN)[:SHOWN]:
            texts = {name: result["predictions"][index] for name, result in last.items()}
            right = {name: result["right"][index] == "1" for name, result in last.items()}
            lines += shown(dev[index], marked_predictions(dev[index]["query"], texts, right))
        train = json.loads((self.data / "train_spider.json").read_text(encoding="utf-8"))
        wrong = json.loads((self.data / "labels.json").read_text(encoding="utf-8"))["wrong"]
        every = max(1, len(wrong) // SHOWN)
        for place, label in list(enumerate(wrong))[::every][:SHOWN]:
            texts = {name: result["wrong_labels"]["predictions"][place] for name, result in last.items()}
            right = {name: result["wrong_labels"]["right"][place] == "1" for name, result in last.items()}
            block = marked_predictions(label["gold"], texts, right)
            lines += shown(train[label["index"]], f"{block}\nlabel ({label['kind']})  {train[label['index']]['query']}")
        return lines


def shown(item: dict, block: str) -> list[str]:
    return [
        f"**{escape_markdown(item['question'])}** ({escape_markdown(item['db_id'])})",
        "",
        code_block(block, "sql"),
        "",
    ]


def digits(rights: list[str]) -> np.ndarray:
    """[seeds, questions] of "0101..." a seed."""
    return np.array([[int(digit) for digit in right] for right in rights], dtype=float)


def half_width(rights: list[str]) -> str:
    """Half of the 95 % interval of an EX in percent, over the questions."""
    means = digits(rights).mean(axis=0)
    return f"{100 * ALPHA * float(means.std()) / math.sqrt(len(means)):.1f}"


def shares(found: list[dict]) -> list[str]:
    """Wrong labels repeated and put right, in percent of those there are."""
    total = sum(one["n"] for one in found)
    return [f"{100 * sum(one[key] for one in found) / total:.0f} %" if total else "-" for key in ("label", "gold")]


def main() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/imperfect-labels"), help="where it all goes [runs/imperfect-labels]"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="train each student under each of these [0]")
    parser.add_argument("--labels", type=int, default=LABELS, help=f"training questions [{LABELS}]")
    parser.add_argument(
        "--label-errors", type=float, default=LABEL_ERRORS, metavar="SHARE",
        help=f"share of them that get a wrong label [{LABEL_ERRORS}]",
    )  # fmt: skip
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    end_with_children()
    Comparison(arguments.output, arguments.seeds, arguments.labels, arguments.label_errors).play()


if __name__ == "__main__":
    run_script(main)
