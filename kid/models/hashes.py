"""Hashes of the files of an adapter, a model or an export: written with them, checked when our scripts read them."""

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
NOT_HASHED = (HASHES_FILE, "README.md")  # a model card is edited after it is written
ADAPTER_CONFIG, BASE_KEY = "adapter_config.json", "base_model_name_or_path"
ANNOUNCED_BYTES = 5 * 10**9  # a check of more takes seconds to minutes, and a line says so
# A file that has changed less than this ago may change again without another time stamp, and is not remembered.
SETTLED_NANOSECONDS = 10**8
THREADS = 4  # hashing releases the interpreter's lock
# File that this process has found to be as written -> its size, its SHA-256 and its `stat_values` then.
_verified: dict[Path, list] = {}


def file_digest(path: Path) -> list:
    """[size in bytes, SHA-256] of a file."""
    return [path.stat().st_size, file_sha256(path)]


def model_file_digest(path: Path) -> list:
    """`file_digest`, but of adapter_config.json without the place of its base, which changes when the base is moved."""
    if path.name != ADAPTER_CONFIG:
        return file_digest(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop(BASE_KEY, None)
    except (ValueError, AttributeError, TypeError, RecursionError):  # damaged: the digest will match nothing
        return file_digest(path)
    text = json.dumps(content, sort_keys=True).encode()
    return [len(text), hashlib.sha256(text).hexdigest()]


def digests_of(paths: Iterable[Path]) -> list[list]:
    """`model_file_digest` of each, several at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(model_file_digest, paths))


def write_hashes(folder: Path, paths: Iterable[Path] | None = None) -> None:
    """Write HASHES_FILE for all files of a folder, or for these; called when they are all there.

    Raises:
        RunError: the disk is full.
    """
    everything = (path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_HASHED)
    paths = sorted(everything if paths is None else paths)
    names = [path.relative_to(folder).as_posix() for path in paths]
    text = json.dumps(dict(zip(names, digests_of(paths), strict=True)), indent=1) + "\n"
    write_atomically(folder / HASHES_FILE, text)


def read_hashes(folder: Path) -> dict[str, list]:
    """Name -> [size, SHA-256], as HASHES_FILE says; empty if there is none. Raises InputError if it is damaged."""
    file = folder / HASHES_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        hashes = {name: [int(size), str(digest)] for name, (size, digest) in content.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(damage_message(file, "is not what was written")) from None
    for name in hashes:
        path = PurePosixPath(name)
        if path.is_absolute() or not path.name or ".." in path.parts or "\0" in name:
            raise InputError(damage_message(file, f"is not what was written: {name!r} is no file of its folder"))
    return hashes


def damage_message(path: Path, problem: str, detail: str = "") -> str:
    """The error about a file that is not as it was written."""
    return (
        f"{path} {problem}; copy it again or restore it ({detail}if you changed the folder on purpose, remove its "
        f"{HASHES_FILE})"
    )


def find_damage(folder: Path, weights: bool = True, digests: bool = True) -> str | None:
    """An error about the first file that is not what HASHES_FILE says; None if all are, or there is no such file.

    A process hashes a file once, and again only if the file has changed since.

    Args:
        weights: False: check all files but the weights.
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
                return damage_message(path, "is not what was written", detail)
            if (digests or not is_weights) and _verified.get(path.resolve()) != [*expected, *stat_values(path)]:
                to_hash[path] = [*expected, *stat_values(path)]
        total = sum(path.stat().st_size for path in to_hash)
        if total > ANNOUNCED_BYTES:
            log.warning(f"{folder}: checking {total / 1e9:.0f} GB against {HASHES_FILE}")
        for (path, values), digest in zip(to_hash.items(), digests_of(to_hash), strict=True):
            if digest != values[:2]:
                return damage_message(path, "is not what was written")
            if time.time_ns() - values[-1] > SETTLED_NANOSECONDS:
                _verified[path.resolve()] = values
    except InputError as error:
        return str(error)
    except OSError as error:  # a failing disk
        return damage_message(Path(error.filename or folder), f"cannot be read ({error.strerror or error})")
    return None


def stat_values(path: Path) -> list[int]:
    """What changes when a file is written again."""
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def check_hashes(folder: Path, weights: bool = True) -> None:
    """Raise InputError if a file that our scripts have written to this folder is not what was written.

    A folder without HASHES_FILE is not ours, or older, and passes. Under a launcher, the first rank of each node hashes
    the weights and the others compare their sizes.

    weights: False: check all files but the weights.
    """
    damage = find_damage(folder, weights, digests=os.environ.get("LOCAL_RANK", "0") == "0")
    if damage:
        raise InputError(damage)
