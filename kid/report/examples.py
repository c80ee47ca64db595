"""What one run gets wrong: misses by class and hardness, examples of each class, and predictions beside their gold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.data.damage import Damage
from kid.data.questions import Question, load_questions
from kid.errors import InputError
from kid.evaluation.failures import failure_examples, failure_table
from kid.evaluation.scores import read_predictions
from kid.report.groups import Group
from kid.report.rows import METHOD_LABELS
from kid.report.runs import Run
from kid.report.score_files import COLUMNS, Score, share
from kid.report.tables import Table
from kid.report.text import marked_predictions

EXAMPLES_OF_EACH, BESIDE_GOLD = 2, 10


@dataclass(frozen=True)
class Example:
    """A question with its gold query and predictions, one a line."""

    title: str
    text: str


@dataclass(frozen=True)
class Choice:
    """The run that is looked at, and why it is this one; questions: with their gold queries, where they are known."""

    run: Run
    score: Score
    reason: str
    questions: Sequence[Question] | None = None


def choices(runs: Sequence[Run]) -> Iterator[Choice]:
    """The KID run with the highest EX on each column, then every run's scores as they were given."""
    kid = [run for run in runs if run.config.method == "kid"]
    for column, name in COLUMNS.items():
        found = [run for run in kid if column in run.scores]
        if found:
            best = max(found, key=lambda run: run.scores[column].ex)
            reason = f"the KID run with the highest EX on {name}, of {len(found)} with a score there"
            yield Choice(best, best.scores[column], reason)
    for run in runs:
        for score in run.scores.values():
            yield Choice(run, score, f"the first run that has a score on {COLUMNS[score.column]}")


def choose(runs: Sequence[Run], data: Path | None, remarks: list[str]) -> Choice | None:
    """The first choice, or the first one whose questions `data` has; None where nothing was scored."""
    wanted = list(choices(runs))
    reasons: dict[tuple, str] = {}
    for choice in wanted if data else ():
        key = choice.score.column, choice.score.n
        if key not in reasons:
            questions, reasons[key] = read_questions(choice.score, data, remarks)
            if questions:
                words = choice.reason + (", for which --data has the questions" if choice is not wanted[0] else "")
                return Choice(choice.run, choice.score, words, questions)
    if reasons:
        remarks.append(
            f"--data {data} has the questions of no score, so gold queries are left out: {'; '.join(reasons.values())}"
        )
    return wanted[0] if wanted else None


def read_questions(score: Score, data: Path, remarks: list[str]) -> tuple[list[Question] | None, str]:
    """(the questions of a score, "") or (None, why `data` does not have them); damaged ones are said, and kept."""
    damage = Damage("skip")
    benchmark, split, _ = score.column
    try:
        questions = load_questions(benchmark, split, data, damage=damage)
    except InputError as error:
        return None, str(error)
    if len(questions) != score.n:
        return None, f"{len(questions)} questions of {benchmark} {split} there, but {score.n} were scored"
    remarks += [f"--data {data}: {line}" for line in damage.lines()]
    return questions, ""


def hardness_table(run: Run, score: Score) -> Table:
    """Questions, EX and TS by hardness, and below them the number of misses by class."""
    header, counts = failure_table(score.verdicts)
    parts = [[verdict for verdict in score.verdicts if verdict["hardness"] == level] for level in header[1:-1]]
    parts.append(score.verdicts)
    rows = [["questions", *(str(len(part)) for part in parts)]]
    for kind in ("ex", "ts"):
        shares = [share(part, kind) for part in parts]
        if None not in shares:
            rows.append([f"{kind.upper()} in percent", *(f"{value:.1f}" for value in shares)])
    misses = [[name, *map(str, numbers)] for name, *numbers in counts if numbers[-1] or name == "misses"]
    caption = (
        f"{COLUMNS[score.column]}: predictions that are not right by EX, by what differs from the gold query. One may "
        "be wrong in several ways; in the row of misses each counts once."
    )
    if len(misses) == 1 and misses[0][-1] != "0":
        caption += " The score file names no classes: it is an older one, score the predictions again."
    return Table(f"Failures of {run.folder}", caption, header, [*rows, "Number of misses", *misses])


def scored_predictions(score: Score, remarks: list[str]) -> list[str] | None:
    """The predictions that were scored, one for each verdict; None, with a remark, where they are not at hand."""
    try:
        return read_predictions(score.predictions, score.n)
    except InputError as error:
        remarks.append(f"no example shows the predictions of {score.path}: {error}")
        return None


def failure_blocks(choice: Choice, predictions: list[str]) -> list[tuple[str, list[Example]]]:
    """(class, examples of it); without the questions, of the predictions alone."""
    found: dict[str, list[Example]] = {}
    for one in failure_examples(choice.score.verdicts, known(choice), predictions, EXAMPLES_OF_EACH):
        question = Question(one["index"], one["db_id"], one["question"], one["gold"])
        shown = example(question, {"prediction": one["prediction"]}, {"prediction": False})
        found.setdefault(one["class"], []).append(shown)
    return list(found.items())


def known(choice: Choice) -> Sequence[Question]:
    """The questions, or as many empty ones."""
    return choice.questions or [Question(place, "", "", "") for place in range(choice.score.n)]


def example(question: Question, predictions: dict[str, str], right: dict[str, bool]) -> Example:
    """One question; its number where its text is not known."""
    title = f"{question.question} ({question.db_id})" if question.db_id else f"Question {question.index}"
    return Example(title, marked_predictions(question.query, predictions, right))


def compared_runs(choice: Choice, groups: Sequence[Group]) -> dict[str, Run]:
    """Label -> run: the teacher's, the SFT baseline's and the chosen one; of its seed, where there are several."""
    run, score, rows = choice.run, choice.score, {}
    for group in groups:
        for teacher, taught in group.methods.items():
            if any(run in row.runs for row in taught):
                rows = {"teacher": group.teachers.get(teacher), "SFT": group.sft}
    shown = {}
    for label, row in rows.items():
        alike = [one for one in row.runs if score.column in one.scores] if row else []
        alike = [one for one in alike if one.scores[score.column].questions == score.questions]
        if alike:
            shown[label] = min(alike, key=lambda one: one.config.seed != run.config.seed)
    return shown | {METHOD_LABELS[run.config.method]: run}


def beside_gold(choice: Choice, shown: dict[str, Run], remarks: list[str]) -> list[Example]:
    """Ten questions, evenly spaced, with the predictions of each run."""
    predictions, right = {}, {}
    for label, run in shown.items():
        score = run.scores[choice.score.column]
        lines = scored_predictions(score, remarks)
        if lines:
            predictions[label], right[label] = lines, [verdict["ex"] for verdict in score.verdicts]
    if not predictions:
        return []
    questions, n = known(choice), choice.score.n
    count = min(BESIDE_GOLD, n)
    return [
        example(
            questions[place],
            {label: lines[place] for label, lines in predictions.items()},
            {label: verdicts[place] for label, verdicts in right.items()},
        )
        for place in (number * n // count for number in range(count))
    ]
