"""Intervals of paired differences against hand-made values and simulated truth; verdicts; every claim's runs exist."""

import math
import re

import numpy as np
import pytest
from parts.ablation_settings import EXPOSED, RUNS
from parts.claims import (
    CLAIMS,
    EX,
    EX_ACC_ERR,
    FAILS,
    HOLDS,
    OPEN,
    SECONDS,
    claims_table,
    compare,
    interval_over_both,
    interval_over_seeds,
    judge,
    judge_all,
)


def test_every_claim_compares_runs_that_there_are():
    assert {run for claim in CLAIMS for pair in claim.pairs for run in pair} <= set(RUNS)
    assert all(len(claim.paper) == len(claim.pairs) for claim in CLAIMS)
    assert "kid" in EXPOSED and set(RUNS) >= EXPOSED


def test_interval_over_seeds_by_hand():
    # mean 2, deviation 1, so 4.3026527 / sqrt(3) each way
    mean, low, high = interval_over_seeds([1.0, 2.0, 3.0])
    assert (mean, low, high) == pytest.approx((2.0, 2.0 - 4.3026527 / math.sqrt(3), 2.0 + 4.3026527 / math.sqrt(3)))
    assert interval_over_seeds([1.0]) == (1.0, -math.inf, math.inf)
    assert interval_over_seeds([1.5] * 40) == (1.5, 1.5, 1.5)


def test_interval_over_both_by_hand():
    # Seeds' means 1 and 0 (variance 1/2), questions' means 1, 0.5, 0 (variance 1/4); they leave a rest of
    # -0.5, 0, 0.5 and 0.5, 0, -0.5.
    differences = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0]])
    variance = 0.5 / 2 + 0.25 / 3 - (4 * 0.25) / (1 * 2 * 2 * 3)
    mean, low, high = interval_over_both(differences)
    assert (mean, high - mean, mean - low) == pytest.approx((0.5, *[12.7062047 * math.sqrt(variance)] * 2))


@pytest.mark.parametrize("deviations", [(2, 20, 30), (4, 10, 35), (4, 0, 38), (0, 20, 30)])  # of seed, question, rest
def test_interval_over_both_covers_the_truth_in_19_of_20_simulations(deviations):
    generator = np.random.default_rng(0)
    covered, runs, seeds, n, truth = 0, 1000, 5, 240, 1.0
    for _ in range(runs):
        parts = [
            generator.normal(0, d, shape) for d, shape in zip(deviations, ((seeds, 1), (1, n), (seeds, n)), strict=True)
        ]
        _, low, high = interval_over_both(truth + sum(parts))
        covered += low <= truth <= high
    assert 0.94 <= covered / runs <= 0.99


def test_compare_pairs_seed_by_seed():
    first = [{"right": "1100", "seconds": 3.0, "ex_acc_err": 5.0}, {"right": "1110", "seconds": 6.0, "ex_acc_err": 9.0}]
    second = [
        {"right": "1000", "seconds": 2.0, "ex_acc_err": 6.0},
        {"right": "0110", "seconds": 4.0, "ex_acc_err": 8.0},
    ]
    assert compare(EX, first, second)[0] == pytest.approx(25.0)
    assert compare(SECONDS, first, second) == pytest.approx((50.0, 50.0, 50.0))
    mean, low, high = compare(EX_ACC_ERR, first, second)
    assert mean == 0 and low == pytest.approx(-12.7062047) and high == pytest.approx(12.7062047)


@pytest.mark.parametrize(
    ("measure", "low", "high", "margin", "verdict"),
    [
        (EX, 0.1, 3.0, 0.0, HOLDS),
        (EX, 0.0, 3.0, 0.0, OPEN),
        (EX, -3.0, -0.1, 0.0, FAILS),
        (EX, -0.9, 2.0, 1.0, HOLDS),
        (EX, -3.0, -0.5, 1.0, OPEN),
        (EX, -3.0, -1.1, 1.0, FAILS),
        (EX_ACC_ERR, -5.0, -1.0, 0.0, HOLDS),
        (EX_ACC_ERR, 1.0, 5.0, 0.0, FAILS),
        (SECONDS, 2.0, 9.0, 10.0, HOLDS),
        (SECONDS, 2.0, 12.0, 10.0, OPEN),
        (SECONDS, 11.0, 12.0, 10.0, FAILS),
        (EX, -math.inf, math.inf, 0.0, OPEN),
    ],
)
def test_judge(measure, low, high, margin, verdict):
    assert judge(measure, low, high, margin) == verdict


def test_a_claim_holds_if_all_its_pairs_do():
    assert judge_all([HOLDS, HOLDS]) == HOLDS
    assert judge_all([HOLDS, OPEN]) == OPEN
    assert judge_all([HOLDS, OPEN, FAILS]) == FAILS


def test_table():
    generator = np.random.default_rng(1)
    runs = {
        name: [
            {
                "right": "".join(map(str, generator.integers(0, 2, 50))),
                "seconds": 1.0,
                "ex_acc_err": 1.0 if name == "kid" else 10.0,
            }
            for _ in range(5)
        ]
        for name in RUNS
    }  # fmt: skip
    lines = claims_table(runs).splitlines()
    assert len(lines) == 2 + len(CLAIMS) + sum(len(claim.pairs) for claim in CLAIMS)
    assert "| **ExAccErr falls with KID** (Table 7) |  |  | **holds** |" in lines
    assert "| kid \N{EN DASH} fkd, ExAccErr, points | - | -9.0 (-9.0 to -9.0) | holds |" in lines
    alone = claims_table({name: results[:1] for name, results in runs.items()})
    assert "inf" not in alone and "| -9.0 | not testable here |" in alone
    del runs["kid-easy"]
    assert re.search(r"\| \*\*Random masking.*, 2 of 3 pairs \|", claims_table(runs))
    assert ", 2 of " not in "".join(lines)
    some = claims_table({name: runs[name] for name in ("fkd", "rkd")}).splitlines()
    assert len(some) == 2 + 2 and some[-2].endswith("1 of 2 pairs |")
    assert some[-1].startswith("| rkd \N{EN DASH} fkd, EX")
    assert "| kid \N{EN DASH} rkd, seconds per step, % | +0 | +0.0 (+0.0 to +0.0) | holds |" in lines
