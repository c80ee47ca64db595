"""Stopping before the end, in good order: a signal came, or the launcher is gone. One rank hears of it, all stop."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from functools import cache

import psutil
import torch

from kid.errors import STOPPED_STATUS

# In the order of the numbers by which ranks tell one another.
REASONS = ("SIGTERM", "SIGUSR1", "the launcher's end")
SIGNALS = {signal.SIGTERM: "SIGTERM", signal.SIGUSR1: "SIGUSR1"}
LAUNCHER_GONE = REASONS[2]
LAUNCHER = "deepspeed.launcher.launch"  # python -m
# Nobody is left then to end a rank that waits in vain for another one.
SECONDS_WITHOUT_LAUNCHER = 60


def launchers() -> list[psutil.Process] | None:
    """DeepSpeed's process that started this rank, and the runner that started that one; None: one is gone already.

    Nothing for a rank that something else has started.
    """
    if "LOCAL_SIZE" not in os.environ:  # DeepSpeed sets it
        return []
    parents = psutil.Process().parents()
    for at, process in enumerate(parents):
        if LAUNCHER in words(process):
            runner = parents[at + 1 : at + 2]
            if any("deepspeed" in word for above in runner for word in words(above)):
                return [process, *runner]
            return None if runner and runner[0].pid == 1 else [process]
    # What the system's first process has adopted was another's child.
    return None if len(parents) == 1 else []


def words(process: psutil.Process) -> list[str]:
    """Its command line; empty where it is another user's, or gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_alive(process: psutil.Process) -> bool:
    """A zombie, of which its parent has not taken notice yet, is not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.is_running()
    except psutil.NoSuchProcess:
        return False


class StopWatch(threading.Thread):
    """Learns, while the main thread may wait in a collective, that the run is to stop; `reason` is None until then.

    A rank that has nothing to save yet is ended here, and one that cannot stop in good order any more: another rank of
    this node is dead, or the launcher has been gone for a minute.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.reason: str | None = None
        self.asked = False  # until then there is nothing to save
        self.done = False  # and from then on nothing to be stopped
        self.launchers = launchers()
        self.siblings = int(os.environ.get("LOCAL_SIZE", "1"))
        self.wakeup, writing = os.pipe()
        os.set_blocking(writing, False)
        # Python calls its own handlers between two instructions of the main thread, which may never come; the number of
        # a signal is written to this pipe at once.
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda number, frame: None)

    def run(self) -> None:
        deadline = None
        while True:
            ready, _, _ = select.select([self.wakeup], [], [], 0.5)
            for number in os.read(self.wakeup, 64) if ready else b"":
                self.reason = self.reason or SIGNALS.get(number)
            gone = self.launchers is None or not all(map(is_alive, self.launchers))
            if gone and deadline is None:
                deadline = time.monotonic() + SECONDS_WITHOUT_LAUNCHER
                self.reason = self.reason or LAUNCHER_GONE
            in_vain = time.monotonic() > deadline if gone else self.reason and self.lost_sibling()
            if in_vain and not self.done:
                os._exit(1)
            if self.reason and not self.asked:
                try:
                    if os.environ.get("RANK", "0") == "0":
                        print(f"stopped by {self.reason} before the first step", flush=True)
                finally:  # also where nobody reads what is printed
                    os._exit(STOPPED_STATUS)

    def lost_sibling(self) -> bool:
        """Whether one of the ranks that this one's launcher has started runs no more."""
        if not self.launchers:
            return False
        try:
            return sum(map(is_alive, self.launchers[0].children())) < self.siblings
        except psutil.NoSuchProcess:  # the launcher itself
            return False


@cache
def stop_watch() -> StopWatch:
    """This process's watch, running; started from its main thread, before the first slow thing."""
    watch = StopWatch()
    watch.start()
    return watch


def stop_reason(device: torch.device) -> str | None:
    """Why the run is to stop now, by what any rank knows; the same answer on every rank, which all have to ask."""
    watch = stop_watch()
    watch.asked = True
    number = REASONS.index(watch.reason) + 1 if watch.reason else 0
    highest = torch.tensor(number, device=device)
    torch.distributed.all_reduce(highest, op=torch.distributed.ReduceOp.MAX)
    return REASONS[int(highest) - 1] if highest else None
