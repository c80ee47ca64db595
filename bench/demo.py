"""The whole way on one machine: minibench, tiny bases, a teacher, students by sft, rkd and kid, EX for each, a report.

Every training and every prediction is a run of the scripts in train/ and eval/; this file only starts them in order.
"""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from running import console, end_with_children, evaluated, execute, launched

from kid.errors import OneLineParser, run_script
from kid.report.text import code_block, escape_markdown, markdown_table, marked_predictions

SPLITS = {"seen": "new questions, training databases", "dev": "new databases"}
STUDENT = {"hidden": 96, "layers": 2, "heads": 4}
TEACHER = {"hidden": 128, "layers": 3, "heads": 4}
VOCABULARY = 2048
FULL = ["--lora-rank", "0", "--save-steps", "150", "--batch-size", "32", "--micro-batch-size", "16"]
FULL_RUNS = [  # output, untrained model, steps, seed, seconds on two cores
    ("student-base", "student", 450, 1, 105),
    ("teacher", "teacher", 750, 0, 300),
]
LORA = ["--lora-rank", "16", "--lora-alpha", "32", "--batch-size", "32", "--micro-batch-size", "16"]
STUDENT_STEPS = 180
CURVE_QUESTIONS = 80
METHODS = ("sft", "rkd", "kid")


@dataclass
class Stage:
    """A step of the demo. `seconds`: what it took on two cores, from which the time left is estimated."""

    title: str
    seconds: float
    work: Callable[[], None]


class Demo:
    """Where the demo keeps its things, and its stages in order."""

    def __init__(self, output: Path, seeds: list[int]):
        self.output, self.seeds = output.absolute(), seeds
        self.data, self.models = self.output / "minibench", self.output / "models"
        self.began = time.time()

    def run(self, name: str, seed: int) -> Path:
        return self.output / "students" / f"{name}-seed{seed}"

    def scored_models(self) -> dict[str, Path]:
        """Name -> folder of every model whose EX is reported."""
        students = {f"{name}-seed{seed}": self.run(name, seed) / "adapter" for seed in self.seeds for name in METHODS}
        return {
            "teacher": self.output / "teacher" / "model",
            "student base": self.output / "student-base" / "model",
            **students,
        }

    def make_data(self) -> None:
        from transformers.utils.logging import disable_progress_bar

        from kid.minibench.first_edition.build import build_minibench
        from kid.minibench.tiny_models import benchmark_texts, train_tokenizer, write_tiny_model

        disable_progress_bar()
        # Made beside their place and moved there whole: a demo that was stopped half-way does not find half of them.
        partial = self.output / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        if not self.data.exists():
            build_minibench(partial, seed=0)
            partial.rename(self.data)
        if not self.models.exists():
            tokenizer = train_tokenizer(benchmark_texts("spider", "train", self.data), VOCABULARY)
            for name, size in (("student", STUDENT), ("teacher", TEACHER)):
                parameters = write_tiny_model(partial / name, tokenizer, **size, seed=0)
                console.print(f"    {name}: Qwen2, {parameters / 1e6:.1f} million parameters, untrained")
            partial.rename(self.models)

    def fine_tune(self, output: str, start: str, *flags: str) -> None:
        student = ["--student", str(self.models / start), "--lr", "3e-3"]
        command = launched("train/sft.py", self.output / output, self.data, *student, *FULL, *flags)
        execute(self.output / "logs" / f"{output}.log", command)

    def train_student(self, method: str, seed: int) -> None:
        output = self.run(method, seed)
        flags = ["--student", str(self.output / "student-base" / "model"), *LORA, "--seed", str(seed)]
        flags += ["--lr", "2e-3", "--max-steps", str(STUDENT_STEPS), "--eval-steps", "20"]
        flags += ["--save-steps", str(STUDENT_STEPS // 3)]
        if method == "sft":
            command = launched("train/sft.py", output, self.data, *flags)
        else:
            teacher = ["--teacher", str(self.output / "teacher" / "model")]
            teacher += ["--teacher-deepspeed", "ds_configs/cpu.json", "--method", method]
            command = launched("train/distill.py", output, self.data, *flags, *teacher)
        execute(self.output / "logs" / f"{output.name}.log", command)

    def paths(self, name: str, split: str) -> tuple[Path, Path]:
        """(predictions, scores) of a model on a split."""
        file = f"{name.replace(' ', '-')}-{split}"
        return self.output / "predictions" / f"{file}.sql", self.output / "scores" / f"{file}.json"

    def predict_and_score(self, name: str, folder: Path) -> None:
        """Both splits side by side, one core each."""
        commands = [evaluated(folder, self.data, split, *self.paths(name, split)) for split in SPLITS]
        predict, score = zip(*commands, strict=True)
        log = self.output / "logs" / f"{name.replace(' ', '-')}.predict.log"
        execute(log, *predict)
        execute(log.with_name(log.name.replace("predict", "score")), *score)

    def ex(self, name: str, split: str) -> float:
        return json.loads(self.paths(name, split)[1].read_text())["ex"]

    def ex_over_steps(self, method: str) -> list[tuple[int, float]]:
        """EX of the first seed's student on part of `seen`, at the base and at every saved adapter."""
        from kid.config.run_config import RunConfig
        from kid.data.prepare import prepare
        from kid.data.questions import find_databases
        from kid.data.reading import data_options
        from kid.evaluation.execution_accuracy import percent_correct, score_predictions
        from kid.evaluation.prediction import decode_candidates, load_model
        from kid.models.pretrained import load_tokenizer

        base = self.output / "student-base" / "model"
        tokenizer = load_tokenizer(base, "--model")
        options = data_options(RunConfig(benchmark="spider", data=str(self.data)))
        prepared = prepare(options, "seen", tokenizer)
        every = len(prepared.rows) // CURVE_QUESTIONS
        questions, prompts = prepared.questions[::every], list(prepared.rows["prompt_ids"])[::every]
        paths = find_databases("spider", "seen", self.data, [question.db_id for question in questions])
        steps = [STUDENT_STEPS * part // 3 for part in (1, 2, 3)]
        folders = [(0, base)] + [
            (step, self.run(method, self.seeds[0]) / "adapters" / f"step-{step}") for step in steps
        ]
        curve = []
        for step, folder in folders:
            batches = decode_candidates(load_model(folder, "cpu"), tokenizer, prompts, 60, 64)
            found = {place: lines[0] for batch in batches for place, lines in batch}
            lines = [found[place] for place in range(len(prompts))]
            verdicts = score_predictions(questions, lines, {db_id: [path] for db_id, path in paths.items()})
            curve.append((step, percent_correct(verdicts)))
        return curve

    def report(self) -> None:
        """The table on the terminal; table, curves and ten predictions in report.md."""
        # Here, and not above, as matplotlib takes a second.
        from plots import plot_runs

        from kid.data.questions import load_questions
        from kid.evaluation.predictions_file import read_predictions
        from kid.report.runs import median_seconds, read_metrics

        first = self.seeds[0]

        def seconds(method: str, seed: int) -> float:
            return median_seconds(read_metrics(self.run(method, seed) / "metrics.jsonl")[0])

        header = ["model", *[f"EX % {split}" for split in SPLITS], "seconds per step / sft"]
        rows = []
        for name in self.scored_models():
            relative = "-"
            if "-seed" in name:
                method, seed = name.split("-seed")
                relative = f"{seconds(method, int(seed)) / seconds('sft', int(seed)):.2f}"
                name_shown = method if len(self.seeds) == 1 else f"{method}, seed {seed}"
            else:
                name_shown = name
            rows.append([name_shown, *[f"{self.ex(name, split):.1f}" for split in SPLITS], relative])
        table = Table(title="minibench")
        for number, column in enumerate(header):
            table.add_column(column, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        plot_runs(
            {method: self.run(method, first) for method in METHODS},
            {method: self.ex_over_steps(method) for method in METHODS},
            f"EX % on {CURVE_QUESTIONS} questions of seen",
            self.output / "curves.png",
        )
        shown = ["teacher", *[f"{method}-seed{first}" for method in METHODS]]
        questions, predictions, verdicts = [], {name: [] for name in shown}, {name: [] for name in shown}
        for split in SPLITS:
            everything = load_questions("spider", split, self.data)
            chosen = everything[:: len(everything) // 5][:5]
            questions += chosen
            for name in shown:
                predictions_file, scores_file = self.paths(name, split)
                lines = read_predictions(predictions_file, len(everything)).queries
                found = json.loads(scores_file.read_text())["verdicts"]
                predictions[name] += [lines[question.index] for question in chosen]
                verdicts[name] += [found[question.index]["ex"] for question in chosen]
        lines = [
            "# Demo: a tiny teacher distilled into a tiny student",
            "",
            "Made by `make demo` on minibench. "
            + "; ".join(f"`{split}`: {meaning}" for split, meaning in SPLITS.items())
            + ". Seconds per step are medians of runs one after another on the same machine.",
            "",
            markdown_table(header, rows),
            "",
            "![EX and losses over steps](curves.png)",
            "",
            "## Ten predictions beside their gold",
            "",
            predictions_section(questions, predictions, verdicts),
        ]
        (self.output / "report.md").write_text("\n".join(lines), encoding="utf-8")
        console.print(f"{self.output / 'report.md'}: the table, the curves and ten predictions")

    def model_stages(self) -> list[Stage]:
        """The data, the student base and the teacher."""
        stages = [Stage("minibench, tokenizer, untrained models", 15, self.make_data)]
        for output, start, steps, seed, seconds in FULL_RUNS:
            title = f"{output}: {steps} steps of sft, all weights, from an untrained model"
            flags = ["--max-steps", str(steps), "--seed", str(seed)]
            stages.append(Stage(title, seconds, lambda o=output, s=start, f=flags: self.fine_tune(o, s, *f)))
        return stages

    def stages(self) -> list[Stage]:
        stages = self.model_stages()
        for seed in self.seeds:
            for method, seconds in zip(METHODS, (65, 98, 135), strict=True):
                title = f"student by {method} (LoRA, {STUDENT_STEPS} steps" + (f", seed {seed})" if seed else ")")
                stages.append(Stage(title, seconds, lambda m=method, s=seed: self.train_student(m, s)))
        for name, folder in self.scored_models().items():
            stages.append(Stage(f"EX of {name}", 15, lambda n=name, f=folder: self.predict_and_score(n, f)))
        return [*stages, Stage("report", 25, self.report)]

    def play(self, stages: list[Stage]) -> None:
        """Run stages; before each, say what it is and how long is left, by the pace so far."""
        planned_done = 0.0
        for number, stage in enumerate(stages, start=1):
            spent, planned_left = time.time() - self.began, sum(s.seconds for s in stages[number - 1 :])
            pace = spent / planned_done if planned_done >= 60 else 1.0
            left = max(1, round(planned_left * pace / 60))
            console.print(f"[{number}/{len(stages)}] {stage.title} ... about {left} min left", markup=False)
            stage.work()
            planned_done += stage.seconds
        console.print(f"done in {(time.time() - self.began) / 60:.1f} min")


def predictions_section(questions: Sequence, predictions: dict[str, list[str]], verdicts: dict[str, list[bool]]) -> str:
    """Markdown: each question with its gold SQL and every model's prediction, marked right or wrong.

    Args:
        questions: `kid.data.questions.Question`s, n of them.
        predictions: model -> n predictions.
        verdicts: model -> n verdicts.
    """
    lines = []
    for index, question in enumerate(questions):
        texts = {model: found[index] for model, found in predictions.items()}
        right = {model: found[index] for model, found in verdicts.items()}
        lines += [f"**{escape_markdown(question.question)}** ({escape_markdown(question.db_id)})", ""]
        lines += [code_block(marked_predictions(question.query, texts, right), "sql"), ""]
    return "\n".join(lines)


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="where everything goes [runs/demo]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="train each student under each of these [0]")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    end_with_children()
    demo = Demo(arguments.output, arguments.seeds)
    demo.play(demo.stages())


if __name__ == "__main__":
    run_script(main)
