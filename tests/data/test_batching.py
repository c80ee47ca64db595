"""Which samples make up a step, how they are weighted, and how a micro-batch is padded."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from kid.data import order
from kid.data.batching import Dataset, Sample, collate, sample_weights
from kid.data.order import epoch_order, global_batch, micro_batches, shared_token_fraction, steps_per_epoch


def dataset(count: int) -> Dataset:
    samples = [Sample(list(range(10, 13 + i % 4)), [*range(20, 21 + i % 3), 1]) for i in range(count)]
    return Dataset(samples, [f"db{i % 3}" for i in range(count)], [])


def run(**changes):
    usual = {
        "batch_size": 8,
        "micro_batch_size": 2,
        "seed": 3,
        "reduction": "sequence",
        "batching": "random",
    }
    return SimpleNamespace(**{**usual, **changes})


@pytest.mark.parametrize("batching", ["random", "schema"])
@pytest.mark.parametrize(("count", "size"), [(11, 4), (12, 4), (1, 8), (8, 8)])
def test_an_epoch_holds_every_sample_once_and_fills_up_with_nothing(count, size, batching):
    config, data = run(batch_size=size, seed=0, batching=batching), dataset(count)
    steps = range(steps_per_epoch(count, size))
    seen = [index for step in steps for index in global_batch(data, config, step)]
    fillers = -count % size
    assert Counter(seen) == Counter({**dict.fromkeys(range(count), 1), **({None: fillers} if fillers else {})})
    assert seen[count:] == [None] * fillers


@pytest.mark.parametrize("batching", ["random", "schema"])
def test_order_changes_with_epoch_and_seed_only(batching):
    data, config = dataset(11), run(batch_size=4, seed=0, batching=batching)
    first = [global_batch(data, config, step) for step in range(3)]
    assert first == [global_batch(data, config, step) for step in range(3)]
    assert first != [global_batch(data, config, step) for step in range(3, 6)]
    assert first != [global_batch(data, run(batch_size=4, seed=1, batching=batching), step) for step in range(3)]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_micro_batches_by_schema_hold_one_database_as_far_as_it_goes(size):
    data = dataset(43)  # 15, 14 and 14 samples of three databases
    config = run(batching="schema", micro_batch_size=size)
    order = epoch_order(data, config, epoch=2)
    batches = [[data.db_ids[index] for index in order[at : at + size]] for at in range(0, 43, size)]
    whole = sum(len(batch) == size and len(set(batch)) == 1 for batch in batches)
    assert whole >= 15 // size + 14 // size + 14 // size
    assert len({batch[0] for batch in batches[: 3 * 3]}) > 1  # databases take turns


def schemas(databases: int, questions: int) -> Dataset:
    """Questions on databases whose schemas have 20 to 20 + 10 (databases - 1) tokens."""
    samples = [
        Sample([*range(1000 * db, 1000 * db + 20 + 10 * db), 5000 + question, 6, 7], [8, 1])
        for question in range(questions)
        for db in range(databases)
    ]
    return Dataset(samples, [f"db{i % databases}" for i in range(len(samples))], [])


def test_ranks_side_by_side_have_prompts_of_like_length():
    """Of 4 micro-batches that run at the same time; by chance the longest prompt would be twice the shortest."""
    data, config = schemas(40, 8), run(batching="schema", batch_size=16, micro_batch_size=4)
    spread, first = [], []
    for step in range(steps_per_epoch(320, 16)):
        longest = [
            max(len(sample.prompt_ids) for sample in batch.samples)
            for rank in range(4)
            for batch in micro_batches(data, config, step, rank, 4, 9)
        ]
        spread.append(max(longest) / min(longest))
        first.append(longest[0])
    assert sum(spread) / len(spread) < 1.3
    assert first != sorted(first) and first != sorted(first, reverse=True)  # the epoch keeps its mixture


def test_share_of_tokens_that_run_once():
    """Of 4 questions on one database, the schema's 20 to 50 tokens run once; questions have 3."""
    data, config = schemas(4, 8), run(batching="schema", batch_size=8, micro_batch_size=4)
    whole = sum(length * 8 for length in (23, 33, 43, 53))
    assert shared_token_fraction(data, config) == pytest.approx(sum(length * 6 for length in (20, 30, 40, 50)) / whole)
    batches = [batch for step in range(4) for batch in micro_batches(data, config, step, 0, 1, 9, share=True)]
    assert sum(batch.shared_tokens for batch in batches) == pytest.approx(shared_token_fraction(data, config) * whole)
    assert all(len(batch.representatives) == 1 and batch.group_of_row.tolist() == [0] * 4 for batch in batches)
    assert all(batch.shared_width == 0 for batch in micro_batches(data, config, 0, 0, 1, 9))
    assert shared_token_fraction(data, run(batching="schema", batch_size=8, micro_batch_size=1)) == 0


def test_share_of_many_prompts_is_measured_on_some(monkeypatch):
    """Every n-th micro-batch, over the whole epoch; prompts that are not measured are not read."""
    data, config = schemas(40, 8), run(batching="schema", batch_size=8, micro_batch_size=4)
    exact, samples = shared_token_fraction(data, config), data.samples

    class Counted(list):
        read = 0

        def __getitem__(self, index):
            Counted.read += 1
            return samples[index]

    counted = replace(data, samples=Counted(samples))
    assert counted.prompt_lengths == data.prompt_lengths
    monkeypatch.setattr(order, "MEASURED_SAMPLES", 100)  # of 320
    assert shared_token_fraction(counted, config) == pytest.approx(exact, abs=0.05)
    assert Counted.read == 80


@pytest.mark.parametrize("reduction", ["sequence", "token"])
def test_token_weights_sum_to_one(reduction):
    lengths = [3, 1, 0, 7]
    weights = sample_weights(lengths, reduction)
    assert sum(w * n for w, n in zip(weights, lengths, strict=True)) == pytest.approx(1.0)
    assert weights[2] == 0
    if reduction == "sequence":
        assert weights == [1 / 9, 1 / 3, 0, 1 / 21]
    else:
        assert weights == [1 / 11, 1 / 11, 0, 1 / 11]


def test_a_batch_without_any_output_weighs_nothing():
    assert sample_weights([0, 0], "sequence") == [0, 0]
    assert sample_weights([0, 0], "token") == [0, 0]


def test_collate_pads_prompts_left_and_outputs_right():
    samples = [Sample([11, 12, 13], [21, 1]), Sample([14], [22, 23, 1]), None]
    batch = collate(samples, [0.25, 0.5, 0.0], [4, 5, 6], pad_token_id=9)
    assert batch.input_ids.tolist() == [[11, 12, 13, 21, 1, 9], [9, 9, 14, 22, 23, 1], [9, 9, 9, 9, 9, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0]]
    assert batch.position_ids[1].tolist() == [0, 0, 0, 1, 2, 3]
    # Logits at a row predict the token after it: the last prompt token predicts the first output token.
    following = batch.input_ids.flatten()[batch.logit_positions + 1]
    assert following.tolist() == [21, 1, 22, 23, 1] == batch.completion_ids[batch.completion_mask].tolist()
    assert batch.row_weights.tolist() == [0.25, 0.25, 0.5, 0.5, 0.5]
    assert batch.lengths == [2, 3, 0]


def test_a_micro_batch_of_fillers_has_no_rows():
    batch = collate([None, None], [0.0, 0.0], [6, 7], pad_token_id=9)
    assert batch.logit_positions.shape == (0,) and batch.attention_mask.sum() == 6


@pytest.mark.parametrize("step", [0, 1])
def test_ranks_share_the_global_batch_and_one_rank_sees_the_same_micro_batches(step):
    data = dataset(11)  # step 1 is the last of the epoch: 3 samples and 5 fillers
    alone = micro_batches(data, run(), step, rank=0, world_size=1, pad_token_id=9)
    shared = [micro_batches(data, run(), step, rank=rank, world_size=2, pad_token_id=9) for rank in (0, 1)]
    woven = [batch for pair in zip(*shared, strict=True) for batch in pair]
    assert [b.positions for b in alone] == [b.positions for b in woven] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    for ours, theirs in zip(alone, woven, strict=True):
        assert torch.equal(ours.input_ids, theirs.input_ids) and torch.equal(ours.row_weights, theirs.row_weights)
    assert sum(batch.row_weights.sum().item() for batch in alone) == pytest.approx(1.0)
