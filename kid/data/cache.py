"""Where prepared data is kept between runs, the hashes that name it, and building each thing once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from kid.errors import InputError
from kid.files import write_atomically

# Files from this size on are not read again as long as their path, size and time of change stay the same.
REMEMBERED_BYTES = 16 * 2**20


def cache_folder() -> Path:
    """`$KID_CACHE`, else `kid` in the user's cache folder. Safe to delete: all of it can be made again."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kid"
    return Path(os.environ.get("KID_CACHE") or default)


def key_of(parts: Any) -> str:
    """A hash of anything JSON can write; the same for the same content, in any process."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises InputError if it cannot be read."""
    try:
        return hash_file(path)
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}; it must be a file that can be read") from None


def hash_file(path: Path) -> str:
    stat = path.stat()
    memo = None
    if stat.st_size >= REMEMBERED_BYTES:
        memo = cache_folder() / "hashes" / key_of([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
        if memo.is_file():
            return memo.read_text()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if memo:
        write_atomically(memo, digest)
    return digest


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, made by `build(partial folder)` if it is not there. Of several processes one builds, the others wait.

    A build that is killed or fails leaves nothing under `folder`.

    Raises:
        InputError: the cache cannot be written.
    """
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            try:
                if not folder.is_dir():
                    shutil.rmtree(partial, ignore_errors=True)
                    partial.mkdir()
                    build(partial)
                    partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror or error
        raise InputError(
            f"the cache {cache_folder()} cannot be written ({what}); make room, or name another folder in KID_CACHE"
        ) from None
    return folder
