"""What prompts of a micro-batch share, and how they are laid out for it."""

import random
from itertools import pairwise

import pytest

from kid.data.batching import Sample, collate
from kid.data.sharing import common_prefix_length, max_shared_length, shared_prefixes

PAD = 0


def cost(prompts, groups, shared) -> int:
    """Tokens that run, padding included."""
    width = max([1, *shared])
    own = max(len(prompt) - shared[group] for prompt, group in zip(prompts, groups, strict=True))
    return len(shared) * width + len(prompts) * own


def partitions(count: int):
    """Every way to put `count` things into groups."""
    if count == 0:
        yield []
        return
    for groups in partitions(count - 1):
        for group in range(max(groups, default=-1) + 2):
            yield [*groups, group]


def random_prompts(seed: int) -> list[list[int]]:
    """A few that begin alike in a few ways, over two ids, so that chance alike beginnings occur too."""
    draw = random.Random(seed)
    starts = [[draw.randrange(2) for _ in range(draw.randrange(12))] for _ in range(draw.randrange(1, 4))]
    return [draw.choice(starts) + [draw.randrange(2) for _ in range(draw.randrange(1, 6))] for _ in range(5)]


@pytest.mark.parametrize("seed", range(60))
def test_groups_begin_alike_and_cost_little(seed):
    prompts = random_prompts(seed)
    groups, shared = shared_prefixes(prompts)
    for place, group in enumerate(groups):
        assert shared[group] <= max_shared_length(prompts[place])
        for other, same in enumerate(groups):
            if same == group:
                assert prompts[place][: shared[group]] == prompts[other][: shared[group]]
    assert cost(prompts, groups, shared) <= len(prompts) * (1 + max(len(prompt) - 1 for prompt in prompts))


def test_the_best_grouping_of_databases_is_found():
    """Against every grouping there is, each with all that its members have in common."""
    one, two = list(range(10, 30)), list(range(40, 55))
    prompts = [[*one, 1, 2, 3], [*two, 4, 5], [*one, 6, 7, 8, 9], [*two, 4, 6, 7], [*one, 1, 3, 3]]
    best = min(
        cost(prompts, groups, shared)
        for groups in partitions(len(prompts))
        for shared in [
            [
                min(
                    *(max_shared_length(prompts[i]) for i, g in enumerate(groups) if g == group),
                    *(common_prefix_length(prompts[i], prompts[j]) for i, g in enumerate(groups) if g == group
                      for j, h in enumerate(groups) if h == group),
                )
                for group in range(max(groups) + 1)
            ]
        ]
    )  # fmt: skip
    groups, shared = shared_prefixes(prompts)
    assert cost(prompts, groups, shared) == best
    assert [shared[group] for group in groups] == [20, 15, 20, 15, 20]


def test_prompts_cut_from_the_left_or_filtered_share_what_is_left():
    full = list(range(10, 40))
    assert shared_prefixes([[*full, 1, 2], [*full[:20], 99, *full[21:], 3, 4]]) == ([0, 0], [20])
    groups, shared = shared_prefixes([[*full, 1, 2], [*full[5:], 3, 4]])  # nothing in common
    assert groups in ([0, 1], [1, 0]) and max(shared) == 1


def test_one_question_twice_leaves_each_its_last_two_tokens():
    prompt = list(range(10, 20))
    assert shared_prefixes([prompt, prompt]) == ([0, 0], [8])


def test_common_length():
    prompts = [[], [1], [1, 2], [1, 3, 4], [1, 3, 4], [2]]
    assert [common_prefix_length(*pair) for pair in pairwise(prompts)] == [0, 1, 1, 3, 0]


def test_collate_puts_what_is_shared_into_columns_of_its_own():
    samples = [
        Sample([11, 12, 13, 5, 6], [21, 1]),
        None,
        Sample([31, 32, 7, 8, 9], [22, 1]),
        Sample([11, 12, 13, 4], [1]),
    ]
    batch = collate(samples, [0.1, 0.0, 0.2, 0.3], [0, 1, 2, 3], PAD, share=True)
    assert batch.shared_width == 2 and batch.group_of_row.tolist() == [0, 0, 1, 0]
    assert batch.representatives.tolist() == [0, 2] and batch.shared_tokens == 2
    assert batch.input_ids.tolist() == [
        [11, 12, 13, 5, 6, 21, 1], [0, 0, 0, 0, 0, 0, 0], [31, 32, 7, 8, 9, 22, 1], [11, 12, 0, 13, 4, 1, 0],
    ]  # fmt: skip
    assert batch.attention_mask.tolist() == [
        [1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1, 0],
    ]  # fmt: skip
    assert batch.position_ids[3].tolist() == [0, 1, 1, 2, 3, 4, 4]
    following = batch.input_ids.flatten()[batch.logit_positions + 1]
    assert following.tolist() == [21, 1, 22, 1, 1] == batch.completion_ids[batch.completion_mask].tolist()


@pytest.mark.parametrize("samples", [[None, None], [Sample([5], [1]), Sample([6], [1])], [Sample([5, 6], [1])] * 2])
def test_every_part_of_the_prompts_has_a_column(samples):
    """On every rank a forward runs over it."""
    batch = collate(samples, [0.0, 0.0], [0, 1], PAD, share=True)
    assert batch.shared_width >= 1 and batch.prompt_width - batch.shared_width >= 2 and len(batch.representatives) >= 1
    assert collate(samples, [0.0, 0.0], [0, 1], PAD).prompt_width >= 2
