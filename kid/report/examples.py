"""The errors of one run: misses by class and hardness, examples of each class, predictions next to gold SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.data.faults import Damage
from kid.data.questions import Question, load_questions, questions_hash
from kid.errors import InputError
from kid.evaluation.failures import failure_examples, failure_table
from kid.evaluation.predictions_file import read_predictions
from kid.report.groups import Group
from kid.report.rows import METHOD_LABELS
from kid.report.runs import Run
from kid.report.score_files import SCORE_COLUMNS, Score, accuracy_percent
from kid.report.tables import Table
from kid.report.text import marked_predictions

EXAMPLES_PER_CLASS, SPACED_EXAMPLES = 2, 10


@dataclass(frozen=True)
class Example:
    """A question with its gold query and predictions, one per line."""

    title: str
    text: str


@dataclass(frozen=True)
class ChosenRun:
    """The run whose errors are shown, and why it was chosen. questions: with gold queries, or None if unknown."""

    run: Run
    score: Score
    reason: str
    questions: Sequence[Question] | None = None


def candidate_runs(runs: Sequence[Run]) -> Iterator[ChosenRun]:
    """Yield the KID run with the highest EX in each column, then the scores of all runs in the order given."""
    kid_runs = [run for run in runs if run.config.method == "kid"]
    for column, name in SCORE_COLUMNS.items():
        scored_runs = [run for run in kid_runs if column in run.scores]
        if scored_runs:
            best = max(scored_runs, key=lambda run: run.scores[column].ex)
            if len(scored_runs) > 1:
                reason = f"the KID run with the highest EX on {name}, of {len(scored_runs)} with a score there"
            else:
                reason = f"the only KID run with a score on {name}"
            yield ChosenRun(best, best.scores[column], reason)
    for run in runs:
        for score in run.scores.values():
            yield ChosenRun(run, score, f"the first run that has a score on {SCORE_COLUMNS[score.column]}")


def choose_run(runs: Sequence[Run], data: Path | None, remarks: list[str]) -> ChosenRun | None:
    """Choose the first candidate, preferring one whose questions are in `data`; None if nothing was scored."""
    candidates = list(candidate_runs(runs))
    reasons: dict[tuple, str] = {}
    for choice in candidates if data else ():
        key = choice.score.column, choice.score.n
        if key not in reasons:
            questions, reasons[key] = read_questions(choice.score, data, remarks)
            if questions:
                reason = choice.reason + (", for which --data has the questions" if choice is not candidates[0] else "")
                return ChosenRun(choice.run, choice.score, reason, questions)
    if reasons:
        remarks.append(
            f"--data {data} does not have the questions of any score, so gold queries are not shown: "
            f"{'; '.join(reasons.values())}"
        )
    return candidates[0] if candidates else None


def read_questions(score: Score, data: Path, remarks: list[str]) -> tuple[list[Question] | None, str]:
    """Return (questions of a score, "") or (None, why `data` lacks them). Damaged ones are kept, with a remark."""
    damage = Damage("skip")
    benchmark, split, _ = score.column
    try:
        questions = load_questions(benchmark, split, data, damage=damage)
    except InputError as error:
        return None, str(error)
    if len(questions) != score.n:
        return None, f"it has {len(questions)} questions of {benchmark} {split}, but {score.n} were scored"
    if score.questions_hash not in ("", questions_hash(questions, gold=True)):
        return None, f"{benchmark} {split} has changed since {score.path} was made; predict and score it again"
    remarks += [f"--data {data}: {line}" for line in damage.lines()]
    return questions, ""


def hardness_table(run: Run, score: Score) -> Table:
    """Return a table of questions, EX and TS by hardness, followed by the number of misses by class."""
    header, counts = failure_table(score.verdicts)
    subsets = [[verdict for verdict in score.verdicts if verdict["hardness"] == level] for level in header[1:-1]]
    subsets.append(score.verdicts)
    rows = [["questions", *(str(len(subset)) for subset in subsets)]]
    for kind in ("ex", "ts"):
        shares = [accuracy_percent(subset, kind) for subset in subsets]
        if None not in shares:
            rows.append([f"{kind.upper()} in percent", *(f"{value:.1f}" for value in shares)])
    misses = [[name, *map(str, numbers)] for name, *numbers in counts if numbers[-1] or name == "misses"]
    caption = (
        f"{SCORE_COLUMNS[score.column]}: predictions that are wrong by EX, by difference from the gold query. A "
        "prediction may differ in several ways; in the row of misses each counts once."
    )
    caption += " Easy to extra: the hardness of the gold query by Spider's rule." if "extra" in header else ""
    if len(misses) == 1 and misses[0][-1] != "0":
        caption += " The score file has no classes, because it is from an older version: score the predictions again."
    return Table(f"Failures of {run.folder}", caption, header, [*rows, "Number of misses", *misses])


def scored_predictions(score: Score, remarks: list[str]) -> list[str] | None:
    """Read the scored predictions, one per verdict; None, with a remark, if they cannot be read."""
    try:
        return read_predictions(score.predictions, score.n).queries
    except InputError as error:
        remarks.append(f"the predictions of {score.path} are not shown: {error}")
        return None


def failure_blocks(choice: ChosenRun, predictions: list[str]) -> list[tuple[str, list[Example]]]:
    """Return (class, its examples); without questions, examples show only the predictions."""
    found: dict[str, list[Example]] = {}
    for failure in failure_examples(
        choice.score.verdicts, questions_or_placeholders(choice), predictions, EXAMPLES_PER_CLASS
    ):
        question = Question(failure["index"], failure["db_id"], failure["question"], failure["gold"])
        shown = make_example(question, {"prediction": failure["prediction"]}, {"prediction": False})
        found.setdefault(failure["class"], []).append(shown)
    return list(found.items())


def questions_or_placeholders(choice: ChosenRun) -> Sequence[Question]:
    """Return the questions, or as many empty placeholders."""
    return choice.questions or [Question(index, "", "", "") for index in range(choice.score.n)]


def make_example(question: Question, predictions: dict[str, str], right: dict[str, bool]) -> Example:
    """Create the example of one question, with its index as the title if its text is unknown."""
    title = f"{question.question} ({question.db_id})" if question.db_id else f"Question {question.index}"
    return Example(title, marked_predictions(question.query, predictions, right))


def compared_runs(choice: ChosenRun, groups: Sequence[Group]) -> dict[str, Run]:
    """Return label -> run: teacher, SFT baseline and the chosen run, preferably with the seed of the chosen run."""
    run, score, rows = choice.run, choice.score, {}
    for group in groups:
        for teacher, method_rows in group.methods.items():
            if any(run in row.runs for row in method_rows):
                rows = {"teacher": group.teachers.get(teacher), "SFT": group.sft}
    shown = {}
    for label, row in rows.items():
        scored_runs = [candidate for candidate in row.runs if score.column in candidate.scores] if row else []
        scored_runs = [
            candidate for candidate in scored_runs if candidate.scores[score.column].questions == score.questions
        ]
        if scored_runs:
            shown[label] = min(scored_runs, key=lambda candidate: candidate.config.seed != run.config.seed)
    return shown | {METHOD_LABELS[run.config.method]: run}


def spaced_examples(choice: ChosenRun, shown: dict[str, Run], remarks: list[str]) -> list[Example]:
    """Return SPACED_EXAMPLES evenly spaced questions with the predictions of each run."""
    predictions, right = {}, {}
    for label, run in shown.items():
        score = run.scores[choice.score.column]
        lines = scored_predictions(score, remarks)
        if lines:
            predictions[label], right[label] = lines, [verdict["ex"] for verdict in score.verdicts]
    if not predictions:
        return []
    questions, n = questions_or_placeholders(choice), choice.score.n
    count = min(SPACED_EXAMPLES, n)
    return [
        make_example(
            questions[index],
            {label: lines[index] for label, lines in predictions.items()},
            {label: verdicts[index] for label, verdicts in right.items()},
        )
        for index in (number * n // count for number in range(count))
    ]
