"""Paired tests of whether two methods' scores differ by more than chance on these questions."""

from __future__ import annotations

import numpy as np

from kid.report.groups import Group
from kid.report.rows import Row, metrics_of
from kid.report.score_files import SCORE_COLUMNS, ScoreColumn
from kid.report.tables import Table
from kid.report.text import signed

RESAMPLES = 10_000
# With fewer differing questions the bootstrap's p is far too small (two of two: p = 0.0001); the exact test's is not.
FEWEST_TO_RESAMPLE = 20
ROUNDING = 1e-9


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Two-sided test of whether the means of `first` and `second`, measured on the same questions, are equal.

    Questions are drawn with replacement; p is the share of resamples whose difference is at least as far from the
    observed one as the observed one is from zero (the bootstrap shifted to the null; Efron and Tibshirani, 16.4). The
    observed data count as one resample, so p is never 0. Reliable if many questions differ.

    Args:
        first, second: [n] right (1) or wrong (0) by question, or the mean over seeds.
        resamples: number of resamples.
        seed: random seed of the resampling.

    Returns:
        Difference of the means (first - second), and p.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"expected two vectors of one length, got {first.shape} and {second.shape}")
    # Counting draws per distinct difference, as a multinomial, gives the same distribution as drawing questions, with
    # an array of resamples x (a few values) instead of resamples x n.
    values, counts = np.unique(first - second, return_counts=True)
    n = len(first)
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    observed = float(values @ counts / n)
    shifted = np.abs(draws @ values / n - observed)
    extreme = int((shifted >= abs(observed) - ROUNDING).sum())
    return observed, (1 + extreme) / (1 + resamples)


def sign_flip(differences: np.ndarray) -> float:
    """Exact two-sided p of the null hypothesis that each question's difference could equally have the other sign.

    The share of all choices of signs whose sum is at least as far from zero as the observed one. With one seed per
    side, where every difference is 1 or -1, this is McNemar's exact test. Computes 2^n sums: only for few differences.

    Args:
        differences: [n], by question; zeros change nothing.
    """
    sums = np.zeros(1)
    for difference in differences[differences != 0]:
        sums = np.concatenate([sums + difference, sums - difference])
    return float((np.abs(sums) >= abs(differences.sum()) - ROUNDING).mean())


def paired_test(first: np.ndarray, second: np.ndarray) -> tuple[float, float, bool]:
    """(difference of the means, p, whether p is of the exact test, as few questions differ); see the tests above."""
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if np.count_nonzero(differences) < FEWEST_TO_RESAMPLE:
        return float(differences.mean()), sign_flip(differences), True
    return *paired_bootstrap(first, second), False


def comparisons(group: Group) -> dict[str, list[tuple[Row, Row]]]:
    """By teacher, pairs of each method and SFT, and of KID and GKD; under "", SFT with other losses and SFT."""
    found = {"": [(row, group.sft) for row in group.variants]}
    for teacher, rows in group.methods.items():
        kid, gkd = group.row(teacher, "kid"), group.row(teacher, "gkd-rkl")
        with_sft = [(row, group.sft) for row in rows if group.sft]
        found[teacher] = with_sft + ([(kid, gkd)] if kid and gkd else [])
    return found


def significance_table(group: Group) -> Table | None:
    """Table of EX differences in points, of each method to SFT and of KID to GKD, with p of a paired test."""
    pairs = comparisons(group)
    columns = [metric[0] for metric in metrics_of(group.rows()) if metric[1] == "ex"]
    results: dict[tuple, tuple[float, float, bool]] = {}
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
        f"Difference in EX in points, and two-sided p of a paired bootstrap over the n questions ({RESAMPLES:,} "
        f"resamples), or of an exact test where fewer than {FEWEST_TO_RESAMPLE} questions differ; of several seeds, "
        "each question's mean. Bold: p below 0.05, without correction for many tests.",
        ["difference", *(f"{SCORE_COLUMNS[column]}, n\u00a0=\u00a0{reference[column].n}" for column in columns)],
    )
    for teacher, rows in pairs.items():
        lines = [[f"{row.label} \N{EN DASH} {other.label}", row, other] for row, other in rows]
        lines = [
            [label, *(difference_cell(results.get((row, other, column)), table) for column in columns)]
            for label, row, other in lines
            if any((row, other, column) in results for column in columns)
        ]
        table.rows += ([f"Teacher: {teacher}"] if teacher and lines else []) + lines
    return table


def difference_cell(result: tuple[float, float, bool] | None, table: Table) -> str:
    """A difference with its p, and a footnote mark if p is of the exact test."""
    if result is None:
        return "-"
    difference, p, exact = result
    note = (
        f"Fewer than {FEWEST_TO_RESAMPLE} questions differ: exact test over the signs of their differences, which with "
        "one seed each is McNemar's."
    )
    text = f"{signed(100 * difference)} (p = {p:.4f}{table.footnote_mark(note) if exact else ''})"
    return f"**{text}**" if p < 0.05 else text


def correct_by_question(row: Row, column: ScoreColumn) -> np.ndarray:
    """[seeds, n], right or wrong, in order of the questions' indices."""
    scores = row.scores(column).values()
    seeds = [sorted(score.verdicts, key=lambda verdict: verdict["index"]) for score in scores]
    return np.array([[verdict["ex"] for verdict in seed] for seed in seeds], dtype=float)
