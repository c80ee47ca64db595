"""Score files and measurements of exposure bias: which are used, and what is said of the others."""

import hashlib
import json
import os

import pytest
from helpers.synthetic_runs import write_exposure, write_run, write_score

from kid.config.trained import form_of
from kid.report.runs import load_run

DEV = ("spider", "dev", None)


def read(folder):
    remarks = []
    return load_run(folder, remarks), remarks


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_shares_are_of_the_verdicts(tmp_path):
    folder = write_run(tmp_path / "run")
    right = [True] * 801 + [False] * 1199  # 40.05 %, which in the file is rounded
    path = write_score(folder, right, ts=right)
    change(path, ex=40.1, ts=40.1)
    score = read(folder)[0].scores[DEV]
    assert score.ex == score.ts == 100 * 801 / 2000 and (score.n, len(score.questions)) == (2000, 2000)


def test_bird_keeps_apart_with_and_without_evidence(tmp_path):
    folder = write_run(tmp_path / "bird", benchmark="bird", evidence=False)
    write_score(folder, [True, False], "dev", benchmark="bird", evidence=False)
    write_score(folder, [True, True], "other", benchmark="bird", evidence=True)
    write_score(folder, [True, True], "spider")
    run, remarks = read(folder)
    assert {column: score.ex for column, score in run.scores.items()} == {("bird", "dev", False): 50.0}
    assert remarks == [
        f"{folder}/scores/other.json was skipped: scored with evidence, trained without",
        f"{folder}/scores/spider.json was skipped: scored on spider, trained on bird",
    ]


def test_predictions_in_another_form_are_left_out(tmp_path):
    folder = write_run(tmp_path / "run", prompt="{{ ddl }}{{ question }}")
    own = form_of({"prompt": "{{ ddl }}{{ question }}", "chat_template": "none"})
    change(write_score(folder, [True, False], "dev"), form=own)
    change(path := write_score(folder, [True, True], "other"), form={"prompt": "ddl", "chat_template": "none"})
    run, (remark,) = read(folder)
    assert run.scores[DEV].ex == 50.0
    trained = rf"trained with --prompt template (1 lines, sha256 {own['prompt'][-13:-1]}) --chat-template none"
    assert remark == f"{path} was skipped: predicted with --prompt ddl --chat-template none, {trained}"


@pytest.mark.parametrize("ts_first", [True, False])
def test_of_two_scores_that_with_ts_counts(tmp_path, ts_first):
    folder = write_run(tmp_path / "run")
    plain = write_score(folder, [True, True], "b" if ts_first else "a")
    both = write_score(folder, [True, False], "a" if ts_first else "b", ts=[True, False])
    os.utime(plain, (2e9, 2e9))  # newer, and yet
    run, remarks = read(folder)
    assert (run.scores[DEV].ex, run.scores[DEV].ts) == (50.0, 50.0)
    assert remarks == [f"{plain} was skipped: {both.name} is of the same split and has TS"]


@pytest.mark.parametrize("newer", ["a", "b"])
def test_of_two_scores_with_ts_or_without_the_newer_counts(tmp_path, newer):
    folder = write_run(tmp_path / "run")
    for name, right in (("a", [True, True]), ("b", [True, False])):
        path = write_score(folder, right, name)
        os.utime(path, (2e9, 2e9) if name == newer else (1e9, 1e9))
    run, remarks = read(folder)
    assert run.scores[DEV].ex == {"a": 100.0, "b": 50.0}[newer]
    assert len(remarks) == 1 and remarks[0].endswith(f"{newer}.json is of the same split and is newer")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"hardness": {"easy": 5}}, "it does not have the format of eval/score.py"),
        ({"hardness": [1]}, "it does not have the format of eval/score.py"),
        ({"verdicts": []}, "it does not have the format of eval/score.py"),
        ({"verdicts": [{"index": 0, "ex": 1}]}, "it does not have the format of eval/score.py"),
        (
            {"verdicts": [{"index": 0, "ex": True, "hardness": ["easy"]}]},
            "it does not have the format of eval/score.py",
        ),
        ({"verdicts": [{"index": 0, "ex": True, "differs": [["x"]]}]}, "it does not have the format of eval/score.py"),
        ({"n": 2}, "it does not have the format of eval/score.py"),
        ({"split": ["dev"]}, "the report has no column for spider ['dev']"),
        ({"benchmark": {}}, "the report has no column for {} dev"),
        ({"split": "other"}, "the report has no column for spider other"),
    ],
)
def test_odd_scores_are_a_remark(tmp_path, values, reason):
    folder = write_run(tmp_path / "run")
    path = write_score(folder, [True])
    change(path, **values)
    run, remarks = read(folder)
    assert run.scores == {} and len(remarks) == 1 and remarks[0].startswith(f"{path} was skipped: {reason}")


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"split": "dk"}, "measured with split dk, not dev"),
        ({"benchmark": "bird"}, "measured with benchmark bird, not spider"),
        ({"evidence": False}, "measured with evidence False, not True"),
        ({"form": {"prompt": "ddl"}}, "measured with --prompt ddl, trained with --prompt codes --chat-template none"),
        ({"teacher": "runs/other/adapter"}, "measured with teacher runs/other/adapter, not runs/big/adapter"),
        ({"prompts": None}, "it does not have the format of eval/exposure_bias.py; create it again"),
        ({"interval_16": 5}, "it does not have the format of eval/exposure_bias.py; create it again"),
        ({"ex_acc_err_16": None}, "it does not have the format of eval/exposure_bias.py; create it again"),
    ],
)
def test_exposure_bias_of_something_else_is_left_out(tmp_path, figures, reason):
    folder = write_run(tmp_path / "run", "kid", teacher="runs/big/adapter")
    write_exposure(folder, **({"teacher": "runs/big/model"} | figures))
    run, remarks = read(folder)
    assert run.exposure is None
    assert remarks == [f"{folder}/scores/exposure_bias.json was skipped: {reason}"]
    write_exposure(folder, "runs/big/model")  # the same teacher, merged
    assert read(folder)[0].exposure["prompts"] == 100


def test_a_score_of_other_predictions_is_left_out(tmp_path):
    """What the report would show beside it is not what was scored. Without a hash, or the predictions, it counts."""
    folder = write_run(tmp_path / "run")
    path = write_score(folder, [True, False], predictions=True)
    predictions = folder / "predictions" / "dev.sql"
    change(path, predictions_sha256=hashlib.sha256(predictions.read_bytes()).hexdigest())
    run, remarks = read(folder)
    assert run.scores[DEV].ex == 50.0 and remarks == []
    predictions.write_text("SELECT 1\nSELECT 2\n")
    run, remarks = read(folder)
    assert run.scores == {}
    assert remarks == [f"{path} was skipped: {predictions} has changed since it was scored; score it again"]
    predictions.unlink()
    assert read(folder)[0].scores[DEV].ex == 50.0
