"""A store of the teacher's prefixes on two ranks: the same losses and gradients, and as many collectives on both."""

import json

import pytest
from helpers.launcher import ROOT

from kid.minibench.tiny_models import write_tiny_model
from kid.models.pretrained import load_tokenizer

CASES = [
    f"{method} {batching} {stage}"
    for method in ("kid", "rkd", "gkd-rkl")
    for batching in ("random", "schema")
    for stage in (0, 3)
]


@pytest.fixture(scope="module")
def ranks(tiny_models, launch, tmp_path_factory) -> list[dict]:
    """What each of two ranks wrote down."""
    folder = tmp_path_factory.mktemp("stored")
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    for name, hidden in (("student", 32), ("teacher", 48)):
        sizes = {"hidden": hidden, "layers": 2, "heads": 4, "seed": hidden, "family": "qwen2", "padding": 8}
        write_tiny_model(folder / f"qwen2-{name}", tokenizer, **sizes)
    done = launch(2, ROOT / "tests" / "helpers" / "stored_prefixes.py", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_without_it(ranks, case):
    for rank in ranks:
        plain, stored = rank[f"{case} plain"], rank[f"{case} stored"]
        for name in ("loss", "grad_norm"):
            assert [line[name] for line in stored] == pytest.approx([line[name] for line in plain], rel=1e-4)
        assert not any(line["stored"] for line in plain)


@pytest.mark.parametrize("case", CASES)
def test_a_rank_with_stored_prompts_only_takes_part_in_the_forwards_of_the_other(ranks, case):
    one, other = (rank[f"{case} stored"] for rank in ranks)
    assert [line["collectives"] for line in one] == [line["collectives"] for line in other]
    assert [line["stored"] for line in one] == [True] * 4
    assert [line["stored"] for line in other] == [False, False, True, False]
