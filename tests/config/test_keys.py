"""What each key of RunConfig says about itself, and the lists that follow from it."""

import pytest

from kid.config.keys import FIELDS, FREE_ON_RESUME, as_flags, convert, keys_affecting, unused_reason, used_keys
from kid.config.methods import METHODS
from kid.config.option import AFFECTS, GROUPS, option
from kid.config.recipe import resolve_config
from kid.config.run_config import RunConfig
from kid.errors import InputError

GOOD = {"student": "s", "data": "d", "output": "o"}
GIVEN = {"teacher": "t", "teacher_outputs": "f.jsonl"}


@pytest.mark.parametrize("name", FIELDS)
def test_every_key_says_what_it_affects_and_which_runs_use_it(name):
    meta = FIELDS[name].metadata
    assert meta["help"] and meta["group"] in GROUPS
    assert meta["affects"] and set(meta["affects"]) <= AFFECTS.keys()
    assert isinstance(meta["free_on_resume"], bool)
    assert any(unused_reason(name, RunConfig(method=method, **change)) is None for method, change in RUNS_OF_ALL_KINDS)


RUNS_OF_ALL_KINDS = [(method, {}) for method in METHODS] + [
    ("kid", {"fill": "sample"}),
    ("rkd", {"divergence": "skew-rkl"}),
    ("sft", {"eval_ex_steps": 1, "keep_best": "ex"}),
]


def test_a_key_without_what_it_affects_cannot_be_written():
    with pytest.raises(TypeError, match="affects"):
        option(1, "help", group="loss")
    with pytest.raises(ValueError, match="weather"):
        option(1, "help", group="loss", affects="speed, weather")


def test_every_effect_is_that_of_some_key():
    assert all(keys_affecting(what) for what in AFFECTS)
    with pytest.raises(KeyError):
        keys_affecting("weather")


def test_what_may_change_when_a_run_is_resumed():
    assert set(FREE_ON_RESUME) == {
        "output", "resume", "save_steps", "fused", "logit_memory_mb", "prefix", "activation_checkpointing",
        "attention", "teacher_deepspeed", "teacher_prefix_gb", "teacher_prefix_device_gb", "teacher_states",
        "report_to",
    }  # fmt: skip


def flags_of(method: str) -> dict[str, str]:
    """The inputs that a method cannot do without."""
    return {
        **GOOD,
        "method": method,
        **{key: value for key, value in GIVEN.items() if key in used_keys(RunConfig(method=method))},
    }


@pytest.mark.parametrize(
    ("method", "flags", "message"),
    [
        ("rkd", {"mask_ratio": "0.2"}, "--mask-ratio 0.2: method rkd does not rewrite outputs; kid does; remove it"),
        ("gkd-rkl", {"mle_weight": "1"}, "--mle-weight 1.0: method gkd-rkl has no maximum-likelihood loss"),
        ("fkd", {"mle_on": "gold"}, "--mle-on gold: method fkd does not rewrite outputs"),
        ("sft", {"teacher": "t"}, "--teacher t: method sft has no teacher; remove it"),
        ("sft", {"divergence": "rkl"}, "--divergence rkl: method sft has no teacher"),
        ("sft", {"teacher_prefix_gb": "1"}, "--teacher-prefix-gb 1.0: method sft has no teacher"),
        ("rkd", {"jsd_beta": "0.3"}, "--jsd-beta 0.3: the divergence is rkl"),
        ("gkd-jsd", {"skew_alpha": "0.3"}, "--skew-alpha 0.3: the divergence is jsd"),
        ("kid", {"rewrite": "none", "mask_strategy": "hard"}, "--mask-strategy hard: --rewrite none masks nothing"),
        ("kid", {"rewrite": "mask-only", "fill": "sample"}, "--fill sample: --rewrite mask-only predicts nothing"),
        ("kid", {"top_p": "0.9"}, "--top-p 0.9: --fill argmax does not sample"),
        ("kid", {"max_new_tokens": "9"}, "--max-new-tokens 9: method kid does not learn from outputs"),
        ("rkd", {"teacher_outputs": "f"}, "--teacher-outputs f: method rkd does not read a teacher's outputs"),
        ("kid", {"teacher_states": "f"}, "--teacher-states f: method kid has new outputs in every step"),
        ("kid", {"lora_rank": "0", "lora_alpha": "8"}, "--lora-alpha 8.0: --lora-rank 0 trains all weights"),
    ],
)  # fmt: skip
def test_a_flag_without_effect_is_refused(method, flags, message):
    with pytest.raises(InputError) as caught:
        resolve_config(None, {**flags_of(method), **flags})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("kid", {"mask_ratio": "0.3", "mle_on": "gold", "fill": "sample", "top_p": "0.9", "mle_weight": "2"}),
        ("rkd", {"divergence": "jsd", "jsd_beta": "0.3", "teacher_states": "f"}),
        ("fkd", {"divergence": "skew-rkl", "skew_alpha": "0.3"}),
        ("imitkd", {"max_new_tokens": "9", "sample_temperature": "0.5", "mle_weight": "2"}),
        ("f-distill", {"teacher_deepspeed": "f.json"}),
        ("sft", {"mle_weight": "2", "lora_dropout": "0.1"}),
    ],
)
def test_a_flag_with_effect_is_taken(method, flags):
    config = resolve_config(None, {**flags_of(method), **flags})
    assert all(getattr(config, key) == convert(key, value, "") for key, value in flags.items())


def test_a_recipe_may_hold_what_its_method_does_not_use(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("method: kid\nteacher: t\nmask_ratio: 0.3\nteacher_outputs: f\nteacher_states: g\n")
    config = resolve_config(recipe, {**GOOD, "method": "sft"})
    # What is read where it is named is not named any more.
    assert (config.teacher, config.teacher_outputs, config.teacher_states, config.mask_ratio) == ("", None, None, 0.3)
    assert resolve_config(recipe, {**GOOD, "method": "rkd"}).teacher_states == "g"
    with pytest.raises(InputError, match="--mask-ratio"):
        resolve_config(recipe, {**GOOD, "method": "rkd", "mask_ratio": "0.1"})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("evidence", False, ["--evidence", "no"]),
        ("resume", True, ["--resume"]),
        ("lr", 3e-4, ["--lr", "0.0003"]),
        ("databases", ("a", "b"), ["--databases", "a", "--databases", "b"]),
    ],
)
def test_a_key_as_flags(name, value, words):
    assert as_flags(name, value) == words
