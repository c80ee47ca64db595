"""Where a run has its student, and the settings that predictions take from its run or its export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kid.config.keys import FIELDS, flag
from kid.config.run_config import RunConfig, dump_config
from kid.config.trained import (
    EXPORT_FILE,
    FORM_KEYS,
    PREDICTION_KEYS,
    complete_settings,
    existing_student,
    portable_settings,
    student_folder,
    trained_settings,
)
from kid.errors import InputError

SETTINGS = {"max_prompt_length": 256, "evidence": False, "databases": ("dbs",), "schema_filter": "ranks.json"}


def write_run(folder: Path, *models: str, **settings: object) -> Path:
    """A run's directory with these models in it; `merged` has no record of its settings."""
    folder.mkdir()
    config = RunConfig(student="s", data=str(folder.parent / "data"), **{**SETTINGS, **settings})
    (folder / "config.yaml").write_text(dump_config(config))
    for name in models:
        (folder / name).mkdir(parents=True)
        (folder / name / ("adapter_config.json" if "adapter" in name else "config.json")).write_text("{}")
    return folder


def test_a_run_stands_for_its_student(tmp_path):
    run = write_run(tmp_path / "kid", "adapter", "adapters/step-4")
    full = write_run(tmp_path / "full", "model", lora_rank=0)
    assert student_folder(run, "--model") == run / "adapter" and student_folder(full, "--teacher") == full / "model"
    for path in (run / "adapter", run / "adapters" / "step-4", Path("org/name")):
        assert student_folder(path, "--model") == path
    with pytest.raises(InputError, match=r"--model .*nowhere does not exist; give a run's directory or"):
        existing_student(tmp_path / "nowhere", "--model")
    with pytest.raises(InputError, match=r"holds neither adapter_config.json nor config.json nor config.yaml; give"):
        existing_student(tmp_path, "--model")


def test_a_run_that_is_not_finished_names_its_steps(tmp_path):
    run = write_run(tmp_path / "kid", "adapters/step-10", "adapters/step-9")
    with pytest.raises(InputError, match=r"kid is an unfinished run: it has no adapter/; .* \(available: 9, 10\)"):
        student_folder(run, "--model")


@pytest.mark.parametrize("name", ["adapter", "adapters/step-4", "best", "merged"])
def test_settings_are_those_of_the_run(tmp_path, name):
    run = write_run(tmp_path / "kid", "adapter", "adapters/step-4", "merged")
    (run / "best").symlink_to("adapters/step-4")
    (tmp_path / "link").symlink_to(run / name)
    for model in (run / name, tmp_path / "link"):
        found, source = trained_settings(model, str(tmp_path / "data"))
        assert source.samefile(run / "config.yaml") and tuple(found) == PREDICTION_KEYS
        assert {key: found[key] for key in SETTINGS} == SETTINGS and found["max_completion_length"] == 128


def test_settings_of_the_data_are_for_that_data_alone(tmp_path):
    run = write_run(tmp_path / "kid", "adapter", tables="t.json", damaged="skip")
    expected = {"evidence": False, "schema_filter": "lexical", "max_prompt_length": 256, "max_completion_length": 128}
    expected |= {name: FIELDS[name].default for name in FORM_KEYS}
    assert trained_settings(run / "adapter", str(tmp_path / "other"))[0] == expected
    assert trained_settings(run / "adapter")[0] == expected


def test_an_export_has_its_own(tmp_path):
    run = write_run(tmp_path / "kid", "merged")
    values = {"evidence": False, "schema_filter": "none", "max_prompt_length": 99}
    record = run / "merged" / EXPORT_FILE
    record.write_text(json.dumps({"made_by": "kid"}))  # of an older version
    assert trained_settings(run / "merged")[1] == run / "config.yaml"
    record.write_text(json.dumps({"settings": values}))
    assert trained_settings(run / "merged") == (values, record)
    (run / "config.yaml").unlink()
    assert trained_settings(run / "merged") == (values, record)
    for damaged, message in (
        ("[1", "is damaged; export the model again"),
        ("[1]", "is damaged"),
        ('{"settings": {"colour": 1}}', "has settings that this version does not know"),
        ('{"settings": {"max_prompt_length": 0}}', "max_prompt_length = 0 is out of range"),
    ):
        record.write_text(damaged)
        with pytest.raises(InputError, match=message):
            trained_settings(run / "merged")


def test_what_is_given_wins_and_what_differs_is_said(tmp_path):
    run = write_run(tmp_path / "kid", "adapter")
    data = str(tmp_path / "data")
    given = {"max_prompt_length": 1024, "evidence": None, "databases": None, "max_completion_length": 128}
    values, lines = complete_settings(given, run / "adapter", data)
    assert values == {
        "max_prompt_length": 1024,
        "evidence": False,
        "databases": ("dbs",),
        "max_completion_length": 128,
    }
    assert lines == [
        f"settings from {run}/config.yaml: --evidence no --databases dbs",
        f"note: settings that differ from {run}/config.yaml: --max-prompt-length 1024 (trained with "
        "--max-prompt-length 256)",
    ]
    plain = complete_settings({"databases": ("x",), "tables": "t.json"}, run / "adapter", data)[1]
    assert plain[0].endswith("--databases x (trained with --databases dbs), --tables t.json (trained with no --tables)")


@pytest.mark.parametrize(("name", "value"), [("prompt", "ddl"), ("chat_template", "auto")])
def test_another_form_than_the_models_own_is_refused(tmp_path, name, value):
    """What a run or an export does not name is the default: older ones do not name the form."""
    run = write_run(tmp_path / "kid", "adapter")
    export = tmp_path / "export"
    export.mkdir()
    (export / EXPORT_FILE).write_text(json.dumps({"settings": {"evidence": False}}))
    for model in (run / "adapter", export):
        refused = rf"{flag(name)} {value}: .* has {flag(name)} {FIELDS[name].default}, and .* add --other-form"
        with pytest.raises(InputError, match=refused):
            complete_settings({name: value}, model)
        values, (line,) = complete_settings({name: value}, model, other_form=True)
        assert values == {name: value} and line.startswith("note: settings that differ from ") and flag(name) in line
        assert complete_settings({name: FIELDS[name].default}, model) == ({name: FIELDS[name].default}, [])
    own = write_run(tmp_path / "own", "adapter", **{name: value})
    assert complete_settings({name: None}, own / "adapter")[0] == {name: value}
    assert complete_settings({name: value}, own / "adapter") == ({name: value}, [])
    assert complete_settings({name: value}, tmp_path / "base")[0] == {name: value}  # of a base nothing is known


def test_without_a_run_defaults_are_taken_and_that_is_said(tmp_path):
    (tmp_path / "model").mkdir()
    values, (line,) = complete_settings({"max_prompt_length": None, "evidence": False}, tmp_path / "model")
    assert values == {"max_prompt_length": 1024, "evidence": False}
    assert line.startswith(f"note: {tmp_path}/model has no kid_export.json and no config.yaml beside it")
    assert complete_settings({"max_prompt_length": 5}, None) == ({"max_prompt_length": 5}, [])
    # With --other-form the form is the user's own; eval/evaluate.py gives it for the base of a run.
    assert complete_settings({"evidence": False}, tmp_path / "model", other_form=True) == ({"evidence": False}, [])


def test_what_an_export_keeps_holds_on_any_data():
    kept = portable_settings({name: getattr(RunConfig(**SETTINGS), name) for name in PREDICTION_KEYS})
    assert kept.keys().isdisjoint({"tables", "databases", "missing_database", "damaged"})
    assert (kept["schema_filter"], kept["max_prompt_length"]) == ("lexical", 256)
