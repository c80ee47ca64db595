"""Atomic file writes: a reader never sees half a file, and a killed run never leaves one."""

from __future__ import annotations

import os
from pathlib import Path

from kid.errors import InputError, report_write_errors


def check_writable(path: Path, flag: str) -> None:
    """Raise InputError unless `path`, or the nearest existing folder above it, is a writable folder."""
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"{flag} {path}: {existing} is not a folder one can write to; choose another")


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on disk and would survive a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that the file is either unchanged or complete; creates its folder if missing.

    Raises:
        RunError: the disk is full, or cannot be written to.
    """
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(text, encoding="utf-8")
            sync(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def drop_torn_line(path: Path) -> None:
    """Cut off an incomplete last line that a killed run left, so that the next line can be appended."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
