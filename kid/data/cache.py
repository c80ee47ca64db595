"""The cache of prepared data: where it lies, the hashes that name its entries, and building each entry once."""

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

# Hashes of files from this size on are stored, and reused while path, size and modification time stay the same.
MIN_MEMOISED_BYTES = 16 * 2**20


def cache_folder() -> Path:
    """`$KID_CACHE`, else `kid` in the user's cache folder. Safe to delete: everything in it can be rebuilt."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kid"
    return Path(os.environ.get("KID_CACHE") or default)


def json_hash(parts: Any) -> str:
    """SHA-256 of the JSON form of `parts`, in hex; the same for the same content in every process."""
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
    if stat.st_size >= MIN_MEMOISED_BYTES:
        memo = cache_folder() / "hashes" / json_hash([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
        if memo.is_file():
            return memo.read_text()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if memo:
        write_atomically(memo, digest)
    return digest


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, built by `build(partial folder)` if it does not exist. One process builds; others wait for it.

    A build that fails or is killed leaves nothing at `folder`.

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
