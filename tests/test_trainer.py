"""One optimizer step's loss and gradient against a naive float64 computation, sample by sample, without padding."""

import copy

import pytest
import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from transformers import Qwen2Config, Qwen2ForCausalLM

from kid.config import resolve_config
from kid.data.batching import Dataset, Sample, micro_batches
from kid.imperfect import select_positions
from kid.models import ResponseModel
from kid.sources import make_output
from kid.trainer import TOTALS, micro_batch_loss

EOS, PAD, MASK, STEP = 1, 0, 2, 3
# Outputs of many tokens, of one, of EOS alone; 7 samples do not fill two batches of 4.
SAMPLES = [
    Sample([5, 6, 7], [8, 9, 10, 11, 12, EOS]),
    Sample([5], [8, EOS]),
    Sample([9, 8, 7, 6, 5, 4], [EOS]),
    Sample([4, 5], [20, 21, 22, EOS]),
    Sample([4, 4, 4, 4], [13, 14, 13, 14, 13, 14, 13, EOS]),
    Sample([30, 31], [15, EOS]),
    Sample([17, 18, 19], [19, 18, 17, EOS]),
]


def model(seed: int, hidden: int, vocabulary: int) -> ResponseModel:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True, initializer_range=0.3,
    )  # fmt: skip
    return ResponseModel(Qwen2ForCausalLM(config))


def configuration(method: str, **changes):
    flags = {"method": method, "student": "s", "teacher": "" if method == "sft" else "t", "data": "d", "output": "o"}
    return resolve_config(None, {**flags, "batch_size": 4, "micro_batch_size": 2, "seed": 5, **changes})


def batches_of(config, step: int, samples=SAMPLES):
    """All micro-batches of a step, as one rank would see them."""
    return micro_batches(Dataset(samples, ["db"] * len(samples), []), config, step, 0, 1, PAD)


def ours(config, student, teacher, step: int):
    """Our loss, gradients by name, and the outputs the losses were taken on."""
    student.zero_grad()
    totals = torch.zeros(len(TOTALS), dtype=torch.float64)
    outputs = []
    for batch in batches_of(config, step):
        loss, shares = micro_batch_loss(config, student, teacher, batch, step, MASK, SynchronizedWallClockTimer())
        loss.backward()
        totals += shares
        outputs.append((batch, make_output(config, student, batch, step, MASK)[0]))
    sums = dict(zip(TOTALS, totals.tolist(), strict=True))
    return sums, {name: p.grad.clone() for name, p in student.named_parameters()}, outputs


def naive(config, student, teacher, outputs):
    """The same in float64, one unpadded sample at a time, by the definitions (Eq. 2, A.3)."""
    student, teacher = copy.deepcopy(student).double(), copy.deepcopy(teacher).double()
    student.zero_grad()
    sequences = []
    for batch, output in outputs:
        width = batch.completion_ids.shape[1]
        for row, length in enumerate(batch.lengths):
            prompt = batch.input_ids[row, :-width][batch.attention_mask[row, :-width].bool()]
            if length:
                sequences.append((prompt, batch.completion_ids[row, :length], output[row, :length]))
    tokens = sum(len(gold) for _, gold, _ in sequences)
    loss = 0
    for prompt, gold, written in sequences:
        ids = torch.cat([prompt, written])[None]
        at = slice(len(prompt) - 1, len(prompt) - 1 + len(gold))
        z_s, z_t = student.causal_lm(ids).logits[0, at], teacher.causal_lm(ids).logits[0, at].detach()
        weight = 1 / tokens if config.reduction == "token" else 1 / (len(sequences) * len(gold))
        mle = -torch.log_softmax(z_s, -1)[range(len(gold)), gold].sum()
        common, t = min(z_s.shape[-1], z_t.shape[-1]), config.temperature
        log_q, log_p = (torch.log_softmax(z[:, :common] / t, -1) for z in (z_s, z_t))
        kd = (log_q.exp() * (log_q - log_p)).sum() * t * t
        loss = loss + weight * (config.mle_weight * mle + (config.kd_weight * kd if config.method != "sft" else 0))
    loss.backward()
    return loss.item(), {name: p.grad for name, p in student.named_parameters()}


@pytest.mark.parametrize("step", [STEP - 1, STEP])  # the second fills up with a row of weight 0
@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("sft", {}),
        ("rkd", {}),
        ("rkd", {"reduction": "token", "temperature": 2.0, "kd_weight": 0.7, "mle_weight": 0.3}),
        ("kid", {}),
        ("kid", {"mask_ratio": 1.0}),
        ("kid", {"mask_ratio": 0.5, "reduction": "token"}),
    ],
)
def test_loss_and_gradient_match_float64(method, changes, step):
    config = configuration(method, **changes)
    student, teacher = model(0, 16, 40), model(1, 24, 44)
    sums, gradients, outputs = ours(config, student, None if method == "sft" else teacher, step)
    expected, expected_gradients = naive(config, student, teacher, outputs)
    assert sums["loss"] == pytest.approx(expected, rel=2e-6)
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[name].double(), gradient, rtol=2e-4, atol=2e-6)


def test_every_batch_of_an_epoch_counts_every_sample_once():
    config = configuration("rkd")
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    sums = [ours(config, student, teacher, step)[0] for step in (0, 1)]
    assert sum(s["output_tokens"] for s in sums) == sum(len(s.completion_ids) - 1 for s in SAMPLES)


def test_imperfect_data_is_the_students_own_prediction():
    """y_hat differs from y only where tokens were masked, and holds there what an unpadded forward predicts."""
    config, student = configuration("kid", mask_ratio=0.5), model(0, 16, 40)
    changed = 0
    for batch in batches_of(config, 0):
        written, chosen = make_output(config, student, batch, 0, MASK)
        inner = [max(0, n - 1) for n in batch.lengths]
        assert torch.equal(chosen, select_positions(inner, batch.positions, 0.5, 5, 0, written.shape[1]))
        assert torch.equal(written[~chosen], batch.completion_ids[~chosen])
        for row, length in enumerate(batch.lengths):
            width = batch.completion_ids.shape[1]
            prompt = batch.input_ids[row, :-width][batch.attention_mask[row, :-width].bool()]
            masked = batch.completion_ids[row, :length].masked_fill(chosen[row, :length], MASK)
            logits = student.causal_lm(torch.cat([prompt, masked])[None]).logits[0]
            for at in chosen[row].nonzero().flatten().tolist():
                assert written[row, at] == logits[len(prompt) - 1 + at].argmax()
                changed += int(written[row, at] != batch.completion_ids[row, at])
    assert changed > 0


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_kid_at_ratio_zero_is_rkd_bit_for_bit(dropout):
    """Also with dropout, whose masks depend on nothing that ran before."""
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    student.causal_lm.config.attention_dropout = dropout
    for layer in student.causal_lm.model.layers:
        layer.self_attn.attention_dropout = dropout
    student.train()
    zero, zero_gradients, _ = ours(configuration("kid", mask_ratio=0.0), student, teacher, STEP)
    rkd, rkd_gradients, _ = ours(configuration("rkd"), student, teacher, STEP)
    half, _, _ = ours(configuration("kid", mask_ratio=0.5), student, teacher, STEP)
    assert zero == rkd and half != rkd
    assert all(torch.equal(zero_gradients[name], gradient) for name, gradient in rkd_gradients.items())


def test_a_micro_batch_without_outputs_adds_nothing_but_runs_every_pass():
    config = configuration("kid", mask_ratio=0.5)
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    batch = batches_of(config, 0, SAMPLES[:1])[1]
    assert batch.lengths == [0, 0]
    calls = []
    student.register_forward_hook(lambda *_: calls.append("student"))
    teacher.register_forward_hook(lambda *_: calls.append("teacher"))
    loss, shares = micro_batch_loss(config, student, teacher, batch, 0, MASK, SynchronizedWallClockTimer())
    loss.backward()
    assert calls == ["student", "teacher", "student"]
    assert loss.item() == 0 and dict(zip(TOTALS, shares.tolist(), strict=True))["masked"] == 0
    assert all(p.grad is None or not p.grad.any() for p in student.parameters())


def test_the_teacher_gets_no_gradient():
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    ours(configuration("rkd"), student, teacher, 0)
    assert all(p.grad is None for p in teacher.parameters())
