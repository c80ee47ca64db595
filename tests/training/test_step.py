"""One optimizer step's loss and gradient against a naive float64 computation, sample by sample, without padding."""

import copy
from dataclasses import replace

import pytest
import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from helpers.reference import reference
from helpers.steps import (
    CASES,
    SAMPLES,
    STEP,
    TEACHER_SAMPLES,
    TOKENS,
    batches_of,
    configuration,
    imperfect,
    model,
)

import kid.training.imperfect
from kid.config.methods import GOLD, IMPERFECT, METHODS, ON_POLICY, TEACHER_OUTPUTS
from kid.training.sources import on_policy, step_source
from kid.training.step import TOTALS, micro_batch_loss

pytestmark = pytest.mark.usefixtures("one_rank")


def batches_from(config, source, student, step: int):
    """The same with outputs of a source."""
    batches = batches_of(config, step, TEACHER_SAMPLES if source == TEACHER_OUTPUTS else SAMPLES)
    return on_policy(config, student, batches, step, TOKENS) if source == ON_POLICY else batches


def loss_of(config, source, student, teacher, batch, step: int = STEP):
    return micro_batch_loss(config, source, student, teacher, batch, step, TOKENS, SynchronizedWallClockTimer())


def ours(config, source, student, teacher, step: int):
    """Our sums, gradients by name, and each micro-batch with the output the losses were taken on."""
    student.zero_grad()
    totals = torch.zeros(len(TOTALS), dtype=torch.float64)
    outputs = []
    for batch in batches_from(config, source, student, step):
        written = imperfect(config, student, batch, step, TOKENS)[0] if source == IMPERFECT else batch.completion_ids
        outputs.append((batch, written))
        loss, shares = loss_of(config, source, student, teacher, batch, step)
        loss.backward()
        totals += shares
    sums = dict(zip(TOTALS, totals.tolist(), strict=True))
    return sums, {name: p.grad.clone() for name, p in student.named_parameters()}, outputs


def naive(config, source, student, teacher, outputs):
    """The same in float64, one unpadded sample at a time, by the definitions (Eq. 2, A.3)."""
    student, teacher = copy.deepcopy(student).double(), copy.deepcopy(teacher).double()
    student.zero_grad()
    sequences = [
        (batch.samples[row].prompt_ids, batch.completion_ids[row, :length], written[row, :length])
        for batch, written in outputs
        for row, length in enumerate(batch.lengths)
        if length
    ]
    tokens = sum(len(y) for _, y, _ in sequences)
    loss = 0
    for prompt, y, y_hat in sequences:
        at = slice(len(prompt) - 1, len(prompt) - 1 + len(y))

        def logits(model, output, prompt=prompt, at=at):
            return model.causal_lm(torch.tensor([[*prompt, *output]])).logits[0, at]

        weight = 1 / tokens if config.reduction == "token" else 1 / (len(sequences) * len(y))
        if config.method != "sft":
            z_s, z_t = logits(student, y_hat), logits(teacher, y_hat).detach()
            common, t = min(z_s.shape[-1], z_t.shape[-1]), config.temperature
            mixture = {"jsd": config.jsd_beta}.get(config.resolved_divergence, config.skew_alpha)
            kd = reference(config.resolved_divergence, z_s[:, :common] / t, z_t[:, :common] / t, mixture)
            loss = loss + weight * config.kd_weight * kd.sum() * t * t
        if source in (GOLD, IMPERFECT):
            before = y if config.mle_on == "gold" else y_hat
            log_q = torch.log_softmax(logits(student, before), -1)
            loss = loss - weight * config.mle_weight * log_q[range(len(y)), y].sum()
    loss.backward()
    return loss.item(), {name: p.grad for name, p in student.named_parameters()}


@pytest.mark.parametrize("step", [STEP - 1, STEP])  # the second fills up with a row of weight 0
@pytest.mark.parametrize(("method", "source", "changes"), CASES)
def test_loss_and_gradient_match_float64(method, source, changes, step):
    config = configuration(method, **changes)
    student, teacher = model(0, 16, 40), model(1, 24, 44)
    sums, gradients, outputs = ours(config, source, student, None if method == "sft" else teacher, step)
    expected, expected_gradients = naive(config, source, student, teacher, outputs)
    assert sums["loss"] == pytest.approx(expected, rel=2e-6)
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[name].double(), gradient, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize(("method", "source", "changes"), CASES)
def test_the_fused_head_changes_nothing_but_the_memory(method, source, changes):
    """Nor in what the student rewrites, by its predictions, samples or entropies."""
    student, teacher = model(0, 16, 40), None if method == "sft" else model(1, 24, 44)
    found = {}
    for fused in ("on", "off"):
        config = configuration(method, fused=fused, **changes)
        sums, gradients, outputs = ours(config, source, student, teacher, STEP)
        found[fused] = sums, gradients, [written.tolist() for _, written in outputs]
    (sums, gradients, outputs), (plain_sums, plain_gradients, plain_outputs) = found["on"], found["off"]
    assert outputs == plain_outputs
    assert sums == pytest.approx(plain_sums, rel=1e-5, abs=1e-7)
    for name, gradient in plain_gradients.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6)


def test_every_method_of_table_1_is_here():
    assert list(METHODS) == ["sft", "fkd", "rkd", "f-distill", "imitkd", "gkd-fkl", "gkd-rkl", "gkd-jsd", "kid"]


def token_losses(config, source, student, teacher, batch):
    """Each output token's loss: the loss is linear in the tokens' weights, so they are its gradient."""
    weights = torch.ones(len(batch.logit_positions), requires_grad=True)
    loss, _ = loss_of(config, source, student, teacher, replace(batch, row_weights=weights))
    return torch.autograd.grad(loss, weights)[0]


def with_token(batch, row, column, value):
    """The batch with another id at one place of its input, and of its output where the place is one."""
    ids, completion = batch.input_ids.clone(), batch.completion_ids.clone()
    ids[row, column] = value
    at = column - (ids.shape[1] - completion.shape[1])
    if at >= 0:
        completion[row, at] = value
    return replace(batch, input_ids=ids, completion_ids=completion)


def own_rows(batch, row: int) -> slice:
    """Where a sample's tokens stand among those of the micro-batch."""
    return slice(sum(batch.lengths[:row]), sum(batch.lengths[: row + 1]))


@pytest.mark.parametrize(
    ("method", "source"),
    [(method, source) for method, row in METHODS.items() for source in row.sources if source != IMPERFECT],
)
def test_one_token_changes_only_the_losses_at_and_after_it(method, source):
    """A change in the prompt, in padding, or in a token after t leaves the loss of token t as it was."""
    config = configuration(method, mle_weight=0.7)
    student, teacher = model(0, 16, 40), None if method == "sft" else model(1, 24, 44)
    (batch, *_) = batches_from(config, source, student, 0)
    before, prompt_width = token_losses(config, source, student, teacher, batch), batch.input_ids.shape[1]
    prompt_width -= batch.completion_ids.shape[1]
    assert (before > 0).all()
    for row, length in enumerate(batch.lengths):
        own = own_rows(batch, row)
        others = [place for place in range(len(before)) if not own.start <= place < own.stop]
        for column in range(batch.input_ids.shape[1]):
            after = token_losses(config, source, student, teacher, with_token(batch, row, column, 39))
            moved = (after - before).abs() > 1e-6
            assert not moved[others].any()
            if not batch.attention_mask[row, column]:
                assert not moved.any()  # padding
            elif column < prompt_width:
                assert moved[own].all()  # every token of the output follows the prompt
            else:
                at = column - prompt_width
                assert not moved[own][:at].any()
                # As a target it counts at its own place: only in the likelihood, so not where that is left out.
                assert moved[own][at] == (source == GOLD)
                assert moved[own][at + 1 :].all() and moved[own][at + 1 :].numel() == length - at - 1


@pytest.mark.parametrize("mle_on", ["imperfect", "gold"])
def test_an_imperfect_token_moves_what_follows_it_and_a_gold_one_its_own_loss(mle_on, monkeypatch):
    """y_hat stands before the later tokens, y is what the likelihood wants: each is changed by itself."""
    config = configuration("kid", mle_on=mle_on)
    student, teacher = model(0, 16, 40), model(1, 24, 44)
    (batch, *_) = batches_of(config, 0)
    y_hat = batch.completion_ids.clone()

    def losses(batch, y_hat):
        inside = batch.completion_mask
        monkeypatch.setattr(kid.training.imperfect, "select_by_rule", lambda *_: inside)
        monkeypatch.setattr(kid.training.imperfect, "predictions", lambda *_: y_hat[inside])
        return token_losses(config, IMPERFECT, student, teacher, batch)

    before, prompt_width = losses(batch, y_hat), batch.input_ids.shape[1] - y_hat.shape[1]
    for row, length in enumerate(batch.lengths):
        own = own_rows(batch, row)
        for at in range(y_hat.shape[1]):
            changed = y_hat.clone()
            changed[row, at] = 39
            moved = (losses(batch, changed) - before).abs() > 1e-6
            assert moved.sum() == moved[own][at + 1 :].sum() == max(0, length - at - 1)
            moved = (losses(with_token(batch, row, prompt_width + at, 39), y_hat) - before).abs() > 1e-6
            as_target = 1 if at < length else 0
            after_it = max(0, length - at - 1) if mle_on == "gold" else 0
            assert moved.sum() == moved[own][at:].sum() == as_target + after_it


def test_every_batch_of_an_epoch_counts_every_sample_once():
    config = configuration("rkd")
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    sums = [ours(config, GOLD, student, teacher, step)[0] for step in (0, 1)]
    assert sum(s["output_tokens"] for s in sums) == sum(len(s.completion_ids) - 1 for s in SAMPLES)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("changes", [{"mask_ratio": 0.0}, {"rewrite": "none"}, {"mask_ratio": 0.0, "mle_on": "gold"}])
def test_kid_without_rewriting_is_rkd_bit_for_bit(dropout, changes):
    """Also with dropout, whose masks depend on nothing that ran before."""
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    student.causal_lm.config.attention_dropout = dropout
    for layer in student.causal_lm.model.layers:
        layer.self_attn.attention_dropout = dropout
    student.train()
    vanilla = configuration("kid", **changes)
    got, gradients, _ = ours(vanilla, step_source(vanilla, STEP), student, teacher, STEP)
    rkd, rkd_gradients, _ = ours(configuration("rkd"), GOLD, student, teacher, STEP)
    half, _, _ = ours(configuration("kid", mask_ratio=0.5), IMPERFECT, student, teacher, STEP)
    assert got == rkd and half != rkd
    assert all(torch.equal(gradients[name], gradient) for name, gradient in rkd_gradients.items())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["teacher", "student", "student", "teacher", "student"]),  # both prompts, predictions, teacher, losses
        ({"mask_strategy": "easy"}, ["teacher", "student", "student", "student", "teacher", "student"]),
        ({"rewrite": "mask-only"}, ["teacher", "teacher", "student"]),
        ({"mle_on": "gold"}, ["teacher", "student", "student", "teacher", "student", "student"]),
        ({"prefix": "off"}, ["student", "teacher", "student"]),
        ({"batching": "schema"}, ["teacher", "student", "student", "student", "teacher", "student"]),
    ],
)
def test_a_micro_batch_without_outputs_adds_nothing_but_runs_every_pass(changes, expected):
    config = configuration("kid", mask_ratio=0.5, **changes)
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    batch = batches_of(config, 0, SAMPLES[:1])[1]
    assert batch.lengths == [0, 0]
    calls = []
    student.register_forward_hook(lambda *_: calls.append("student"))
    teacher.register_forward_hook(lambda *_: calls.append("teacher"))
    loss, shares = loss_of(config, IMPERFECT, student, teacher, batch)
    loss.backward()
    assert calls == expected
    assert loss.item() == 0 and dict(zip(TOTALS, shares.tolist(), strict=True))["masked"] == 0
    assert all(p.grad is None or not p.grad.any() for p in student.parameters())


def test_the_teacher_gets_no_gradient():
    student, teacher = model(0, 16, 40), model(1, 24, 40)
    ours(configuration("rkd"), GOLD, student, teacher, 0)
    assert all(p.grad is None for p in teacher.parameters())
