"""What runs lack, and the commands that make it."""

import argparse
import json
import runpy
import shlex
import sys

import pytest
from helpers.launcher import ROOT
from helpers.synthetic_runs import write_run, write_score

from kid.files import file_sha256
from kid.report.groups import group_runs
from kid.report.missing import changed_flags, missing_measurements, to_resume
from kid.report.runs import load_run, load_runs

R, W = True, False
SPIDER = "--benchmark spider --data data/spider"


def gaps(*folders):
    """(what is missing, the command), of what the report misses in these runs."""
    runs, _ = load_runs(folders)
    return list(map(tuple, missing_measurements(runs, group_runs(runs, []))))


def write_predictions(run, name="dev", **note):
    """Two predictions; with a note, as eval/predict.py leaves them."""
    path = run / "predictions" / f"{name}.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text("SELECT 1\nSELECT 2\n")
    if note:
        content = {"benchmark": "spider", "split": name, "beams": 1, "predictions_sha256": file_sha256(path)} | note
        path.with_name(f"{name}.sql.made.json").write_text(json.dumps(content))
    return path


def test_a_run_lacks_its_dev_and_what_others_of_its_benchmark_have(tmp_path):
    sft, kid = write_run(tmp_path / "sft"), write_run(tmp_path / "kid", "kid", teacher="t", lora_rank=0)
    bird = write_run(tmp_path / "bird", benchmark="bird", evidence=False, data="b", max_prompt_length=2048)
    for split in ("dev", "dk", "syn"):
        write_score(sft, [R, W], split, split=split)
    write_score(kid, [R, W], "dk", split="dk")
    assert gaps(sft, kid, bird) == [
        (f"{kid}: no predictions on Spider-dev, Spider-Syn", f"python eval/evaluate.py {kid} --splits dev syn"),
        (f"{bird}: no predictions on BIRD-dev w/o EK", f"python eval/evaluate.py {bird} --splits dev"),
    ]
    write_score(bird, [R], benchmark="bird", evidence=False)
    for split in ("dev", "syn"):
        write_score(kid, [R, W], split, split=split)
    assert gaps(sft, kid, bird) == []


def test_predictions_of_evaluate_are_scored_by_it(tmp_path):
    run = write_run(tmp_path / "run")
    write_predictions(run, weights="w")
    assert gaps(run) == [
        (f"{run}: predictions without a usable score on Spider-dev", f"python eval/evaluate.py {run} --splits dev")
    ]


@pytest.mark.parametrize(
    "note", [{}, {"split": "dk"}, {"beams": 4}, {"predictions_sha256": "of others"}], ids=lambda note: "".join(note)
)
def test_predictions_that_evaluate_would_refuse_are_scored_by_score(tmp_path, note):
    run = write_run(tmp_path / "run")
    write_predictions(run, **note)
    assert gaps(run) == [
        (
            f"{run}: predictions without a usable score on Spider-dev",
            f"python eval/score.py {SPIDER} --split dev --predictions {run}/predictions/dev.sql "
            f"--json {run}/scores/dev.json",
        )
    ]


def test_a_score_with_ts_that_no_longer_counts_is_overwritten(tmp_path):
    """eval/score.py refuses to drop TS unless told to; with a test suite there is nothing to drop."""
    run, other = write_run(tmp_path / "run"), write_run(tmp_path / "other", "kid", teacher="t")
    predictions = write_predictions(run)
    score = write_score(run, [R, W], ts=[R, W])
    score.write_text(json.dumps(json.loads(score.read_text()) | {"predictions_sha256": "of what was there before"}))
    [(_, command)] = gaps(run)
    assert command.startswith(f"python eval/score.py {SPIDER} --split dev --predictions {predictions} ")
    assert command.endswith(" --overwrite")
    write_score(other, [R, W], ts=[R, W])
    [(_, command)] = gaps(run, other)
    assert command.endswith(" --test-suite TEST_SUITE")
    # It is of its predictions, and does not count for another reason: eval/evaluate.py would not drop its TS.
    predictions = write_predictions(run, weights="w")
    content = json.loads(score.read_text()) | {"predictions_sha256": file_sha256(predictions), "keep_distinct": True}
    score.write_text(json.dumps(content))
    [(_, command)] = gaps(run)
    assert command.startswith("python eval/score.py ") and command.endswith(" --overwrite")


def test_a_test_suite_that_others_were_scored_with(tmp_path):
    folders = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate(("a", "b", "c", "d"))]
    write_score(folders[0], [R, W], ts=[R, W])
    write_score(folders[1], [R, W], "my dev", predictions=True)
    for folder in folders[2:]:
        write_score(folder, [R, W])
    write_predictions(folders[2], weights="w")
    others, evaluated, again = gaps(*folders)
    assert others[0] == f"{folders[1]}: no TS on Spider-dev" and evaluated[0] == f"{folders[2]}: no TS on Spider-dev"
    assert shlex.split(others[1])[-6:] == [
        *("--predictions", f"{folders[1]}/predictions/my dev.sql", "--json", f"{folders[1]}/scores/my dev.json"),
        *("--test-suite", "TEST_SUITE"),
    ]
    assert evaluated[1] == f"python eval/evaluate.py {folders[2]} --splits dev --test-suite TEST_SUITE"
    # Nothing is left to score.
    assert again == (
        f"{folders[3]}: no predictions on Spider-dev",
        f"python eval/evaluate.py {folders[3]} --splits dev --test-suite TEST_SUITE",
    )
    # Runs on other questions have other suites.
    own = write_run(tmp_path / "own", benchmark="jsonl", data="mydata")
    assert gaps(folders[0], own)[-1][1] == f"python eval/evaluate.py {own} --splits dev"


def test_saved_steps_without_a_score(tmp_path):
    run = write_run(tmp_path / "run")
    write_score(run, [R, W])
    (run / "adapters" / "step-4").mkdir(parents=True)  # the finished student
    assert gaps(run) == []
    for step in (1, 2):
        (run / "adapters" / f"step-{step}").mkdir()
    write_score(run, [R, W], "step-2/dev")
    assert gaps(run) == [
        (
            f"{run}: 1 saved step without a score, for EX over steps",
            f"python eval/evaluate.py {run} --splits dev --steps all",
        )
    ]
    write_score(run, [R, W], "step-1/dev")
    assert gaps(run) == []


def test_saved_steps_of_a_run_that_was_evaluated_while_training(tmp_path):
    run, other = write_run(tmp_path / "run"), write_run(tmp_path / "other", "kid", teacher="t")
    for folder in (run, other):
        write_score(folder, [R, W])
    for step in (2, 4):
        (run / "adapters" / f"step-{step}").mkdir(parents=True)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 4, "epoch": 1.0, "seconds": 1.0, "ex": 50.0, "ex_questions": 2}) + "\n")
    assert gaps(run, other) == []
    write_score(other, [R, W], "step-2/dev")  # with which it is to be compared
    [(what, _)] = gaps(run, other)
    assert what == f"{run}: 1 saved step without a score, for EX over steps"


def test_a_template_is_left_to_the_script_that_reads_the_run(tmp_path):
    run = load_run(write_run(tmp_path / "kid", "kid", prompt="{{ ddl }}\n{{ question }}", chat_template="auto"), [])
    assert changed_flags(run, "prediction") == ["--chat-template", "auto"]


def test_mismatch_that_others_were_measured_for(tmp_path):
    measured = write_run(tmp_path / "a", "fkd", teacher="runs/big/adapter", exposure={"prompts": 20})
    kid = write_run(tmp_path / "b", "kid", teacher="runs/big/adapter")
    write_score(measured, [R])
    write_score(kid, [R])
    assert gaps(measured, kid) == [
        (
            f"{kid}: no ExAccErr",
            f"python eval/exposure_bias.py --student {kid}/adapter --teacher runs/big/adapter --benchmark spider "
            f"--data data/spider --split dev --json {kid}/scores/exposure_bias.json",
        )
    ]


@pytest.fixture
def parsed(monkeypatch):
    """parsed(command) -> (script, its arguments as its own parser reads them)."""
    monkeypatch.syspath_prepend(ROOT / "eval")

    def parse(command):
        python, script, *flags = shlex.split(command)
        assert python == "python"
        monkeypatch.setattr(sys, "argv", [script, *flags])
        module = runpy.run_path(str(ROOT / script), run_name="parsing")
        arguments = (module.get("parse") or module["parse_arguments"])()
        assert isinstance(arguments, argparse.Namespace)
        return script, arguments

    return parse


@pytest.mark.parametrize(
    "databases",
    [
        (),
        ("db a", "db-b"),
    ],
)
def test_commands_are_what_the_scripts_read_with_the_run_s_own_data(tmp_path, parsed, databases):
    own = {"tables": "t.json", "databases": databases, "damaged": "skip", "missing_database": "schema-only"}
    bird = {"benchmark": "bird", "evidence": False, "teacher": "runs/big/adapter", "questions": "train only.json"}
    exposure = {"benchmark": "bird"}
    measured = write_run(tmp_path / "a", "rkd", exposure=exposure, **bird, **own)
    kid = write_run(tmp_path / "b", "kid", max_completion_length=64, schema_filter="none", **bird, **own)
    for run, ts in ((measured, [R, W]), (kid, None)):
        write_score(run, [R, W], "by hand", benchmark="bird", evidence=False, ts=ts, predictions=True)
    write_score(measured, [R, W], "mini-dev", split="mini-dev", benchmark="bird", evidence=False)
    found = dict(parsed(command) for _, command in gaps(measured, kid))
    assert list(found) == ["eval/score.py", "eval/evaluate.py", "eval/exposure_bias.py"]
    evaluate = found.pop("eval/evaluate.py")
    assert (evaluate.run, evaluate.splits, evaluate.steps) == (kid, ["mini-dev"], "last")
    for script, arguments in found.items():
        assert (arguments.benchmark, arguments.data, arguments.split) == ("bird", "data/spider", "dev")
        assert (tuple(arguments.databases or ()), arguments.damaged) == (databases, "skip")
        assert arguments.questions is None  # those of training are no dev questions
        if script != "eval/score.py":
            assert (arguments.tables, arguments.missing_database) == ("t.json", "schema-only")
            assert arguments.evidence is False
            assert (arguments.max_completion_length, arguments.schema_filter) == (64, "none")
    score = found["eval/score.py"]
    assert score.evidence == "no" and str(score.test_suite) == "TEST_SUITE" and not score.overwrite
    assert (score.predictions, score.json) == (kid / "predictions/by hand.sql", kid / "scores/by hand.json")


@pytest.mark.parametrize(
    ("method", "script", "ranks"), [("sft", "train/sft.py", "1 rank"), ("kid", "train/distill.py", "8 ranks")]
)
def test_a_run_without_a_student_yet_is_to_be_resumed(tmp_path, method, script, ranks):
    teacher = {"teacher": "t"} if method == "kid" else {}
    run = write_run(tmp_path / "going", method, ranks=int(ranks[0]), **teacher)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:2]))
    assert gaps(run) == []
    assert to_resume(load_runs([run])[0]) == [
        f"{run} is not finished: resume it, with {ranks}, as before: deepspeed … {script} --config {run}/config.yaml "
        f"--output {run} --resume"
    ]
    (run / "adapter").mkdir()
    assert len(gaps(run)) == 1 and to_resume(load_runs([run])[0]) == []
