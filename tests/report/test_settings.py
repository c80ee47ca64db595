"""Which settings make a method another one, and which make a comparison unfair."""

import pytest
from helpers.synthetic_runs import write_run

from kid.config.run_config import RunConfig
from kid.report.runs import load_run
from kid.report.settings import differences, shared_settings, timing_conditions, variant


@pytest.mark.parametrize(
    ("method", "settings", "expected"),
    [
        ("sft", {"temperature": 2.0, "kd_weight": 0.5, "top_p": 0.9, "mask_ratio": 0.5}, {}),
        ("sft", {"reduction": "token", "mle_weight": 2.0}, {"mle_weight": 2.0, "reduction": "token"}),
        ("rkd", {"mask_ratio": 0.5, "divergence": "rkl", "temperature": 2.0, "top_p": 0.9}, {"temperature": 2.0}),
        ("rkd", {"jsd_beta": 0.9, "skew_alpha": 0.9}, {}),
        ("gkd-jsd", {"jsd_beta": 0.9, "skew_alpha": 0.9}, {"jsd_beta": 0.9}),
        ("rkd", {"divergence": "skew-fkl", "skew_alpha": 0.9}, {"divergence": "skew-fkl", "skew_alpha": 0.9}),
        ("gkd-rkl", {"top_p": 0.9, "mle_weight": 2.0}, {"top_p": 0.9}),
        ("kid", {"divergence": "fkl", "lr": 1e-3, "top_p": 0.9}, {"divergence": "fkl"}),
        ("kid", {"fill": "sample", "top_p": 0.9}, {"fill": "sample", "top_p": 0.9}),
        ("kid", {"rewrite": "none", "mask_ratio": 0.5, "fill": "sample", "top_p": 0.9}, {"rewrite": "none"}),
        ("kid", {"rewrite": "mask-only", "fill": "sample"}, {"rewrite": "mask-only"}),
    ],
)
def test_a_setting_counts_where_the_method_uses_it(method, settings, expected):
    assert dict(variant(RunConfig(method=method, teacher="t", **settings), {})) == expected


def test_what_a_whole_study_has_is_its_default():
    study = {"top_p": 0.9, "kd_weight": 0.5, "teacher": "t"}
    configs = [RunConfig(method=method, **study) for method in ("sft", "rkd", "gkd-rkl", "kid")]
    configs.append(RunConfig(method="kid", mask_strategy="hard", **study))
    shared = shared_settings(configs)
    assert shared == {"kd_weight": 0.5, "top_p": 0.9}
    assert [variant(config, shared) for config in configs] == [(), (), (), (), (("mask_strategy", "hard"),)]
    # One that has not is enough: then it is no default.
    assert shared_settings([*configs, RunConfig(method="rkd", teacher="t", top_p=0.9)]) == {"top_p": 0.9}


def test_of_kid_s_own_settings_one_row_alone_makes_no_default():
    changed = RunConfig(method="kid", teacher="t", mask_ratio=0.3)
    assert shared_settings([changed, RunConfig(method="kid", teacher="t", mask_ratio=0.3, seed=1)]) == {}
    hard = RunConfig(method="kid", teacher="t", mask_ratio=0.3, mask_strategy="hard")
    assert shared_settings([changed, hard]) == {"mask_ratio": 0.3}
    vanilla = [RunConfig(method="kid", teacher=teacher, rewrite="none") for teacher in ("a", "b")]
    assert shared_settings(vanilla) == {}  # what a method is stands in its name


def test_other_data_are_a_difference_other_spellings_are_not(tmp_path):
    def run(name, **settings):
        return load_run(write_run(tmp_path / name, **settings), [])

    first = run("a", data="data/spider")
    assert differences(first, run("b", data="data/../data/spider", seed=1)) == ""
    assert differences(first, run("c", data="mine")) == "data ('data/spider' and 'mine')"
    form = run("form", prompt="{{ ddl }}\n{{ question }}", chat_template="auto")
    assert differences(first, form).startswith("prompt ('codes' and 'template (2 lines, sha256 ")
    assert differences(first, form).endswith("'), chat_template ('none' and 'auto')")
    assert differences(first, run("d", questions="q.json", databases=("x",))) == (
        "questions (None and 'q.json'), databases (() and ('x',))"
    )


def test_pace_depends_on_more_than_the_machine(tmp_path):
    def of(name, **settings):
        return timing_conditions(load_run(write_run(tmp_path / name, **settings), []))

    assert of("a", deepspeed="here/x.json", seed=1, lr=1.0) == of("b", deepspeed="there/x.json")
    changed = {
        "batching": "schema", "dtype": "fp32", "micro_batch_size": 1, "max_prompt_length": 512,
        "max_completion_length": 64, "lora_rank": 8, "prefix": False, "fused": False, "attention": "sdpa",
        "deepspeed": "other.json", "batch_size": 32,
    }  # fmt: skip
    assert all(of(key, **{key: value}) != of(f"not-{key}") for key, value in changed.items())
    assert of("anew", prefix=False, activation_checkpointing=True) != of("kept", prefix=False)
