"""Which tables and figures of the paper these runs reproduce, and what the others need."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from kid.config.benchmarks import BENCHMARKS
from kid.report.figures import Figure
from kid.report.names import short_name
from kid.report.runs import Run
from kid.report.tables import Table

STUDENTS = ("qwen1.5-0.5b", "codegen-350m", "tinyllama-1.1b")  # one of each model family
# The runs that each table and figure of the paper needs; recipes are in train/recipes/.
TABLES = {
    2: "students of fkd, rkd, f-distill, imitkd, gkd-fkl, gkd-rkl, gkd-jsd (recipes: table2/, table3/), scored on dev",
    3: "an SFT run and distilled runs of one student (recipes: table3/ and its BIRD folders), scored",
    4: "the same for a CodeGen or LLaMA student (recipes: table4/ and its BIRD folders)",
    5: "kid with its defaults, --rewrite mask-only and --rewrite none (recipes: table5/), scored on dev",
    6: "students of a 32B teacher (recipes: table6/), scored",
    7: "runs measured with eval/exposure_bias.py --json RUN/scores/exposure_bias.json",
}
FIGURES = {
    1: "an SFT run and distilled runs of one student on the same hardware, scored",
    2: "an SFT run and students of at least two teachers on the same hardware; scores are not needed",
    4: "kid with at least two values of --mask-strategy (recipes: figure4/), scored on dev",
    5: "kid with at least two values of --mask-ratio (recipes: figure5/), scored on dev",
    6: "runs with --save-steps, evaluated with eval/evaluate.py RUN --steps all",
}
Numbered = TypeVar("Numbered", Table, Figure)


def reproduces_paper(runs: Sequence[Run]) -> bool:
    """Whether the runs train students of several of the paper's model families on its benchmarks."""
    names = [short_name(run.config.student).lower() for run in runs if not BENCHMARKS[run.config.benchmark].own_files]
    return len({student for student in STUDENTS for name in names if name.startswith(student)}) > 1


def numbered(block: Numbered, number: int) -> Numbered:
    """Add the number in the paper to the title of a table or figure."""
    return replace(block, title=f"{type(block).__name__} {number}: {block.title}")


def missing_results(tables: Collection[int], figures: Collection[int]) -> list[str]:
    """Return a line for each table and figure of the paper that is not among the given numbers."""
    lines = [f"Table {number}: {what}" for number, what in TABLES.items() if number not in tables]
    return lines + [f"Figure {number}: {what}" for number, what in FIGURES.items() if number not in figures]
