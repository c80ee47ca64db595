"""The configuration: where values come from, and that every bad one is refused by name."""

from dataclasses import fields

import pytest
import yaml

from kid.config import divergences
from kid.config.methods import METHODS
from kid.config.recipe import merge_config, resolve_config
from kid.config.run_config import RunConfig, accumulation_steps, dump_config
from kid.errors import InputError
from kid.losses.divergence import DIVERGENCES

GOOD = {"method": "kid", "student": "s", "teacher": "t", "data": "d", "output": "o"}


def test_flags_override_the_recipe_which_overrides_its_base(tmp_path):
    (tmp_path / "base.yaml").write_text("lr: 2e-4\nepochs: 4\nseed: 1\n")
    (tmp_path / "r.yaml").write_text("base: base.yaml\nepochs: 5\nseed: 2\n")
    config = resolve_config(tmp_path / "r.yaml", {**GOOD, "seed": "3"})
    assert (config.lr, config.epochs, config.seed) == (2e-4, 5, 3)


def test_switches_and_lists_as_flags_and_in_a_recipe(tmp_path):
    (tmp_path / "r.yaml").write_text("evidence: no\nstrict_length: yes\ndatabases: [a, b]\ntables: t.json\n")
    config = resolve_config(tmp_path / "r.yaml", GOOD)
    assert (config.evidence, config.strict_length, config.databases) == (False, True, ("a", "b"))
    config = resolve_config(tmp_path / "r.yaml", {**GOOD, "evidence": "yes", "databases": ["c"]})
    assert (config.evidence, config.databases, config.tables) == (True, ("c",), "t.json")
    (tmp_path / "r.yaml").write_text("databases: one\n")
    assert resolve_config(tmp_path / "r.yaml", GOOD).databases == ("one",)


def test_dumped_config_reads_back(tmp_path):
    changes = {"mask_ratio": "0.3", "max_steps": "7", "databases": ["a", "b"], "evidence": "no"}
    config = resolve_config(None, {**GOOD, **changes})
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert resolve_config(path, {}) == config
    assert set(yaml.safe_load(path.read_text())) == {f.name for f in fields(RunConfig)}


LAUGHS = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(30))
HOSTILE = {
    LAUGHS: r"anchors \(&\) and aliases \(\*\) are not supported",
    "data: &x d": "anchors",
    "data: *x": "anchors",
    "base: [*x, *x]": "anchors",
    "[" * 5000: "nested too deeply",
    "lr: " + "[" * 5000 + "]" * 5000: "nested too deeply",
    "{" * 5000: "nested too deeply",
    "- " * 5000: "nested too deeply",
    "epochs: " + "9" * 5000: "cannot be read: Exceeds the limit",
    "epochs: " + "9" * 4000: "is not a whole number",
    "epochs: 0x" + "f" * 5000: "a number with too many digits is not a whole number",
    "lr: 0x" + "f" * 500: "is not a number",
    "? 0x" + "f" * 900 + "\n: 1": "unknown key",
    "seed: '" + "9" * 5000 + "'": "is not a whole number",
    "epochs: 2001-02-30": "cannot be read: day is out of range",
    "epochs: !!int ''": "cannot be read",
    "evidence: !!bool x": "cannot be read",
    "lr: !!timestamp x": "cannot be read",
    "data: !!python/object/apply:os.system [x]": "could not determine a constructor",
    'base: "a\\0b"': "has a NUL in its name",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_recipes_are_refused_in_one_line(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError, match=HOSTILE[text]) as caught:
        resolve_config(tmp_path / "r.yaml", GOOD)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1200


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"mask_ratio": "1.2"}, "--mask-ratio: mask_ratio = 1.2 is out of range; it must be from 0 to 1"),
        ({"mask_ratio": "-0.1"}, "from 0 to 1"),
        ({"mask_ratio": "nan"}, "is not a number"),
        ({"method": "kd"}, "choose one of sft, fkd, rkd, f-distill, imitkd, gkd-fkl, gkd-rkl, gkd-jsd, kid"),
        ({"divergence": "kl"}, "choose one of fkl, rkl, jsd, tvd, skew-fkl, skew-rkl"),
        ({"mask_strategy": "soft"}, "choose one of random, uniform, hard, easy"),
        ({"rewrite": "mask_only"}, "choose one of predict, mask-only, none"),
        ({"fill": "beam"}, "choose one of argmax, sample"),
        ({"mle_on": "teacher"}, "choose one of imperfect, gold"),
        ({"jsd_beta": "0"}, "jsd_beta = 0 is out of range; it must be from 0.001 to 0.999"),
        ({"skew_alpha": "1"}, "from 0.001 to 0.999"),
        ({"top_p": "0"}, "top_p = 0 is out of range"),
        ({"sample_temperature": "-1"}, "it must be 0 or more"),
        ({"max_new_tokens": "0"}, "it must be 1 or more"),
        ({"method": "f-distill"}, "--teacher-outputs is missing; method f-distill learns from outputs"),
        ({"teacher_outputs": "f.jsonl"}, "--teacher-outputs f.jsonl: method kid does not read"),
        ({"activation_checkpointing": "yes"}, "add --prefix off"),
        ({"epochs": "2.5"}, "is not a whole number"),
        ({"epochs": "0"}, "it must be 1 or more"),
        ({"lr": "fast"}, "lr = 'fast' is not a number"),
        ({"dtype": "fp16"}, "choose one of fp32, bf16"),
        ({"evidence": "perhaps"}, "evidence = 'perhaps' is not yes or no"),
        ({"missing_database": "schema"}, "choose one of error, schema-only, skip"),
        ({"teacher": ""}, "--teacher is missing"),
        ({"student": ""}, "--student is missing"),
        ({"method": "sft"}, "has no teacher"),
        ({"method": "sft", "teacher": "", "divergence": "rkl"}, "--divergence rkl"),
    ],
)
def test_bad_values_are_named(flags, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        resolve_config(None, {**GOOD, **flags})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mask_ration: 0.2", "unknown key 'mask_ration'; did you mean mask_ratio?"),
        ("epochs: [1]", "epochs = .* is not a whole number"),
        ("databases: [1]", "databases = .* is not a list of texts"),
        ("resume: 1", "is not yes or no"),
        ("seed: true", "is not a whole number"),
        ("- a list", "KEY: VALUE"),
        ("a: b: c", "not valid YAML"),
        ("base: gone.yaml", "gone.yaml: No such file"),
        ("base: r.yaml", "form a cycle"),
        ("base: [r.yaml]", "is not the name of a recipe"),
    ],
)
def test_bad_recipes_are_named(tmp_path, text, message):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        resolve_config(tmp_path / "r.yaml", GOOD)


def test_batch_size_is_micro_times_ranks_times_accumulation():
    config = resolve_config(None, {**GOOD, "batch_size": 16, "micro_batch_size": 2})
    assert accumulation_steps(config, 2) == 4
    with pytest.raises(InputError, match=r"use 12 or 18"):
        accumulation_steps(config, 3)
    with pytest.raises(InputError, match=r"use 32$"):
        accumulation_steps(config, 16)


def test_divergence_is_the_methods_unless_given():
    assert resolve_config(None, GOOD).resolved_divergence == "rkl"
    assert resolve_config(None, {**GOOD, "divergence": "jsd"}).resolved_divergence == "jsd"
    assert resolve_config(None, {**GOOD, "method": "sft", "teacher": ""}).resolved_divergence is None


@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_divergence_may_be_chosen_for_every_method_with_a_teacher(name):
    for method, row in METHODS.items():
        more = {"teacher_outputs": "f"} if "teacher" in row.sources else {}
        if row.needs_teacher:
            assert (
                resolve_config(None, {**GOOD, **more, "method": method, "divergence": name}).resolved_divergence == name
            )
    config = RunConfig(divergence=name, jsd_beta=0.3, skew_alpha=0.2)
    assert name not in ("jsd", "skew-fkl", "skew-rkl") or config.mixture_weight == (0.3 if name == "jsd" else 0.2)


def test_decoding_stops_at_the_completions_limit_unless_told_otherwise():
    assert resolve_config(None, GOOD).decoding_limit == 128
    assert resolve_config(None, {**GOOD, "method": "gkd-rkl", "max_new_tokens": 7}).decoding_limit == 7


def test_the_configs_divergences_are_those_there_are():
    assert divergences.DIVERGENCES.keys() == DIVERGENCES.keys()


@pytest.mark.parametrize("text", ["runs/a\ud800b", "runs/\0a"])
@pytest.mark.parametrize("key", ["student", "data", "databases", "mask_token"])
def test_text_that_cannot_be_written_is_refused(key, text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({key: [text] if key == "databases" else text}))
    with pytest.raises(InputError, match=rf"config.yaml: {key} = 'runs/.* has a NUL or half of a surrogate pair"):
        merge_config(path, {})


def test_a_file_name_that_is_not_utf8_is_text(tmp_path):
    """As Python gives it: byte 0xe9 is one half of a pair."""
    assert merge_config(None, {"student": "runs/caf\udce9"}).student == "runs/caf\udce9"
