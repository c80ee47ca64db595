"""Copy the results of make real to docs/results/real/, without weights, and write its section of docs/results.md.

The tables are computed from the copied files.
"""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

from parts.claims import claims_table
from parts.real_jobs import SIZES
from parts.real_tables import DEV, Rows, error_on_dev, main_table, methods_of, results_of, rows_of
from parts.running import ROOT
from parts.sections import marked, with_section

from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically
from kid.report.figures import Figure
from kid.report.page import Section, markdown_block
from kid.report.runs import Run, load_runs
from kid.report.sections import report_sections
from kid.report.tables import Table
from kid.report.text import inline_markdown

FIGURES = ("figure-1", "figure-6")
SMALL_FILES = ("environment.json", "metrics.jsonl", "predictions/**/*.sql")
KEPT = Path("docs/results/real")


def keep(run: Path, to: Path) -> None:
    """Copy a run's small files: its settings, metrics, predictions and scores.

    An absolute path of the data in the settings is replaced by `spider`; scores are written without indentation.

    Args:
        run: a run with relative paths, so that no other setting contains a path of this machine.
        to: a folder that does not exist yet.
    """
    to.mkdir(parents=True)
    for path in [path for pattern in SMALL_FILES for path in run.glob(pattern)]:
        target = to / path.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    lines = (run / "config.yaml").read_text(encoding="utf-8").splitlines()
    lines = ["data: spider" if line.startswith("data: /") else line for line in lines]
    write_atomically(to / "config.yaml", "\n".join(lines) + "\n")
    for path in run.glob("scores/**/*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        write_atomically(to / path.relative_to(run), json.dumps(content, separators=(",", ":")) + "\n")


def load_finished(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs, and remarks about them.

    Raises:
        InputError: a run is not finished or not scored on dev, or a student has no exposure bias.
    """
    runs, remarks = load_runs(folders)
    for run in runs:
        if not run.finished or DEV not in run.scores or not run.environment:
            raise InputError(f"{run.folder} is not trained and scored; finish it with make real first")
        if run.folder.parent.name == "students" and not run.exposure:
            file = run.folder / "scores" / "exposure_bias.json"
            said = next((remark for remark in remarks if remark.startswith(str(file))), f"there is no {file}")
            raise InputError(f"{said}; remove it if it exists, and run make real again")
    return runs, remarks


def paragraph(text: str) -> str:
    return textwrap.fill(inline_markdown(text), 120, break_on_hyphens=False, break_long_words=False)


def setting(rows: Rows, size: str) -> str:
    """A paragraph on the command, hardware, versions and settings, taken from the runs."""
    teacher, base = (rows[name][1].runs[0] for name in ("teacher", "base"))
    methods = methods_of(rows)
    student = next(iter(methods.values())).runs[0]
    seeds = " ".join(map(str, sorted({run.config.seed for row in methods.values() for run in row.runs})))
    flags = [f"--size {size}"] if size != "cpu" else []
    flags += [f"--methods {','.join(methods)}"] if set(methods) != set(SIZES[size].methods) else []
    flags += [f"--seeds {seeds}"] if seeds != "0" else []
    command = f'make real SPIDER=spider REAL="{" ".join([*flags, "--docs"])}"'
    packages = student.environment.get("packages", {})
    versions = ", ".join(f"{name} {packages.get(name, '?')}" for name in ("torch", "transformers", "peft", "deepspeed"))

    def trained(run: Run) -> str:
        config = run.config
        return f"{run.steps} steps of {config.batch_size} questions, learning rate {config.lr:g}"

    return (
        f"`{command}`; {student.hardware}, {versions}, {student.config.dtype}. Teacher: SmolLM2-135M-Instruct (from a "
        f"file with mostly 4 bits per weight), all weights trained for {trained(teacher)}. Student: layers 0-7 and "
        f"23-29 of its 30, all weights trained for {trained(base)}; every method starts from there with LoRA of rank "
        f"{student.config.lora_rank}, {trained(student)}. The schema filter limits prompts to "
        f"{student.config.max_prompt_length} tokens. Seeds of the students: {seeds.replace(' ', ', ')}."
    )


def picked(sections: Sequence[Section]) -> tuple[list[Figure], Table | None, Section | None, Section | None]:
    """Select from a report the figures, the table of ExAccErr, the failures, and predictions with their gold SQL."""
    blocks = [block for section in sections for block in section.blocks]
    figures = [block for block in blocks if isinstance(block, Figure) and block.name in FIGURES]
    tables = [block for block in blocks if isinstance(block, Table)]
    bias = next((table for table in tables if table.title.startswith("Exposure bias")), None)
    failures = next((section for section in sections if section.title == "Failures"), None)
    beside = next((section for section in sections if "prediction" in section.title), None)
    return figures, bias, failures, beside


def results_section(rows: Rows, sections: Sequence[Section], size: str, kept: str) -> str:
    """The section of docs/results.md. kept: path of the copied runs, relative to docs/."""
    figures, bias, failures, beside = picked(sections)
    n, error = error_on_dev(rows)
    parts = ["## A real model on real Spider"]
    if size == "cpu":
        parts.append("**A smoke test of the whole pipeline on two cores; it does not show how the methods rank.**")
    parts += [
        paragraph(setting(rows, size)),
        paragraph(
            f"In percent; ± the standard deviation over seeds, if there are several. With {n} questions of dev, the "
            f"binomial standard error of a student's EX is {error:.1f} points. TS uses suites of "
            "`eval/make_test_suite.py`, the paper's TS the official ones. *In the paper*: Table 3, Qwen1.5-0.5B "
            "from Qwen1.5-1.8B, another pair of models. Latency: seconds per training step relative to SFT."
        ),
        main_table(rows),
    ]
    parts += [f"![{block.title}]({kept}/{block.name}.png)" for block in figures]
    if bias:
        parts.append(markdown_block(bias))
    if size != "cpu":
        parts += ["### The paper's claims on it", claims_table(results_of(rows))]
    if failures:
        # Only the table of classes: the report of the run has examples of each, with Spider's questions.
        parts += ["### What the student gets wrong", *map(markdown_block, failures.blocks[:2])]
    if beside:
        credit = "Questions and gold SQL: Spider (Yu et al., 2018), CC BY-SA 4.0."
        parts += [f"### {beside.title}", credit, *map(markdown_block, beside.blocks)]
    parts.append(f"Settings, metrics, predictions and scores of all these runs: [{kept}/]({kept}/).")
    return marked("real", parts)


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="teacher, healed student, students")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the Spider folder used for scoring")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    load_finished(arguments.runs)
    home = arguments.runs[0].parent
    size = json.loads((home / "settings.json").read_text(encoding="utf-8"))["size"]
    # Copy to a temporary folder and rename it, so that a failure does not lose the previous results.
    partial = KEPT.with_name(f".{KEPT.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for run in arguments.runs:
        keep(run, partial / run.relative_to(home))
    shutil.rmtree(KEPT, ignore_errors=True)
    partial.rename(KEPT)
    runs, remarks = load_finished([KEPT / run.relative_to(home) for run in arguments.runs])
    sections = report_sections(runs, remarks, arguments.data)
    figures = picked(sections)[0]
    for figure in figures:
        (KEPT / f"{figure.name}.png").write_bytes(figure.png)
    rows = rows_of(runs)
    path, section = Path("docs/results.md"), results_section(rows, sections, size, "results/real")
    write_atomically(path, with_section(path.read_text(encoding="utf-8"), "real", section))
    print(f"written: {path}")
    for remark in dict.fromkeys(remarks):
        print(f"note: {remark}")


if __name__ == "__main__":
    run_script(main)
