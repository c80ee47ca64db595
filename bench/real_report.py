"""Keep what make real found, without weights, in docs/results/real/; write its part of docs/results.md and README.md.

The tables are made of what is kept.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path

from running import ROOT
from sections import marked, with_section

from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.report.figures import Figure
from kid.evaluation.report.page import Section, markdown_block
from kid.evaluation.report.rows import METHOD_LABELS, Row, relative_latency
from kid.evaluation.report.runs import Run, load_runs
from kid.evaluation.report.sections import report_sections
from kid.evaluation.report.tables import TIMES, Table
from kid.evaluation.report.text import markdown_table, spread
from kid.files import write_atomically

SPLITS = {"dev": "dev", "dk": "DK", "realistic": "Realistic", "syn": "Syn"}
FIGURES = ("figure-1", "figure-6")
KEPT = ("environment.json", "metrics.jsonl", "predictions/**/*.sql")
# The paper's Table 3, Qwen1.5-0.5B from 1.8B: latency, then EX and TS of dev, DK, Realistic, Syn.
PAPER = {
    "teacher": (1.5, 67.3, 66.3, 54.6, 52.3, 62.0, 60.8, 52.7, 52.6),
    "sft": (1.0, 57.8, 56.4, 44.8, 46.5, 50.6, 47.6, 44.2, 43.7),
    "fkd": (2.1, 57.3, 56.5, 43.7, 41.7, 50.2, 48.0, 43.7, 43.3),
    "rkd": (2.0, 62.7, 61.5, 50.8, 49.2, 51.2, 49.6, 48.7, 48.3),
    "f-distill": (6.0, 57.6, 56.3, 45.0, 43.2, 52.6, 51.0, 43.4, 43.0),
    "imitkd": (5.9, 58.3, 57.2, 46.2, 44.1, 52.4, 50.8, 44.1, 43.3),
    "gkd-rkl": (10.9, 62.9, 61.6, 49.9, 47.9, 50.6, 48.6, 48.6, 48.1),
    "kid": (2.0, 63.7, 63.1, 47.6, 45.4, 53.0, 51.4, 47.5, 47.0),
}


def keep(run: Path, to: Path) -> None:
    """Copy a run's small files: its settings, metrics, predictions and scores.

    The data's place is left out of the settings where it is one of the machine; scores lose their indentation.

    Raises:
        InputError: the folder is no run's.
    """
    if not (run / "config.yaml").is_file():
        raise InputError(f"{run} holds no config.yaml; train it first, with make real")
    shutil.rmtree(to, ignore_errors=True)
    for path in [path for pattern in KEPT for path in run.glob(pattern)]:
        place = to / path.relative_to(run)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    lines = (run / "config.yaml").read_text(encoding="utf-8").splitlines()
    lines = ["data: spider" if line.startswith("data: /") else line for line in lines]
    write_atomically(to / "config.yaml", "\n".join(lines) + "\n")
    for path in run.glob("scores/**/*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        write_atomically(to / path.relative_to(run), json.dumps(content, separators=(",", ":")) + "\n")


def rows_of(runs: Sequence[Run]) -> dict[str, tuple[str, Row]]:
    """What the paper calls it -> (label, row) of teacher, student base and each method, over its seeds."""
    folders = {run.folder.name: run for run in runs}
    named = {
        "teacher": ("teacher", [folders["teacher"]]),
        "base": ("student before distilling", [folders["healed"]]),
    }
    students = [run for run in runs if run.folder.parent.name == "students"]
    for method, label in METHOD_LABELS.items():
        found = [run for run in students if run.config.method == method]
        if found:
            named[method] = (label, found)
    return {name: (label, Row("", "", name, (), tuple(found))) for name, (label, found) in named.items()}


def cells(row: Row, kinds: Sequence[str] = ("ex", "ts")) -> list[str]:
    return [spread(row.values((("spider", split, None), kind))) for split in SPLITS for kind in kinds]


def latency(name: str, rows: dict[str, tuple[str, Row]]) -> str:
    """Seconds of a step relative to sft's; of what is no method, or trained otherwise, a dash."""
    sft = rows["sft"][1] if "sft" in rows else None
    found = relative_latency(rows[name][1], sft)[0] if name in METHOD_LABELS else None
    return "-" if found is None else f"{found:.1f}{TIMES}"


def main_table(rows: dict[str, tuple[str, Row]]) -> str:
    """Our numbers with the paper's below each, as Markdown."""
    header = ["", "latency", *(f"{title} {kind}" for title in SPLITS.values() for kind in ("EX", "TS"))]
    lines = []
    for name, (label, row) in rows.items():
        lines.append([label, latency(name, rows), *cells(row)])
        if name in PAPER:
            times, *scores = PAPER[name]
            lines.append(["*in the paper*", f"*{times:.1f}{TIMES}*", *(f"*{score:.1f}*" for score in scores)])
    return markdown_table(header, lines)


def readme_table(rows: dict[str, tuple[str, Row]]) -> str:
    """EX alone, beside the paper's on dev."""
    header = ["EX, %", *SPLITS.values(), "latency", "paper: dev", "latency"]
    lines = []
    for name, (label, row) in rows.items():
        paper = [f"{PAPER[name][1]:.1f}", f"{PAPER[name][0]:.1f}{TIMES}"] if name in PAPER else ["-", "-"]
        lines.append([label, *cells(row, ["ex"]), latency(name, rows), *paper])
    return markdown_table(header, lines)


def standard_error(rows: dict[str, tuple[str, Row]]) -> tuple[int, float]:
    """(questions of dev, the binomial standard error of the mean EX on them, in points)."""
    column = ("spider", "dev", None)
    scores = [score for _, row in rows.values() for score in row.scores(column).values()]
    mean = statistics.mean(score.ex for score in scores)
    return scores[0].n, math.sqrt(mean * (100 - mean) / scores[0].n)


def paragraph(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False)


def setting(rows: dict[str, tuple[str, Row]], size: str) -> str:
    """What was run, on what, from how much, by the runs' own settings."""
    teacher, base = (rows[name][1].runs[0] for name in ("teacher", "base"))
    student = next(row.runs[0] for name, (_, row) in rows.items() if name in METHOD_LABELS)
    seeds = sorted({run.config.seed for name, (_, row) in rows.items() if name in METHOD_LABELS for run in row.runs})
    packages = student.environment.get("packages", {})
    flags = ["--size gpu"] if size == "gpu" else []
    flags += [f"--seeds {' '.join(map(str, seeds))}"] if seeds != [0] else []
    command = "make real SPIDER=spider" + (f' REAL="{" ".join(flags)}"' if flags else "")
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "peft", "deepspeed"))

    def trained(run: Run) -> str:
        config = run.config
        return f"{run.steps} steps of {config.batch_size} questions, learning rate {config.lr:g}"

    return (
        f"`{command}`; {student.hardware}, {versions}, {student.config.dtype}. Teacher: SmolLM2-135M-Instruct, all "
        f"weights, {trained(teacher)}. Student: layers 0-7 and 23-29 of its 30, all weights for {trained(base)}; "
        f"every method starts from there with LoRA of rank {student.config.lora_rank}, {trained(student)}. Prompts of "
        f"at most {student.config.max_prompt_length} tokens. Seeds of the students: {', '.join(map(str, seeds))}."
    )


def picked(sections: Sequence[Section]) -> tuple[list[Figure], Table | None, Section | None, Section | None]:
    """Of a report: the figures shown, the table of ExAccErr, what KID gets wrong, predictions beside their gold."""
    blocks = [block for section in sections for block in section.blocks]
    figures = [block for block in blocks if isinstance(block, Figure) and block.name in FIGURES]
    bias = next((block for block in blocks if isinstance(block, Table) and block.title.startswith("Table 7")), None)
    failures = next((section for section in sections if section.title == "Failures"), None)
    beside = next((section for section in sections if "prediction" in section.title), None)
    return figures, bias, failures, beside


def results_section(rows: dict[str, tuple[str, Row]], sections: Sequence[Section], size: str, kept: str) -> str:
    """Its part of docs/results.md. kept: where the runs lie, seen from there."""
    figures, bias, failures, beside = picked(sections)
    n, error = standard_error(rows)
    parts = ["## A real model on real Spider"]
    if size == "cpu":
        parts.append("**A smoke run of the whole path on two cores: it says nothing about the order of the methods.**")
    parts += [
        paragraph(setting(rows, size)),
        paragraph(
            f"Percent; ± the standard deviation over seeds, where there are several. Dev has {n} questions here, so an "
            f"EX has a binomial standard error of {error:.1f} points. TS is on suites of "
            "`eval/make_test_suite.py`, the paper's on the official ones. *In the paper*: Table 3, Qwen1.5-0.5B "
            "from Qwen1.5-1.8B, another pair of models. Latency: seconds of a training step over SFT's."
        ),
        main_table(rows),
    ]
    parts += [f"![{block.title}]({kept}/{block.name}.png)" for block in figures]
    if bias:
        parts.append(markdown_block(bias))
    if failures:
        # The first table has the classes; examples of each, with Spider's questions, are in the report of the run.
        parts += ["### What the student gets wrong", *map(markdown_block, failures.blocks[:2])]
    if beside:
        credit = "Questions and gold SQL: Spider (Yu et al., 2018), CC BY-SA 4.0."
        parts += [f"### {beside.title.capitalize()}", credit, *map(markdown_block, beside.blocks)]
    parts.append(f"Settings, metrics, predictions and scores of all these runs: [{kept}/]({kept}/).")
    return marked("real", parts)


def readme_section(rows: dict[str, tuple[str, Row]], size: str, kept: str) -> str:
    n, error = standard_error(rows)
    what = "half of SmolLM2-135M's layers distilled from the whole, on real Spider"
    note = f"**What `make real` gives** ({what}; {n} questions of dev, an EX is good to ± {error:.1f}):"
    if size == "cpu":
        note += " a smoke run on two cores, from which no claim is drawn."
    figure = f"![performance over latency]({kept}/figure-1.png)"
    return marked("real", [paragraph(note), readme_table(rows), figure])


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--runs", type=Path, default=Path("runs/real"), help="make real's --output [runs/real]")
    parser.add_argument("--data", type=Path, required=True, help="the Spider that was scored on")
    arguments = parser.parse_args()
    docs, readme = ROOT / "docs", ROOT / "README.md"
    size = (arguments.runs / "size").read_text(encoding="utf-8").strip()
    kept = docs / "results" / "real"
    shutil.rmtree(kept, ignore_errors=True)
    folders = [arguments.runs / "teacher", arguments.runs / "healed", *sorted((arguments.runs / "students").iterdir())]
    for folder in folders:
        keep(folder, kept / folder.relative_to(arguments.runs))
    runs, remarks = load_runs([kept / folder.relative_to(arguments.runs) for folder in folders])
    sections = report_sections(runs, remarks, arguments.data)
    for figure in picked(sections)[0]:
        (kept / f"{figure.name}.png").write_bytes(figure.png)
    rows = rows_of(runs)
    for path, section in (
        (docs / "results.md", results_section(rows, sections, size, "results/real")),
        (readme, readme_section(rows, size, "docs/results/real")),
    ):
        write_atomically(path, with_section(path.read_text(encoding="utf-8"), "real", section))
    print(f"{kept}, and in docs/results.md and README.md")


if __name__ == "__main__":
    run_script(main)
