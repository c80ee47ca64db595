"""Cache of gold query results: a checksum and JSON, so that no content of a cache file is ever executed.

The results in a damaged file are computed again. Queries that use the clock or random numbers are never cached.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
import time
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from kid.data.cache import content_hash, json_hash
from kid.evaluation import virtual_tables, worker
from kid.sql.comparison import Row

MAX_CACHED_BYTES = 8 << 20  # for the results of one gold query; larger ones are computed each time
STALE_SECONDS = 3600  # an unfinished file that is older was left by a killed run
# Broader than `depends_on_chance`, because a cell may have the text 'now' as well.
NOT_KEPT = re.compile(
    r"\b(?:random|randomblob|current_date|current_time|current_timestamp)\b"
    r"|\b(?:date|time|datetime|julianday|unixepoch|strftime|timediff)[\"`\]]?\s*\(",
    re.IGNORECASE,
)
# Random numbers, or the current time: by name, or as the default of a function without a time value.
CHANCE = re.compile(
    r"\b(?:random|randomblob)[\"`\]]?\s*\(|\bcurrent_(?:date|time|timestamp)\b"
    r"|\b(?:date|time|datetime|julianday|unixepoch|strftime|timediff)[\"`\]]?\s*"
    r"\((?:\s*\)|[^()]*'\s*now\s*'|\s*'[^']*%[^']*'\s*\))",
    re.IGNORECASE,
)
Result = tuple[list[Row], float]


def depends_on_chance(query: str) -> bool:
    """Whether a query's text uses random numbers or the clock, so that its result can change from run to run."""
    return bool(CHANCE.search(query))


@cache
def code_version() -> list[str]:
    """Return what the rows of a query depend on besides query and database: SQLite and the code that runs it."""
    modules = (worker.__file__, virtual_tables.__file__, __file__)
    return [sqlite3.sqlite_version, *(content_hash(Path(module)) for module in modules)]


def cache_path(folder: Path, query: str, databases: Sequence[Path], limits: worker.Limits) -> Path | None:
    """Return the cache file of a normalised gold query on these databases; None if its results must not be cached."""
    if NOT_KEPT.search(query):
        return None
    files = [[str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns] for path in databases]
    # The suffix is from the time when the files were pickles; now they have a checksum and JSON.
    return folder / "gold" / f"{json_hash([query, limits.rows, limits.result_bytes, files, code_version()])}.pickle"


def estimated_bytes(rows: Sequence[Row]) -> int:
    """Estimate the size of rows in a cache file."""
    return sum(2 * len(cell) if isinstance(cell, str | bytes) else 16 for row in rows for cell in row)


def read_results(path: Path, count: int) -> list[Result] | None:
    """Read the results on `count` databases: (rows, seconds they took) each; None if the file is missing or damaged."""
    try:
        checksum, _, content = path.read_bytes().partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != checksum:
            return None
        results = [
            ([tuple(map(decode_cell, row)) for row in rows], float(seconds)) for rows, seconds in json.loads(content)
        ]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return results if len(results) == count else None


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write a cache file; if this fails, the results are computed again next time."""
    with contextlib.suppress(OSError, ValueError):
        content = json.dumps([[[list(map(encode_cell, row)) for row in rows], s] for rows, s in results]).encode()
        if len(content) > MAX_CACHED_BYTES:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{uuid.uuid4().hex}")
        try:
            partial.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove unfinished files that killed runs left in a cache folder's gold/."""
    with contextlib.suppress(OSError):
        for path in (folder / "gold").iterdir():
            if re.fullmatch(r"\.[0-9a-f]{32}", path.suffix) and path.lstat().st_mtime < time.time() - STALE_SECONDS:
                path.unlink(missing_ok=True)


def encode_cell(cell: object) -> object:
    """Encode a cell for JSON, which has no bytes."""
    return {"hex": cell.hex()} if isinstance(cell, bytes) else cell


def decode_cell(cell: object) -> object:
    """Undo `encode_cell`."""
    return bytes.fromhex(cell["hex"]) if isinstance(cell, dict) else cell
