"""The note beside predictions: whose they are, and what may be written over them."""

from __future__ import annotations

import hashlib
import json

import pytest

from kid.errors import InputError
from kid.evaluation.provenance import (
    check_scored_as,
    differences,
    holds_predictions,
    provenance_path,
    read_note,
    recorded_evidence,
    recorded_form,
)

NOTE = {"model": "runs/a/adapter", "weights": "11", "benchmark": "spider", "split": "dev", "prompts": "22", "beams": 1}


@pytest.fixture
def predictions(tmp_path):
    """Two lines and their note."""
    path = tmp_path / "dev.sql"
    path.write_text("SELECT 1\nSELECT 2\n")
    write_note(path, predictions_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def write_note(path, **values):
    provenance_path(path).write_text(json.dumps(NOTE | values))


def test_the_same_again_is_there_already(predictions, tmp_path):
    assert holds_predictions(predictions, NOTE, overwrite=False)
    assert holds_predictions(predictions, NOTE | {"model": "moved/a"}, overwrite=False)  # by its weights
    assert not holds_predictions(predictions, NOTE, overwrite=True)
    assert not holds_predictions(tmp_path / "new.sql", NOTE, overwrite=False)
    write_note(predictions)  # an older version's, without a hash
    assert holds_predictions(predictions, NOTE, overwrite=False)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"model": "runs/b/adapter", "weights": "33"}, r"differ: model \(runs/a/adapter there, runs/b/adapter here\);"),
        ({"weights": "33"}, "differ: the weights;"),  # trained again in its place
        ({"prompts": "44"}, "differ: the prompts;"),
        ({"beams": 4, "merge": "no"}, r"differ: beams \(1 there, 4 here\), merge \(None there, 'no' here\);"),
    ],
)
def test_other_predictions_are_not_overwritten(predictions, other, said):
    with pytest.raises(InputError, match=said + " choose another or give --overwrite"):
        holds_predictions(predictions, NOTE | other, overwrite=False)
    assert not holds_predictions(predictions, NOTE | other, overwrite=True)


def test_neither_are_those_whose_model_is_not_known(predictions):
    predictions.write_text("SELECT 3\nSELECT 2\n")
    with pytest.raises(InputError, match=r"has changed since eval/predict.py wrote it \(dev.sql.made.json\)"):
        holds_predictions(predictions, NOTE, overwrite=False)
    provenance_path(predictions).unlink()
    with pytest.raises(InputError, match=r"holds predictions that dev.sql.made.json does not describe"):
        holds_predictions(predictions, NOTE, overwrite=False)


def test_the_form_of_the_prompts_is_the_notes(predictions):
    write_note(predictions, settings={"prompt": "{{ ddl }}", "chat_template": "auto", "evidence": True})
    form = recorded_form(predictions)
    assert (
        form["prompt"].startswith("template (1 lines, sha256 ") and form["chat_template"] == "auto" and len(form) == 2
    )
    write_note(predictions)
    assert recorded_form(predictions) == {}  # of an older version


def test_a_note_is_only_used_for_its_own_predictions(predictions, capsys):
    write_note(predictions, evidence=True, predictions_sha256=hashlib.sha256(predictions.read_bytes()).hexdigest())
    assert recorded_evidence(predictions) is True
    check_scored_as(predictions, "spider", "dev")
    for benchmark, split in (("spider", "dk"), ("jsonl", "dev")):
        with pytest.raises(InputError, match=f"are for spider dev according to .*, not for {benchmark} {split};"):
            check_scored_as(predictions, benchmark, split)
    assert capsys.readouterr().err == ""
    predictions.write_text("SELECT 3\n")
    assert read_note(predictions) == {} and recorded_evidence(predictions) is None
    check_scored_as(predictions, "spider", "dk")
    assert "dev.sql has changed since" in capsys.readouterr().err


def test_settings_are_compared_by_the_prompts_they_make():
    assert differences(NOTE, NOTE | {"settings": {"max_prompt_length": 9}, "predictions_sha256": "5"}) == []
