"""Test the paper's claims on minibench with imperfect and clean labels: methods, strategies, ratios, rewriting.

First, each method's learning rate is chosen from the same three by its best EX on `valid`; variants of a method use its
rate. Existing results are kept. The report and its results are written to docs/results/ablations; to continue an
unfinished set of results, copy that folder to --output first.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from parts.ablation_settings import (
    BATCH,
    DECODING,
    ERROR_RATES,
    EXPOSED,
    EXPOSURE,
    NEW_TOKENS,
    RATES,
    RUNS,
    SETTINGS,
    STUDENT,
    TEACHER,
    method_of,
)
from parts.ablations_report import part, write_report
from parts.running import ROOT, Command, console, differing, end_with_children, execute, launched, launcher, run_jobs
from tqdm import tqdm

from kid.config.methods import METHODS, ON_POLICY
from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically
from kid.minibench.build import TRAIN_DATABASES, build_minibench
from kid.minibench.tiny_models import MODELS
from kid.report.runs import read_metrics

PAGE = ROOT / "docs" / "results" / "ablations"


def digest(paths: list[Path]) -> str:
    """Return a single hash of the contents of files."""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()


def parameters(model: Path) -> int:
    """Return the number of weights in a model's folder."""
    from safetensors.numpy import load_file

    return sum(weight.size for path in model.glob("*.safetensors") for weight in load_file(path).values())


class Ablation:
    """One setting: its data, its students with all rates and seeds, and their results.

    A student is named RUN-lrRATE-seedSEED.
    """

    def __init__(self, output: Path, name: str, seeds: list[int], runs: list[str]) -> None:
        self.output, self.setting = output.absolute() / name.replace(" ", "-"), SETTINGS[name]
        self.seeds = [self.setting.first_seed + seed for seed in seeds[: self.setting.seeds]]
        self.runs = [run for run in self.setting.runs if run in runs]
        self.methods = list(dict.fromkeys(map(method_of, self.runs)))
        self.data, self.teacher_outputs = self.output / "minibench", self.output / "teacher-outputs.jsonl"
        self.base = output.absolute() / "bases" / self.setting.base
        self.models = {"teacher": MODELS / "teacher", "student base": self.base}
        rates_of = self.setting.rates_of
        self.tuned = Ablation(output, rates_of, seeds, self.methods) if rates_of else self

    def run(self, student: str) -> Path:
        return self.output / "students" / student

    def scores(self, name: str) -> Path:
        return self.output / "scores" / f"{name.replace(' ', '-')}.json"

    def exposure(self, student: str) -> Path:
        return self.output / "scores" / f"{student}.exposure_bias.json"

    @property
    def results_file(self) -> Path:
        return self.output / "results.jsonl"

    @property
    def settings_file(self) -> Path:
        return self.output / "settings.json"

    def found(self) -> dict[str, dict]:
        """Read the results so far: model or student -> what the report needs."""
        if not self.results_file.exists():
            return {}
        lines = map(json.loads, self.results_file.read_text(encoding="utf-8").splitlines())
        return {line.pop("name"): line for line in lines}

    def keep(self, name: str, result: dict) -> None:
        """Add a result, or more keys to an existing one."""
        found = self.found()
        found[name] = found.get(name, {}) | result
        lines = [json.dumps({"name": key, **value}) + "\n" for key, value in found.items()]
        write_atomically(self.results_file, "".join(lines))

    def tried(self) -> dict[str, list[str]]:
        """Return method -> the students, one per rate, that its rate is chosen from; they are those of `tuned`."""
        seed = self.tuned.seeds[0]
        return {method: [f"{method}-lr{rate}-seed{seed}" for rate in RATES] for method in self.methods}

    def valid_ex(self, method: str) -> dict[str, float]:
        """Return rate -> the best EX on valid of the student with this rate."""
        found = self.tuned.found()
        return {rate: max(found[name]["valid"]) for rate, name in zip(RATES, self.tried()[method], strict=True)}

    def rate(self, method: str) -> str:
        """Choose the method's rate; ties go to the lowest."""
        found = self.valid_ex(method)
        return max(RATES, key=lambda rate: (found[rate], -float(rate)))

    def students(self) -> dict[str, list[str]]:
        """Return run -> its students, one per seed, with the rate of its method."""
        rates = {method: self.rate(method) for method in self.methods}
        return {run: [f"{run}-lr{rates[method_of(run)]}-seed{seed}" for seed in self.seeds] for run in self.runs}

    def make_data(self) -> None:
        if self.data.exists():
            return
        partial = self.output / "partial"  # renamed when it is complete
        shutil.rmtree(partial, ignore_errors=True)
        labels, patterns = self.setting.labels, self.setting.patterns
        build_minibench(partial, 0, labels, self.setting.label_errors, min(TRAIN_DATABASES, labels // 8), patterns)
        partial.rename(self.data)

    def base_job(self) -> Iterator[Command]:
        """Train the student base, unless it exists."""
        if not (self.base / "model.safetensors").exists():
            command = [sys.executable, "bench/pretrain_minibench.py", self.setting.base, "--output", str(self.base)]
            yield self.output / "logs" / f"{self.setting.base}.log", command

    def check_settings(self) -> None:
        """Record what the scores depend on. Raises InputError if there are scores with other settings."""
        data = [self.data / name for name in ("train_spider.json", "valid.json", "dev.json", "tables.json")]
        weights = [path for folder in self.models.values() for path in sorted(folder.glob("*.safetensors"))]
        now = {"student": STUDENT, "epochs": str(self.setting.epochs), "decoding": DECODING}
        now |= {"teacher": TEACHER, "exposure": EXPOSURE}
        now |= {"data and models": digest([*data, *weights]), **{f"run {name}": flags for name, flags in RUNS.items()}}
        file = self.settings_file
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if differ := differing(before, now):
            raise InputError(
                f"--output {self.output} holds results with other settings; these differ: {differ}; choose another "
                "--output, or remove that folder"
            )
        write_atomically(file, json.dumps({**before, **now}, indent=1) + "\n")

    def write_teacher_outputs(self) -> None:
        """Decode the teacher's outputs for the training questions, which f-distill learns from."""
        command = [*launcher("train/generate.py", ranks=1), "--teacher", self.models["teacher"], "--dtype", "fp32"]
        command += ["--teacher-deepspeed", "ds_configs/teacher_whole.json", "--benchmark", "spider"]
        command += ["--data", self.data, "--teacher-outputs", self.teacher_outputs]
        command += ["--max-new-tokens", NEW_TOKENS, "--micro-batch-size", "64"]
        execute(self.output / "logs" / "teacher-outputs.log", list(map(str, command)))

    def flags(self, student: str) -> list[str]:
        """Return a student's flags."""
        run, rest = student.split("-lr")
        rate, seed = rest.rsplit("-seed", 1)
        paths = {"teacher": self.models["teacher"], "teacher_outputs": self.teacher_outputs}
        method = METHODS[method_of(run)]
        more = [TEACHER if method.needs_teacher else "", DECODING if ON_POLICY in method.sources else ""]
        words = f"{STUDENT} --epochs {self.setting.epochs} {RUNS[run]} {' '.join(more)}".split()
        own = ["--student", str(self.models["student base"]), "--lr", rate, "--seed", seed]
        return [*own, "--save-steps", str(self.setting.steps_per_epoch), *(word.format(**paths) for word in words)]

    def job(self, name: str) -> Iterator[Command]:
        """Train a student, and evaluate a student or model, unless its result exists."""
        if name in self.found():
            return
        log = self.output / "logs" / name.replace(" ", "-")
        judged = ["--model", self.models[name]] if name in self.models else ["--run", self.run(name)]
        if name not in self.models:
            flags = self.flags(name)
            yield Path(f"{log}.log"), launched("train/distill.py", self.run(name), self.data, *flags, ranks=1)
        command = [sys.executable, "bench/evaluate_run.py", *judged, "--data", self.data, "--json", self.scores(name)]
        yield Path(f"{log}.scores.log"), list(map(str, command))
        self.keep(name, self.of_model(name) if name in self.models else self.of_student(name))
        for folder in ("models", "checkpoints"):  # 25 MB per student
            shutil.rmtree(self.run(name) / folder, ignore_errors=True)

    def exposure_job(self, student: str) -> Iterator[Command]:
        """Measure a student's exposure bias, unless its result exists."""
        if "ex_acc_err" in self.found()[student]:
            return
        if not (self.run(student) / "model").exists():
            raise InputError(
                f"{student} has a result in {self.results_file} but no exposure bias, and its model does not exist; "
                "remove its line from that file to train it again"
            )
        command = [sys.executable, "eval/exposure_bias.py", "--student", self.run(student) / "model"]
        command += ["--teacher", self.models["teacher"], "--benchmark", "spider", "--data", self.data]
        command += ["--json", self.exposure(student), *EXPOSURE.split()]
        yield self.output / "logs" / f"{student}.exposure.log", list(map(str, command))
        self.keep(student, {"ex_acc_err": json.loads(self.exposure(student).read_text())["ex_acc_err_full"]})

    def of_model(self, name: str) -> dict:
        """Return what the report needs from the teacher or the base."""
        found = json.loads(self.scores(name).read_text(encoding="utf-8"))
        return {"ex": found["ex"], "valid": found["valid_ex"], "parameters": parameters(self.models[name])}

    def of_student(self, student: str) -> dict:
        """Return what the report needs from a student, except its exposure bias."""
        found = json.loads(self.scores(student).read_text(encoding="utf-8"))
        rows, _ = read_metrics(self.run(student) / "metrics.jsonl")
        last, labels = found["last"], found["last"]["wrong_labels"]
        result = {
            "ex": found["best"]["ex"], "ex_last": last["ex"], "right": found["best"]["right"],
            "right_last": last["right"], "best_epoch": found["best_step"] / self.setting.steps_per_epoch,
            "valid": list(found["valid"].values()),
            "labels_repeated": labels["label"], "labels_put_right": labels["gold"], "wrong_labels": labels["n"],
        }  # fmt: skip
        return result | {key: statistics.mean(row[key] for row in rows) for key in ERROR_RATES if key in rows[0]}

    def leave_out_missing(self) -> list[str]:
        """Leave out the runs that lack a result, or whose method lacks one of its rates. Returns their names."""
        found, tuned, all_runs = self.found(), self.tuned.found(), self.runs
        rated = [method for method, students in self.tried().items() if tuned.keys() >= {*students}]
        self.methods, self.runs = rated, [run for run in all_runs if method_of(run) in rated]
        needed = {run: "ex_acc_err" if run in EXPOSED else "ex" for run in self.runs}
        students = self.students() if found.keys() >= self.models.keys() else {}
        self.runs = [run for run, ones in students.items() if all(needed[run] in found.get(one, {}) for one in ones)]
        self.methods = list(dict.fromkeys(map(method_of, self.runs)))
        return [run for run in all_runs if run not in self.runs]

    def results(self) -> dict:
        """Return all input of the report."""
        found = self.found()
        return {
            "seeds": self.seeds,
            "labels": self.setting.labels,
            "epochs": self.setting.epochs,
            "label_errors": self.setting.label_errors,
            "rates_of": self.setting.rates_of,
            "rates_seed": self.tuned.seeds[0],
            "rates": {method: self.valid_ex(method) for method in self.methods},
            "chosen": {method: self.rate(method) for method in self.methods},
            "models": {name: found[name] for name in self.models},
            "runs": {run: [found[student] for student in students] for run, students in self.students().items()},
        }


def run_with_bar(title: str, jobs: dict[str, Iterator[Command]], workers: int, run: Callable = run_jobs) -> None:
    """Run jobs with a progress bar that shows the remaining time. run: executes the commands."""
    with tqdm(total=len(jobs), desc=title, unit="run") as bar:

        def watch(running: dict[str, Path], done: int) -> None:
            names = ", ".join(running)
            if sys.stderr.isatty() or names != bar.postfix:  # fewer lines in a log file
                bar.n = done
                bar.set_postfix_str(names)

        run(jobs, workers, watch)


def prepare(title: str, ablation: Ablation, run: Callable) -> None:
    """Create the data, the student base and, for f-distill, the teacher's outputs."""
    ablation.make_data()
    if base := list(ablation.base_job()):
        run_with_bar(f"{title}: student base", {ablation.setting.base: iter(base)}, 1, run)
    ablation.check_settings()
    if "f-distill" in ablation.methods and not ablation.teacher_outputs.exists():
        console.print(f"{title}: decoding the teacher's outputs for f-distill ...")
        ablation.write_teacher_outputs()


def play(ablations: dict[str, Ablation], workers: int, run: Callable = run_jobs) -> dict:
    """Run all settings one after another, without what is finished already. Returns the input of the report."""
    found = {}
    for title, ablation in ablations.items():
        tuned = ablation.tuned
        tried = [student for students in ablation.tried().values() for student in students]
        if tuned is not ablation and not tuned.found().keys() >= {*tried}:
            prepare(ablation.setting.rates_of, tuned, run)
        prepare(title, ablation, run)
        run_with_bar(f"{title}: learning rates", {name: tuned.job(name) for name in tried}, workers, run)
        students = ablation.students()
        # Seed by seed, so that results with fewer seeds can be extended with more.
        in_order = [students[run][place] for place in range(len(ablation.seeds)) for run in ablation.runs]
        jobs = {name: ablation.job(name) for name in (*ablation.models, *in_order)}
        run_with_bar(f"{title}: seeds", jobs, workers, run)
        exposed = [student for run in ablation.runs if run in EXPOSED for student in students[run]]
        run_with_bar(f"{title}: ExAccErr", {name: ablation.exposure_job(name) for name in exposed}, workers, run)
        found[title] = ablation.results()
    return found


def leave_out_missing(ablations: dict[str, Ablation]) -> tuple[dict[str, Ablation], list[str]]:
    """Return the settings that have complete runs, and for each setting a line that names its incomplete runs."""
    lacking = {title: ablation.leave_out_missing() for title, ablation in ablations.items()}
    lines = [f"*{title}*: {', '.join(runs)}" for title, runs in lacking.items() if runs]
    return {title: ablation for title, ablation in ablations.items() if ablation.runs}, lines


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    output_help = "folder of the runs [runs/ablations]"
    parser.add_argument("--output", type=Path, default=Path("runs/ablations"), help=output_help)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4],
                        help="random seeds; a setting uses the first three or five [0 1 2 3 4]")  # fmt: skip
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, metavar="SETTING",
                        help=f"settings to run, of {', '.join(SETTINGS)} [all]")  # fmt: skip
    parser.add_argument("--runs", nargs="+", choices=RUNS, metavar="RUN", help="runs of each setting [all]")
    docs_help = "run nothing and write docs/results/ablations from the results in --output, as far as they go"
    parser.add_argument("--docs", action="store_true", help=docs_help)
    parser.add_argument("--workers", type=int, default=2, help="number of parallel runs, one core each [2]")
    arguments = parser.parse_args()
    if arguments.workers < 1:
        raise InputError(f"--workers {arguments.workers} is out of range; it must be 1 or more")
    if min(arguments.seeds) < 0:
        raise InputError(f"--seeds {min(arguments.seeds)} is out of range; give 0 or above")
    warnings.filterwarnings("ignore", category=FutureWarning)
    end_with_children()
    seeds, runs = list(dict.fromkeys(arguments.seeds)), arguments.runs or list(RUNS)
    names = [name for name in SETTINGS if name in (arguments.settings or SETTINGS)]
    ablations = {name: Ablation(arguments.output, name, seeds, runs) for name in names}
    ablations = {name: ablation for name, ablation in ablations.items() if ablation.runs}
    some = [f"'{name}'" if " " in name else name for name in arguments.settings or []]
    command = ["python bench/ablations.py", *(["--settings", *some] if some else []), "--seeds", *map(str, seeds)]
    if not arguments.docs:
        found = play(ablations, arguments.workers)
        if arguments.runs or arguments.settings:
            for title, setting in found.items():
                print(part(title, setting))
            return
    ablations, missing = leave_out_missing(ablations)
    if not ablations:
        raise InputError(f"--output {arguments.output} has no run with all its seeds; run without --docs first")
    for ablation in ablations.values():
        kept = PAGE / ablation.output.name
        kept.mkdir(parents=True, exist_ok=True)
        for file in (ablation.results_file, ablation.settings_file):
            if file.resolve() != (kept / file.name).resolve():
                shutil.copy(file, kept)
    settings = {title: ablation.results() for title, ablation in ablations.items()}
    write_report(
        {
            "command": " ".join(command), "batch": BATCH, "student_flags": STUDENT, "exposure_flags": EXPOSURE,
            "flags": RUNS, "settings": settings, "missing": missing,
        },
        PAGE,
    )  # fmt: skip
    console.print(f"written: {PAGE / 'README.md'} with its figures and data")


if __name__ == "__main__":
    run_script(main, kept="finished results are kept; run the same command again to continue")
