"""A trained student: its folder in a run's directory, and the settings to use for predictions with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kid.config.keys import FIELDS, as_flags, convert, flag, keys_affecting
from kid.config.recipe import merge_config
from kid.config.templates import brief
from kid.errors import InputError

RUN_FILE = "config.yaml"
EXPORT_FILE = "kid_export.json"  # of train/export.py: the weights that the directory was made from, and its settings
MODEL_FILES = ("adapter_config.json", "config.json")
STEP_FOLDERS = ("adapters", "models")  # folders of a run's directory that hold step-N
BEST_FILE = "best.json"  # of a run with --keep-best: its best step and the value measured there
PREDICTION_KEYS = keys_affecting("prediction")
# Settings of the data rather than of the model.
DATA_KEYS = ("tables", "databases", "missing_database", "damaged")
# The form of a prompt: in another one than its own, a model answers far worse.
FORM_KEYS = ("prompt", "chat_template")
OTHER_FORM_FLAG = "--other-form"


def student_folder(path: Path, flag: str) -> Path:
    """Return the folder of a model: `path` itself or, if it is the directory of a finished run, its adapter/ or model/.

    Raises:
        InputError: the run is not finished.
    """
    if not (path / RUN_FILE).is_file() or any((path / name).is_file() for name in MODEL_FILES):
        return path
    kind = merge_config(path / RUN_FILE, {}).export_kind
    if not (path / kind).is_dir():
        steps = ", ".join(map(str, saved_steps(path, kind))) or "none"
        raise InputError(
            f"{flag} {path} is an unfinished run: it has no {kind}/; finish it with --resume, or give one of its "
            f"{kind}s/step-N (available: {steps})"
        )
    return path / kind


def existing_student(path: Path, flag: str) -> Path:
    """As `student_folder`, but the model must exist. Raises InputError if it does not, or the run is not finished."""
    folder = student_folder(path, flag)
    if not any((folder / name).is_file() for name in MODEL_FILES):
        problem = f"holds neither {' nor '.join((*MODEL_FILES, RUN_FILE))}" if folder.is_dir() else "does not exist"
        raise InputError(f"{flag} {folder} {problem}; give a run's directory or a model's folder")
    return folder


def saved_steps(run: Path, kind: str) -> list[int]:
    """List N of each adapters/step-N (kind: "adapter") or models/step-N ("model") of a run, in ascending order."""
    names = (path.name.removeprefix("step-") for path in (run / f"{kind}s").glob("step-*") if path.is_dir())
    return sorted(int(name) for name in names if name.isdecimal())


def best_step(run: Path) -> int:
    """Return the step of a run's best student. Raises InputError if the run has not kept one."""
    try:
        return int(json.loads((run / BEST_FILE).read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{run} has no readable {BEST_FILE}; train with --keep-best, or give another step") from None


def run_of(model: Path) -> Path | None:
    """Return the directory of the run that trained a model; None if its config.yaml is not found."""
    for path in (model, model.absolute(), model.resolve()):  # best/ links into its own run, other links may not
        folder = path.parent.parent if path.parent.name in STEP_FOLDERS else path.parent
        if (folder / RUN_FILE).is_file():
            return folder
    return None


def portable_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Select the settings that apply to any data; a file of rankings is for one benchmark, so it becomes "lexical"."""
    found = {name: value for name, value in settings.items() if name not in DATA_KEYS}
    if found.get("schema_filter") not in (None, "none"):
        found["schema_filter"] = "lexical"
    return found


def trained_settings(model: Path, data: str | None = None) -> tuple[dict[str, Any], Path | None]:
    """Return (the settings that affect a prediction, as a model was trained with them; the file that has them).

    They are read from an export's `EXPORT_FILE` or from the run's config.yaml; ({}, None) without either.

    Args:
        model: a folder; if it does not exist, there are no settings.
        data: the data to predict on. Settings of the data itself are only returned if the run was trained on it.

    Raises:
        InputError: the file cannot be read, or has a wrong value.
    """
    record = model / EXPORT_FILE
    settings = read_export_settings(record)
    if settings is not None:
        return settings, record
    run = run_of(model)
    if run is None:
        return {}, None
    config = merge_config(run / RUN_FILE, {})
    settings = {name: getattr(config, name) for name in PREDICTION_KEYS}
    own_data = bool(data) and Path(data or "").resolve() == Path(config.data).resolve()
    return settings if own_data else portable_settings(settings), run / RUN_FILE


def read_export_settings(path: Path) -> dict[str, Any] | None:
    """Read the settings in an export's record; None without a record, or if an older version wrote it.

    Raises:
        InputError: the record is damaged, or a value is wrong.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8")).get("settings")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, AttributeError, RecursionError):
        raise InputError(f"{path} is damaged; export the model again") from None
    if settings is None:
        return None
    if not isinstance(settings, dict) or settings.keys() - {*PREDICTION_KEYS}:
        raise InputError(f"{path} has settings that this version does not know; export the model again")
    return {name: convert(name, value, str(path)) for name, value in settings.items()}


def complete_settings(
    given: Mapping[str, Any], model: Path | None, data: str | None = None, other_form: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Complete the settings of a prediction: those given, else those of the training, else the defaults.

    Args:
        given: key -> value, None if the user did not give it; the keys to complete.
        model: the model's folder; None: there is no model.
        data: as in `trained_settings`.
        other_form: whether prompts may have another form than those that the model was trained on, known or not.

    Returns:
        The settings, and lines that tell the user which of them come from the training or differ from it.

    Raises:
        InputError: as `trained_settings`; or the form of the prompts differs and `other_form` is not set.
    """
    trained, source = trained_settings(model, data) if model else ({}, None)
    own = {name: trained.get(name, FIELDS[name].default) for name in given}
    values = {name: own[name] if value is None else value for name, value in given.items()}
    taken = [name for name in given if given[name] is None and own[name] != FIELDS[name].default]
    known = trained.keys() | ({*FORM_KEYS} if source else set())  # older exports do not have them: the defaults
    differ = [name for name in given if name in known and values[name] != own[name]]
    if source and not other_form:
        for name in FORM_KEYS:
            if name in values and values[name] != own[name]:
                raise InputError(
                    f"{words(name, values[name])}: {source} has {words(name, own[name])}, and a model predicts far "
                    f"worse with another form of prompts; remove {flag(name)}, or add {OTHER_FORM_FLAG}"
                )
    lines = []
    # Not with `other_form`: eval/evaluate.py sets it for the base of a run, and gives the run's settings as flags.
    if model and not source and not other_form:
        lines.append(
            f"note: {model} has no {EXPORT_FILE} and no config.yaml beside it, so its training settings are unknown; "
            "prompts follow the flags and the defaults of training"
        )
    if taken:
        lines.append(f"settings from {source}: {' '.join(words(name, own[name]) for name in taken)}")
    if differ:
        pairs = (f"{words(name, values[name])} (trained with {words(name, own[name])})" for name in differ)
        lines.append(f"note: settings that differ from {source}: {', '.join(pairs)}")
    return values, lines


def form_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The form of prompts among these settings, as score files record it: a template in brief."""
    return {name: brief(settings[name]) for name in FORM_KEYS if name in settings}


def form_words(form: Mapping[str, Any]) -> str:
    return " ".join(words(name, value) for name, value in form.items())


def words(name: str, value: Any) -> str:
    """Return a setting as it is written on a command line, with a template in brief."""
    return f"no {flag(name)}" if value in (None, ()) else " ".join(as_flags(name, brief(value)))
