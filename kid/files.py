"""Atomic file writes: a reader never sees an incomplete file, and a killed run never leaves one."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import unicodedata
from pathlib import Path

from kid.errors import InputError, report_write_errors

CONTROL_CATEGORIES = ("Cc", "Zl", "Zp")  # control characters, line and paragraph separators
MAX_NAME_BYTES = 255  # limit of Linux file systems


def check_writable(path: Path, flag: str) -> None:
    """Raise InputError unless `path`, or the nearest existing folder above it, is a writable folder.

    Line breaks and other control characters in `path` are an error too, because it appears in output and job scripts.
    """
    if any(unicodedata.category(character) in CONTROL_CATEGORIES for character in str(path)):
        raise InputError(f"{flag} {str(path)!r} has a line break or another control character; choose another name")
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"{flag} {path}: {existing} is not a folder that you can write to; choose another")


def name_fault(name: str) -> str | None:
    """Return why a name that was read from a file cannot be a file name (a single part of a path); None if it can."""
    if not name:
        return "is empty"
    if name in (".", ".."):
        return f"is {name}"
    if "/" in name or "\\" in name:
        return "has a / or \\"
    if "\0" in name:
        return "has a NUL"
    if len(name.encode("utf-8", errors="surrogatepass")) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    return None


def check_name(name: str, what: str) -> None:
    """Raise InputError unless `name` can be a file name, a single part of a path.

    what: what it names and where it was found, for the message: "db_id of dev.json, item 3".
    """
    if fault := name_fault(name):
        raise InputError(f"{what} {fault}; it is used as a file name, so it must be a single part of a path")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to disk so that they survive a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that the file is either unchanged or complete; creates its folder if missing.

    Raises:
        RunError: the disk is full, or cannot be written to.
    """
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # A random name: processes on other nodes or in other containers may have the same number.
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            partial.write_bytes(content.encode() if isinstance(content, str) else content)
            sync(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def remove_unfinished_writes(path: Path) -> None:
    """Remove partial files left beside `path` by killed calls of `write_atomically`; no such call may be running."""
    for partial in path.parent.glob(f".{path.name}.*"):
        partial.unlink()


def move_into_place(partial: Path, folder: Path) -> None:
    """Rename a finished folder `partial` to `folder`, so that `folder` appears complete or not at all.

    All files are flushed to disk first. `folder` must be missing or empty. Raises OSError.
    """
    for path in (*partial.rglob("*"), partial):
        if not path.is_symlink():
            sync(path)
    partial.rename(folder)
    sync(folder.parent)


def drop_torn_line(path: Path) -> None:
    """Remove an incomplete last line left by a killed run, so that further lines can be appended."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def remove_folder(path: Path) -> None:
    """Remove a folder of our own if it exists. Of a symbolic link only the link is removed, not its target."""
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
