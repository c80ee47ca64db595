"""Hashes of the files of an adapter, a model or an export: written with the files, checked before they are read."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from kid.errors import InputError
from kid.files import file_sha256, write_atomically
from kid.progress import log

HASHES_FILE = "kid-hashes.json"  # path in the folder -> [size in bytes, SHA-256]
WEIGHTS = (".safetensors", ".bin")
NOT_HASHED = (HASHES_FILE, "README.md")  # users edit the model card
ADAPTER_CONFIG, BASE_KEY = "adapter_config.json", "base_model_name_or_path"
ANNOUNCED_BYTES = 5 * 10**9  # checking more than this takes seconds to minutes and is logged
# A file that changed less than this long ago could change again within the same time stamp, so it is not remembered.
SETTLED_NANOSECONDS = 10**8
CHANGED = "has changed since it was written"
THREADS = 4  # hashing releases the GIL
# File that this process has verified -> its size, its SHA-256 and its `stat_values` at that time.
_verified: dict[Path, list] = {}


def file_digest(path: Path) -> list:
    """[size in bytes, SHA-256] of a file."""
    return [path.stat().st_size, file_sha256(path)]


def model_file_digest(path: Path) -> list:
    """`file_digest`, except that adapter_config.json is hashed without the path of its base, which may be moved."""
    if path.name != ADAPTER_CONFIG:
        return file_digest(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop(BASE_KEY, None)
    except (ValueError, AttributeError, TypeError, RecursionError):  # damaged: this digest will not match
        return file_digest(path)
    text = json.dumps(content, sort_keys=True).encode()
    return [len(text), hashlib.sha256(text).hexdigest()]


def digests_of(paths: Iterable[Path]) -> list[list]:
    """`model_file_digest` of each file, computed in THREADS threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(model_file_digest, paths))


def write_hashes(folder: Path, paths: Iterable[Path] | None = None) -> None:
    """Write HASHES_FILE for the given files of a folder, by default all; call it after writing them.

    Raises:
        RunError: the disk is full.
    """
    all_files = (path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_HASHED)
    paths = sorted(all_files if paths is None else paths)
    names = [path.relative_to(folder).as_posix() for path in paths]
    text = json.dumps(dict(zip(names, digests_of(paths), strict=True)), indent=1) + "\n"
    write_atomically(folder / HASHES_FILE, text)


def read_hashes(folder: Path) -> dict[str, list]:
    """Read HASHES_FILE: name -> [size, SHA-256]; empty if there is no such file. Raises InputError if it is damaged."""
    file = folder / HASHES_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        hashes = {name: [int(size), str(digest)] for name, (size, digest) in content.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(damage_message(file, CHANGED)) from None
    for name in hashes:
        path = PurePosixPath(name)
        if path.is_absolute() or not path.name or ".." in path.parts or "\0" in name:
            raise InputError(damage_message(file, f"{CHANGED}: {name!r} is not a file of its folder"))
    return hashes


def damage_message(path: Path, problem: str, detail: str = "") -> str:
    """The error message for a file that is missing, unreadable or has changed."""
    return (
        f"{path} {problem}; copy it again or restore it ({detail}if you changed the folder on purpose, remove its "
        f"{HASHES_FILE})"
    )


def find_damage(folder: Path, weights: bool = True, digests: bool = True) -> str | None:
    """An error message about the first file that does not match HASHES_FILE; None if all match or it does not exist.

    A process hashes a file once, and again only if the file has changed since.

    Args:
        weights: False: do not check the weights.
        digests: False: compare only the sizes of the weights. All other files are small and always hashed.
    """
    try:
        hashes = read_hashes(folder)
        to_hash: dict[Path, list] = {}
        for name, expected in hashes.items():
            path, is_weights = folder / name, name.endswith(WEIGHTS)
            if is_weights and not weights:
                continue
            if not path.is_file():
                return damage_message(path, "is missing")
            size = path.stat().st_size
            if is_weights and size != expected[0]:
                detail = f"it has {size} bytes instead of {expected[0]}; "
                return damage_message(path, CHANGED, detail)
            if (digests or not is_weights) and _verified.get(path.resolve()) != [*expected, *stat_values(path)]:
                to_hash[path] = [*expected, *stat_values(path)]
        total = sum(path.stat().st_size for path in to_hash)
        if total > ANNOUNCED_BYTES:
            log.warning(f"{folder}: checking {total / 1e9:.0f} GB against {HASHES_FILE}")
        for (path, values), digest in zip(to_hash.items(), digests_of(to_hash), strict=True):
            if digest != values[:2]:
                return damage_message(path, CHANGED)
            if time.time_ns() - values[-1] > SETTLED_NANOSECONDS:
                _verified[path.resolve()] = values
    except InputError as error:
        return str(error)
    except OSError as error:  # a failing disk
        return damage_message(Path(error.filename or folder), f"cannot be read ({error.strerror or error})")
    return None


def stat_values(path: Path) -> list[int]:
    """Inode, size and time stamps of a file: at least one of them changes when the file is written again."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def check_hashes(folder: Path, weights: bool = True) -> None:
    """Raise InputError if a file of this folder has changed since our scripts wrote it.

    A folder without HASHES_FILE is not ours, or older than this check, and passes. Under a launcher, the first rank of
    each node hashes the weights and the others only compare their sizes.

    weights: False: do not check the weights.
    """
    damage = find_damage(folder, weights, digests=os.environ.get("LOCAL_RANK", "0") == "0")
    if damage:
        raise InputError(damage)
