"""Paired tests whether the scores of two methods differ by more than chance on these questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import permutation_test

from kid.report.groups import Group
from kid.report.rows import Row, metrics_of
from kid.report.score_files import SCORE_COLUMNS, ScoreColumn
from kid.report.tables import Table
from kid.report.text import signed

PERMUTATIONS = 10_000
BATCH = 1000  # permutations per batch: a million numbers


def paired_test(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Two-sided permutation test of the hypothesis that each question's difference may have either sign.

    If there are few choices of signs, all are counted, otherwise `PERMUTATIONS` random ones and the observed one. With
    one seed on each side, every difference is 1 or -1, and counting all choices is McNemar's exact test.

    Args:
        first, second: [n] correct (1) or wrong (0) by question, or the mean over seeds.

    Returns:
        (difference of the means, first - second; p).
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    differing = differences[differences != 0]  # others have no effect
    if len(differing) < 2:  # both signs of a single difference are equally far from 0
        return float(differences.mean()), 1.0
    result = permutation_test(
        (differing, np.zeros_like(differing)), lambda x, y, axis: (x - y).sum(axis), permutation_type="samples",
        vectorized=True, n_resamples=PERMUTATIONS, batch=BATCH, rng=0,
    )  # fmt: skip
    return float(differences.mean()), float(result.pvalue)


def comparisons(group: Group) -> dict[str, list[tuple[Row, Row]]]:
    """Pair each method with SFT, and KID with GKD, by teacher; under "", SFT with other losses and SFT."""
    found = {"": [(row, group.sft) for row in group.variants]}
    for teacher, rows in group.methods.items():
        kid, gkd = group.row(teacher, "kid"), group.row(teacher, "gkd-rkl")
        with_sft = [(row, group.sft) for row in rows if group.sft]
        found[teacher] = with_sft + ([(kid, gkd)] if kid and gkd else [])
    return found


def significance_table(group: Group) -> Table | None:
    """Create a table of EX differences in points, of each method to SFT and of KID to GKD, with p of a paired test."""
    pairs = comparisons(group)
    columns = [metric[0] for metric in metrics_of(group.rows()) if metric[1] == "ex"]
    results: dict[tuple, tuple[float, float]] = {}
    for row, other in (pair for rows in pairs.values() for pair in rows):
        for column in columns:
            both = [correct_by_question(compared, column) for compared in (row, other)]
            if all(len(side) for side in both):
                results[row, other, column] = paired_test(*(side.mean(axis=0) for side in both))
    columns = [column for column in columns if any(key[2] == column for key in results)]
    if not columns:
        return None
    reference = group.rows()[0].reference
    table = Table(
        f"Significance: {group.student}",
        "Difference in EX in points, and two-sided p of a paired permutation test over the n questions: over all signs "
        "of their differences if these are few (with one seed each this is McNemar's test), else over "
        f"{PERMUTATIONS:,} random ones; with several seeds, each question has its mean. Bold: p below 0.05, not "
        "corrected for multiple tests.",
        ["difference", *(f"{SCORE_COLUMNS[column]}, n\u00a0=\u00a0{reference[column].n}" for column in columns)],
    )
    for teacher, rows in pairs.items():
        lines = [
            [
                f"{row.label} \N{EN DASH} {other.label}",
                *(difference_cell(results.get((row, other, column))) for column in columns),
            ]
            for row, other in rows
            if any((row, other, column) in results for column in columns)
        ]
        if teacher and lines:
            table.rows.append(f"Teacher: {teacher}")
        table.rows += lines
    return table


def difference_cell(result: tuple[float, float] | None) -> str:
    """Write a difference with its p."""
    if result is None:
        return "-"
    difference, p = result
    text = f"{signed(100 * difference)} (p = {p:.4f})"
    return f"**{text}**" if p < 0.05 else text


def correct_by_question(row: Row, column: ScoreColumn) -> np.ndarray:
    """Return [seeds, n], correct or wrong, in the order of the questions' indices."""
    scores = row.scores(column).values()
    seeds = [sorted(score.verdicts, key=lambda verdict: verdict["index"]) for score in scores]
    return np.array([[verdict["ex"] for verdict in seed] for seed in seeds], dtype=float)
