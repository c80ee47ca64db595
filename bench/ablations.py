"""The paper's ablations on minibench: methods, masking strategies, mask ratios and rewriting, under several seeds.

Data, student base and teacher are the demo's. What is done already is not done again; the results go to
docs/results.md.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from ablations_report import write_report
from claims import CLAIMS, EX_ACC_ERR, claims_table
from demo import Demo, console
from running import (
    DECODING,
    ROOT,
    Command,
    differing,
    end_with_children,
    evaluated,
    execute,
    launched,
    launcher,
    run_jobs,
)
from tqdm import tqdm

from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically
from kid.report.text import markdown_table

# Flags of train/distill.py by run. `kid` alone has the defaults: random, ratio 0.2, predict.
RUNS = {
    "sft": "--method sft",
    "fkd": "--method fkd",
    "rkd": "--method rkd",
    "f-distill": "--method f-distill --teacher-outputs {teacher_outputs}",
    "imitkd": "--method imitkd",
    "gkd-fkl": "--method gkd-fkl",
    "gkd-rkl": "--method gkd-rkl",
    "gkd-jsd": "--method gkd-jsd",
    "kid": "--method kid",
    "kid-uniform": "--method kid --mask-strategy uniform",
    "kid-hard": "--method kid --mask-strategy hard",
    "kid-easy": "--method kid --mask-strategy easy",
    "kid-ratio-0.1": "--method kid --mask-ratio 0.1",
    "kid-ratio-0.3": "--method kid --mask-ratio 0.3",
    "kid-ratio-0.4": "--method kid --mask-ratio 0.4",
    "kid-ratio-0.5": "--method kid --mask-ratio 0.5",
    "kid-mask-only": "--method kid --rewrite mask-only",
    "rkd-no-mle": "--method rkd --mle-weight 0",
    "gkd-rkl-slow": "--method gkd-rkl --lr 3e-4",
    "gkd-rkl-cold": "--method gkd-rkl --sample-temperature 0.5",
}
BATCH = 32
NEW_TOKENS = "48"
# All weights: with the embeddings of so small a student frozen, LoRA of rank 16 hardly moves it in so few steps.
STUDENT = f"--lora-rank 0 --lr 1e-3 --batch-size {BATCH} --micro-batch-size 16 --max-new-tokens {NEW_TOKENS}"
TEACHER = "--teacher {teacher} --teacher-deepspeed ds_configs/cpu.json"  # of all runs but sft
SPLIT = "seen"
EXPOSURE = "--questions-limit 80 --samples 2 --max-completion-length 60 --batch-size 80"
# Exposure bias is measured of those that a claim compares by it.
EXPOSED = {run for claim in CLAIMS if claim.measure is EX_ACC_ERR for pair in claim.pairs for run in pair}
ERROR_RATES = ("error_rate", "masked_error_rate")


def digest(paths: list[Path]) -> str:
    """One hash of the contents of files."""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def parameters(model: Path) -> int:
    """Number of weights in a model's folder."""
    from safetensors.numpy import load_file

    return sum(weight.size for path in model.glob("*.safetensors") for weight in load_file(path).values())


class Ablations:
    """Where the ablations keep their things: the students of all runs under all seeds, and the EX of each."""

    def __init__(self, output: Path, demo: Demo, seeds: list[int], steps: int, runs: list[str] | None = None):
        self.output, self.demo, self.seeds, self.steps = output.absolute(), demo, seeds, steps
        self.names = runs or list(RUNS)
        self.questions, self.teacher_outputs = self.output / "questions.json", self.output / "teacher-outputs.jsonl"
        self.models = {name: demo.scored_models()[name] for name in ("teacher", "student base")}
        self.students = {f"{name}-seed{seed}": (name, seed) for seed in seeds for name in self.names}

    def run(self, student: str) -> Path:
        return self.output / "students" / student

    def scores(self, name: str) -> Path:
        return self.output / "scores" / f"{name.replace(' ', '-')}.json"

    def exposure(self, name: str) -> Path:
        return self.output / "scores" / f"{name}.exposure_bias.json"

    def lacks_exposure(self, name: str) -> bool:
        return name in self.students and self.students[name][0] in EXPOSED and not self.exposure(name).exists()

    def missing(self) -> list[str]:
        """Students and models without a score, or without the exposure bias that is to be measured; others are done."""
        names = (*self.students, *self.models)
        return [name for name in names if not self.scores(name).exists() or self.lacks_exposure(name)]

    def check_settings(self) -> None:
        """Write down what the scores hang on. Raises InputError where there are some that were made otherwise."""
        data = [self.demo.data / name for name in ("train_spider.json", f"{SPLIT}.json", "tables.json")]
        weights = [path for folder in self.models.values() for path in sorted(folder.glob("*.safetensors"))]
        now = {"steps": str(self.steps), "student": STUDENT, "teacher": TEACHER, "decoding": " ".join(DECODING)}
        now |= {"exposure": EXPOSURE}
        now |= {"data and models": digest([*data, *weights]), **{f"run {name}": flags for name, flags in RUNS.items()}}
        file = self.output / "settings.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if differ := differing(before, now):
            raise InputError(
                f"--output {self.output} holds results of other settings; these differ: {differ}; "
                "choose another --output, or remove that folder"
            )
        write_atomically(file, json.dumps({**before, **now}, indent=1) + "\n")

    def training_questions(self) -> list[dict]:
        """One epoch of questions, evenly from the benchmark's. Raises InputError where it has too few."""
        everything = json.loads((self.demo.data / "train_spider.json").read_text(encoding="utf-8"))
        count = BATCH * self.steps
        if count > len(everything):
            most = len(everything) // BATCH
            raise InputError(f"--steps {self.steps} needs {count} questions of {len(everything)}; give at most {most}")
        return [everything[number * len(everything) // count] for number in range(count)]

    def write_teacher_outputs(self) -> None:
        """The teacher's SQL for the training questions; f-distill learns from it."""
        command = [*launcher("train/generate.py", ranks=2), "--teacher", self.models["teacher"], "--dtype", "fp32"]
        command += ["--teacher-deepspeed", "ds_configs/teacher_whole.json", "--benchmark", "spider"]
        command += ["--data", self.demo.data, "--questions", self.questions, "--teacher-outputs", self.teacher_outputs]
        command += ["--max-new-tokens", NEW_TOKENS, "--micro-batch-size", "64"]
        execute(self.output / "logs" / "teacher-outputs.log", list(map(str, command)))

    def flags(self, name: str) -> list[str]:
        """A run's flags, but those that differ from seed to seed."""
        paths = {"teacher": self.models["teacher"], "teacher_outputs": self.teacher_outputs}
        words = f"{STUDENT} {RUNS[name]} {TEACHER if name != 'sft' else ''}".split()
        models = ["--student", str(self.models["student base"]), "--questions", str(self.questions)]
        steps = ["--max-steps", str(self.steps), "--save-steps", "40"]
        return [*models, *steps, *(word.format(**paths) for word in words)]

    def job(self, name: str) -> Iterator[Command]:
        """Train, if it is a student, predict, score, measure the exposure bias; the last alone where it alone lacks."""
        log = self.output / "logs" / name.replace(" ", "-")
        folder = self.models.get(name)
        scored = self.scores(name).exists()
        if name in self.students:
            run, seed = self.students[name]
            flags = [*self.flags(run), "--seed", str(seed)]
            if not scored:
                yield Path(f"{log}.log"), launched("train/distill.py", self.run(name), self.demo.data, *flags, ranks=1)
            folder = self.run(name) / "model"
        if not scored:
            predictions = self.output / "predictions" / f"{log.name}.sql"
            predict, score = evaluated(folder, self.demo.data, SPLIT, predictions, self.scores(name))
            yield Path(f"{log}.predict.log"), predict
            yield Path(f"{log}.score.log"), score
        if self.lacks_exposure(name):
            yield Path(f"{log}.exposure.log"), self.exposure_command(name, folder)

    def exposure_command(self, name: str, folder: Path) -> list[str]:
        command = [sys.executable, "eval/exposure_bias.py", "--student", folder, "--teacher", self.models["teacher"]]
        command += ["--benchmark", "spider", "--data", self.demo.data, "--split", SPLIT, "--json", self.exposure(name)]
        return [*map(str, command), *EXPOSURE.split()]

    def make_scores(self, workers: int, run: Callable = run_jobs) -> None:
        """Run all that has no score yet, `workers` side by side. `run`: what executes the commands."""
        missing, everything = self.missing(), len(self.models) + len(self.students)
        before = everything - len(missing)
        with tqdm(total=everything, initial=before, desc="ablations", unit="run") as bar:

            def watch(running: dict[str, Path], done: int) -> None:
                names = ", ".join(running)
                if sys.stderr.isatty() or names != bar.postfix:  # a log file needs no line a moment
                    bar.n = before + done
                    bar.set_postfix_str(names)

            run({name: self.job(name) for name in missing}, workers, watch)

    def results(self, workers: int) -> dict:
        """Everything the report is made of. workers: how many runs went side by side."""
        scores = {name: json.loads(self.scores(name).read_text()) for name in (*self.models, *self.students)}
        runs = {name: [] for name in self.names}
        for student, (name, seed) in self.students.items():
            verdicts = sorted(scores[student]["verdicts"], key=lambda verdict: verdict["index"])
            result = {"seed": seed, "ex": scores[student]["ex"], **self.means(student)}
            result["right"] = "".join(str(int(verdict["ex"])) for verdict in verdicts)
            if name in EXPOSED:
                result["ex_acc_err"] = json.loads(self.exposure(student).read_text())["ex_acc_err_full"]
            runs[name].append(result)
        return {
            "command": f"python bench/ablations.py --steps {self.steps} --seeds {' '.join(map(str, self.seeds))}",
            "steps": self.steps,
            "seeds": self.seeds,
            "training_questions": BATCH * self.steps,
            "split": SPLIT,
            "n": scores["teacher"]["n"],
            "student_flags": STUDENT,
            "exposure_flags": EXPOSURE,
            "workers": workers,
            "flags": RUNS,
            "models": {
                name: {"ex": scores[name]["ex"], "parameters": parameters(folder)}
                for name, folder in self.models.items()
            },
            "runs": runs,
        }

    def means(self, student: str) -> dict[str, float]:
        """Median seconds of a step, and means of the shares of the output's and of the masked tokens that changed."""
        from kid.report.runs import median_seconds, read_metrics

        rows, _ = read_metrics(self.run(student) / "metrics.jsonl")
        rates = {key: statistics.mean(row[key] for row in rows) for key in ERROR_RATES if key in rows[0]}
        return {"seconds": median_seconds(rows), **rates}

    def play(self, workers: int) -> None:
        """All of it, from the demo's models to the report."""
        self.demo.play(self.demo.model_stages())
        questions = self.training_questions()
        self.check_settings()
        write_atomically(self.questions, json.dumps(questions, indent=1) + "\n")
        if any(name.startswith("f-distill-") for name in self.missing()):
            console.print("the teacher's outputs for f-distill ...")
            self.write_teacher_outputs()
        self.make_scores(workers)
        results = self.results(workers)
        if set(self.names) == set(RUNS):
            write_report(results, ROOT / "docs")
            console.print("docs/results.md with its figures, and docs/results/ablations.json, which they are made of")
        else:
            rows = [[name, *(f"{one['ex']:.1f}" for one in found)] for name, found in results["runs"].items()]
            table = markdown_table(["EX", *(f"seed {seed}" for seed in self.seeds)], rows)
            print(f"{table}\n\n{claims_table(results['runs'])}")


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=Path("runs/ablations"), help="where runs go [runs/ablations]")
    parser.add_argument("--demo", type=Path, default=Path("runs/demo"), help="the demo's --output [runs/demo]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of every run [0 1 2 3 4]")
    parser.add_argument("--runs", nargs="+", choices=RUNS, metavar="RUN",
                        help="only these; prints their EX and claims, and leaves docs/ alone [all]")  # fmt: skip
    parser.add_argument("--steps", type=int, default=80, help="of every run, 32 questions each [80]")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side, one core each [2]")
    arguments = parser.parse_args()
    for name in ("steps", "workers"):
        if getattr(arguments, name) < 1:
            raise InputError(f"--{name} {getattr(arguments, name)} is out of range; it must be 1 or more")
    if min(arguments.seeds) < 0:
        raise InputError(f"--seeds {min(arguments.seeds)} is out of range; give 0 or above")
    warnings.filterwarnings("ignore", category=FutureWarning)
    end_with_children()
    seeds = list(dict.fromkeys(arguments.seeds))
    demo, runs = Demo(arguments.demo, []), [name for name in RUNS if name in (arguments.runs or RUNS)]
    Ablations(arguments.output, demo, seeds, arguments.steps, runs).play(arguments.workers)


if __name__ == "__main__":
    run_script(main)
