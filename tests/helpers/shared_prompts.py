"""Samples whose prompts begin alike, whole steps on them, and models of every family to run them."""

import copy
from dataclasses import replace

import pytest
import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from helpers.steps import EOS, STEP, TOKENS, batches_of
from helpers.tiny_configs import FAMILIES
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
)

from kid.config.methods import TEACHER_OUTPUTS
from kid.data.batching import Sample
from kid.models.loading import add_lora
from kid.models.response_model import ResponseModel
from kid.training.step import train_step
from kid.training.trainer import can_share_prompts

# Prompts of two databases, of one of them alone, twice the same, of one token; outputs of one token and of many.
ONE, TWO = [11, 12, 13, 14, 15, 16, 17, 18], [11, 12, 23, 24, 25]
SAMPLES = [
    Sample([*ONE, 5, 6, 7], [8, 9, 10, 11, 12, EOS], len(ONE)),
    Sample([*ONE, 30], [8, EOS], len(ONE)),
    Sample([*ONE, 5, 9, 8, 7, 6], [EOS], len(ONE)),
    Sample([*TWO, 4, 5], [20, 21, 22, EOS], len(TWO)),
    Sample([*TWO, 4, 5], [13, 14, 13, 14, 13, 14, 13, EOS], len(TWO)),
    Sample([30], [15, EOS]),
    Sample([17, 18, 19], [19, 18, 17, EOS]),
]
SAID = [[8, 9, EOS], [EOS], [3, 3, 3, 3, 3, 3], [20, EOS], [13, EOS], [16, 16, EOS], [19, 18, EOS]]
TAUGHT = [replace(sample, completion_ids=output) for sample, output in zip(SAMPLES, SAID, strict=True)]
HOW = [{"batching": "random"}, {"batching": "schema"}]


class Engine(torch.nn.Module):
    """As much of a DeepSpeed engine as a step takes, around a bare module; gradients add up."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def __getattr__(self, name):
        return super().__getattr__(name) if name == "module" else getattr(super().__getattr__("module"), name)

    def forward(self, *arguments, **options):
        return self.module(*arguments, **options)

    def backward(self, loss, **_):
        loss.backward()

    def step(self):
        assert any(p.grad is not None for p in self.module.parameters())


def step_of(config, source, student, teacher, step=STEP, samples=None, store=None, states=None):
    """(sums, gradients by name) of a whole optimizer step."""
    student.zero_grad()
    share = config.batching == "schema" and can_share_prompts(config, student, None if states else teacher)
    samples = samples or (TAUGHT if source == TEACHER_OUTPUTS else SAMPLES)
    batches = batches_of(config, step, samples, share, store, states)
    sums = train_step(config, source, Engine(student), teacher, batches, step, TOKENS, SynchronizedWallClockTimer())
    return sums, {name: p.grad.clone() for name, p in student.named_parameters() if p.grad is not None}


def without_sharing(sums):
    return {name: value for name, value in sums.items() if name != "shared_tokens"}


def assert_same(found, expected, relative):
    """Sums, and gradients by their norms."""
    (sums, gradients), (plain_sums, plain) = found, expected
    assert without_sharing(sums) == pytest.approx(without_sharing(plain_sums), rel=relative, abs=relative / 100)
    assert gradients.keys() == plain.keys() and plain
    for name, gradient in plain.items():
        assert (gradients[name] - gradient).norm() <= relative * gradient.norm() + relative / 100, name


SIZES = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
ARCHITECTURES = {**FAMILIES, "gpt2": GPT2Config(**SIZES, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0)}


def of_family(name: str, seed: int, lora: bool, dtype=torch.float32) -> ResponseModel:
    """Rotary positions, grouped heads, rotary of a part of the head, learned positions; adapters that do something."""
    torch.manual_seed(seed)
    config = copy.deepcopy(ARCHITECTURES[name])
    config.initializer_range = 0.3
    made = AutoModelForCausalLM.from_config(config)
    if lora:
        made = add_lora(made, 4, 8, 0.0, seed)
        for name_, weight in made.named_parameters():
            if "lora_B" in name_:
                torch.nn.init.normal_(weight, std=0.3)
    return ResponseModel(made.to(dtype))
