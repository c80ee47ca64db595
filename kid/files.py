"""Writing files so that a reader, or a run that is killed, never meets half of one."""

from __future__ import annotations

import os
from pathlib import Path

from kid.errors import InputError, writing


def check_writable(path: Path, flag: str) -> None:
    """Raises InputError unless `path`, or the nearest folder above it that exists, is a folder one can write to."""
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"{flag} {path}: {existing} is not a folder one can write to; choose another")


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, would outlive a machine that fails."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, text: str) -> None:
    """The file is either as it was or complete; its folder is created where it is missing.

    Raises:
        RunError: the disk is full, or cannot be written to.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(text, encoding="utf-8")
            sync(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def drop_torn_line(part: Path) -> None:
    """Cut what a killed run left of its last line, so that the next one starts at the beginning of a line."""
    if part.exists():
        os.truncate(part, part.read_bytes().rfind(b"\n") + 1)
