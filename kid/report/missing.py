"""What a report lacks, and the commands that fill the gaps."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from kid.config.keys import FIELDS, as_flags, keys_affecting
from kid.report.groups import Group
from kid.report.runs import Run
from kid.report.score_files import EXPOSURE_FILE, SCORE_COLUMNS, ScoreColumn

# The runs that each table and figure of the paper needs; recipes are in train/recipes/.
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
    6: "runs with --save-steps, evaluated with eval/evaluate.py RUN --steps all",
}


def missing_results(tables: Iterable[int], figures: Iterable[int]) -> list[str]:
    """A line for each table and figure of the paper that is not among the given numbers."""
    tables, figures = set(tables), set(figures)
    lines = [f"Table {number}: {what}" for number, what in TABLES.items() if number not in tables]
    return lines + [f"Figure {number}: {what}" for number, what in FIGURES.items() if number not in figures]


def missing_cells(runs: Sequence[Run], groups: Sequence[Group]) -> list[str]:
    """Commands that predict and score the splits that a run lacks: dev, or those of other runs of its benchmark.

    Runs listed by `to_resume` get no prediction command.
    """
    commands = []
    with_suite = {column for run in runs for column, score in run.scores.items() if score.ts is not None}
    for run in runs:
        wanted = {column for other in runs if other.benchmark_key == run.benchmark_key for column in other.scores} or {
            run.dev_column
        }
        for column in SCORE_COLUMNS:
            if column in wanted and column not in run.scores:
                command = score_command(run, column, column in with_suite)
                predicted = (run.folder / "predictions" / f"{column[1]}.sql").is_file()
                if predicted:
                    commands.append(command)
                elif not lacks_export(run):
                    commands.append(f"{predict_command(run, column)} && {command}")
            elif column in wanted and column in with_suite and run.scores[column].ts is None:
                commands.append(score_command(run, column, True))
    return commands + missing_exposure(groups)


def missing_exposure(groups: Sequence[Group]) -> list[str]:
    """Commands for distilled runs missing in Table 7 while others of the same teacher and benchmark are there."""
    commands = []
    for group in groups:
        for rows in group.methods.values():
            runs = [run for row in rows if not row.variant for run in row.runs if run.config.teacher]
            measured = {run.benchmark_key for run in runs if run.exposure}
            wanted = [
                run for run in runs if run.benchmark_key in measured and not run.exposure and not lacks_export(run)
            ]
            commands += [exposure_command(run) for run in wanted]
    return commands


def lacks_export(run: Run) -> bool:
    return not run.finished and not Path(student_path(run)).is_dir()


def to_resume(runs: Sequence[Run]) -> list[str]:
    """A line for each unfinished run that has saved no student yet."""
    lines = []
    for run in filter(lacks_export, runs):
        script = "sft.py" if run.config.method == "sft" else "distill.py"
        flags = shlex.join(["--config", str(run.folder / "config.yaml"), "--output", str(run.folder), "--resume"])
        ranks = "as many ranks as before" if run.ranks is None else f"{run.ranks} ranks, as before"
        lines.append(f"{run.folder} is not finished: resume it, with {ranks}: deepspeed … train/{script} {flags}")
    return lines


def predict_command(run: Run, column: ScoreColumn) -> str:
    flags = [*data_flags(run, column), *changed_flags(run, "prediction")]
    output = str(run.folder / "predictions" / f"{column[1]}.sql")
    return python_command("predict.py", "--model", student_path(run), *flags, "--output", output)


def score_command(run: Run, column: ScoreColumn, test_suite: bool) -> str:
    """The command that scores a run's predictions; an existing score keeps its file names."""
    known = run.scores.get(column)
    predictions = known.predictions if known else run.folder / "predictions" / f"{column[1]}.sql"
    path = known.path if known else run.folder / "scores" / f"{column[1]}.json"
    flags = ["--evidence", "yes" if column[2] else "no"] if column[2] is not None else []
    flags += changed_flags(run, "scores") + (["--test-suite", "TEST_SUITE"] if test_suite else [])
    return python_command(
        "score.py", *data_flags(run, column), *flags, "--predictions", str(predictions), "--json", str(path)
    )


def exposure_command(run: Run) -> str:
    models = ["--student", student_path(run), "--teacher", run.config.teacher]
    flags = [*data_flags(run, run.dev_column), *changed_flags(run, "prediction")]
    return python_command("exposure_bias.py", *models, *flags, "--json", str(run.folder / "scores" / EXPOSURE_FILE))


def student_path(run: Run) -> str:
    """Path of the finished student."""
    return str(run.folder / run.config.export_kind)


def data_flags(run: Run, column: ScoreColumn) -> list[str]:
    return ["--benchmark", column[0], "--data", run.config.data, "--split", column[1]]


def changed_flags(run: Run, what: str) -> list[str]:
    """Flags for the keys that affect `what` and differ from their defaults."""
    values = {key: getattr(run.config, key) for key in keys_affecting(what)}
    changed = {key: value for key, value in values.items() if value != FIELDS[key].default}
    return [word for key, value in changed.items() for word in as_flags(key, value)]


def python_command(script: str, *flags: str) -> str:
    return shlex.join(["python", f"eval/{script}", *flags])
