"""Ops that DeepSpeed compiles where they are first used: by one process at a time, also after one that was killed."""

from __future__ import annotations

import torch.utils.cpp_extension
from filelock import FileLock


class BuildLock:
    """In the place of torch's FileBaton, a file that a killed process leaves behind, for whose end all others then wait
    for ever. The operating system lets go of this one when its owner ends."""

    def __init__(self, path: str, **_):
        self.lock = FileLock(f"{path}.kid", fallback_to_soft=False)

    def try_acquire(self) -> bool:
        """Always, once it is this process's turn; what another has built meanwhile is not built again."""
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def lock_builds() -> None:
    """From now on in this process."""
    torch.utils.cpp_extension.FileBaton = BuildLock
