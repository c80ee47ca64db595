"""Stop a run cleanly on a signal, or when its launcher has ended: one rank notices, all ranks stop."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from functools import cache
from typing import NoReturn

import psutil
import torch

from kid.errors import INTERRUPTED_STATUS, STOPPED_STATUS, StoppedError
from kid.progress import log

# Ranks exchange a reason as its 1-based position in this tuple.
REASONS = ("SIGTERM", "SIGUSR1", "the launcher's end", "Ctrl-C")
SIGNALS: dict[int, str] = {signal.SIGTERM: "SIGTERM", signal.SIGUSR1: "SIGUSR1", signal.SIGINT: "Ctrl-C"}
LAUNCHER_GONE = REASONS[2]
LAUNCHER = "deepspeed.launcher.launch"  # started with python -m
# Without its launcher, nothing else would end a rank that waits for a dead rank in a collective.
SECONDS_WITHOUT_LAUNCHER = 60
# After Ctrl-C, DeepSpeed's launcher kills ranks that have not ended within 30 seconds; this leaves 5 to spare.
SECONDS_TO_STOP = 25
# One Ctrl-C may reach a rank twice, from the terminal and through the launcher. A later signal is a second Ctrl-C.
SECOND_INTERRUPT_SECONDS = 2


def launchers() -> list[psutil.Process] | None:
    """Return DeepSpeed's launcher process that started this rank, and the runner that started the launcher.

    None if one of the two has already ended; empty if this rank was started in another way.
    """
    if "LOCAL_SIZE" not in os.environ:  # DeepSpeed sets it
        return []
    parents = psutil.Process().parents()
    for index, process in enumerate(parents):
        if LAUNCHER in command_line(process):
            runner = parents[index + 1 : index + 2]
            if any("deepspeed" in argument for parent in runner for argument in command_line(parent)):
                return [process, *runner]
            return None if runner and runner[0].pid == 1 else [process]
    # A process whose only ancestor is the system's first process was adopted by it: its parent has ended.
    return None if len(parents) == 1 else []


def command_line(process: psutil.Process) -> list[str]:
    """Return the arguments of a process's command line; empty if it belongs to another user or has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_alive(process: psutil.Process) -> bool:
    """Whether a process is running; a zombie, whose exit status its parent has not collected yet, is not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.is_running()
    except psutil.NoSuchProcess:
        return False


class StopWatcher(threading.Thread):
    """A thread that notices a request to stop even while the main thread waits in a collective.

    `reason` is None until then. The thread ends the process itself if the rank has nothing to save yet, or if it can no
    longer stop cleanly: another rank of this node has died, or the launcher ended more than a minute ago.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.reason: str | None = None
        self.polled = False  # set by the first `stop_reason`; before that there is nothing to save
        self.finished = False  # set when the run's work is done; after that there is nothing to stop
        self.seconds_to_stop = 0.0  # measured time of a step and a checkpoint
        self.kept = "nothing"  # what is kept if the run ends now
        self.interrupted: float | None = None  # time of the first Ctrl-C
        self.launchers = launchers()
        self.local_ranks = int(os.environ.get("LOCAL_SIZE", "1"))
        self.wakeup, write_end = os.pipe()
        os.set_blocking(write_end, False)
        # Python runs signal handlers only between instructions of the main thread, which may be blocked. The number of
        # the signal is written to this pipe immediately.
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda number, frame: None)

    def run(self) -> None:
        deadline = None
        while True:
            ready, _, _ = select.select([self.wakeup], [], [], 0.5)
            for number in os.read(self.wakeup, 64) if ready else b"":
                self.notice(number)
            gone = self.launchers is None or not all(map(is_alive, self.launchers))
            if gone and deadline is None:
                deadline = time.monotonic() + SECONDS_WITHOUT_LAUNCHER
                self.reason = self.reason or LAUNCHER_GONE
            cannot_stop_cleanly = time.monotonic() > deadline if gone else self.reason and self.lost_local_rank()
            if cannot_stop_cleanly and not self.finished:
                os._exit(1)
            if self.reason and not self.polled:
                try:
                    log.info(f"stopped by {self.reason} before the first step")
                finally:  # even if stdout is closed
                    os._exit(STOPPED_STATUS)

    def notice(self, number: int) -> None:
        """Keep the first signal as the reason to stop; a second Ctrl-C ends the process immediately."""
        self.reason = self.reason or SIGNALS.get(number)
        if number != signal.SIGINT or self.finished:
            return
        now = time.monotonic()
        if self.interrupted is None:
            self.interrupted = now
            if self.polled:
                log.info(f"\n{self.describe_interrupt()}")
        elif now - self.interrupted > SECOND_INTERRUPT_SECONDS:
            log.info(f"\nCtrl-C again: ended immediately; {self.kept} is kept")
            os._exit(INTERRUPTED_STATUS)

    def describe_interrupt(self) -> str:
        """Describe what happens after the first Ctrl-C."""
        if self.seconds_to_stop <= SECONDS_TO_STOP:
            return "Ctrl-C: stopping after this step, with a checkpoint; press Ctrl-C again to end the run immediately"
        return (
            f"Ctrl-C: a step and a checkpoint take about {self.seconds_to_stop:.0f} s, but DeepSpeed's launcher may "
            f"kill the ranks after 30 s; {self.kept} is kept in any case. To stop with a checkpoint, send SIGUSR1 to "
            "the ranks instead"
        )

    def lost_local_rank(self) -> bool:
        """Whether one of the ranks started by this node's launcher is no longer running."""
        if not self.launchers:
            return False
        try:
            return sum(map(is_alive, self.launchers[0].children())) < self.local_ranks
        except psutil.NoSuchProcess:  # the launcher itself
            return False


@cache
def stop_watcher() -> StopWatcher:
    """Return this process's watcher. The first call starts it, from the main thread and before any slow work."""
    watcher = StopWatcher()
    watcher.start()
    return watcher


def stop_reason(device: torch.device) -> str | None:
    """Return why the run must stop now, as noticed by any rank, or None. A collective: all ranks return the same."""
    watcher = stop_watcher()
    watcher.polled = True
    number = REASONS.index(watcher.reason) + 1 if watcher.reason else 0
    highest = torch.tensor(number, device=device)
    torch.distributed.all_reduce(highest, op=torch.distributed.ReduceOp.MAX)
    return REASONS[int(highest) - 1] if highest else None


def stop_run(line: str) -> NoReturn:
    """End the run on all ranks after everything is written; rank 0 prints `line`. Raises StoppedError. A collective."""
    log.info(line)
    stop_watcher().finished = True
    torch.distributed.barrier()
    raise StoppedError
