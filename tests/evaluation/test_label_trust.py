"""The teacher's probability of each token of a label, and how well a ranking by it finds wrong labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kid.data.batching import Sample
from kid.evaluation.label_trust import label_log_probabilities, precision_and_recall
from kid.evaluation.prediction import load_model
from kid.models.pretrained import load_tokenizer


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_log_probabilities_are_those_of_one_forward_a_label(tiny_models, batch_size):
    model, tokenizer = load_model(tiny_models / "teacher", "cpu"), load_tokenizer(tiny_models / "teacher", "--teacher")
    shared = [5, 6, 7, 8, 9, 10]
    samples = [
        Sample([*shared, 11, 12], [20, 21, 22]),
        Sample([*shared, 13], [23, tokenizer.eos_token_id]),
        Sample([30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40], [tokenizer.eos_token_id]),
    ]
    found = dict(label_log_probabilities(model, tokenizer, samples, batch_size))
    assert next(iter(found)) == 2 and sorted(found) == [0, 1, 2]  # the longest prompt first
    for index, sample in enumerate(samples):
        ids = torch.tensor([sample.prompt_ids + sample.completion_ids])
        logits = model.double()(ids).logits[0, len(sample.prompt_ids) - 1 : -1]
        expected = logits.log_softmax(-1)[range(len(sample.completion_ids)), sample.completion_ids]
        model.float()
        np.testing.assert_allclose(found[index], expected.detach().numpy(), atol=1e-5)


def test_precision_and_recall_by_hand():
    assert precision_and_recall([3, 1, 4, 0, 2], {1, 2, 3}, 2) == (1.0, 2 / 3)
    assert precision_and_recall([3, 1, 4, 0, 2], {1, 2, 3}, 4) == (0.5, 2 / 3)
