"""What a report is made of: medians, tables, the figure, predictions beside their gold."""

import json

from kid.data.benchmarks import Question
from kid.evaluation.report.basics import (
    markdown_table,
    mean_and_deviation,
    plot_masking,
    plot_methods,
    plot_runs,
    predictions_section,
    seconds_per_step,
)


def write_run(folder, seconds):
    folder.mkdir()
    rows = [{"step": i + 1, "seconds": s, "mle": 2.0, "validation_loss": 1 / (i + 1)} for i, s in enumerate(seconds)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_seconds_per_step_is_the_median(tmp_path):
    assert seconds_per_step(write_run(tmp_path / "run", [9.0, 1.0, 2.0, 1.5, 1.2])) == 1.5


def test_markdown_table_escapes_bars():
    assert markdown_table(["m", "n"], [["a|b", 1]]) == "| m | n |\n| --- | ---: |\n| a\\|b | 1 |"
    assert markdown_table(["m", "n"], [["a", 1]], left=2).splitlines()[1] == "| --- | --- |"


def test_figure_is_written(tmp_path):
    runs = {"sft": write_run(tmp_path / "a", [1, 2]), "kid": write_run(tmp_path / "b", [1, 2])}
    plot_runs(runs, {name: [(0, 5.0), (2, 50.0)] for name in runs}, "EX %", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_stand_beside_gold_and_are_marked():
    questions = [Question(0, "zoo", "How many?", "SELECT COUNT(*) FROM animal")]
    text = predictions_section(
        questions, {"sft": ["SELECT 1"], "teacher": ["SELECT 2"]}, {"sft": [False], "teacher": [True]}
    )
    assert text.splitlines() == [
        "**How many?** (zoo)",
        "",
        "```sql",
        "gold       SELECT COUNT(*) FROM animal",
        "sft     -- SELECT 1",
        "teacher ok SELECT 2",
        "```",
    ]


def test_deviation_is_that_of_a_sample():
    assert mean_and_deviation([1.0, 3.0]) == (2.0, 2**0.5)
    assert mean_and_deviation([1.0]) == (1.0, None)


def test_figures_of_ablations_are_written(tmp_path):
    for values in ([40.0], [40.0, 42.0, 47.5]):
        plot_methods({"sft": values, "kid": values}, {"teacher": 80.0}, "EX %", tmp_path / "methods.png")
        plot_masking({"hard": values}, {"0.1": values, "0.2": values}, values, "EX %", tmp_path / "masking.png")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
