"""The paper's claims, each judged by paired differences with the same seeds on the same questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from kid.report.text import markdown_table, signed

HOLDS, FAILS, OPEN = "holds", "does not hold", "not testable here"


@dataclass(frozen=True)
class Measure:
    """A quantity to compare. key: its key in the results of a seed; better: 1 if more is better, -1 if less is."""

    name: str
    key: str
    better: int


EX = Measure("EX, points", "right", 1)
EX_LAST = Measure("EX after the last epoch, points", "right_last", 1)
EX_ACC_ERR = Measure("ExAccErr, points", "ex_acc_err", -1)
SECONDS = Measure("seconds per step, %", "seconds", -1)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and where it is made. In each pair of runs, the first is claimed to be better.

    margin: how much worse the first may be, in the measure's unit, and still count as equally good.
    paper: for each pair the paper's difference on Spider dev, first minus second; empty if it gives none.
    """

    text: str
    where: str
    measure: Measure
    pairs: tuple[tuple[str, str], ...]
    paper: tuple[str, ...]
    margin: float = 0.0


# The paper's differences: on Spider dev, Qwen1.5-0.5B from 1.8B (Tables 2 and 3), TinyLLaMA from LLaMA2-7B (Table 5).
# Figures 4 and 5 have no numbers, and Table 7 is for another pair on BIRD. The margins, 1 point and 10 %, are ours.
CLAIMS = (
    Claim(
        "Reverse KL is better than forward KL", "section 2.3, Table 2", EX, (("rkd", "fkd"), ("gkd-rkl", "gkd-fkl")),
        ("+5.4", "+1.8"),
    ),
    Claim(
        "The student's own outputs are better than gold", "section 2.3, Table 2", EX,
        (("gkd-fkl", "fkd"), ("gkd-rkl", "rkd"), ("imitkd", "fkd")), ("+3.8", "+0.2", "+1.0"),
    ),
    Claim("KID is better than RKD and SFT", "Table 3", EX, (("kid", "rkd"), ("kid", "sft")), ("+1.0", "+5.9")),
    Claim("KID is as good as GKD, within 1 point", "Table 3", EX, (("kid", "gkd-rkl"),), ("+0.8",), margin=1.0),
    Claim("KID costs the same as RKD, within 10 %", "Table 3", SECONDS, (("kid", "rkd"),), ("+0",), margin=10.0),
    Claim("KID costs less than GKD", "Table 3", SECONDS, (("kid", "gkd-rkl"),), ("-82",)),
    Claim(
        "Rewriting is better than masking alone, and than no masking", "Table 5", EX,
        (("kid", "kid-mask-only"), ("kid", "rkd")), ("+1.6", "+2.1"),
    ),
    Claim(
        "Random masking is best", "Figure 4", EX,
        (("kid", "kid-uniform"), ("kid", "kid-hard"), ("kid", "kid-easy")), ("", "", ""),
    ),
    Claim(
        "A mask ratio of 0.2 is best", "Figure 5", EX,
        tuple(("kid", f"kid-ratio-{ratio}") for ratio in ("0.1", "0.3", "0.4", "0.5")), ("",) * 4,
    ),
    Claim(
        "ExAccErr falls with KID", "Table 7", EX_ACC_ERR, (("kid", "fkd"), ("kid", "rkd")), ("", ""),
    ),
)  # fmt: skip


def interval(mean: float, variance: float, freedom: float) -> tuple[float, float, float]:
    """(mean, low, high) of the 95 % interval by Student's t. variance: of the mean; freedom: degrees, at least 1."""
    half = float(student_t.ppf(0.975, freedom)) * math.sqrt(variance)
    return mean, mean - half, mean + half


def interval_over_seeds(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean of paired differences, one per seed, and its 95 % interval; infinite with one seed."""
    mean, seeds = float(np.mean(differences)), len(differences)
    if seeds == 1:
        return mean, -math.inf, math.inf
    return interval(mean, float(np.var(differences, ddof=1)) / seeds, seeds - 1)


def interval_over_both(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of differences by seed and question, and its 95 % interval over both seeds and questions.

    Seeds and questions are crossed: every seed has every question. The variance of the mean is the variance of the
    seeds' means / seeds + the variance of the questions' means / questions - the residual, which both contain. The
    degrees of freedom are those of Welch and Satterthwaite.

    Args:
        differences: [seeds, n].
    """
    seeds, n = differences.shape
    mean, by_seed, by_question = float(differences.mean()), differences.mean(axis=1), differences.mean(axis=0)
    if seeds == 1:
        return mean, -math.inf, math.inf
    residuals = differences - by_seed[:, None] - by_question + mean
    parts = float(by_seed.var(ddof=1)) / seeds, float(by_question.var(ddof=1)) / n
    residual = float((residuals**2).sum()) / ((seeds - 1) * (n - 1) * seeds * n)
    variance = max(*parts, sum(parts) - residual)
    terms = (parts[0] ** 2 / (seeds - 1), parts[1] ** 2 / (n - 1), residual**2 / ((seeds - 1) * (n - 1)))
    return interval(mean, variance, max(1.0, variance**2 / sum(terms)) if variance else 1.0)


def compare(measure: Measure, first: list[dict], second: list[dict]) -> tuple[float, float, float]:
    """(difference, low, high) of first minus second, paired by seed, in the measure's unit.

    Args:
        first, second: the results of a run, one per seed, in the same order of seeds.
    """
    sides = [[one[measure.key] for one in run] for run in (first, second)]
    if measure in (EX, EX_LAST):
        verdicts = [np.array([[int(mark) for mark in one] for one in side], dtype=float) for side in sides]
        return interval_over_both(100 * (verdicts[0] - verdicts[1]))
    if measure is SECONDS:
        return interval_over_seeds([100 * (one / other - 1) for one, other in zip(*sides, strict=True)])
    return interval_over_seeds([one - other for one, other in zip(*sides, strict=True)])


def with_interval(difference: float, low: float, high: float) -> str:
    """A difference as text, with its interval unless that is infinite (one seed)."""
    return signed(difference) + (f" ({signed(low)} to {signed(high)})" if math.isfinite(low) else "")


def judge(measure: Measure, low: float, high: float, margin: float) -> str:
    """Whether an interval of differences (first minus second) shows that the first is better, up to the margin."""
    if measure.better < 0:
        low, high = -high, -low
    return HOLDS if low > -margin else FAILS if high < -margin else OPEN


def judge_all(verdicts: Sequence[str]) -> str:
    """The verdict on a claim from those on its pairs: it holds if all hold, and fails if one fails."""
    return FAILS if FAILS in verdicts else HOLDS if set(verdicts) == {HOLDS} else OPEN


def claims_table(runs: dict[str, list[dict]]) -> str:
    """Markdown: every claim with its verdict, followed by its pairs with their differences.

    Args:
        runs: name -> results, one per seed: `right` ("0110...", a digit per question), `seconds` and `ex_acc_err`.
            A pair is not judged if a run is missing or lacks the claim's measure; the verdict then says how many
            pairs of the claim were.
    """
    rows = []
    for claim in CLAIMS:
        lines = []
        for (first, second), paper in zip(claim.pairs, claim.paper, strict=True):
            results = [one for run in (first, second) for one in runs.get(run, [{}])]
            if not all(claim.measure.key in one for one in results):
                continue
            difference, low, high = compare(claim.measure, runs[first], runs[second])
            verdict = judge(claim.measure, low, high, claim.margin)
            found = with_interval(difference, low, high)
            lines.append([f"{first} \N{EN DASH} {second}, {claim.measure.name}", paper or "-", found, verdict])
        if lines:
            part = f", {len(lines)} of {len(claim.pairs)} pairs" if len(lines) < len(claim.pairs) else ""
            verdict = f"**{judge_all([line[-1] for line in lines])}**{part}"
            rows += [[f"**{claim.text}** ({claim.where})", "", "", verdict], *lines]
    return markdown_table(["claim", "paper", "here, 95 % interval", "verdict"], rows)
