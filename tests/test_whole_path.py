"""From questions to a report, as the README has it: the one launch that `make test` makes."""

import json

from helpers.launcher import run_script
from helpers.run_files import metrics


def test_a_teacher_is_distilled_on_two_ranks_and_its_student_predicted_scored_and_reported(
    launch, minibench, tiny_models, tmp_path
):
    zero, run = tmp_path / "zero3.json", tmp_path / "kid"
    settings = {"stage": 3, "stage3_param_persistence_threshold": 0}
    optimizer = {"type": "AdamW", "params": {"torch_adam": True}}
    zero.write_text(json.dumps({"zero_optimization": settings, "optimizer": optimizer}))
    done = launch(
        2, "train/distill.py", "--method", "kid", "--data", minibench, "--output", run, "--max-steps", "3",
        "--student", tiny_models / "student", "--teacher", tiny_models / "teacher", "--lora-rank", "4",
        "--deepspeed", zero, "--teacher-deepspeed", zero, "--dtype", "fp32",
        "--batch-size", "8", "--micro-batch-size", "2", "--batching", "schema", fresh=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = metrics(run)
    assert len(rows) == 3 and all(row["kd"] > 0 and row["mle"] > 0 and 0 < row["error_rate"] < 1 for row in rows)

    def evaluate(script: str, *flags) -> str:
        finished = run_script(f"eval/{script}.py", *flags)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    data = ("--benchmark", "spider", "--data", minibench, "--split", "valid")
    predictions, scores = run / "predictions" / "valid.sql", run / "scores" / "valid.json"
    few = ("--max-completion-length", "5", "--batch-size", "64")
    evaluate("predict", "--model", run / "adapter", *data, *few, "--output", predictions)
    assert len(predictions.read_text().split("\n")) == 401
    evaluate("score", *data, "--predictions", predictions, "--json", scores)
    assert json.loads(scores.read_text())["n"] == 400
    evaluate("report", run, "--data", minibench, "--output", tmp_path / "report")
    report, page = ((tmp_path / "report" / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert "minibench valid" in report and "minibench valid" in page
