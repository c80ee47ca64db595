"""Whether two methods' predictions differ by more than the choice of questions explains: a paired bootstrap."""

from __future__ import annotations

import numpy as np

from kid.evaluation.report.rows import Group, Row, metrics_of
from kid.evaluation.report.runs import COLUMNS, Column
from kid.evaluation.report.tables import Table, signed

RESAMPLES = 10_000


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Two-sided test of whether the mean of `first` is that of `second`, both measured on the same questions.

    Questions are drawn with replacement; p is the share of resamples whose difference lies at least as far from the
    observed one as the observed one lies from zero (the bootstrap shifted to the null; Efron and Tibshirani, 16.4),
    with the observed data counted as one of them, so that p is never 0.

    Args:
        first, second: [n] right (1) or wrong (0) by question, or the mean over seeds.
        resamples: number of resamples.
        seed: of the resampling.

    Returns:
        Difference of the means (first - second), and p.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"expected two vectors of one length, got {first.shape} and {second.shape}")
    # A resample is how often each question is drawn; questions of one difference are drawn together, as a multinomial.
    # That is the same distribution, and a table of resamples x (a few values) instead of resamples x n.
    values, counts = np.unique(first - second, return_counts=True)
    n = len(first)
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    observed = float(values @ counts / n)
    shifted = np.abs(draws @ values / n - observed)
    extreme = int((shifted >= abs(observed) - 1e-12).sum())
    return observed, (1 + extreme) / (1 + resamples)


def comparisons(group: Group, teacher: str) -> list[tuple[Row, Row]]:
    """Every method beside SFT, and KID beside GKD."""
    kid, gkd = group.row(teacher, "kid"), group.row(teacher, "gkd-rkl")
    with_sft = [(row, group.sft) for row in group.methods[teacher] if group.sft]
    return with_sft + ([(kid, gkd)] if kid and gkd else [])


def significance_table(group: Group, remarks: list[str]) -> Table | None:
    """Differences in EX, in points, of each method to SFT and of KID to GKD, with p of a paired bootstrap."""
    pairs = {teacher: comparisons(group, teacher) for teacher in group.methods}
    columns = [metric[0] for metric in metrics_of(group.rows()) if metric[1] == "ex"]
    found: dict[tuple, tuple[float, float, int]] = {}
    for row, other in (pair for rows in pairs.values() for pair in rows):
        for column in columns:
            result = compare(row, other, column, remarks)
            if result:
                found[row, other, column] = result
    columns = [column for column in columns if any(key[2] == column for key in found)]
    if not columns:
        return None
    questions = {column: sorted({str(n) for key, (_, _, n) in found.items() if key[2] == column}) for column in columns}
    table = Table(
        f"Significance: {group.student}",
        f"Difference in EX in points, and two-sided p of a paired bootstrap over the n questions ({RESAMPLES:,} "
        "resamples); of several seeds, each question's mean. Bold: p below 0.05, without correction for many tests.",
        ["difference", *(f"{COLUMNS[column]}, n\u00a0=\u00a0{' or '.join(questions[column])}" for column in columns)],
    )
    for teacher, rows in pairs.items():
        table.rows.append(f"Teacher: {teacher}")
        for row, other in rows:
            results = [found.get((row, other, column)) for column in columns]
            cells = [f"{signed(100 * r[0])} (p = {r[1]:.4f})" if r else "-" for r in results]
            cells = [f"**{c}**" if r and r[1] < 0.05 else c for c, r in zip(cells, results, strict=True)]
            if any(results):
                table.rows.append([f"{row.label} \N{EN DASH} {other.label}", *cells])
    return table


def compare(row: Row, other: Row, column: Column, remarks: list[str]) -> tuple[float, float, int] | None:
    """(difference of EX as a share, p, n) of two rows on the same questions; None where one was not scored."""
    sides = [right_by_question(one, column) for one in (row, other)]
    if not all(sides):
        return None
    if len({tuple(seed) for side in sides for seed in side}) > 1:
        remarks.append(f"{row.label} and {other.label} were scored on different questions of {COLUMNS[column]}: no p")
        return None
    first, second = (np.mean([list(seed.values()) for seed in side], axis=0) for side in sides)
    return *paired_bootstrap(first, second), len(first)


def right_by_question(row: Row, column: Column) -> list[dict[int, bool]]:
    """For each seed: index of the question -> whether it was right, in order of the index."""
    verdicts = [score.verdicts for score in row.scores(column).values()]
    return [dict(sorted((v["index"], bool(v["ex"])) for v in seed)) for seed in verdicts]
