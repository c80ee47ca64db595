"""How predictions were made: the note that eval/predict.py writes beside a file, and the hash that links the two."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kid.config.trained import form_of
from kid.data.cache import content_hash
from kid.errors import InputError

HASH_KEY = "predictions_sha256"  # in the note, and in the score file
QUESTIONS_KEY = (
    "questions_sha256"  # hash of the split's questions: in the note without, in the score file with their gold SQL
)
SUITE_KEY = "test_suite"  # a hash of the test suite; in the score file
FORM_KEY = "form"  # of the prompts; in the score file, and in that of eval/exposure_bias.py
# Keys of the note. `weights` identifies a model independently of its path; `prompts` depends on the settings.
NOT_COMPARED = ("model", "settings", HASH_KEY, QUESTIONS_KEY)


def provenance_path(predictions: Path) -> Path:
    """Return the path of the note, in which eval/predict.py records how the predictions were made."""
    return predictions.with_name(f"{predictions.name}.made.json")


def read_json(path: Path) -> dict:
    """Read the object in a JSON file; empty if the file is missing, unreadable or not an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def belongs(predictions: Path, record: dict) -> bool:
    """Whether a note or a score file belongs to these predictions as they are now; older ones have no hash and do.

    Raises:
        InputError: the predictions cannot be read.
    """
    return HASH_KEY not in record or record[HASH_KEY] == content_hash(predictions)


def read_note(predictions: Path) -> dict:
    """Read the note of these predictions; empty without a note, or if the predictions have changed since.

    Raises:
        InputError: the predictions cannot be read.
    """
    note = read_json(provenance_path(predictions))
    return note if note and belongs(predictions, note) else {}


def recorded_evidence(predictions: Path) -> bool | None:
    """Whether the prompts had evidence according to the note; None if unknown. Raises InputError as `read_note`."""
    return read_note(predictions).get("evidence")


def recorded_form(predictions: Path) -> dict[str, str]:
    """The form of the prompts according to the note; empty if unknown. Raises InputError as `read_note`."""
    settings = read_note(predictions).get("settings")
    return form_of(settings) if isinstance(settings, dict) else {}


def check_scored_as(predictions: Path, benchmark: str, split: str) -> None:
    """Check that predictions were made for this split; prints a line if their note is outdated.

    Raises:
        InputError: they are for another benchmark or split according to the note, or cannot be read.
    """
    if not predictions.is_file():
        return  # reported when they are read
    note, path = read_note(predictions), provenance_path(predictions)
    made_for = note.get("benchmark", benchmark), note.get("split", split)
    if made_for != (benchmark, split):
        raise InputError(
            f"--predictions {predictions} are for {' '.join(map(str, made_for))} according to {path.name}, not for "
            f"{benchmark} {split}; give the benchmark and split that they were made for"
        )
    if not note and path.is_file():
        print(f"note: {predictions} has changed since {path} was written; that note is ignored", file=sys.stderr)


def differences(there: dict, here: dict) -> list[str]:
    """List the differences of two notes for a message; empty if model, prompts and settings are the same."""
    found = []
    for key in dict.fromkeys((*there, *here)):
        before, now = there.get(key), here.get(key)
        if before == now or key in NOT_COMPARED:
            continue
        if key == "weights" and there.get("model") != here.get("model"):
            found.append(f"model ({there.get('model')} there, {here.get('model')} here)")
        elif key in ("weights", "prompts"):  # hashes, which tell the user nothing
            found.append(f"the {key}")
        else:
            found.append(f"{key} ({before!r} there, {now!r} here)")
    return found


def holds_predictions(output: Path, note: dict[str, Any], overwrite: bool) -> bool:
    """Whether a file already holds the predictions that would have this note.

    Raises:
        InputError: it holds different ones, and `overwrite` is not set.
    """
    if overwrite or not output.exists():
        return False
    there = read_json(provenance_path(output))
    if not there:
        problem = f"holds predictions that {provenance_path(output).name} does not describe"
    elif not belongs(output, there):
        problem = f"has changed since eval/predict.py wrote it ({provenance_path(output).name})"
    elif differ := differences(there, note):
        problem = f"holds predictions made with other settings; these differ: {', '.join(differ)}"
    else:
        return True
    raise InputError(f"--output {output} {problem}; choose another or give --overwrite")
