"""A pool of processes that run SQL of a model and can be lost at any moment: who dies is replaced, the work goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import Pipe, connection

from kid.evaluation.worker import EXIT_OUT_OF_MEMORY, Limits


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its value, or an error and the stage in which it happened."""

    index: int
    value: object = None
    error: str | None = None
    stage: str | None = None


@dataclass(eq=False)
class _Worker:
    limits: Limits
    job: int | None = None
    stage: str | None = None
    process: subprocess.Popen = field(init=False)
    pipe: connection.Connection = field(init=False)

    def __post_init__(self) -> None:
        # A plain command, not multiprocessing's spawn: that imports the caller's main script, and torch with it.
        self.pipe, theirs = Pipe()
        # Nor `-m`: the module would be there twice, as __main__ too, with two kinds of QueryError.
        command = [sys.executable, "-c", f"from kid.evaluation.worker import serve; serve({theirs.fileno()})"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        self._send(self.limits)

    def give(self, index: int, function: Callable, arguments: tuple) -> None:
        self.job, self.stage = index, None
        self._send((function, arguments))

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # it has died: reading from its pipe will tell
            self.pipe.send(message)

    def end(self) -> int:
        """Kill the process if it still runs, and return its exit status."""
        self.process.kill()
        self.pipe.close()
        return self.process.wait()


def default_workers() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def run_jobs(
    function: Callable, jobs: Iterable[tuple], workers: int | None = None, limits: Limits | None = None
) -> Iterator[Outcome]:
    """Run `function(sandbox, *job)` for every job in worker processes; yield outcomes as they come, in any order.

    A job that fails, or whose worker dies (time, memory, a crash), gives an outcome with an error.

    Args:
        function: a module-level function; it gets a `worker.Sandbox` and the job's arguments, and names its stages.
        jobs: the arguments of each job; outcomes carry the position in here.
        workers: number of processes (default: cores).
        limits: what each job may use (default: `Limits()`).

    Raises:
        RuntimeError: a worker did not even start.
    """
    waiting = list(enumerate(jobs))[::-1]
    limits = limits or Limits()
    pool = [_Worker(limits) for _ in range(min(workers or default_workers(), len(waiting)))]
    try:
        while pool:
            for pipe in connection.wait([worker.pipe for worker in pool]):
                worker = next(worker for worker in pool if worker.pipe is pipe)
                try:
                    kind, content = pipe.recv()
                except (EOFError, OSError):  # OSError: it died in the middle of a message
                    yield _outcome_of_dead(worker)
                    pool.remove(worker)
                    if waiting:
                        pool.append(_Worker(limits))
                    continue
                if kind == "stage":
                    worker.stage = content
                    continue
                if kind == "value":
                    yield Outcome(worker.job, value=content)
                elif kind == "error":
                    yield Outcome(worker.job, error=content, stage=worker.stage)
                if waiting:
                    index, arguments = waiting.pop()
                    worker.give(index, function, arguments)
                else:
                    worker.end()
                    pool.remove(worker)
    finally:
        for worker in pool:
            worker.end()


def _outcome_of_dead(worker: _Worker) -> Outcome:
    # Its end of the pipe is closed, so it is exiting by itself: wait for its own status before anything is killed.
    worker.process.wait()
    status = worker.end()
    if worker.job is None:
        raise RuntimeError(f"a worker process for SQL did not start (exit status {status}); see its message above")
    reasons = {-signal.SIGALRM: "timeout", EXIT_OUT_OF_MEMORY: "out of memory"}
    return Outcome(worker.job, error=reasons.get(status, f"worker died (status {status})"), stage=worker.stage)
