"""Whose predictions a file holds: the note that eval/predict.py writes beside it, and the hash that binds the two."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kid.data.cache import content_hash
from kid.errors import InputError

HASH_KEY = "predictions_sha256"  # in the note, and in the score file
QUESTIONS_KEY = "questions_sha256"  # of the split: in the note without, in the score file with the gold SQL
# Of the note. `weights` tells one model from another, wherever it lies; `prompts` follows from the settings.
NOT_COMPARED = ("model", "settings", HASH_KEY, QUESTIONS_KEY)


def provenance_path(predictions: Path) -> Path:
    """The file in which eval/predict.py records how the predictions were made."""
    return predictions.with_name(f"{predictions.name}.made.json")


def read_json(path: Path) -> dict:
    """The object in a JSON file; empty if the file is missing, unreadable or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def belongs(predictions: Path, record: dict) -> bool:
    """Whether a note, or a score file, is of these predictions as they are now; those of older versions have no hash.

    Raises:
        InputError: the predictions cannot be read.
    """
    return HASH_KEY not in record or record[HASH_KEY] == content_hash(predictions)


def read_note(predictions: Path) -> dict:
    """What eval/predict.py noted of these predictions; empty without a note, or if they have changed since.

    Raises:
        InputError: the predictions cannot be read.
    """
    note = read_json(provenance_path(predictions))
    return note if note and belongs(predictions, note) else {}


def recorded_evidence(predictions: Path) -> bool | None:
    """Whether the prompts had evidence, as the note says; None if it does not. Raises InputError as `read_note`."""
    return read_note(predictions).get("evidence")


def check_scored_as(predictions: Path, benchmark: str, split: str) -> None:
    """Refuse to score predictions as those of other questions than the note says; a line says if it is not of them.

    Raises:
        InputError: they are of another benchmark or split, or cannot be read.
    """
    if not predictions.is_file():
        return  # reading them says so
    note, path = read_note(predictions), provenance_path(predictions)
    made_for = note.get("benchmark", benchmark), note.get("split", split)
    if made_for != (benchmark, split):
        raise InputError(
            f"--predictions {predictions} are of {' '.join(map(str, made_for))}, {path.name} says, and not of "
            f"{benchmark} {split}; give the benchmark and split they were made for"
        )
    if not note and path.is_file():
        print(f"note: {path} is not of {predictions} as it is now, and is not used", file=sys.stderr)


def differences(there: dict, here: dict) -> list[str]:
    """What tells two notes apart, as words for a message; empty if they are of the same model, prompts and settings."""
    found = []
    for key in dict.fromkeys((*there, *here)):
        before, now = there.get(key), here.get(key)
        if before == now or key in NOT_COMPARED:
            continue
        if key == "weights" and there.get("model") != here.get("model"):
            found.append(f"model ({there.get('model')} there, {here.get('model')} here)")
        elif key in ("weights", "prompts"):  # hashes, which say nothing to a reader
            found.append(f"the {key}")
        else:
            found.append(f"{key} ({before!r} there, {now!r} here)")
    return found


def holds_predictions(output: Path, note: dict[str, Any], overwrite: bool) -> bool:
    """Whether a file already holds the predictions that would get this note.

    Raises:
        InputError: it holds others, and `overwrite` is not set.
    """
    if overwrite or not output.exists():
        return False
    there = read_json(provenance_path(output))
    if not there:
        problem = f"holds predictions of which {provenance_path(output).name} does not say how they were made"
    elif not belongs(output, there):
        problem = f"has been changed since eval/predict.py wrote it ({provenance_path(output).name})"
    elif differ := differences(there, note):
        problem = f"holds predictions made otherwise; these differ: {', '.join(differ)}"
    else:
        return True
    raise InputError(f"--output {output} {problem}; choose another, or give --overwrite")
