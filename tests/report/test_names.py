"""Which model a path means, and names that tell models apart."""

import os

import pytest

from kid.report.names import canonical_model, model_names, short_name

SPIDER, BIRD = ("spider", None), ("bird", True)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen1.5-0.5B", "Qwen1.5-0.5B"),
        ("runs/qwen1.5-4b/adapter", "qwen1.5-4b"),
        ("/somewhere/teacher/model/", "teacher"),
        ("runs/sft/adapters/step-200", "sft"),
        ("runs/sft/models/step-200", "sft"),
        ("models/student", "student"),
        ("model", "model"),
        ("", ""),
    ],
)
def test_short_name(model, name):
    assert short_name(model) == name


def test_spellings_of_one_model_are_one(tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "big")
    same = [tmp_path / "big" / "adapter", tmp_path / "x" / ".." / "big" / "model", tmp_path / "link"]
    assert {canonical_model(str(path)) for path in same} == {os.path.realpath(tmp_path / "big")}
    assert canonical_model("runs/big/adapter") == os.path.realpath("runs/big")


def test_models_are_called_by_what_tells_them_apart():
    big, small = "runs/qwen-7b/sft/adapter", "runs/qwen-4b/sft/adapter"
    assert model_names([(SPIDER, big)]) == {big: "sft"}
    assert model_names([(SPIDER, big), (SPIDER, small)]) == {big: "qwen-7b/sft", small: "qwen-4b/sft"}
    hub = ["orgA/Base", "orgB/base", "orgB/Other"]
    assert list(model_names((SPIDER, name) for name in hub).values()) == ["orgA/Base", "orgB/base", "Other"]


def test_a_teacher_of_each_benchmark_is_one_name_where_no_benchmark_has_both():
    spider, bird = "runs/qwen-7b/adapter", "runs/bird/qwen-7b/adapter"
    assert model_names([(SPIDER, spider), (BIRD, bird)]) == {spider: "qwen-7b", bird: "qwen-7b"}
    assert model_names([(SPIDER, spider), (SPIDER, bird)]) == {spider: "runs/qwen-7b", bird: "bird/qwen-7b"}
