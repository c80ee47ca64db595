"""Read the objects of a JSON list or a JSONL file; errors say where a file differs from this format."""

from __future__ import annotations

import json
import re
from pathlib import Path

from kid.data.faults import Damage
from kid.errors import InputError

ITEM_SEPARATOR = re.compile(r"[\s,]*")
LIST_END = re.compile(r"\s*,\s*\]\s*")
KINDS = {list: "array", dict: "object", str: "string", int: "number", float: "number", bool: "boolean"}
LINE_FORMAT = 'a .jsonl file has one JSON object per line, {"db_id": ..., ...}'
LIST_FORMAT = 'expected one JSON list of objects, [{"db_id": ..., ...}, ...]'


def read_items(path: Path, damage: Damage) -> list[tuple[int, dict]]:
    """(position, object) of each object in a JSON list, or of each line of a .jsonl file.

    If a file is truncated, its complete items are returned.

    Raises:
        InputError: the file is missing or has another format.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the benchmark's folder with --data") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}); save it as UTF-8, or download the file again") from None
    values = read_lines(path, text, damage) if is_jsonl(path) else read_list(path, text, damage)
    for position, value in values:
        if not isinstance(value, dict):
            damage.add(not_an_object(value), location_of(path, position))
    return [(position, value) for position, value in values if isinstance(value, dict)]


def is_jsonl(path: Path) -> bool:
    return path.suffix.lower() == ".jsonl"


def location_of(path: Path, position: int) -> str:
    """The location of an item in a file, for messages."""
    return f"{path}, " + (f"line {position + 1}" if is_jsonl(path) else f"item {position}")


def not_an_object(value: object) -> str:
    return f"not an object but {kind_of(value)}"


def kind_of(value: object) -> str:
    """The kind of a JSON value, with an article."""
    kind = KINDS.get(type(value), "null")
    return kind if kind == "null" else f"{'an' if kind[0] in 'ao' else 'a'} {kind}"


def read_lines(path: Path, text: str, damage: Damage) -> list[tuple[int, object]]:
    """(position, value) of each non-blank line of JSONL. Raises InputError if none of them is an object."""
    values: list[tuple[int, object]] = []
    faults: list[tuple[int, str]] = []
    for position, line in enumerate(text.split("\n")):
        line = line.strip("\ufeff \t\r")  # concatenated files may have several byte order marks
        if line:
            try:
                values.append((position, json.loads(line)))
            except (ValueError, RecursionError) as error:
                faults.append((position, str(error)))
    if (values or faults) and not any(isinstance(value, dict) for _, value in values):
        raise InputError(f"{location_of(path, first_line(values, faults))} is {wrong_lines(text, values, faults)}")
    for position, _ in faults:
        damage.add("not valid JSON", location_of(path, position))
    return values


def first_line(values: list[tuple[int, object]], faults: list[tuple[int, str]]) -> int:
    """The position of the first non-blank line."""
    return min(position for position, _ in [*values, *faults])


def wrong_lines(text: str, values: list[tuple[int, object]], faults: list[tuple[int, str]]) -> str:
    """For a file in which no line is an object: what its first line is, and what it should be."""
    position = first_line(values, faults)
    try:
        whole = kind_of(json.loads(text)) if faults else None
    except (ValueError, RecursionError):
        whole = "an array" if text.lstrip("\ufeff \t\r\n").startswith("[") else None
    if whole:
        return f"not an object: the file is {whole} over several lines, but {LINE_FORMAT}"
    value = dict(values).get(position)
    what = not_an_object(value) if position in dict(values) else f"not an object ({dict(faults)[position]})"
    return f"{what}, and neither is any other line: {LINE_FORMAT}"


def read_list(path: Path, text: str, damage: Damage) -> list[tuple[int, object]]:
    """(position, value) of each item of a JSON list. Raises InputError if the text is something else."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        if text.lstrip().startswith("{") and is_object(first := text.lstrip().split("\n")[0].strip()):
            line = text[: text.index(first)].count("\n") + 2
            what = "the file has one object per line, like a .jsonl file"
            raise InputError(f"{path}, line {line}: {what}; {LIST_FORMAT}") from None
        if not text.lstrip().startswith("["):
            raise InputError(f"{path}, line {error.lineno} is not valid JSON ({error.msg}); {LIST_FORMAT}") from None
        values, end = complete_items(text)
        last_comma = LIST_END.fullmatch(text, end)
        why = "there is a comma before the closing ]" if last_comma else "it may be truncated"
        damage.add("not valid JSON", f"{path}, line {error.lineno}, after {len(values)} complete items: {why}")
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, brackets 10,000 deep
        raise InputError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(values, list):
        raise InputError(f"{path} is {kind_of(values)}; {LIST_FORMAT}")
    return list(enumerate(values))


def is_object(line: str) -> bool:
    """Whether a line is a JSON object by itself."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def complete_items(text: str) -> tuple[list, int]:
    """(the complete items of a damaged JSON list, the offset of the end of the last one)."""
    items: list[object] = []
    decoder, end = json.JSONDecoder(), text.index("[") + 1
    while True:
        try:
            item, end = decoder.raw_decode(text, ITEM_SEPARATOR.match(text, end).end())
        except (ValueError, RecursionError):
            return items, end
        items.append(item)
