"""One setting of the ablations: its data, the commands of its students, and what the report needs from them."""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from kid.config.methods import METHODS, ON_POLICY
from kid.errors import InputError
from kid.files import write_atomically
from kid.minibench.build import TRAIN_DATABASES, build_minibench
from kid.minibench.tiny_models import MODELS
from kid.report.runs import read_metrics
from parts.ablation_settings import (
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
from parts.running import Command, differing, execute, launched, launcher


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
