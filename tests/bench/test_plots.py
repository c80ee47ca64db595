"""The figures of make demo and make ablations are drawn, and predictions stand beside their gold."""

import json

import pytest
from demo import predictions_section
from plots import plot_masking, plot_methods, plot_runs

from kid.data.questions import Question


def write_run(folder, losses):
    folder.mkdir()
    rows = [{"step": n + 1, "seconds": 1.0, "mle": loss, "validation_loss": loss} for n, loss in enumerate(losses)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_curves(tmp_path):
    runs = {"sft": write_run(tmp_path / "a", [1, 2]), "kid": write_run(tmp_path / "b", [1, 2])}
    plot_runs(runs, {name: [(0, 5.0), (2, 50.0)] for name in runs}, "EX %", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("values", [[40.0], [40.0, 42.0, 47.5]])
def test_ablations(tmp_path, values):
    plot_methods({"sft": values, "kid": values}, {"teacher": 80.0}, "EX %", tmp_path / "methods.png")
    plot_masking({"hard": values}, {"0.1": values, "0.2": values}, values, "EX %", tmp_path / "masking.png")
    assert len(list(tmp_path.iterdir())) == 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


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
