"""EX while training, on two ranks under ZeRO-3: the verdicts of predict and score; a rank that dies; the best kept."""

import json

import mlflow
import pytest
import torch
from helpers.launcher import ROOT, run_script
from helpers.run_files import adapter, metrics

from kid.minibench.tiny_models import MODELS

QUESTIONS = 41  # a number that two ranks do not share equally


@pytest.fixture(scope="module")
def ex_flags(flags):
    """Fine-tuning the project's own student base, which answers a good part of the questions."""
    flags = list(flags)
    flags[flags.index("--student") + 1] = str(MODELS / "student")
    flags[flags.index("--lora-dropout") + 1] = "0"
    asked = [
        "--report-to",
        "tensorboard,mlflow",
        "--eval-ex-steps",
        "2",
        "--eval-split",
        "valid",
        "--eval-questions",
        QUESTIONS,
    ]
    return [*flags, *map(str, asked), "--keep-best", "ex", "--max-completion-length", "60"]


@pytest.fixture(scope="module")
def ex_run(ex_flags, launch, tmp_path_factory):
    run = tmp_path_factory.mktemp("ex") / "run"
    done = launch(2, "train/sft.py", *ex_flags, "--save-steps", "2", "--output", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"valid: EX is measured on {QUESTIONS} of 400 questions" in done.stdout
    best = max(metrics(run), key=lambda row: (row.get("ex", -1), -row["step"]))
    assert f"is the student after step {best['step']}, with ex {best['ex']:.4g}" in done.stdout
    last = metrics(run)[-1]
    assert f"ex={last['ex']:.1f}" in done.stderr  # the progress line
    assert f"step 6: EX {last['ex']:.1f} % on {QUESTIONS} questions of valid, " in done.stdout
    return run


def test_the_numbers_are_those_of_predict_and_score(ex_run, ex_flags, tmp_path):
    rows = {row["step"]: row for row in metrics(ex_run) if "ex" in row}
    assert list(rows) == [2, 4, 6]
    data = ["--benchmark", "spider", "--data", ex_flags[ex_flags.index("--data") + 1], "--split", "valid"]

    def evaluate(script, *arguments):
        finished = run_script(f"eval/{script}.py", *data, *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr

    predictions, scores = tmp_path / "valid.sql", tmp_path / "valid.json"
    limits = ("--max-completion-length", "60", "--batch-size", "32")
    evaluate("predict", "--model", ex_run / "adapters" / "step-4", "--merge", "no", *limits, "--output", predictions)
    evaluate("score", "--predictions", predictions, "--json", scores)
    verdicts, queries = json.loads(scores.read_text())["verdicts"], predictions.read_text().split("\n")
    lines = [json.loads(line) for line in (ex_run / "evaluations" / "step-4.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == [place * 400 // QUESTIONS for place in range(QUESTIONS)]
    for line in lines:
        assert line["sql"] == queries[line["index"]]
        assert (line["ex"], line.get("error")) == tuple(verdicts[line["index"]][key] for key in ("ex", "error"))
    right = sum(line["ex"] for line in lines)
    assert 0 < right < QUESTIONS and rows[4]["ex"] == round(100 * right / QUESTIONS, 2)
    assert rows[4]["ex_executes"] == round(100 * sum("error" not in line for line in lines) / QUESTIONS, 2)
    assert rows[4]["ex_timeouts"] == 0


def test_the_best_student_is_kept(ex_run):
    rows = [row for row in metrics(ex_run) if "ex" in row]
    best = max(rows, key=lambda row: (row["ex"], -row["step"]))
    record = json.loads((ex_run / "best.json").read_text())
    assert record == {"step": best["step"], "ex": best["ex"], "folder": f"adapters/step-{best['step']}"}
    kept, there = adapter(ex_run, "best"), adapter(ex_run, f"adapters/step-{best['step']}")
    assert kept and all(torch.equal(kept[name], weight) for name, weight in there.items())


@pytest.fixture(autouse=True)
def read_file_stores(monkeypatch):
    """MLflow reads a store of files only where it is told to; the runs tell it themselves."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def tracked(run):
    """The run at MLflow in a run's directory, and its EX by step."""
    client = mlflow.MlflowClient((run / "mlruns").as_uri())
    found = client.get_run(json.loads((run / "trackers.json").read_text())["mlflow"])
    return found, [(one.step, one.value) for one in client.get_metric_history(found.info.run_id, "ex")]


def test_mlflow_has_the_curve(ex_run):
    found, curve = tracked(ex_run)
    assert curve == [(row["step"], row["ex"]) for row in metrics(ex_run) if "ex" in row]
    assert found.info.status == "FINISHED" and found.data.params["eval_split"] == "valid"


def test_a_rank_that_dies_while_evaluating_costs_nothing_else(ex_run, ex_flags, launch, tmp_path):
    run, script = tmp_path / "run", ROOT / "tests" / "helpers" / "dying_evaluation.py"
    flags = [*ex_flags, "--method", "sft", "--save-steps", "2", "--output", run]
    killed = launch(2, script, *flags)
    assert killed.returncode != 0 and [row["step"] for row in metrics(run)] == [1, 2, 3]
    done = launch(2, "train/distill.py", *flags, "--resume")
    assert done.returncode == 0 and "resuming from" in done.stdout, done.stdout + done.stderr
    assert metrics(run) == metrics(ex_run)
    assert tracked(run)[0].info.status == "FINISHED" and {*tracked(run)[1]} == {*tracked(ex_run)[1]}
    assert (run / "best.json").read_text() == (ex_run / "best.json").read_text()
    assert all(torch.equal(adapter(run, "best")[name], weight) for name, weight in adapter(ex_run, "best").items())


def test_patience_ends_a_run_that_does_not_get_better(ex_flags, launch, tmp_path):
    flags = ["train/sft.py", *ex_flags, "--lr", "1e-12", "--patience", "1", "--output", tmp_path / "run"]
    done = launch(1, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    ex = metrics(tmp_path / "run")[1]["ex"]
    said = f"ex did not improve on {ex:.4g} of step 2 in 1 evaluations; --patience 1 ends the run after step 4"
    assert said in done.stdout and len(metrics(tmp_path / "run")) == 4
    again = launch(1, *flags, "--resume")
    assert again.returncode == 0 and "is finished: 4 steps done" in again.stdout, again.stdout + again.stderr
