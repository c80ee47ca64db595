"""EX over the steps of runs: of their saved adapters as they were scored, or as it was measured while training."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kid.report.rows import Row, main_column
from kid.report.score_files import SCORE_COLUMNS, ScoreColumn

Points = list[tuple[int, float]]  # (step, EX)


class Curves(NamedTuple):
    """Curves on the same questions.

    questions: which, in words. lines: (row, its points, the number of questions). left_out: labels of the rows that
    were only measured on others.
    """

    questions: str
    lines: list[tuple[Row, Points, int]]
    left_out: list[str]


def mean_points(curves: Iterable[Mapping[int, float]]) -> Points:
    """The mean of the curves of some seeds, at the steps that all of them have: elsewhere the line would jump."""
    found = [curve for curve in curves if curve]
    steps = set.intersection(*map(set, found)) if found else ()
    return [(step, statistics.mean(curve[step] for curve in found)) for step in sorted(steps)]


def scored_curve(row: Row, column: ScoreColumn) -> Points:
    """Of the scored checkpoints, including the finished model; of seeds without any scores, none."""
    curves: list[dict[int, float]] = []
    for run in row.runs:
        scores = {step: found[column] for step, found in run.curve.items() if column in found}
        if scores and run.finished and column in run.scores:
            scores[run.steps] = run.scores[column]
        curves.append({step: score.ex for step, score in scores.items() if row.is_comparable(score)})
    return mean_points(curves)


def measured_curve(row: Row, questions: tuple) -> Points:
    """Of the evaluations while training that asked these questions."""
    return mean_points(run.evaluations for run in row.runs if run.evaluated_on == questions)


def comparable_curves(rows: Sequence[Row]) -> Curves | None:
    """The curves on the questions on which most rows have one, scored ones first; None without any.

    A curve has two points at least.
    """
    candidates: list[tuple[str, list[tuple[Row, Points, int]]]] = []
    column = main_column(rows)
    if column:
        lines = [(row, scored_curve(row, column), row.reference[column].n) for row in rows if column in row.reference]
        candidates.append((SCORE_COLUMNS[column], lines))
    for questions in dict.fromkeys(run.evaluated_on for row in rows for run in row.runs if run.evaluated_on):
        split, n = questions[-2:]
        lines = [(row, measured_curve(row, questions), n) for row in rows]
        candidates.append((f"{n} questions of {split}, while training", lines))
    candidates = [(words, [line for line in lines if len(line[1]) > 1]) for words, lines in candidates]
    words, lines = max(candidates, key=lambda one: len(one[1]), default=("", []))
    drawn = {row.label for row, _, _ in lines}
    others = {row.label for _, found in candidates for row, _, _ in found} - drawn
    return Curves(words, lines, sorted(others)) if lines else None
