"""A lock for ops that DeepSpeed compiles on first use: one process builds at a time, and a killed one blocks nobody."""

from __future__ import annotations

import torch.utils.cpp_extension
from filelock import FileLock


class BuildLock:
    """Replaces torch's FileBaton, whose lock file a killed process leaves behind, so that all others wait forever. The
    operating system releases this lock when its owner ends."""

    def __init__(self, path: str, **_):
        self.lock = FileLock(f"{path}.kid", fallback_to_soft=False)

    def try_acquire(self) -> bool:
        """Wait for the lock and return True; what another process has built meanwhile is not built again."""
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def lock_builds() -> None:
    """Make torch use `BuildLock` for all builds of this process from now on."""
    torch.utils.cpp_extension.FileBaton = BuildLock  # type: ignore[misc, assignment]
