"""The paper's claims, each judged by paired differences under the same seeds on the same questions."""

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
    """What is compared. key: in a seed's results; better: 1 where more is better, -1 where less is."""

    name: str
    key: str
    better: int


EX = Measure("EX, points", "right", 1)
EX_LAST = Measure("EX after the last epoch, points", "right_last", 1)
EX_ACC_ERR = Measure("ExAccErr, points", "ex_acc_err", -1)
SECONDS = Measure("seconds per step, %", "seconds", -1)


@dataclass(frozen=True)
class Claim:
    """What the paper says and where; of each pair of runs the first is said to be the better one.

    margin: how much worse than the other the first may be, in the measure's unit, to be as good.
    paper: for each pair the paper's own difference on Spider dev, of first less second; empty where it has none.
    """

    text: str
    where: str
    measure: Measure
    pairs: tuple[tuple[str, str], ...]
    paper: tuple[str, ...]
    margin: float = 0.0


# The paper's differences: on Spider dev, Qwen1.5-0.5B from 1.8B (Tables 2 and 3), TinyLLaMA from LLaMA2-7B (Table 5).
# Figures 4 and 5 give no numbers, Table 7 those of another pair on BIRD. The margins, 1 point and 10 %, are our choice.
CLAIMS = (
    Claim(
        "Reverse KL is better than forward KL", "section 2.3, Table 2", EX, (("rkd", "fkd"), ("gkd-rkl", "gkd-fkl")),
        ("+5.4", "+1.8"),
    ),
    Claim(
        "Outputs of the student's own are better than gold", "section 2.3, Table 2", EX,
        (("gkd-fkl", "fkd"), ("gkd-rkl", "rkd"), ("imitkd", "fkd")), ("+3.8", "+0.2", "+1.0"),
    ),
    Claim("KID is better than RKD and SFT", "Table 3", EX, (("kid", "rkd"), ("kid", "sft")), ("+1.0", "+5.9")),
    Claim("KID is as good as GKD, to 1 point", "Table 3", EX, (("kid", "gkd-rkl"),), ("+0.8",), margin=1.0),
    Claim("KID costs what RKD costs, to 10 %", "Table 3", SECONDS, (("kid", "rkd"),), ("+0",), margin=10.0),
    Claim("KID costs less than GKD", "Table 3", SECONDS, (("kid", "gkd-rkl"),), ("-82",)),
    Claim(
        "Rewriting is better than masking alone, and than neither", "Table 5", EX,
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
    """(mean, low, high): 95 % by Student's t. variance: of the mean; freedom: degrees of it, at least 1."""
    half = float(student_t.ppf(0.975, freedom)) * math.sqrt(variance)
    return mean, mean - half, mean + half


def interval_over_seeds(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean of paired differences, one a seed, and its 95 % interval; endless with one seed."""
    mean, seeds = float(np.mean(differences)), len(differences)
    if seeds == 1:
        return mean, -math.inf, math.inf
    return interval(mean, float(np.var(differences, ddof=1)) / seeds, seeds - 1)


def interval_over_both(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of differences by seed and question, and its 95 % interval where both might have been others.

    Seeds and questions are crossed: every seed has every question. The variance of the mean is that of the seeds'
    means / seeds + that of the questions' means / questions, less the rest, which is in both of them; degrees of
    freedom by Welch and Satterthwaite.

    Args:
        differences: [seeds, n].
    """
    seeds, n = differences.shape
    mean, by_seed, by_question = float(differences.mean()), differences.mean(axis=1), differences.mean(axis=0)
    if seeds == 1:
        return mean, -math.inf, math.inf
    rest = differences - by_seed[:, None] - by_question + mean
    parts = float(by_seed.var(ddof=1)) / seeds, float(by_question.var(ddof=1)) / n
    both = float((rest**2).sum()) / ((seeds - 1) * (n - 1) * seeds * n)
    variance = max(*parts, sum(parts) - both)
    terms = (parts[0] ** 2 / (seeds - 1), parts[1] ** 2 / (n - 1), both**2 / ((seeds - 1) * (n - 1)))
    return interval(mean, variance, max(1.0, variance**2 / sum(terms)) if variance else 1.0)


def compare(measure: Measure, first: list[dict], second: list[dict]) -> tuple[float, float, float]:
    """(difference, low, high) of first less second, seed by seed, in the measure's unit.

    Args:
        first, second: a run's results, one a seed, in the same order of seeds.
    """
    sides = [[one[measure.key] for one in run] for run in (first, second)]
    if measure in (EX, EX_LAST):
        verdicts = [np.array([[int(mark) for mark in one] for one in side], dtype=float) for side in sides]
        return interval_over_both(100 * (verdicts[0] - verdicts[1]))
    if measure is SECONDS:
        return interval_over_seeds([100 * (one / other - 1) for one, other in zip(*sides, strict=True)])
    return interval_over_seeds([one - other for one, other in zip(*sides, strict=True)])


def with_interval(difference: float, low: float, high: float) -> str:
    """As text; of one seed, which has no interval, the difference alone."""
    return signed(difference) + (f" ({signed(low)} to {signed(high)})" if math.isfinite(low) else "")


def judge(measure: Measure, low: float, high: float, margin: float) -> str:
    """Whether an interval of differences (first less second) says that the first is better, or as good to a margin."""
    if measure.better < 0:
        low, high = -high, -low
    return HOLDS if low > -margin else FAILS if high < -margin else OPEN


def judge_all(verdicts: Sequence[str]) -> str:
    """Of a claim's pairs: it holds if it holds for all, and does not if it fails for one."""
    return FAILS if FAILS in verdicts else HOLDS if set(verdicts) == {HOLDS} else OPEN


def claims_table(runs: dict[str, list[dict]]) -> str:
    """Every claim with its verdict, and below it each pair with its difference; Markdown.

    Args:
        runs: name -> results, one a seed: `right` ("0110...", a question each), `seconds`, and `ex_acc_err`. Of a
            claim only the pairs are judged whose runs are there; where some are not, its verdict says how many are.
    """
    rows = []
    for claim in CLAIMS:
        lines = []
        for (first, second), paper in zip(claim.pairs, claim.paper, strict=True):
            if not {first, second} <= set(runs):
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
