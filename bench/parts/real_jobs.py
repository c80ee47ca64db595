"""The jobs of bench/real.py: command lines of train/ and eval/ for each stage, their outputs, and expected times."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kid.config.methods import METHODS
from parts.running import ROOT, Command, launcher

RECIPES = ROOT / "train" / "recipes" / "smollm2"
SPLITS = ("dev", "dk", "realistic", "syn")
PYTHON = sys.executable
# The first and last of 30 layers. In one short trial, not kept, these healed faster than every second layer.
LAYERS = "0,1,2,3,4,5,6,7,23,24,25,26,27,28,29"


# Kind of job -> (seconds on two cores with two jobs in parallel, seconds on one GPU). The first are measured, or scaled
# by tokens for methods other than sft, rkd and kid; the second are estimates, because we had no GPU. Students are by
# method, predictions of a split by the model's depth.
SECONDS = {
    "smollm2": (25, 30), "spider": (5, 5), "prune": (10, 15), "heal": (1800, 240), "teacher": (1850, 420),
    "sft": (850, 120), "fkd": (1400, 150), "rkd": (1400, 150), "f-distill": (2000, 500), "imitkd": (2000, 500),
    "gkd-fkl": (2500, 900), "gkd-rkl": (2500, 900), "gkd-jsd": (2500, 900), "kid": (1450, 180),
    "predict whole": (140, 60), "predict half": (90, 45), "suite": (30, 100), "score": (15, 30), "exposure": (120, 60),
    "report": (10, 15),
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """Commands to run one after another. done: whether their output exists. seconds: expected time."""

    name: str
    seconds: float
    done: Callable[[], bool]
    commands: list[Command]


@dataclass(frozen=True)
class Size:
    """The size of a run.

    questions: number of Spider's questions for (training, each other split); None: all.
    trainings, others: number of parallel jobs. Trainings do not share a GPU, because their step times are compared.
    before: prefix of every command line; on a GPU, it undoes the settings of `running.follow` for CPU cores.
    training: flags of all trainings in addition to the recipe. heal, teacher, student: further flags of each.
    outputs: flags to generate the teacher's outputs. prompts, decoding, exposure: flags of eval/'s scripts.
    curve: steps whose adapters are scored on dev, too (Figure 6).
    seconds: expected time of each kind of job, see `SECONDS`.
    """

    questions: tuple[int, int] | None
    trainings: int
    others: int
    methods: tuple[str, ...]
    before: str
    training: str
    heal: str
    teacher: str
    student: str
    outputs: str
    prompts: str
    decoding: str
    exposure: str
    curve: tuple[int, ...]
    seconds: dict[str, float] = field(repr=False)


CPU = Size(
    questions=(400, 100),
    trainings=2,
    others=2,
    methods=("sft", "rkd", "kid"),
    before="",
    training="--dtype fp32 --deepspeed ds_configs/cpu.json --max-prompt-length 256 --batch-size 8 --micro-batch-size 4",
    heal="--epochs 2 --lr 5e-4 --save-steps 50",
    teacher="--epochs 1 --lr 2e-4 --save-steps 25",
    student="--epochs 1 --lr 5e-4 --save-steps 25",
    outputs="--dtype fp32 --max-prompt-length 256 --micro-batch-size 25",
    prompts="--max-prompt-length 256",
    decoding="--max-completion-length 64 --batch-size 25",
    exposure="--questions-limit 12 --samples 2 --max-completion-length 64",
    curve=(25,),
    seconds={kind: cores for kind, (cores, _) in SECONDS.items()},
)
GPU = Size(
    questions=None,
    trainings=1,
    others=4,
    methods=tuple(METHODS),
    before="env -u DS_ACCELERATOR OMP_NUM_THREADS=4",
    training="",
    heal="",
    teacher="",
    student="--save-steps 90",
    outputs="--micro-batch-size 128",
    prompts="",
    decoding="--batch-size 256",
    exposure="--questions-limit 200 --batch-size 256",
    curve=(90, 180),
    seconds={kind: gpu for kind, (_, gpu) in SECONDS.items()},
)
SIZES = {"cpu": CPU, "gpu": GPU}
# Fields of a size that change no result except times, and the list of methods.
NOT_SETTINGS = ("trainings", "others", "methods", "before", "seconds")


def from_root(path: Path) -> Path:
    """The path for scripts that run in the root: relative to it if it is in the checkout.

    Runs record the paths that they are given. With relative ones, they resume in another checkout on another machine.
    """
    path = path.absolute()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


class Real:
    """The files of the run, and the jobs of each stage. Paths are relative to the root of the checkout."""

    def __init__(
        self, size: Size, spider: Path, output: Path, methods: list[str], seeds: list[int], docs: bool = False
    ):
        self.size, self.spider, self.output = size, from_root(spider), from_root(output)
        self.methods, self.seeds, self.docs = methods, seeds, docs
        self.base, self.pruned = self.output / "smollm2", self.output / "pruned"
        self.healed, self.teacher = self.output / "healed", self.output / "teacher"
        self.data = self.output / "spider" if size.questions else self.spider
        self.students = {f"{method}-seed{seed}": (method, seed) for seed in seeds for method in methods}
        self.runs = {"teacher": self.teacher, "healed": self.healed}
        self.runs |= {name: self.output / "students" / name for name in self.students}

    def job(self, name: str, kind: str, done: Path | Callable[[], bool], *commands: list) -> Job:
        """A job with the size's environment. done: a function, or a path that exists when the job is done."""
        logs = [f"{name}.log", *(f"{name}.{number}.log" for number in range(1, len(commands)))]
        lines = [
            (self.output / "logs" / log, [*self.size.before.split(), *map(str, command)])
            for log, command in zip(logs, commands, strict=True)
        ]
        return Job(name, self.size.seconds[kind], done.exists if isinstance(done, Path) else done, lines)

    def trained(self, script: str, recipe: str, output: Path, *flags) -> list:
        """The launcher's command line for a training of a recipe, which resumes an interrupted run."""
        # Some copies of Spider lack databases: then a question's prompt uses tables.json only.
        data = ["--data", self.data, "--missing-database", "schema-only"]
        command = [*launcher(script, ranks=1), "--config", RECIPES / f"{recipe}.yaml", *data, "--output", output]
        return [*command, "--resume", *self.size.training.split(), *flags]

    def fetch(self) -> list[Job]:
        where = ["--download", self.output / "download", "--output", self.base]
        jobs = [self.job("smollm2", "smollm2", self.base, [PYTHON, "bench/smollm2.py", *where])]
        if self.size.questions:
            train, split = self.size.questions
            command = [PYTHON, "bench/subset.py", "--spider", self.spider, "--output", self.data]
            jobs.append(self.job("spider", "spider", self.data, [*command, "--train", train, "--split", split]))
        return jobs

    def prune(self) -> list[Job]:
        command = [PYTHON, "train/prune.py", "--model", self.base, "--keep", "listed", "--layers", LAYERS]
        return [self.job("prune", "prune", self.pruned, [*command, "--output", self.pruned])]

    def heal(self) -> list[Job]:
        flags = ["--student", self.pruned, *self.size.heal.split()]
        command = self.trained("train/sft.py", "heal", self.healed, *flags)
        return [self.job("healed", "heal", self.healed / "model", command)]

    def train_teacher(self) -> list[Job]:
        flags = ["--student", self.base, *self.size.teacher.split()]
        command = self.trained("train/sft.py", "teacher", self.teacher, *flags)
        commands, last = [command], self.teacher / "model"
        if "f-distill" in self.methods:
            generate = [*launcher("train/generate.py", ranks=1), "--config", RECIPES / "f-distill.yaml"]
            generate += ["--teacher", last, "--data", self.data, "--missing-database", "schema-only"]
            generate += self.size.outputs.split()
            last = self.teacher / "outputs.jsonl"
            commands.append([*generate, "--teacher-outputs", last])
        return [self.job("teacher", "teacher", last, *commands)]

    def train_students(self) -> list[Job]:
        jobs = []
        for name, (method, seed) in self.students.items():
            flags = ["--student", self.healed / "model", "--seed", seed, *self.size.student.split()]
            if method != "sft":
                flags += ["--teacher", self.teacher / "model"]
            if method == "f-distill":
                flags += ["--teacher-outputs", self.teacher / "outputs.jsonl"]
            command = self.trained("train/distill.py", method, self.runs[name], *flags)
            jobs.append(self.job(name, method, self.runs[name] / "adapter", command))
        return jobs

    def scored(self) -> list[tuple[str, Path, str, str]]:
        """(run, model folder, split, path within the run's predictions/ and scores/) of everything to score."""
        found = [
            (name, run / ("adapter" if name in self.students else "model"), split, split)
            for name, run in self.runs.items()
            for split in SPLITS
        ]
        steps = [f"step-{step}" for step in self.size.curve]
        return found + [
            (name, self.runs[name] / "adapters" / step, "dev", f"{step}/dev")
            for name in self.students
            for step in steps
        ]

    def data_flags(self, split: str) -> list:
        return ["--benchmark", "spider", "--data", self.data, "--split", split]

    def predict(self) -> list[Job]:
        jobs = []
        for name, model, split, place in self.scored():
            output = self.runs[name] / "predictions" / f"{place}.sql"
            flags = [*self.data_flags(split), *f"{self.size.prompts} {self.size.decoding}".split()]
            kind = "predict whole" if name == "teacher" else "predict half"
            command = [PYTHON, "eval/predict.py", "--model", model, *flags, "--output", output]
            jobs.append(self.job(f"{name}-{place.replace('/', '-')}.predict", kind, output, command))
        for name in self.students:  # in this stage, because the remaining stages need no models and no GPU
            file = self.scores(name, "exposure_bias")
            models = ["--student", self.runs[name] / "adapter", "--teacher", self.teacher / "model", "--json", file]
            flags = [*self.data_flags("dev"), *f"{self.size.prompts} {self.size.exposure}".split()]
            command = [PYTHON, "eval/exposure_bias.py", *models, *flags]
            jobs.append(self.job(f"{name}.exposure", "exposure", file, command))
        return jobs

    def scores(self, name: str, place: str) -> Path:
        return self.runs[name] / "scores" / f"{place}.json"

    def suites(self) -> list[Job]:
        """A test suite for each split that still has a prediction to score; the script keeps existing suites."""
        jobs = []
        for split in SPLITS:
            files = [self.scores(name, place) for name, _, other, place in self.scored() if other == split]
            command = [PYTHON, "eval/make_test_suite.py", *self.data_flags(split), "--workers", "1"]
            command += ["--output", self.output / "suites" / split]
            jobs.append(self.job(f"suite-{split}", "suite", lambda files=files: all(map(Path.exists, files)), command))
        return jobs

    def score(self) -> list[Job]:
        jobs = []
        for name, _, split, place in self.scored():
            file = self.scores(name, place)
            flags = [*self.data_flags(split), "--test-suite", self.output / "suites" / split, "--workers", "1"]
            flags += ["--predictions", self.runs[name] / "predictions" / f"{place}.sql", "--json", file]
            command = [PYTHON, "eval/score.py", *flags]
            jobs.append(self.job(f"{name}-{place.replace('/', '-')}.score", "score", file, command))
        return jobs

    def report(self) -> list[Job]:
        """The report of all existing results; with `docs`, also docs/, from finished runs."""
        command = [PYTHON, "eval/report.py", *self.runs.values(), "--data", self.data]
        commands = [[*command, "--output", self.output / "report"]]
        if self.docs:
            commands.append([PYTHON, "bench/real_report.py", *self.runs.values(), "--data", self.data])
        return [self.job("report", "report", lambda: False, *commands)]

    def settings(self) -> dict[str, str]:
        """The settings that all parts of a run must share to be comparable."""
        found = {name: str(value) for name, value in vars(self.size).items() if name not in NOT_SETTINGS}
        names = [f"{split}.json" for split in ("train_spider", "train_others", "dev")]
        files = [path for name in names if (path := self.spider / name).is_file()]
        questions = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        return {**found, "layers": LAYERS, "spider": questions}
