"""The paired bootstrap against a loop over questions, and cases that can be counted by hand."""

import numpy as np
import pytest
from synthetic_runs import write_run, write_score

from kid.evaluation.report.rows import group_runs
from kid.evaluation.report.runs import load_runs
from kid.evaluation.report.significance import paired_bootstrap, significance_table


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


def test_table_averages_seeds_by_question_and_leaves_out_what_was_scored_on_others(tmp_path):
    paths = []
    rights = {"sft": [[False] * 4], "kid": [[True] * 4, [False] * 4], "gkd-rkl": [[True] * 4], "rkd": [[True] * 3]}
    for method, seeds in rights.items():
        for seed, right in enumerate(seeds):
            teacher = {} if method == "sft" else {"teacher": "runs/big/adapter"}
            paths.append(write_run(tmp_path / f"{method}-{seed}", method, seed=seed, **teacher))
            write_score(paths[-1], right)
    runs, remarks = load_runs(paths)
    [group] = group_runs(runs, remarks)
    table = significance_table(group, remarks)
    lines = {line[0]: line[1] for line in table.rows if isinstance(line, list)}
    assert table.header == ["difference", "Spider-dev, n\u00a0=\u00a04"]
    # The two seeds of kid are right and wrong throughout: every question counts one half.
    assert lines == {
        "GKD-RKL \N{EN DASH} SFT": "**+100.0 (p = 0.0001)**",
        "KID \N{EN DASH} SFT": "**+50.0 (p = 0.0001)**",
        "KID \N{EN DASH} GKD-RKL": "**-50.0 (p = 0.0001)**",
    }
    assert remarks == ["RKD and SFT were scored on different questions of Spider-dev: no p"]
