"""What one run gets wrong: misses by class and hardness, examples of each class, and predictions beside their gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.data.benchmarks import Question, load_questions
from kid.errors import InputError
from kid.evaluation.failures import failure_examples, failure_table
from kid.evaluation.report.basics import marked_predictions
from kid.evaluation.report.rows import METHOD_LABELS, Group
from kid.evaluation.report.runs import COLUMNS, Column, Run, Score
from kid.evaluation.report.tables import Table

EXAMPLES_OF_EACH, BESIDE_GOLD = 2, 10


@dataclass(frozen=True)
class Example:
    """A question with its gold query and predictions, one a line."""

    title: str
    text: str


def chosen_run(runs: Sequence[Run]) -> tuple[Run, Score] | None:
    """The KID run with the highest EX on the first column that one has, else the first run with a score."""
    scored = [run for run in runs if run.scores]
    kid = [run for run in scored if run.config.method == "kid"]
    for column in COLUMNS:
        found = [run for run in kid if column in run.scores]
        if found:
            best = max(found, key=lambda run: run.scores[column].ex)
            return best, best.scores[column]
    return (scored[0], next(iter(scored[0].scores.values()))) if scored else None


def hardness_table(run: Run, score: Score) -> Table:
    """Questions, EX and TS by hardness, and below them the number of misses by class."""
    header, counts = failure_table(score.verdicts)
    by_level = [score.hardness.get(level, {}) for level in header[1:-1]] + [vars(score)]
    shares = {name: [level.get(name) for level in by_level] for name in ("ex", "ts")}
    rows = [["questions", *(str(level.get("n", "-")) for level in by_level)]]
    for name, values in shares.items():
        if any(value is not None for value in values):
            rows.append([f"{name.upper()} in percent", *("-" if value is None else f"{value:.1f}" for value in values)])
    counted = [[name, *map(str, numbers)] for name, *numbers in counts if numbers[-1] or name == "misses"]
    caption = (
        f"{COLUMNS[score.column]}: predictions that are not right by EX, by what differs from the gold query. One may "
        "be wrong in several ways; in the row of misses each counts once."
    )
    if len(counted) == 1 and counted[0][-1] != "0":
        caption += " The score file names no classes: it is an older one, score the predictions again."
    return Table(f"Failures of {run.folder}", caption, header, [*rows, "Number of misses", *counted])


def read_predictions(score: Score, remarks: list[str]) -> list[str] | None:
    """The predictions that were scored, one for each verdict; None, with a remark, where they are not at hand."""
    path = score.predictions
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remarks.append(f"{path} cannot be read ({error}); no example shows its predictions")
        return None
    lines = [line.split("\t")[0].strip() for line in text.removesuffix("\n").split("\n")]
    if len(lines) != score.n:
        remarks.append(f"{path} has {len(lines)} lines, {score.path} {score.n} verdicts; no example shows them")
        return None
    return lines


def read_questions(column: Column, n: int, data: Path) -> list[Question]:
    """The questions of a column. Raises InputError where `data` has others."""
    questions = load_questions(column[0], column[1], data)
    if len(questions) != n:
        raise InputError(
            f"--data {data} has {len(questions)} questions of {column[0]} {column[1]}, but {n} were scored; give the "
            "folder that they were scored with, or leave --data out"
        )
    return questions


def failure_blocks(
    score: Score, questions: Sequence[Question] | None, predictions: list[str]
) -> list[tuple[str, list[Example]]]:
    """(class, examples of it); without the questions, of the predictions alone."""
    known = questions or [Question(place, "", "", "") for place in range(score.n)]
    found: dict[str, list[Example]] = {}
    for one in failure_examples(score.verdicts, known, predictions, EXAMPLES_OF_EACH):
        question = Question(one["index"], one["db_id"], one["question"], one["gold"])
        shown = example(question, {"prediction": one["prediction"]}, {"prediction": False})
        found.setdefault(one["class"], []).append(shown)
    return list(found.items())


def example(question: Question, predictions: dict[str, str], right: dict[str, bool]) -> Example:
    """One question; its number where its text is not known."""
    title = f"{question.question} ({question.db_id})" if question.db_id else f"Question {question.index}"
    return Example(title, marked_predictions(question.query, predictions, right))


def beside_gold(
    run: Run, score: Score, groups: Sequence[Group], questions: Sequence[Question] | None, remarks: list[str]
) -> list[Example]:
    """Ten questions, evenly spaced, with the predictions of the run, of its SFT baseline and of its teacher."""
    shown = {METHOD_LABELS[run.config.method]: [run]}
    for group in groups:
        for teacher, rows in group.methods.items():
            if any(run in row.runs for row in rows):
                shown = {"SFT": group.sft.runs if group.sft else []} | shown
                shown = {"teacher": group.teachers[teacher].runs if teacher in group.teachers else []} | shown
    predictions, right = {}, {}
    for name, runs in shown.items():
        scores = [one.scores[score.column] for one in runs if score.column in one.scores]
        lines = read_predictions(scores[0], remarks) if scores and scores[0].n == score.n else None
        if lines:
            predictions[name], right[name] = lines, [verdict["ex"] for verdict in scores[0].verdicts]
    if not predictions:
        return []
    known = questions or [Question(place, "", "", "") for place in range(score.n)]
    count = min(BESIDE_GOLD, score.n)
    return [
        example(
            known[place],
            {name: lines[place] for name, lines in predictions.items()},
            {name: verdicts[place] for name, verdicts in right.items()},
        )
        for place in (number * score.n // count for number in range(count))
    ]
