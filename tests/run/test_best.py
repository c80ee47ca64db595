"""Which evaluation is the best, what best/ names after a resume, and when patience is at its end."""

import json

import pytest

from kid.config.recipe import resolve_config
from kid.config.run_config import RunConfig
from kid.config.trained import best_step
from kid.errors import InputError
from kid.run.best import Best, ends_early, find_best, link_best


def rows(measure, *values):
    """Lines of metrics with an evaluation at every second step."""
    found = [{"step": step} for step in range(1, 2 * len(values) + 1)]
    for place, value in enumerate(values):
        found[2 * place + 1][measure] = value
    return found


@pytest.mark.parametrize(
    ("measure", "values", "expected"),
    [
        ("ex", (40.0, 42.0, 41.0, 42.0), Best(4, 42.0, 2)),  # of equals the first
        ("validation_loss", (2.0, 1.5, 1.7), Best(4, 1.5, 1)),
        ("ex", (0.0,), Best(2, 0.0, 0)),
        ("ex", (), None),
    ],
)
def test_the_best_evaluation(measure, values, expected):
    assert find_best(rows(measure, *values), measure) == expected
    assert find_best(rows("loss", 1.0, 2.0), measure) is None


def test_patience_counts_the_evaluations_since_the_best():
    config = RunConfig(keep_best="ex", patience=2)
    assert [ends_early(config, rows("ex", *values)) for values in ((5,), (5, 4), (5, 4, 5), (5, 4, 6))] == [
        False, False, True, False,
    ]  # fmt: skip
    assert not ends_early(RunConfig(keep_best="ex"), rows("ex", 5, 4, 3, 2))
    assert not ends_early(config, [])


@pytest.mark.parametrize("lora_rank", [0, 8])
def test_best_is_the_export_of_that_step_also_after_a_resume(tmp_path, lora_rank):
    config = RunConfig(keep_best="ex", lora_rank=lora_rank)
    kind = "adapters" if lora_rank else "models"
    for step in (2, 4):
        (tmp_path / kind / f"step-{step}").mkdir(parents=True)
    link_best(config, tmp_path, rows("ex", 10.0, 20.0))
    assert (tmp_path / "best").resolve() == (tmp_path / kind / "step-4").resolve()
    assert json.loads((tmp_path / "best.json").read_text()) == {"step": 4, "ex": 20.0, "folder": f"{kind}/step-4"}
    assert best_step(tmp_path) == 4
    link_best(config, tmp_path, rows("ex", 10.0))  # resumed before step 4
    assert (tmp_path / "best").resolve() == (tmp_path / kind / "step-2").resolve()
    link_best(config, tmp_path, [])  # resumed before the first evaluation
    assert not (tmp_path / "best").is_symlink() and not (tmp_path / "best.json").exists()
    with pytest.raises(InputError, match=r"has no readable best.json; train with --keep-best"):
        best_step(tmp_path)
    link_best(RunConfig(), tmp_path, rows("ex", 10.0))
    assert not (tmp_path / "best").is_symlink()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"keep_best": "ex"}, "--keep-best ex: it is not measured; add --eval-ex-steps N"),
        ({"keep_best": "validation_loss", "eval_ex_steps": 2}, "add --eval-steps N"),
        ({"patience": 2}, "--patience 2: it requires --keep-best; remove it"),
        ({"eval_questions": 50}, "--eval-questions 50: EX is only measured with --eval-ex-steps; remove it"),
        ({"report_to": "wandb,tensorbord"}, "--report-to: 'tensorbord' is unknown; choose from tensorboard, wandb, ml"),
    ],
)
def test_keys_that_do_not_fit(flags, said):
    with pytest.raises(InputError, match=said.replace("(", "[(]")):
        resolve_config(None, {"method": "sft", "student": "s", "data": "d", "output": "o", **flags})
