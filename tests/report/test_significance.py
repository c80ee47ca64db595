"""The paired tests against loops over questions and signs, and cases that can be counted by hand."""

from itertools import product
from math import comb

import numpy as np
import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report.groups import group_runs
from kid.report.runs import load_runs
from kid.report.significance import comparisons, paired_bootstrap, paired_test, sign_flip, significance_table


def naive_p(first, second, resamples, seed):
    """Draw the questions themselves, one resample after another."""
    generator, n = np.random.default_rng(seed), len(first)
    observed = first.mean() - second.mean()
    extreme = 0
    for _ in range(resamples):
        drawn = generator.integers(n, size=n)
        extreme += abs(first[drawn].mean() - second[drawn].mean() - observed) >= abs(observed) - 1e-12
    return (1 + extreme) / (1 + resamples)


@pytest.mark.parametrize("seed", [0, 1])
def test_equals_resampling_question_by_question(seed):
    generator = np.random.default_rng(seed)
    first = generator.random(80) < 0.7
    second = np.where(generator.random(80) < 0.8, first, generator.random(80) < 0.5).astype(float)
    difference, p = paired_bootstrap(first, second)
    assert difference == pytest.approx(first.mean() - second.mean())
    # Two estimates of p from 10,000 and 4,000 resamples: their standard error is below 0.01.
    assert p == pytest.approx(naive_p(first.astype(float), second, 4000, seed + 10), abs=0.03)


def test_cases_counted_by_hand():
    # Of two questions one differs: a resample's difference is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4, so half of
    # them lie at least 1/2 from the observed 1/2.
    difference, p = paired_bootstrap([1, 1], [0, 1])
    assert difference == 0.5 and p == pytest.approx(0.5, abs=0.02)
    # All resamples of a constant difference are that difference; only the observed data count.
    assert paired_bootstrap([1] * 5, [0] * 5) == (1.0, 1 / 10_001)
    assert paired_bootstrap([1, 0, 1], [1, 0, 1]) == (0.0, 1.0)
    assert paired_bootstrap([1, 0], [0, 1]) == (0.0, 1.0)


def test_is_seeded_and_has_no_side():
    first, second = [1, 1, 1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 1, 0, 1, 1]
    assert paired_bootstrap(first, second) == paired_bootstrap(first, second)
    assert paired_bootstrap(first, second, seed=1)[1] != paired_bootstrap(first, second, seed=2)[1]
    (difference, p), (opposite, q) = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert opposite == -difference and q == pytest.approx(p, abs=0.03)


def test_vectors_must_fit():
    with pytest.raises(ValueError, match="one length"):
        paired_bootstrap([1, 0], [1])


def mcnemar(better, worse):
    """Two-sided exact binomial test of as many questions one way and the other."""
    n, fewer = better + worse, min(better, worse)
    return min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)


def differing(better, worse, n):
    """(right by the first model, by the second) of n questions."""
    first = np.arange(n) < better
    return first, (np.arange(n) >= better) & (np.arange(n) < better + worse)


@pytest.mark.parametrize(("better", "worse"), [(1, 0), (2, 0), (4, 0), (5, 1), (3, 3), (7, 12), (0, 0)])
def test_few_questions_are_tested_exactly_as_by_mcnemar(better, worse):
    difference, p, exact = paired_test(*differing(better, worse, 50))
    assert exact and difference == (better - worse) / 50
    assert p == pytest.approx(mcnemar(better, worse) if better + worse else 1)


def test_two_of_two_prove_nothing():
    assert paired_test([1, 1], [0, 0]) == (1.0, 0.5, True)  # of ++, +-, -+, -- two are as far from 0


def test_many_questions_are_resampled():
    first, second = differing(16, 4, 300)
    assert paired_test(first, second) == (*paired_bootstrap(first, second), False)
    assert paired_test(first, second)[1] == pytest.approx(mcnemar(16, 4), abs=0.01)  # 0.0118
    assert paired_test(*differing(15, 4, 300))[2]


def test_signs_of_means_over_seeds():
    # 1/2 + 1/2 - 1/3: of eight choices of signs +++, ---, ++- and --+ are as far from 0.
    assert sign_flip(np.array([1 / 2, 0, 1 / 2, -1 / 3])) == 0.5
    differences = np.random.default_rng(0).normal(0.3, 1, size=12)
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=12)]
    assert sign_flip(differences) == np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9)


def test_the_exact_test_finds_no_more_than_it_says_where_there_is_nothing():
    generator, found = np.random.default_rng(0), 0
    for _ in range(1000):
        differences = np.where(generator.random(20) < 0.3, generator.choice([-1, 1], 20), 0)
        found += paired_test(differences, np.zeros(20))[1] < 0.05
    assert found <= 50  # the bootstrap has some 100


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
        ["GKD-RKL \N{EN DASH} SFT", "+100.0 (p = 0.1250¹)"],
        ["KID \N{EN DASH} SFT", "+50.0 (p = 0.1250¹)"],
        ["KID \N{EN DASH} GKD-RKL", "-50.0 (p = 0.1250¹)"],
    ]
    assert table.notes == [
        "Fewer than 20 questions differ: exact test over the signs of their differences, which with one seed each is "
        "McNemar's."
    ]


def test_what_is_found_is_bold_and_resampled_where_many_differ(tmp_path):
    table = significance_table(grouped(tmp_path, {"sft": [[False] * 40], "kid": [[True] * 30 + [False] * 10]}))
    assert table.rows[1] == ["KID \N{EN DASH} SFT", "**+75.0 (p = 0.0001)**"] and table.notes == []


def test_sft_with_another_loss_is_compared_with_sft(tmp_path):
    folders = [write_run(tmp_path / name, reduction=name) for name in ("sequence", "token")]
    for folder in folders:
        write_score(folder, [True, False])
    runs, remarks = load_runs(folders)
    [group] = group_runs(runs, remarks)
    assert [(row.label, other.label) for row, other in comparisons(group)[""]] == [("SFT (reduction token)", "SFT")]
    assert significance_table(group).rows == [["SFT (reduction token) \N{EN DASH} SFT", "+0.0 (p = 1.0000¹)"]]
