"""A lock that only one job at a time can hold on a folder."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from kid.errors import InputError
from kid.files import check_writable, write_atomically
from kid.run.trust import OWNER_ONLY_MODE

LEASE_SECONDS = 120


def read_owner(path: Path) -> dict:
    """Read owner.json; empty if the file is missing or damaged."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def describe_owner(path: Path) -> str:
    """Describe the job that wrote owner.json, for messages."""
    owner = read_owner(path)
    try:
        job = f"SLURM job {owner['job']}, " if owner["job"] else ""
        return f"{job}process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except KeyError:
        return "a process that is just starting or ending"


@contextmanager
def run_lock(folder: Path, flag: str = "--output") -> Iterator[None]:
    """Lock the folder given by `flag`; called on rank 0 before it reads the folder.

    A folder that was created only for the lock is removed again. The operating system releases the lock when the owner
    ends for any reason. The lock of a dead owner is taken over with a message.

    Raises:
        InputError: another job holds the lock, or the folder cannot be written to.
    """
    check_writable(folder, flag)
    created = not folder.exists()
    owner = folder / "owner.json"
    lock = FileLock(folder / "lock", fallback_to_soft=False)  # a soft lock would outlive its owner
    job = os.environ.get("SLURM_JOB_ID")
    try:
        folder.mkdir(mode=OWNER_ONLY_MODE, parents=True, exist_ok=True)
        # A network file system may hold a failed node's lock for a while after SLURM has restarted its job.
        lock.acquire(timeout=LEASE_SECONDS if job and job == read_owner(owner).get("job") else 0)
    except Timeout:
        raise InputError(
            f"{flag} {folder} is in use by another job ({describe_owner(owner)}); wait for it or choose another"
        ) from None
    except OSError as error:
        raise InputError(f"{flag} {folder} cannot be locked ({error.strerror or error}); choose another") from None
    try:
        if owner.exists():
            print(f"{folder}: taken over from a dead job ({describe_owner(owner)})", flush=True)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        values = {"pid": os.getpid(), "host": platform.node(), "job": job, "since": since}
        write_atomically(owner, json.dumps(values) + "\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        if created and folder.exists() and [path.name for path in folder.iterdir()] == ["lock"]:
            (folder / "lock").unlink()
            folder.rmdir()
        lock.release()
