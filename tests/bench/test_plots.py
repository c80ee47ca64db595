"""The figures of make demo and make ablations are drawn."""

import json

import pytest
from parts.plots import plot_epochs, plot_masking, plot_methods, plot_settings


def write_run(folder, losses):
    folder.mkdir()
    rows = [{"step": n + 1, "seconds": 1.0, "mle": loss, "validation_loss": loss} for n, loss in enumerate(losses)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_curves(tmp_path):
    runs = {"sft": write_run(tmp_path / "a", [1, 2]), "kid": write_run(tmp_path / "b", [1, 2])}
    plot_epochs({name: [[(1, 5.0), (2, 50.0)]] * 2 for name in runs}, runs, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("values", [[40.0], [40.0, 42.0, 47.5]])
def test_ablations(tmp_path, values):
    plot_methods({"sft": values, "kid": values}, {"teacher": 80.0}, "EX %", tmp_path / "methods.png")
    plot_masking({"hard": values}, {"0.1": values, "0.2": values}, values, "EX %", tmp_path / "masking.png")
    runs = {"sft": [values[:1] * 8] * len(values), "kid": [[value + 1] * 8 for value in values]}
    plot_settings({"few": (runs, 30.0), "many": (runs, 30.0)}, tmp_path / "epochs.png")
    assert len(list(tmp_path.iterdir())) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
