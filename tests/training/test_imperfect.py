"""Select, mask, predict, rewrite: counts, what is never touched, and that the choice is keyed by the sample alone."""

import numpy as np
import pytest
import torch
from helpers.steps import EOS, MASK, PAD, TOKENS, configuration

import kid.training.imperfect
from kid.config.mask_strategies import MASK_STRATEGIES, MaskStrategy, select_random, select_uniform
from kid.config.methods import IMPERFECT
from kid.data.batching import Sample, collate
from kid.randomness import MASK as MASK_PURPOSE
from kid.randomness import sample_generator
from kid.training.imperfect import (
    mask_count,
    select_by_entropy,
    select_by_rule,
    write_predictions,
)
from kid.training.passes import MASKED_Y, Y_HAT, MicroBatch, Y, passes


@pytest.mark.parametrize(
    ("ratio", "length", "expected"),
    [(0.2, 10, 2), (0.2, 1, 1), (0.0, 10, 0), (1.0, 7, 7), (0.5, 0, 0), (0.01, 3, 1), (0.2, 12, 2), (0.2, 13, 3)],
)
def test_mask_count(ratio, length, expected):
    assert mask_count(ratio, length) == expected


def test_select_random_is_uniform_without_replacement():
    drawn = [select_random(range(5), 2, sample_generator(0, step, 3, MASK_PURPOSE)) for step in range(2000)]
    assert all(len(set(positions)) == 2 for positions in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=5)
    assert counts.min() > 700 and counts.max() < 900  # 800 expected, standard deviation 22


def test_select_uniform_is_evenly_spaced_from_any_offset():
    for length, count in [(10, 2), (7, 3), (5, 5), (1, 1), (128, 26), (3, 0), (0, 0)]:
        drawn = [
            select_uniform(range(length), count, sample_generator(0, step, 0, MASK_PURPOSE)) for step in range(300)
        ]
        assert all(len(set(positions)) == count for positions in drawn)
        gaps = {int(gap) for positions in drawn for gap in np.diff(positions)}
        assert gaps <= {length // max(1, count), -(-length // max(1, count))}
        assert not count or {int(at) for positions in drawn for at in positions} == set(range(length))


def outputs(*lengths: int) -> list[list[int]]:
    return [[7] * length for length in lengths]


def test_the_rules_never_touch_eos_or_padding_and_may_take_the_first_token():
    for strategy in ("random", "uniform"):
        firsts = 0
        for step in range(50):
            chosen = select_by_rule(strategy, outputs(3, 0, 6), [0, 1, 2], 0.5, seed=1, step=step, width=8)
            assert chosen.sum(1).tolist() == [2, 0, 3]
            assert not chosen[0, 3:].any() and not chosen[2, 6:].any()
            firsts += int(chosen[2, 0])
        assert firsts > 0


def test_selection_depends_on_the_place_in_the_global_batch_not_on_the_micro_batch():
    together = select_by_rule("random", outputs(9, 7, 8, 5), [0, 1, 2, 3], 0.3, seed=5, step=11, width=10)
    apart = select_by_rule("random", outputs(8, 5), [2, 3], 0.3, seed=5, step=11, width=10)
    assert torch.equal(together[2:], apart)
    another = select_by_rule("random", outputs(9, 7, 8, 5), [0, 1, 2, 3], 0.3, seed=5, step=12, width=10)
    assert not torch.equal(together, another)


@pytest.mark.parametrize(
    ("strategy", "ratio", "expected"),
    [
        ("hard", 0.4, [[1, 3], [0], [], [1]]),
        ("easy", 0.4, [[2, 4], [0], [], [0]]),
        ("hard", 1.0, [[0, 1, 2, 3, 4], [0], [], [0, 1, 2]]),
        ("easy", 0.0, [[], [], [], []]),
        ("hard", 0.01, [[3], [0], [], [1]]),  # at least one
    ],
)
def test_entropy_strategies_on_a_hand_made_profile(strategy, ratio, expected):
    """The highest or lowest entropies; of equals the first; never EOS, never padding, however extreme they are."""
    profile = torch.tensor(
        [
            [0.5, 0.8, 0.1, 0.9, 0.2, 7.0, -7.0],  # EOS at 5
            [0.3, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # EOS at 1
            [4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0],  # EOS alone
            [0.4, 0.6, 0.6, 0.0, 0.0, 0.0, 9.0],  # two equal ones
        ]
    )
    chosen = select_by_entropy(strategy, torch.zeros(4, 7, dtype=torch.int64), [5, 1, 0, 3], ratio, profile)
    assert [row.nonzero().flatten().tolist() for row in chosen] == expected


def test_strategies_are_given_the_tokens(monkeypatch):
    """One masks the token 9 before all others, one the 9 of the lowest entropy."""

    def nines(token_ids, count, generator):
        return np.argsort([token != 9 for token in token_ids], kind="stable")[:count]

    monkeypatch.setitem(MASK_STRATEGIES, "nines", MaskStrategy(nines))
    chosen = select_by_rule("nines", [[4, 9, 5, 9], [9, 4]], [0, 1], 0.5, seed=0, step=0, width=5)
    assert [row.nonzero().flatten().tolist() for row in chosen] == [[1, 3], [0]]
    surest = MaskStrategy(lambda token_ids, entropies: (token_ids == 9).float() - entropies, needs_entropies=True)
    monkeypatch.setitem(MASK_STRATEGIES, "surest nine", surest)
    ids, entropies = torch.tensor([[9, 4, 9, 2]]), torch.tensor([[0.4, 0.0, 0.3, 0.0]])
    assert select_by_entropy("surest nine", ids, [3], 0.3, entropies).tolist() == [[False, False, True, False]]


def begun(rewrite: str):
    """A micro-batch of two outputs whose masked tokens are given."""
    config = configuration("kid", rewrite=rewrite)
    samples = [Sample([4], [5, 6, 7, EOS]), Sample([4], [8, 9, EOS])]
    batch = collate(samples, [0.1, 0.1], [0, 1], PAD)
    work = MicroBatch(config, None, None, batch, 0, TOKENS)
    work.mask(torch.tensor([[True, False, True, False], [False, True, False, False]]))
    return work


def test_mask_only_keeps_the_mask_token():
    assert begun("mask-only").outputs[Y_HAT].tolist() == [[MASK, 6, MASK, EOS], [8, MASK, EOS, PAD]]


def test_masked_tokens_take_their_predictions(monkeypatch):
    monkeypatch.setattr(kid.training.imperfect, "predictions", lambda *_: torch.tensor([20, 7, 30]))
    work = begun("predict")
    assert work.outputs[MASKED_Y].tolist() == [[MASK, 6, MASK, EOS], [8, MASK, EOS, PAD]]
    write_predictions(work, passes(work.config, IMPERFECT)[0], torch.empty(3, 16))
    assert work.outputs[Y_HAT].tolist() == [[20, 6, 7, EOS], [8, 30, EOS, PAD]]
    assert work.outputs[Y].tolist() == [[5, 6, 7, EOS], [8, 9, EOS, PAD]]
