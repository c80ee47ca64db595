"""Curves over the steps of runs: EX, from scores of saved adapters or measured during training, and the loss."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kid.report.rows import Row, main_column
from kid.report.score_files import SCORE_COLUMNS, ScoreColumn

Points = list[tuple[int, float]]  # (step, value)
BINS = 100  # points of a loss curve, so that thousands of steps stay readable and the page stays small


class Curves(NamedTuple):
    """Curves on the same questions.

    questions: description of the questions. lines: (row, its points, number of questions). left_out: labels of the rows
    that were only measured on other questions.
    """

    questions: str
    lines: list[tuple[Row, Points, int]]
    left_out: list[str]


def mean_points(curves: Iterable[Mapping[int, float]]) -> Points:
    """Average the curves of several seeds at the steps that all of them have; at other steps the mean would jump."""
    found = [curve for curve in curves if curve]
    steps = set.intersection(*map(set, found)) if found else ()
    return [(step, statistics.mean(curve[step] for curve in found)) for step in sorted(steps)]


def scored_curve(row: Row, column: ScoreColumn) -> Points:
    """Return EX of the scored checkpoints, including the finished model; empty for seeds without scores."""
    curves: list[dict[int, float]] = []
    for run in row.runs:
        scores = {step: found[column] for step, found in run.curve.items() if column in found}
        if scores and run.finished and column in run.scores:
            scores[run.steps] = run.scores[column]
        curves.append({step: score.ex for step, score in scores.items() if row.is_comparable(score)})
    return mean_points(curves)


def measured_curve(row: Row, questions: tuple) -> Points:
    """Return EX of the evaluations during training on these questions."""
    return mean_points(run.evaluations for run in row.runs if run.evaluated_on == questions)


def comparable_curves(rows: Sequence[Row]) -> Curves | None:
    """Return the curves on the questions for which most rows have one, preferring scores; None without any.

    A curve has at least two points.
    """
    candidates: list[tuple[str, list[tuple[Row, Points, int]]]] = []
    column = main_column(rows)
    if column:
        lines = [(row, scored_curve(row, column), row.reference[column].n) for row in rows if column in row.reference]
        candidates.append((SCORE_COLUMNS[column], lines))
    for questions in dict.fromkeys(run.evaluated_on for row in rows for run in row.runs if run.evaluated_on):
        split, n = questions[-2:]
        lines = [(row, measured_curve(row, questions), n) for row in rows]
        candidates.append((f"{n} questions of {split}, during training", lines))
    candidates = [(words, [line for line in lines if len(line[1]) > 1]) for words, lines in candidates]
    words, lines = max(candidates, key=lambda one: len(one[1]), default=("", []))
    drawn = {row.label for row, _, _ in lines}
    others = {row.label for _, found in candidates for row, _, _ in found} - drawn
    return Curves(words, lines, sorted(others)) if lines else None


def loss_curves(rows: Sequence[Row]) -> list[tuple[Row, list[tuple[float, float]]]]:
    """Return (row, its training losses over steps) of rows with at least two steps, on the benchmark of most runs.

    A point is the mean (step, loss) of a bin of consecutive steps.
    """
    runs = Counter(run.dev_column for row in rows for run in row.runs if run.losses)
    column = max(SCORE_COLUMNS, key=lambda column: runs[column])  # ties go to the first, Spider
    curves = []
    for row in rows:
        points = mean_points(run.losses for run in row.runs if run.dev_column == column)
        if len(points) > 1:
            curves.append((row, binned(points)))
    return curves


def binned(points: Points) -> list[tuple[float, float]]:
    """Return the means of at most `BINS` groups of consecutive points, whose sizes differ by at most one point."""
    count = min(BINS, len(points))
    bins = [points[number * len(points) // count : (number + 1) * len(points) // count] for number in range(count)]
    return [(statistics.mean(step for step, _ in own), statistics.mean(loss for _, loss in own)) for own in bins]
