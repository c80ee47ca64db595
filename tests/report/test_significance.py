"""The paired tests against loops over questions and signs, and cases that can be counted by hand."""

from itertools import product
from math import comb

import numpy as np
import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report.groups import group_runs
from kid.report.runs import load_runs
from kid.report.significance import comparisons, paired_test, significance_table


def mcnemar(better, worse):
    """Two-sided exact binomial test of as many questions one way and the other."""
    n, fewer = better + worse, min(better, worse)
    return min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)


def differing(better, worse, n):
    """(right by the first model, by the second) of n questions."""
    first = np.arange(n) < better
    return first, (np.arange(n) >= better) & (np.arange(n) < better + worse)


@pytest.mark.parametrize(("better", "worse"), [(1, 0), (2, 0), (4, 0), (5, 1), (3, 3), (7, 6), (0, 0)])
def test_few_questions_are_tested_exactly_as_by_mcnemar(better, worse):
    difference, p = paired_test(*differing(better, worse, 50))
    assert difference == pytest.approx((better - worse) / 50)
    assert p == pytest.approx(mcnemar(better, worse) if better + worse else 1)


def test_two_of_two_prove_nothing():
    assert paired_test([1, 1], [0, 0]) == (1.0, 0.5)  # of ++, +-, -+, -- two are as far from 0


@pytest.mark.parametrize(("better", "worse"), [(16, 4), (40, 25), (300, 240)])
def test_many_questions_take_random_signs(better, worse):
    found = paired_test(*differing(better, worse, 900))
    assert found == paired_test(*differing(better, worse, 900))  # seeded
    assert found[1] == pytest.approx(mcnemar(better, worse), abs=0.02)
    opposite, p = paired_test(*differing(worse, better, 900))
    assert opposite == -found[0] and p == pytest.approx(found[1], abs=0.02)


def test_signs_of_means_over_seeds():
    # 1/2 + 1/2 - 1/3: of eight choices of signs +++, ---, ++- and --+ are as far from 0.
    assert paired_test([1 / 2, 0, 1 / 2, -1 / 3], np.zeros(4))[1] == 0.5
    differences = np.random.default_rng(0).normal(0.3, 1, size=12)
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=12)]
    assert paired_test(differences, np.zeros(12))[1] == np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)


def test_the_test_finds_no_more_than_it_says_where_there_is_nothing():
    generator, found = np.random.default_rng(0), 0
    for _ in range(300):
        differences = np.where(generator.random(20) < 0.3, generator.choice([-1, 1], 20), 0)
        found += paired_test(differences, np.zeros(20))[1] < 0.05
    assert found <= 15 + 12  # three standard deviations


def grouped(tmp_path, rights):
    paths = []
    for method, seeds in rights.items():
        for seed, right in enumerate(seeds):
            teacher = {} if method == "sft" else {"teacher": "runs/big/adapter"}
            paths.append(write_run(tmp_path / f"{method}-{seed}", method, seed=seed, **teacher))
            write_score(paths[-1], right)
    runs, remarks = load_runs(paths)
    [group] = group_runs(runs, remarks)
    return group


def test_table_averages_seeds_by_question_and_leaves_out_what_was_scored_on_others(tmp_path):
    right, wrong = [True] * 4, [False] * 4
    rights = {"sft": [wrong], "kid": [right, wrong], "gkd-rkl": [right], "rkd": [[True] * 3]}
    table = significance_table(grouped(tmp_path, rights))
    assert table.header == ["difference", "Spider-dev, n\u00a0=\u00a04"]
    # The two seeds of kid are right and wrong throughout: every question counts one half. Of 16 choices of signs two.
    assert table.rows == [
        "Teacher: big",
        ["GKD-RKL \N{EN DASH} SFT", "+100.0 (p = 0.1250)"],
        ["KID \N{EN DASH} SFT", "+50.0 (p = 0.1250)"],
        ["KID \N{EN DASH} GKD-RKL", "-50.0 (p = 0.1250)"],
    ]
    assert "two-sided p of a paired permutation test" in table.caption and table.notes == []


def test_what_is_found_is_bold(tmp_path):
    table = significance_table(grouped(tmp_path, {"sft": [[False] * 40], "kid": [[True] * 30 + [False] * 10]}))
    assert table.rows[1] == ["KID \N{EN DASH} SFT", "**+75.0 (p = 0.0002)**"] and table.notes == []


def test_sft_with_another_loss_is_compared_with_sft(tmp_path):
    folders = [write_run(tmp_path / name, reduction=name) for name in ("sequence", "token")]
    for folder in folders:
        write_score(folder, [True, False])
    runs, remarks = load_runs(folders)
    [group] = group_runs(runs, remarks)
    assert [(row.label, other.label) for row, other in comparisons(group)[""]] == [("SFT (reduction token)", "SFT")]
    assert significance_table(group).rows == [["SFT (reduction token) \N{EN DASH} SFT", "+0.0 (p = 1.0000)"]]
