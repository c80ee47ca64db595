"""The training of the tiny models can be repeated."""

from __future__ import annotations

import json

import pytest
from pretrain_minibench import learning_rate, total_steps, train

from kid.minibench.tiny_models import MODELS
from kid.models.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(MODELS / "student", "--student")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student", "teacher"])
def test_five_steps_of_the_training_repeat(tokenizer, name):
    recorded = json.loads((MODELS / "pretraining.json").read_text())[name]
    assert recorded["steps"] == total_steps(name)
    _, losses = train(name, tokenizer, recorded["seed"], until=5)
    assert losses == pytest.approx(recorded["first_losses"], abs=1e-3)


def test_the_learning_rate_warms_up_and_falls_in_each_round():
    rounds = [(1000, 3e-3), (500, 1e-3)]
    rates = [learning_rate(step, rounds) for step in range(1500)]
    assert rates[0] == pytest.approx(3e-5) and rates[1000] == pytest.approx(1e-5)
    assert max(rates) == max(rates[90:110]) <= 3e-3 and max(rates[1000:]) == max(rates[1090:1110]) <= 1e-3
    assert rates[999] == pytest.approx(3e-4, rel=0.01) and rates[1499] == pytest.approx(1e-4, rel=0.01)
