"""Test the paper's claims on minibench with imperfect and clean labels: methods, strategies, ratios, rewriting.

First, each method's learning rate is chosen from the same three by its best EX on `valid`; variants of a method use its
rate. Existing results are kept. The report and its results are written to docs/results/ablations, whose README.md says
how to run a setting that is not complete.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from parts.ablation import Ablation
from parts.ablation_settings import BATCH, EXPOSED, EXPOSURE, RUNS, SETTINGS, STUDENT
from parts.ablations_report import part, write_report
from parts.running import ROOT, Command, console, end_with_children, run_jobs
from tqdm import tqdm

from kid.errors import InputError, OneLineParser, run_script

PAGE = ROOT / "docs" / "results" / "ablations"


def run_with_bar(title: str, jobs: dict[str, Iterator[Command]], workers: int, run: Callable = run_jobs) -> None:
    """Run jobs with a progress bar that shows the remaining time. run: executes the commands."""
    with tqdm(total=len(jobs), desc=title, unit="run") as bar:

        def watch(running: dict[str, Path], done: int) -> None:
            names = ", ".join(running)
            if sys.stderr.isatty() or names != bar.postfix:  # fewer lines in a log file
                bar.n = done
                bar.set_postfix_str(names)

        run(jobs, workers, watch)
        bar.n = len(jobs)
        bar.refresh()


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
