"""Read files of predictions: one query per line, or the JSON object of BIRD's evaluator."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kid.errors import InputError
from kid.sql.tokens import sql_tokens

BIRD_SEPARATOR = "\t----- bird -----\t"  # query, separator, db_id
BIRD_FORMAT = f'{{"0": "SQL{BIRD_SEPARATOR}db_id", ...}}'.replace("\t", "\\t")
# Bytes that are not UTF-8 are read as these; JSON may have them as escapes. They cannot be encoded.
SURROGATES = re.compile("[\ud800-\udfff]+")
SQL_BLANKS = " \t\n\f\r"  # str.strip() removes more, such as U+00A0, which may end a name
SHOWN = 5  # maximum number of positions in a message


class Predictions(NamedTuple):
    """The predicted queries, and why some of them cannot be run: position of the question -> reason."""

    queries: list[str]
    faults: dict[int, str]

    def runnable(self) -> list[str]:
        """Return the queries, with an empty one, which counts as wrong, instead of each that cannot be run."""
        return ["" if place in self.faults else query for place, query in enumerate(self.queries)]

    def of(self, places: Sequence[int]) -> Predictions:
        """Return only the predictions at these positions."""
        faults = {new: self.faults[old] for new, old in enumerate(places) if old in self.faults}
        return Predictions([self.queries[place] for place in places], faults)

    def warning(self) -> str | None:
        """Return a line with the number and names of queries that cannot be run; None if all can."""
        count = f"{len(self.faults)} of {len(self.queries)} predictions count as wrong"
        return f"{count}: {shown(list(self.faults.values()))}" if self.faults else None


def read_predictions(path: Path, expected: int, db_ids: Sequence[str] = ()) -> Predictions:
    """Read one query for each question of a split, stripped of blanks.

    In a prediction with bytes that are not UTF-8, U+FFFD replaces them, and the prediction gets a fault.

    Args:
        expected: the number of questions.
        db_ids: the db_id of each question, or "" if unknown; compared with those in BIRD's format.

    Raises:
        InputError: the file cannot be read, or its predictions are not for these questions.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read predictions {path}: {error.strerror}") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"predictions {path} are UTF-16; write them again as UTF-8")
    text = raw.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")
    # Only \n ends a line: str.splitlines also splits at characters that may occur in a string literal.
    lines = text.removesuffix("\n").split("\n") if text else []
    values = parse_object(path, text, len(lines) == expected)
    # Lines are counted from 1, as in an editor; keys are counted from 0, like questions.
    name, first = ("line", 1) if values is None else ("prediction", 0)
    if values is not None:
        queries = bird_queries(path, values, expected, db_ids)
    elif len(lines) != expected:
        raise InputError(
            f"{path} has {len(lines)} lines but the split has {expected} questions; give one prediction per line"
        )
    else:
        queries = [query_of_line(line) for line in lines]
    unreadable = [place for place, query in enumerate(queries) if SURROGATES.search(query)]
    queries = [SURROGATES.sub("\ufffd", query).strip(SQL_BLANKS) for query in queries]
    return Predictions(queries, {place: f"{name} {place + first} is not UTF-8" for place in unreadable})


def query_of_line(line: str) -> str:
    """Return the query of a line: the text up to the first tab outside of literals, names and comments."""
    if "\t" in line:
        for token in sql_tokens(line):
            if token.kind in ("blank", "illegal") and "\t" in token.text:
                return line[: token.start + token.text.index("\t")]
    return line


def parse_object(path: Path, text: str, fits_as_lines: bool) -> dict | None:
    """Parse the JSON object of a file; None if the file has lines, the first of which may also start with a brace.

    Raises:
        InputError: the file is meant to be JSON, but is damaged or not an object with distinct keys.
    """
    named_json = path.suffix.lower() == ".json"
    if not (named_json or text.lstrip().startswith("{")):
        return None
    try:
        value = json.loads(text, object_pairs_hook=object_of_pairs)
        if not isinstance(value, dict):
            raise ValueError(f"it is a {type(value).__name__}")
    except (ValueError, RecursionError) as error:
        if fits_as_lines and not named_json:
            return None
        raise InputError(f"predictions {path} are not a JSON object ({error}); give {BIRD_FORMAT}, or lines") from None
    return value


def object_of_pairs(pairs: list[tuple[str, object]]) -> dict:
    """Build an object from its members. Raises ValueError if a key occurs twice; JSON would use the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"it has the key {twice!r} twice")
    return found


def bird_queries(path: Path, values: dict, expected: int, db_ids: Sequence[str]) -> list[str]:
    """Return the queries of BIRD's format in the order of the questions; a number or null is an empty prediction.

    Raises:
        InputError: the keys are not the positions of the questions, a value is not text, or it has the database of
            another question.
    """
    keys = [str(place) for place in range(expected)]
    if values.keys() != set(keys):
        unknown, lacking = sorted(values.keys() - set(keys)), [key for key in keys if key not in values]
        differ = [f"{len(lacking)} are missing ({shown(lacking)})"] if lacking else []
        differ += [f"{len(unknown)} are not among them ({shown(unknown)})"] if unknown else []
        raise InputError(
            f"{path}: keys must be 0 to {expected - 1}, one for each question of the split; {' and '.join(differ)}; "
            "give the predictions of this split"
        )
    for key in keys:
        if isinstance(values[key], (list, dict)):
            raise InputError(f"{path}: prediction {key} is not text; give {BIRD_FORMAT}")
    texts = [values[key] if isinstance(values[key], str) else "" for key in keys]
    parts = [text.rpartition(BIRD_SEPARATOR) if BIRD_SEPARATOR in text else (text, "", "") for text in texts]
    others = [
        f"{place}: {db_id.strip()!r} for {wanted!r}"
        for place, ((_, separator, db_id), wanted) in enumerate(zip(parts, db_ids, strict=False))
        if separator and wanted and db_id.strip() != wanted and not SURROGATES.search(db_id)
    ]
    if others:
        raise InputError(
            f"{path}: {len(others)} of {expected} predictions have a different database than their question "
            f"({shown(others)}); give the predictions of this split, in its order"
        )
    return [query for query, _, _ in parts]


def shown(items: Sequence[object]) -> str:
    """Join the first items with commas."""
    return ", ".join(map(str, items[:SHOWN])) + (", ..." if len(items) > SHOWN else "")
