"""What a report lacks, and the commands that would fill it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from kid.config import RunConfig
from kid.evaluation.report.rows import Group
from kid.evaluation.report.runs import COLUMNS, Column, Run

# What kind of run each table and figure of the paper needs; the recipes are those in train/recipes/.
TABLES = {
    2: "students of fkd, rkd, f-distill, imitkd, gkd-fkl, gkd-rkl, gkd-jsd (recipes: table2/, table3/), scored on dev",
    3: "an SFT run and distilled ones of one student (recipes: table3/ and its BIRD folders), scored",
    4: "the same of a CodeGen or LLaMA student (recipes: table4/ and its BIRD folders)",
    5: "kid as it is, with --rewrite mask-only and with --rewrite none (recipes: table5/), scored on dev",
    6: "students of a 32B teacher (recipes: table6/), scored",
    7: "runs measured with eval/exposure_bias.py --json RUN/scores/exposure_bias.json",
}
FIGURES = {
    1: "an SFT run and distilled ones of one student on the same hardware, scored",
    2: "an SFT run and distilled ones of one student on the same hardware; no scores",
    4: "kid with two values of --mask-strategy at least (recipes: figure4/), scored on dev",
    5: "kid with two values of --mask-ratio at least (recipes: figure5/), scored on dev",
    6: "runs with --save-steps, whose adapters/step-N are predicted and scored into RUN/scores/step-N/",
}
# Flags of eval/predict.py that must be as in training, or the prompts are others; --data and --benchmark aside.
PROMPT_KEYS = ("missing_database", "damaged", "evidence", "schema_filter", "max_prompt_length", "max_completion_length")


def absent(tables: Iterable[int], figures: Iterable[int]) -> list[str]:
    """A line for each table and figure that is not among those there are."""
    tables, figures = set(tables), set(figures)
    lines = [f"Table {number}: {what}" for number, what in TABLES.items() if number not in tables]
    return lines + [f"Figure {number}: {what}" for number, what in FIGURES.items() if number not in figures]


def missing_cells(runs: Sequence[Run], groups: Sequence[Group]) -> list[str]:
    """Commands that predict and score what a run lacks: splits that another run of its benchmark has, or dev."""
    commands = []
    with_suite = {column for run in runs for column, score in run.scores.items() if score.ts is not None}
    for run in runs:
        wanted = {column for other in runs if other.home == run.home for column in other.scores} or {run.dev}
        for column in COLUMNS:
            if column in wanted and column not in run.scores:
                command = score_command(run, column, column in with_suite)
                made = (run.folder / "predictions" / f"{column[1]}.sql").is_file()
                commands.append(command if made else f"{predict_command(run, column)} && {command}")
            elif column in wanted and column in with_suite and run.scores[column].ts is None:
                commands.append(score_command(run, column, True))
    return commands + missing_exposure(groups)


def missing_exposure(groups: Sequence[Group]) -> list[str]:
    """Commands for distilled runs that Table 7 lacks while it has others of the same teacher and benchmark."""
    commands = []
    for group in groups:
        for rows in group.methods.values():
            runs = [run for row in rows if not row.variant for run in row.runs if run.config.teacher]
            measured = {run.home for run in runs if run.exposure}
            commands += [exposure_command(run) for run in runs if run.home in measured and not run.exposure]
    return commands


def predict_command(run: Run, column: Column) -> str:
    output = str(run.folder / "predictions" / f"{column[1]}.sql")
    return python(
        "predict.py", "--model", export(run), *data_flags(run, column), *prompt_flags(run), "--output", output
    )


def score_command(run: Run, column: Column, test_suite: bool) -> str:
    """Of the predictions where a run keeps them; a score that is there already keeps its file."""
    known = run.scores.get(column)
    predictions = known.predictions if known else run.folder / "predictions" / f"{column[1]}.sql"
    path = known.path if known else run.folder / "scores" / f"{column[1]}.json"
    flags = ["--evidence", "yes" if column[2] else "no"] if column[2] is not None else []
    flags += ["--test-suite", "TEST_SUITE"] if test_suite else []
    return python("score.py", *data_flags(run, column), *flags, "--predictions", str(predictions), "--json", str(path))


def exposure_command(run: Run) -> str:
    output = str(run.folder / "scores" / "exposure_bias.json")
    models = ["--student", export(run), "--teacher", run.config.teacher]
    return python("exposure_bias.py", *models, *data_flags(run, run.dev), *prompt_flags(run), "--json", output)


def export(run: Run) -> str:
    """Where the finished student lies."""
    return str(run.folder / ("adapter" if run.config.lora_rank else "model"))


def data_flags(run: Run, column: Column) -> list[str]:
    return ["--benchmark", column[0], "--data", run.config.data, "--split", column[1]]


def prompt_flags(run: Run) -> list[str]:
    """Those settings of the prompts that are not the default."""
    defaults, flags = RunConfig(), []
    for key in PROMPT_KEYS:
        value = getattr(run.config, key)
        if value != getattr(defaults, key):
            flags += [f"--{key.replace('_', '-')}", {True: "yes", False: "no"}.get(value, str(value))]
    return flags


def python(script: str, *flags: str) -> str:
    return shlex.join(["python", f"eval/{script}", *flags])
