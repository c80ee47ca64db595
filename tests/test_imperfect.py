"""Select, mask, predict, rewrite: counts, what is never touched, and that the choice is keyed by the sample alone."""

import numpy as np
import pytest
import torch

from kid.imperfect import mask_count, rewrite, sample_generator, select_positions, select_random


@pytest.mark.parametrize(
    ("ratio", "length", "expected"),
    [(0.2, 10, 2), (0.2, 1, 1), (0.0, 10, 0), (1.0, 7, 7), (0.5, 0, 0), (0.01, 3, 1), (0.2, 12, 2), (0.2, 13, 3)],
)
def test_mask_count(ratio, length, expected):
    assert mask_count(ratio, length) == expected


def test_select_random_is_uniform_without_replacement():
    drawn = [select_random(5, 0.4, sample_generator(0, step, 3)) for step in range(2000)]
    assert all(len(set(positions)) == 2 for positions in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=5)
    assert counts.min() > 700 and counts.max() < 900  # 800 expected, standard deviation 22


def test_selection_never_touches_eos_or_padding_and_may_take_the_first_token():
    firsts = 0
    for step in range(50):
        chosen = select_positions([3, 0, 6], [0, 1, 2], 0.5, seed=1, step=step, width=8)
        assert chosen.sum(1).tolist() == [2, 0, 3]
        assert not chosen[0, 3:].any() and not chosen[2, 6:].any()
        firsts += int(chosen[2, 0])
    assert firsts > 0


def test_selection_depends_on_the_place_in_the_global_batch_not_on_the_micro_batch():
    together = select_positions([9, 7, 8, 5], [0, 1, 2, 3], 0.3, seed=5, step=11, width=10)
    apart = select_positions([8, 5], [2, 3], 0.3, seed=5, step=11, width=10)
    assert torch.equal(together[2:], apart)
    assert not torch.equal(together, select_positions([9, 7, 8, 5], [0, 1, 2, 3], 0.3, seed=5, step=12, width=10))


def test_rewrite_masks_predicts_and_writes_back():
    gold = torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]])
    chosen = torch.tensor([[True, False, True, False], [False, True, False, False]])
    seen = {}

    def predict(masked, where):
        seen["masked"] = masked
        return torch.tensor([50, 7, 90])

    rewritten = rewrite(gold, chosen, mask_token_id=99, predict=predict)
    assert seen["masked"].tolist() == [[99, 6, 99, 0], [8, 99, 0, 0]]
    assert rewritten.tolist() == [[50, 6, 7, 0], [8, 90, 0, 0]]
    assert gold.tolist() == [[5, 6, 7, 0], [8, 9, 0, 0]]


def test_rewrite_of_nothing_still_calls_predict():
    """The forward inside is a collective: a rank with nothing to rewrite must join it."""
    calls = []
    gold = torch.tensor([[4, 0]])
    nothing = torch.zeros_like(gold, dtype=torch.bool)
    out = rewrite(gold, nothing, 9, lambda *a: calls.append(a) or torch.empty(0, dtype=torch.long))
    assert len(calls) == 1 and torch.equal(out, gold)
