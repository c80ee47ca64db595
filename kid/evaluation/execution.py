"""A pool of worker processes that run a model's SQL; a worker that dies is replaced and the work continues."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from multiprocessing import Pipe, connection
from typing import Any

from kid.errors import RunError
from kid.evaluation.worker import EXIT_OUT_OF_MEMORY, Limits

ENDED_FROM_OUTSIDE = "killed from outside; did memory run out?"
# Signals of a process that crashed; any other signal comes from another process or the system.
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: its value, or an error and the stage in which it occurred."""

    index: int
    value: Any = None
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
        # A plain command: multiprocessing's spawn would import the caller's main script, and with it torch.
        self.pipe, child_end = Pipe()
        # Not with `-m`, which would import the module twice, once as __main__, with two QueryError classes.
        serve = f"serve({child_end.fileno()}, {os.getpid()})"
        command = [sys.executable, "-c", f"from kid.evaluation.worker import serve; {serve}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[child_end.fileno()])
        child_end.close()
        self._send(self.limits)

    def assign(self, index: int, function: Callable, arguments: tuple) -> None:
        self.job, self.stage = index, None
        self._send((function, arguments))

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # the worker has died; `run_jobs` notices that when it reads from the pipe
            self.pipe.send(message)

    def kill(self) -> int:
        """Kill the process if it is still running, and return its exit status."""
        self.process.kill()
        self.pipe.close()
        return self.process.wait()


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def run_jobs(
    function: Callable, jobs: Iterable[tuple], workers: int | None = None, limits: Limits | None = None
) -> Generator[Outcome, None, None]:
    """Run `function(sandbox, *job)` for every job in worker processes; yield outcomes as jobs finish, in any order.

    If a job fails or its worker dies (time, memory, a crash), its outcome has an error.

    Args:
        function: a module-level function that takes a `worker.Sandbox` and the job's arguments, and names its stages.
        jobs: the arguments of each job; an outcome's index is the job's position here.
        workers: number of processes (default: number of cores).
        limits: limits of each job (default: `Limits()`).

    Raises:
        RunError: the machine failed, for example a database can no longer be read.
        RuntimeError: a worker did not start, or cannot import the function.
    """
    waiting = list(enumerate(jobs))[::-1]
    limits = limits or Limits()
    pool = [_Worker(limits) for _ in range(min(workers or default_workers(), len(waiting)))]
    try:
        while pool:
            for pipe in connection.wait([worker.pipe for worker in pool]):
                worker = next(worker for worker in pool if worker.pipe is pipe)
                try:
                    kind, content = worker.pipe.recv()
                except (EOFError, OSError):  # OSError: the worker died in the middle of a message
                    yield _outcome_of_dead_worker(worker)
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
                elif kind == "machine":
                    raise RunError(f"{content}; fix that and run the command again")
                elif kind == "unknown job":
                    what_to_do = "define it in a module that can be imported, not in the script that is run"
                    raise RuntimeError(f"a worker process cannot import a job's function ({content}); {what_to_do}")
                if waiting:
                    index, arguments = waiting.pop()
                    worker.assign(index, function, arguments)
                else:
                    worker.kill()
                    pool.remove(worker)
    finally:
        for worker in pool:
            worker.kill()


def _outcome_of_dead_worker(worker: _Worker) -> Outcome:
    # The worker has closed its end of the pipe, so it is exiting: wait for its exit status before killing it.
    worker.process.wait()
    status = worker.kill()
    if worker.job is None:
        raise RuntimeError(f"a worker process for SQL did not start (exit status {status}); its error is printed above")
    return Outcome(worker.job, error=death_reason(status), stage=worker.stage)


def death_reason(status: int) -> str:
    """Describe why a worker ended during a job, from its exit status (minus the signal's number if it was killed)."""
    if status == -signal.SIGALRM:
        return "timeout"
    if status == EXIT_OUT_OF_MEMORY:
        return "out of memory"
    if status >= 0:
        return f"worker died (status {status}: its error is printed above)"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"worker died ({name}: {'SQLite or Python crashed' if -status in CRASHES else ENDED_FROM_OUTSIDE})"
