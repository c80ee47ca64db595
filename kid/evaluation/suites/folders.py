"""The folders of a test suite: how suite.json records their files, and which files this project may remove.

OUTPUT/DB_ID has the finished databases; suite.json records their names, sizes and SHA-256. OUTPUT/.DB_ID.partial has
the databases being tried and a marker. Only files identified by suite.json or by the marker are ever removed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from kid.data.cache import json_hash
from kid.errors import InputError
from kid.files import check_name, file_sha256, sync

SCRIPT = "eval/make_test_suite.py"
MARKER = ".kid-suite"
MARKER_TEXT = f"{SCRIPT} made this folder, and removes its databases NUMBER.sqlite and DB_ID_NUMBER.sqlite\n"
RESERVED_NAMES = ("suite.json", "owner.json", "lock")
# Files that a killed run may leave in a suite's folder, beside the folders of databases, before its first database.
REMAINS = re.compile(r"lock|owner\.json|\.(owner|suite)\.json\.[\da-f]+|\..*\.partial", re.DOTALL)


def check_db_id(db_id: str) -> None:
    """Raise InputError unless a db_id can be the name of a folder in a suite."""
    check_name(db_id, f"db_id {db_id!r}")
    if db_id in RESERVED_NAMES or REMAINS.fullmatch(db_id):
        raise InputError(f"db_id {db_id!r} is a reserved name in a suite's folder; rename the database")


def working_folder(db_id: str, output: Path) -> Path:
    return output / f".{db_id}.partial"


def database_names(db_id: str, count: int) -> list[str]:
    """Return the names of a suite's databases."""
    return [f"{db_id}_{number:02d}.sqlite" for number in range(1, count + 1)]


def describe_files(paths: Iterable[Path]) -> list[dict]:
    """Return the records of files for suite.json; flushes the files to disk first. Raises OSError."""
    described = []
    for path in paths:
        sync(path)
        described.append({"name": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)})
    return described


def suite_hash(test_suite: Path) -> str:
    """Return a hash that tells suites apart: of suite.json, or of names and sizes if another tool made the suite."""
    if (test_suite / "suite.json").is_file():
        return file_sha256(test_suite / "suite.json")
    files = [path for path in sorted(test_suite.glob("*/*.sqlite")) if path.is_file()]
    return json_hash([[path.relative_to(test_suite).as_posix(), path.stat().st_size] for path in files])


def recorded_names(db_id: str, record: dict | None) -> list[str]:
    """Return the names of the databases in a record of suite.json. Older records have only their number."""
    if record is None:
        return []
    return [file["name"] for file in record.get("files", ())] or database_names(db_id, record["databases_kept"])


def check_record(db_id: str, record: dict) -> None:
    """Raise ValueError, TypeError or KeyError unless the file entries of a record are valid."""
    kept = record["databases_kept"]
    if not isinstance(kept, int) or not 0 <= kept <= 10**6:
        raise ValueError(f"databases_kept of {db_id}")
    if "files" in record:
        if [file["name"] for file in record["files"]] != database_names(db_id, kept):
            raise ValueError(f"files of {db_id}")
        if not all(isinstance(file["bytes"], int) and isinstance(file["sha256"], str) for file in record["files"]):
            raise ValueError(f"files of {db_id}")


def find_fault(folder: Path, db_id: str, record: dict) -> str | None:
    """Describe how a folder's databases differ from their record in suite.json; None if they do not.

    For older records, without sizes and hashes, only the number of databases is compared. Raises OSError.
    """
    found = {path.name: path for path in sorted(folder.glob("*.sqlite"))}
    if "files" not in record:
        kept = record["databases_kept"]
        return None if len(found) == kept else f"{folder} holds {len(found)} databases instead of {kept}"
    wanted = recorded_names(db_id, record)
    for name in wanted:
        if name not in found:
            return f"{folder / name} is missing"
    for name, path in found.items():
        if name not in wanted:
            return f"{path} is not one of its databases"
    for file in record["files"]:
        size = found[file["name"]].stat().st_size
        if size != file["bytes"]:
            return f"{found[file['name']]} has {size} bytes instead of {file['bytes']}"
    for file in record["files"]:
        if file_sha256(found[file["name"]]) != file["sha256"]:
            return f"{found[file['name']]} has a different SHA-256"
    return None


def own_files(folder: Path, is_own: re.Pattern[str]) -> list[Path]:
    """List the files of a folder, all of which this project wrote; empty if there is no folder.

    Args:
        is_own: matches their names.

    Raises:
        InputError: the folder is a link or a file, or has other content.
    """
    if not os.path.lexists(folder):
        return []
    what_to_do = "move it elsewhere, or give another folder with --output"
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(f"{folder} is not a folder created by {SCRIPT}; {what_to_do}")
    paths = sorted(folder.iterdir())
    for path in paths:
        if not is_own.fullmatch(path.name) or path.is_symlink() or not path.is_file():
            raise InputError(f"{path} was not written by {SCRIPT}, which would replace {folder.name}; {what_to_do}")
    return paths


def finished_files(db_id: str, output: Path, record: dict | None) -> list[Path]:
    """List the databases in OUTPUT/DB_ID, all recorded in suite.json. Raises InputError for any other content."""
    names = "|".join(map(re.escape, recorded_names(db_id, record)))
    return own_files(output / db_id, re.compile(names or r"(?!)"))


def working_files(db_id: str, output: Path) -> list[Path]:
    """List the files in OUTPUT/.DB_ID.partial, its marker last. Raises InputError for any other content."""
    folder = working_folder(db_id, output)
    name = rf"(?:\d+|{re.escape(db_id)}_\d+)\.sqlite"
    marked = not folder.is_symlink() and is_marker(folder / MARKER)
    paths = own_files(folder, re.compile(rf"{name}|{re.escape(MARKER)}" if marked else r"(?!)"))
    return sorted(paths, key=lambda path: path.name == MARKER)


def is_marker(path: Path) -> bool:
    """Whether a file is a working folder's marker, possibly an empty one whose writer was killed."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return MARKER_TEXT.encode().startswith(file.read(len(MARKER_TEXT) + 1))


def make_working_folder(db_id: str, output: Path) -> Path:
    """Create OUTPUT/.DB_ID.partial with its marker; files left there by an interrupted run are removed."""
    remove_working_folder(db_id, output)
    folder = working_folder(db_id, output)
    folder.mkdir()
    (folder / MARKER).write_text(MARKER_TEXT, encoding="utf-8")
    return folder


def remove_working_folder(db_id: str, output: Path) -> None:
    """Remove OUTPUT/.DB_ID.partial if it exists. Raises InputError if this project did not create it."""
    for path in working_files(db_id, output):
        path.unlink()
    folder = working_folder(db_id, output)
    if folder.exists():
        folder.rmdir()


def name_kept(db_id: str, kept: Sequence[int], output: Path) -> list[Path]:
    """Rename the kept databases from their numbers in the search to their final names, in the working folder."""
    folder = working_folder(db_id, output)
    paths = [folder / name for name in database_names(db_id, len(kept))]
    for number, path in zip(kept, paths, strict=True):
        (folder / f"{number}.sqlite").rename(path)
    return paths
