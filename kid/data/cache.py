"""The cache of prepared data: its location, hashes that name its entries, and building each entry once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from kid.errors import InputError, RunError
from kid.files import file_sha256, move_into_place, write_atomically

# Hashes of files of at least this size are stored, and reused while path, size and modification time are unchanged.
MIN_MEMOISED_BYTES = 16 * 2**20
HASH = re.compile(rb"[0-9a-f]{64}")
MANIFEST = "manifest.json"
CHECKED: dict[Path, list] = {}  # entries that this process has verified -> their `signature` at that time


def cache_folder() -> Path:
    """`$KID_CACHE`, else `kid` in the user's cache folder. Safe to delete: everything in it can be rebuilt."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kid"
    return Path(os.environ.get("KID_CACHE") or default)


def json_hash(parts: Any) -> str:
    """SHA-256 of the JSON form of `parts`, in hex; equal content gives the same hash in every process."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises InputError if it cannot be read."""
    try:
        return hash_file(path)
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}; it must be a readable file") from None


def hash_file(path: Path) -> str:
    file_stat = path.stat()
    memo = None
    if file_stat.st_size >= MIN_MEMOISED_BYTES:
        parts = [str(path.resolve()), file_stat.st_size, file_stat.st_mtime_ns]
        memo = cache_folder() / "hashes" / json_hash(parts)
        if stored := read_memo(memo):
            return stored
    digest = file_sha256(path)
    if memo:
        with suppress(RunError):  # it only saves time
            write_atomically(memo, digest)
    return digest


def read_memo(path: Path) -> str | None:
    """A stored hash; None if there is none or it is damaged, so that it is computed again."""
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        remove_entry(path)
        return None
    except OSError:
        return None
    return content.decode() if HASH.fullmatch(content) else None


def remove_entry(path: Path) -> None:
    """Remove a cache entry if it exists: a folder, a file or a link (not the link's target)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def files_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """(files, folders) anywhere under a folder, sorted; links count as files."""
    files: list[Path] = []
    folders: list[Path] = []
    for parent, names, others in os.walk(folder, onerror=raise_error):
        for name in (*names, *others):
            path = Path(parent, name)
            (folders if name in names and not path.is_symlink() else files).append(path)
    return sorted(files), sorted(folders)


def raise_error(error: OSError) -> None:
    raise error


def sign(folder: Path) -> None:
    """Write a manifest with the size and SHA-256 of every file of a folder."""
    files, folders = files_of(folder)
    listed = {}
    for path in files:
        listed[str(path.relative_to(folder))] = [path.stat().st_size, file_sha256(path)]
    manifest = folder / MANIFEST
    names = [str(path.relative_to(folder)) for path in folders]
    manifest.write_text(json.dumps({"files": listed, "folders": names}), encoding="utf-8")


def find_damage(folder: Path) -> str | None:
    """What is wrong with a cache entry according to its manifest; None if it is unchanged.

    Files that the manifest does not list are ignored, because the datasets library adds its own.
    """
    if folder.is_symlink() or not folder.is_dir():
        return "is not a folder"
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        listed, names = dict(manifest["files"]), list(manifest["folders"])
    except OSError:
        return f"has no {MANIFEST}"
    except (ValueError, LookupError, TypeError, RecursionError):
        return f"has a damaged {MANIFEST}"
    try:
        folders = files_of(folder)[1]
        if [str(path.relative_to(folder)) for path in folders] != names:
            return "has gained or lost folders"
        for name, (size, digest) in listed.items():
            path = folder / name
            if not stat.S_ISREG(path.lstat().st_mode):
                return f"has something other than a file at {name}"
            if path.stat().st_size != size or file_sha256(path) != digest:
                return f"has changed content in {name}"
    except FileNotFoundError as error:
        return f"lacks {Path(error.filename).name}"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except (ValueError, TypeError):
        return f"has a damaged {MANIFEST}"
    return None


def signature(folder: Path) -> list:
    """Names, inodes, sizes and time stamps under a folder, which change with any write. Raises OSError."""
    files, folders = files_of(folder)
    values = [(str(path), s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path in files for s in [path.lstat()]]
    return [*map(str, folders), *values]


def is_whole(folder: Path) -> bool:
    """Whether a cache entry exists and is unchanged. Each process reads the content once."""
    return entry_fault(folder) is None


def entry_fault(folder: Path) -> str | None:
    """None if the entry is intact, "" if it does not exist, otherwise what is wrong with it."""
    if not os.path.lexists(folder):
        return ""
    try:
        now = None if folder.is_symlink() else signature(folder)
    except OSError:
        now = None
    if now is not None and CHECKED.get(folder) == now:
        return None
    fault = find_damage(folder)
    if fault is None and now is not None:
        CHECKED[folder] = now
    return fault


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, after `build(partial folder)` if it is missing or damaged. One process builds; others wait.

    A build that fails or is killed leaves nothing at `folder`. A manifest with the hash of every file is written last
    and checked on first use in each process. A damaged entry is built again, with one line on stderr.

    Raises:
        InputError: the cache cannot be written.
    """
    if is_whole(folder):
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            try:
                fault = entry_fault(folder)
                if fault is not None:
                    if fault:
                        print(f"note: cache entry {folder} {fault}; it is built again", file=sys.stderr)
                        remove_entry(folder)
                    remove_entry(partial)
                    partial.mkdir()
                    build(partial)
                    sign(partial)
                    move_into_place(partial, folder)
            finally:
                remove_entry(partial)
    except OSError as error:
        what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror or error
        raise InputError(
            f"the cache {cache_folder()} cannot be written ({what}); free space, or set KID_CACHE to another folder"
        ) from None
    return folder
