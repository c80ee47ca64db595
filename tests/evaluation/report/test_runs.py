"""Reading run directories: names, pace, scores, and what is said of damaged ones."""

import json

import pytest
from synthetic_runs import write_run, write_score

from kid.errors import InputError
from kid.evaluation.report.runs import load_run, load_runs, short_name


def read(folder):
    remarks = []
    return load_run(folder, remarks), remarks


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen1.5-0.5B", "Qwen1.5-0.5B"),
        ("runs/qwen1.5-4b/adapter", "qwen1.5-4b"),
        ("/somewhere/teacher/model/", "teacher"),
        ("runs/sft/adapters/step-200", "sft"),
        ("runs/sft/models/step-200", "sft"),
        ("model", "model"),
        ("", ""),
    ],
)
def test_short_name(model, name):
    assert short_name(model) == name


def test_a_whole_run(tmp_path):
    folder = write_run(tmp_path / "kid", "kid", teacher="runs/big/adapter", mask_ratio=0.3, seconds=2.0, seed=3)
    write_score(folder, [True, False, True, True], ts=[True, False, True, False])
    write_score(folder, [True] * 4, "dk", split="dk")
    write_score(folder, [False, True], "step-2/dev")
    run, remarks = read(folder)
    assert remarks == []
    assert (run.steps, run.finished, run.seconds, run.ranks, run.hardware) == (4, True, 2.0, 8, "8 x NVIDIA H800")
    assert run.variant == (("mask_ratio", 0.3),)
    dev = run.scores["spider", "dev", None]
    assert (dev.n, dev.ex, dev.ts) == (4, 75.0, 50.0)
    assert dev.predictions == folder / "predictions" / "dev.sql"
    assert run.scores["spider", "dk", None].ex == 100.0
    step = run.curve[2]["spider", "dev", None]
    assert step.ex == 50.0 and step.predictions == folder / "predictions" / "step-2" / "dev.sql"


def test_variant_is_what_changes_the_method(tmp_path):
    folder = write_run(tmp_path / "a", "rkd", teacher="t", mask_ratio=0.5, divergence="rkl", temperature=2.0)
    assert read(folder)[0].variant == (("temperature", 2.0),)  # rkd masks nothing, and rkl is its own divergence
    folder = write_run(tmp_path / "b", "kid", teacher="t", divergence="fkl", lr=1e-3)
    assert read(folder)[0].variant == (("divergence", "fkl"),)


def test_bird_keeps_apart_with_and_without_evidence(tmp_path):
    folder = write_run(tmp_path / "bird", benchmark="bird", evidence=False)
    write_score(folder, [True, False], "dev", benchmark="bird", evidence=False)
    write_score(folder, [True, True], "other", benchmark="bird", evidence=True)
    write_score(folder, [True, True], "spider")
    run, remarks = read(folder)
    assert {column: score.ex for column, score in run.scores.items()} == {("bird", "dev", False): 50.0}
    assert remarks == [
        f"{folder}/scores/other.json was left out: scored with evidence, trained without",
        f"{folder}/scores/spider.json was left out: scored on spider, trained on bird",
    ]


def test_damage_is_counted_and_said(tmp_path):
    folder = write_run(tmp_path / "torn")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "sec')
    (folder / "environment.json").write_text("{")
    scores = folder / "scores"
    scores.mkdir()
    (scores / "dev.json").write_text('{"benchmark": "spider"')
    (scores / "list.json").write_text("[]")
    (scores / "half.json").write_text(json.dumps({"benchmark": "spider", "split": "dev", "n": 2, "ex": 5.0}))
    (scores / "exposure_bias.json").write_text(json.dumps({"ex_acc_err_16": None}))
    run, remarks = read(folder)
    assert (run.steps, run.scores, run.exposure, run.hardware, run.ranks) == (4, {}, None, "", None)
    said = "\n".join(remarks)
    assert len(remarks) == 7 and "1 damaged lines" in said and "half.json was left out: it is not what" in said
    for name in ("environment.json cannot be read", "dev.json cannot be read", "list.json is not a JSON object"):
        assert name in said
    assert "no environment.json" in said and "exposure_bias.json has no ex_acc_err_16" in said


def test_a_run_still_going(tmp_path):
    folder = write_run(tmp_path / "going", steps=4)
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:2]))
    run, remarks = read(folder)
    assert not run.finished and remarks == [f"{folder}: not finished, 2 steps so far; its numbers are those of now"]
    (folder / "metrics.jsonl").unlink()
    run, _ = read(folder)
    assert (run.steps, run.seconds, run.finished) == (0, None, False)


def test_of_two_scores_of_the_same_questions_one_counts(tmp_path):
    folder = write_run(tmp_path / "run")
    write_score(folder, [True, True], "a")
    write_score(folder, [True, False], "b")
    run, remarks = read(folder)
    assert run.scores["spider", "dev", None].ex == 100.0
    assert remarks == [f"{folder}/scores/b.json was left out: a.json is of the same questions and comes first by name"]


def test_no_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_runs([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"holds no config\.yaml"):
        load_runs([tmp_path])
    (tmp_path / "config.yaml").write_text("method: kidd")
    with pytest.raises(InputError, match="method = 'kidd' is unknown"):
        load_runs([tmp_path])


def test_a_run_given_twice_counts_once(tmp_path):
    folder = write_run(tmp_path / "run")
    runs, remarks = load_runs([folder, tmp_path / "run" / ".." / "run"])
    assert len(runs) == 1 and "given twice" in remarks[0]
