"""Where outputs come from: mixtures, the student's own, and the imperfect ones, against unpadded forwards."""

import numpy as np
import pytest
import torch
from helpers.steps import EOS, MASK, PAD, SAMPLES, TOKENS, batches_of, configuration, imperfect, model

from kid.config.methods import GOLD, ON_POLICY, TEACHER_OUTPUTS
from kid.data.batching import Dataset, Sample
from kid.data.order import micro_batches
from kid.models.prefix_cache import PrefixCache, forward_outputs
from kid.models.pretrained import TokenIds
from kid.training.imperfect import mask_count, select_by_rule
from kid.training.readout import entropies
from kid.training.sources import on_policy, step_source

pytestmark = pytest.mark.usefixtures("one_rank")


def test_a_mixture_draws_one_source_a_step():
    config = configuration("f-distill")
    drawn = [step_source(config, step) for step in range(400)]
    assert set(drawn) == {TEACHER_OUTPUTS, ON_POLICY} and 160 < drawn.count(TEACHER_OUTPUTS) < 240
    another = configuration("f-distill", seed=6)
    assert drawn != [step_source(another, step) for step in range(400)]
    assert {step_source(configuration("imitkd"), step) for step in range(20)} == {GOLD, ON_POLICY}
    assert {step_source(configuration("gkd-jsd"), step) for step in range(20)} == {ON_POLICY}


@pytest.mark.parametrize("changes", [{"mask_ratio": 0.0}, {"rewrite": "none"}])
def test_without_rewriting_the_source_is_gold(changes):
    assert step_source(configuration("kid", **changes), 0) == GOLD
    assert step_source(configuration("kid"), 0) != GOLD


def by_place(batches, written):
    """Place in the global batch -> output tokens without padding."""
    found = {}
    for batch, output in zip(batches, written, strict=True):
        for place, length, row in zip(batch.positions, batch.lengths, output.tolist(), strict=True):
            found[place] = row[:length]
    return found


@pytest.mark.parametrize("micro_batch_size", [1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask_strategy": "uniform"},
        {"mask_strategy": "hard"},
        {"mask_strategy": "easy"},
        {"fill": "sample"},
        {"rewrite": "mask-only"},
    ],
)
def test_two_ranks_write_what_one_rank_writes(changes, micro_batch_size):
    """The same seed gives the same y_hat for the same sample, whatever rank and micro-batch it falls into."""
    config = configuration("kid", mask_ratio=0.4, micro_batch_size=micro_batch_size, **changes)
    student = model(0, 16, 40)
    dataset = Dataset(SAMPLES, ["db"] * len(SAMPLES), [])
    for step in range(4):
        found = {}
        for world_size in (1, 2):
            for rank in range(world_size):
                batches = micro_batches(dataset, config, step, rank, world_size, PAD)
                written = [imperfect(config, student, batch, step, TOKENS)[0] for batch in batches]
                found.setdefault(world_size, {}).update(by_place(batches, written))
        assert found[1] == found[2] and list(found[1]) == [0, 1, 2, 3]


@pytest.mark.parametrize("micro_batch_size", [1, 2])
def test_two_ranks_decode_what_one_rank_decodes(micro_batch_size):
    config = configuration("gkd-rkl", micro_batch_size=micro_batch_size)
    student = model(0, 16, 40)
    dataset = Dataset(SAMPLES, ["db"] * len(SAMPLES), [])
    found = {}
    for world_size in (1, 2):
        for rank in range(world_size):
            batches = micro_batches(dataset, config, 1, rank, world_size, PAD)
            batches = on_policy(config, student, batches, 1, TOKENS)
            found.setdefault(world_size, {}).update(by_place(batches, [batch.completion_ids for batch in batches]))
    assert found[1] == found[2] and len(set(map(tuple, found[1].values()))) > 2


@pytest.mark.parametrize("reduction", ["sequence", "token"])
def test_on_policy_batches(reduction):
    """Prompts and places stay; the weights are those of the outputs' lengths; the student is left in training."""
    config = configuration("gkd-rkl", reduction=reduction)
    student = model(0, 16, 40).train()
    state = torch.get_rng_state()
    for step in (0, 1):  # the second has a row that only fills the batch
        gold = batches_of(config, step)
        batches = on_policy(config, student, gold, step, TOKENS)
        lengths = [length for batch in batches for length in batch.lengths]
        assert [bool(length) for length in lengths] == [bool(n) for batch in gold for n in batch.lengths]
        assert max(lengths) <= 9 and min(filter(None, lengths)) >= 1
        weights = torch.cat([batch.row_weights for batch in batches])
        assert weights.sum().item() == pytest.approx(1) and len(weights) == sum(lengths)
        real = len(list(filter(None, lengths)))
        expected = [1 / sum(lengths) if reduction == "token" else 1 / (real * n) for n in lengths for _ in range(n)]
        assert weights.tolist() == pytest.approx(expected)
        for before, after in zip(gold, batches, strict=True):
            assert before.positions == after.positions
            for old, new in zip(before.samples, after.samples, strict=True):
                assert (old is None) == (new is None)
                assert old is None or old.prompt_ids == new.prompt_ids
    assert student.training and torch.equal(torch.get_rng_state(), state)


def test_a_rank_without_a_sample_decodes_nothing_but_joins_the_sum(monkeypatch):
    config = configuration("gkd-rkl")
    sums = []
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda lengths: sums.append(lengths.tolist()))
    batches = micro_batches(Dataset(SAMPLES[:1], ["db"], []), config, 0, 1, 2, PAD)
    (batch,) = on_policy(config, model(0, 16, 40), batches, 0, TOKENS)
    assert batch.lengths == [0, 0] and sums == [[0, 0, 0, 0]]


def test_imperfect_data_is_the_students_own_prediction():
    """y_hat differs from y only where tokens were masked, and holds there what an unpadded forward predicts."""
    config, student = configuration("kid", mask_ratio=0.5), model(0, 16, 40)
    changed = 0
    for batch in batches_of(config, 0):
        written, chosen = imperfect(config, student, batch, 0, TOKENS)
        inner = [sample.completion_ids[:-1] if sample else [] for sample in batch.samples]
        assert torch.equal(chosen, select_by_rule("random", inner, batch.positions, 0.5, 5, 0, written.shape[1]))
        assert torch.equal(written[~chosen], batch.completion_ids[~chosen])
        for row, length in enumerate(batch.lengths):
            masked = batch.completion_ids[row, :length].masked_fill(chosen[row, :length], MASK)
            prompt = batch.samples[row].prompt_ids
            logits = student.causal_lm(torch.tensor([[*prompt, *masked]])).logits[0]
            for at in chosen[row].nonzero().flatten().tolist():
                assert written[row, at] == logits[len(prompt) - 1 + at, : TOKENS.count].argmax()
                changed += int(written[row, at] != batch.completion_ids[row, at])
    assert changed > 0


def test_hard_and_easy_go_by_the_entropy_of_the_students_own_distribution_on_y():
    student = model(0, 16, 40)
    for batch in batches_of(configuration("kid"), 0):
        config = configuration("kid")
        states = forward_outputs(config, student, batch, PrefixCache(), batch.completion_ids)
        found = entropies(config, student, states).split(batch.lengths)
        for row, length in enumerate(batch.lengths):
            prompt, output = batch.samples[row].prompt_ids, batch.samples[row].completion_ids
            logits = student.causal_lm(torch.tensor([[*prompt, *output]])).logits[0, len(prompt) - 1 : -1]
            expected = torch.distributions.Categorical(logits=logits).entropy()
            torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-5)
            inner, count = length - 1, mask_count(0.4, length - 1)
            order = np.argsort(expected[:inner].detach().numpy())
            for strategy, wanted in (("easy", order[:count]), ("hard", order[inner - count :])):
                config = configuration("kid", mask_ratio=0.4, mask_strategy=strategy)
                chosen = imperfect(config, student, batch, 0, TOKENS)[1]
                assert set(chosen[row].nonzero().flatten().tolist()) == set(wanted.tolist())


def test_sampled_fill_at_temperature_zero_is_argmax_and_otherwise_is_not():
    student = model(0, 16, 40)
    written = {}
    for name, changes in {
        "argmax": {},
        "cold": {"fill": "sample", "sample_temperature": 0.0},
        "narrow": {"fill": "sample", "top_p": 1e-6},
        "warm": {"fill": "sample"},
    }.items():
        config = configuration("kid", mask_ratio=1.0, **changes)
        written[name] = [imperfect(config, student, batch, 0, TOKENS)[0] for batch in batches_of(config, 0)]
    for got, expected in zip(written["cold"] + written["narrow"], 2 * written["argmax"], strict=True):
        assert torch.equal(got, expected)
    assert any(not torch.equal(a, b) for a, b in zip(written["warm"], written["argmax"], strict=True))


@pytest.mark.parametrize("strategy", ["random", "uniform", "hard", "easy"])
@pytest.mark.parametrize("ratio", [0.1, 1.0])
def test_degenerate_outputs(strategy, ratio):
    """EOS alone: nothing is masked. One token: it is. Ratio 1: all but EOS."""
    samples = [Sample([5, 6], [EOS]), Sample([5], [8, EOS]), Sample([7], [8, 9, 10, EOS]), None]
    config = configuration("kid", mask_ratio=ratio, mask_strategy=strategy, rewrite="mask-only", micro_batch_size=4)
    (batch,) = micro_batches(Dataset(samples[:3], ["db"] * 3, []), config, 0, 0, 1, PAD)
    written, chosen = imperfect(config, model(0, 16, 40), batch, 0, TOKENS)
    for sample, row, marked in zip(batch.samples, written.tolist(), chosen.tolist(), strict=True):
        output = sample.completion_ids if sample else []
        inner = max(0, len(output) - 1)
        assert sum(marked) == mask_count(ratio, inner) and not any(marked[inner:])
        assert [token == MASK for token in row] == marked


@pytest.mark.parametrize("fill", ["argmax", "sample"])
def test_no_output_holds_an_id_that_only_pads_the_vocabulary(fill):
    """Were it drawn, a model with fewer rows could not read it."""
    few = TokenIds(mask=MASK, eos=EOS, pad=PAD, count=24)  # the gold outputs stay below
    student, written = model(0, 16, 40), []
    for step in (0, 1):
        batches = batches_of(configuration("gkd-rkl"), step)
        written += [batch.completion_ids for batch in on_policy(configuration("gkd-rkl"), student, batches, step, few)]
        config = configuration("kid", mask_ratio=1.0, fill=fill)
        written += [imperfect(config, student, batch, step, few)[0] for batch in batches]
    assert max(int(output.max()) for output in written) < 24
