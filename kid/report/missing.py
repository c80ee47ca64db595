"""Results that some runs lack and others have, and the commands that create them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kid.config.keys import FIELDS, as_flags, keys_affecting
from kid.config.templates import is_template
from kid.config.trained import saved_steps
from kid.evaluation.provenance import HASH_KEY, belongs, read_json, read_note
from kid.report.groups import Group
from kid.report.runs import Run
from kid.report.score_files import EXPOSURE_FILE, SCORE_COLUMNS, ScoreColumn, predictions_of
from kid.report.text import pluralize


class Gap(NamedTuple):
    """A description of what is missing, and the shell command that creates it."""

    what: str
    command: str


def missing_measurements(runs: Sequence[Run], groups: Sequence[Group]) -> list[Gap]:
    """Find what each run lacks: dev, splits and TS that others of the same benchmark have, EX over steps, ExAccErr."""
    found = []
    for run in runs:
        others = [other for other in runs if other.benchmark_key == run.benchmark_key]
        found += [*missing_scores(run, others), *missing_steps(run, others)]
    return found + missing_exposure(groups)


def missing_scores(run: Run, others: Sequence[Run]) -> Iterator[Gap]:
    """Yield a gap for each split that has predictions, and one for all splits that must be predicted.

    The runs listed by `to_resume` cannot predict.
    """
    with_suite = {column for other in others for column, score in other.scores.items() if score.ts is not None}
    wanted = {run.dev_column, *(column for other in others for column in other.scores)}
    to_predict: dict[bool, list[ScoreColumn]] = {}
    for column in (column for column in SCORE_COLUMNS if column in wanted):
        suite, score = column in with_suite, run.scores.get(column)
        if score and (score.ts is not None or not suite):
            continue
        if predictions_of(score_path(run, column)).is_file():
            lacking = "no TS" if score else "predictions without a usable score"
            made_by_run = is_made_by_evaluate(run, column, suite)
            command = evaluate_command(run, [column], suite) if made_by_run else score_command(run, column, suite)
            yield Gap(f"{run.folder}: {lacking} on {SCORE_COLUMNS[column]}", command)
        elif run.finished:
            to_predict.setdefault(suite, []).append(column)
    for suite, columns in to_predict.items():
        names = ", ".join(SCORE_COLUMNS[column] for column in columns)
        yield Gap(f"{run.folder}: no predictions on {names}", evaluate_command(run, columns, suite))


def missing_steps(run: Run, others: Sequence[Run]) -> list[Gap]:
    """Find saved steps without a score, unless EX was measured during training and no other run has step scores."""
    saved = saved_steps(run.folder, run.config.export_kind)
    on_the_way = saved[:-1] if run.finished else saved  # the last is the finished student
    unscored = [step for step in on_the_way if run.dev_column not in run.curve.get(step, {})]
    if not unscored or (run.evaluations and not any(other.curve for other in others)):
        return []
    what = f"{run.folder}: {pluralize(len(unscored), 'saved step')} without a score, for EX over steps"
    return [Gap(what, f"{evaluate_command(run, [run.dev_column], False)} --steps all")]


def missing_exposure(groups: Sequence[Group]) -> list[Gap]:
    """Find distilled runs without ExAccErr if others of the same student, teacher and benchmark have it."""
    gaps = []
    for group in groups:
        for rows in group.methods.values():
            runs = [run for row in rows if not row.variant for run in row.runs if run.config.teacher]
            measured = {run.benchmark_key for run in runs if run.exposure}
            for run in runs:
                if run.benchmark_key in measured and not run.exposure and run.finished:
                    gaps.append(Gap(f"{run.folder}: no ExAccErr", exposure_command(run)))
    return gaps


def to_resume(runs: Sequence[Run]) -> list[str]:
    """Return a line for each unfinished run, which has no student to predict with."""
    lines = []
    for run in (run for run in runs if not run.finished):
        script = "sft.py" if run.config.method == "sft" else "distill.py"
        flags = shlex.join(["--config", str(run.folder / "config.yaml"), "--output", str(run.folder), "--resume"])
        ranks = "as many ranks as before" if run.ranks is None else f"{pluralize(run.ranks, 'rank')}, as before"
        lines.append(f"{run.folder} is not finished: resume it, with {ranks}: deepspeed … train/{script} {flags}")
    return lines


def score_path(run: Run, column: ScoreColumn) -> Path:
    """Return the score file that the report uses for a column, else the one that eval/evaluate.py would write."""
    known = run.scores.get(column)
    return known.path if known else run.folder / "scores" / f"{column[1]}.json"


def drops_ts(run: Run, column: ScoreColumn, suite: bool) -> bool:
    """Whether a new score would replace one with TS by one without, which eval/score.py only does with --overwrite."""
    return not suite and read_json(score_path(run, column)).get("ts") is not None


def is_made_by_evaluate(run: Run, column: ScoreColumn, suite: bool) -> bool:
    """Whether eval/evaluate.py recognises the existing predictions as its own, and may write their score."""
    path = score_path(run, column)
    predictions = predictions_of(path)
    note = read_note(predictions)
    expected = {"benchmark": column[0], "split": column[1], "beams": 1}
    return (
        path == run.folder / "scores" / f"{column[1]}.json"
        and HASH_KEY in note
        and expected.items() <= note.items()
        and not (drops_ts(run, column, suite) and belongs(predictions, read_json(path)))
    )


def evaluate_command(run: Run, columns: Sequence[ScoreColumn], suite: bool) -> str:
    """Return the command that predicts and scores splits with the run's student and settings, unless they exist."""
    splits = [split for _, split, _ in columns]
    return python_command("evaluate.py", str(run.folder), "--splits", *splits, *suite_flags(suite))


def score_command(run: Run, column: ScoreColumn, suite: bool) -> str:
    """Return the command that scores predictions that eval/evaluate.py does not know."""
    path = score_path(run, column)
    flags = [*data_flags(run, column), "--predictions", str(predictions_of(path)), "--json", str(path)]
    flags += ["--evidence", "yes" if column[2] else "no"] if column[2] is not None else []
    flags += [*changed_flags(run, "scores"), *suite_flags(suite)]
    return python_command("score.py", *flags, *(["--overwrite"] if drops_ts(run, column, suite) else []))


def suite_flags(suite: bool) -> list[str]:
    return ["--test-suite", "TEST_SUITE"] if suite else []


def exposure_command(run: Run) -> str:
    models = ["--student", student_path(run), "--teacher", run.config.teacher]
    flags = [*data_flags(run, run.dev_column), *changed_flags(run, "prediction")]
    return python_command("exposure_bias.py", *models, *flags, "--json", str(run.folder / "scores" / EXPOSURE_FILE))


def student_path(run: Run) -> str:
    """Return the path of the finished student."""
    return str(run.folder / run.config.export_kind)


def data_flags(run: Run, column: ScoreColumn) -> list[str]:
    return ["--benchmark", column[0], "--data", run.config.data, "--split", column[1]]


def changed_flags(run: Run, what: str) -> list[str]:
    """Return flags for the keys that affect `what` and differ from their defaults.

    Templates, which would fill a page, are left to the script: it reads them from the run.
    """
    values = {key: getattr(run.config, key) for key in keys_affecting(what)}
    changed = {key: value for key, value in values.items() if value != FIELDS[key].default and not is_template(value)}
    return [word for key, value in changed.items() for word in as_flags(key, value)]


def python_command(script: str, *flags: str) -> str:
    return shlex.join(["python", f"eval/{script}", *flags])
