"""Under ZeRO-3 every rank takes part in as many collectives, whatever it has to do between them."""

import json

import pytest
from helpers.launcher import ROOT

from kid.minibench.tiny_models import write_tiny_model
from kid.models.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def ranks(tiny_models, launch, tmp_path_factory) -> list[dict]:
    """What each of three ranks wrote down."""
    folder = tmp_path_factory.mktemp("collectives")
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    for family in ("qwen2", "codegen"):
        for name, hidden, padding in (("student", 32, 8), ("teacher", 48, 128)):
            sizes = {"hidden": hidden, "layers": 2, "heads": 4, "seed": hidden, "family": family, "padding": padding}
            write_tiny_model(folder / f"{family}-{name}", tokenizer, **sizes)
    done = launch(3, ROOT / "tests" / "helpers" / "count_collectives.py", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(3)]


@pytest.mark.parametrize("case", ["lora", "on-policy", "on-policy whole", "tied", "bias"])
def test_ranks_with_0_1_and_500_rows_take_part_in_as_many_collectives(ranks, case):
    """Also where one works through its rows one by one."""
    counts = [[line["collectives"] for line in rank[case]["on"]] for rank in ranks]
    assert counts[0] == counts[1] == counts[2] and min(counts[0]) > 5


@pytest.mark.parametrize("case", ["lora", "on-policy", "on-policy whole", "tied", "bias"])
def test_passes_before_the_last_leave_zero_3_its_order_of_modules(ranks, case):
    """From the second step on it prefetches both models', through prompts, predictions, decoding and training alike."""
    for rank in ranks:
        assert [line["prefetches"] for line in rank[case]["on"]] == [[False, False], [True, True], [True, True]]


def test_no_step_waits_for_the_device(ranks):
    assert all(line["waits"] == 0 for rank in ranks for case in rank.values() for line in case["on"])


@pytest.mark.parametrize("case", ["tied", "bias"])
def test_a_trainable_head_is_trained_as_by_the_plain_losses(ranks, case):
    fused, plain = ([line["loss"] for line in ranks[0][case][name]] for name in ("on", "off"))
    assert fused == pytest.approx(plain, rel=1e-5)
    assert fused[-1] < fused[0]
    # Three steps of Adam move a weight by 3e-3 at most, also one whose gradient is nothing but rounding.
    assert ranks[0][case]["difference"] <= 1e-4
