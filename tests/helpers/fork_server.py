"""Forks ranks and scripts from a process that has imported what they import, which is most of their time in tests.

Each line of stdin is a job; when all its processes have ended, its exit status is a line of stdout. As with DeepSpeed's
launcher, a rank that fails ends the others.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import NoReturn

from kid.errors import exit_process

IMPORTED = (
    "kid.training.trainer", "kid.training.generation", "kid.training.teacher_states", "transformers.models.qwen2",
    "deepspeed.runtime.zero.muon.muon_optimizer",
)  # fmt: skip
LIMIT, PATIENCE = 1200, 30  # seconds until SIGKILL: from the beginning, and from the SIGTERM after a failure


def wait_for_all(pids: set[int]) -> int:
    """Wait for the ranks; returns 0, or the exit status of the first that failed."""
    status, deadline = 0, time.monotonic() + LIMIT
    while pids:
        for pid in [*pids]:
            ended, found = os.waitpid(pid, os.WNOHANG)
            pids -= {ended}
            if ended and found and not status:
                status, deadline = os.waitstatus_to_exitcode(found), time.monotonic() + PATIENCE
                for other in pids:
                    os.kill(other, signal.SIGTERM)
        if time.monotonic() > deadline:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return status


def become(job: dict, rank: int) -> str:
    """Be what the launcher, or a shell, would have started: environment, streams, command line. Returns the script."""
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if job["ranks"] else {}
    os.environ.clear()
    os.environ.update(job["environment"] | own)
    os.chdir(job["folder"])
    files = [os.open(job["stdin"], os.O_RDONLY)]
    files += [os.open(job[name], os.O_WRONLY | os.O_APPEND | os.O_CREAT) for name in ("stdout", "stderr")]
    for number, file in enumerate(files):
        os.dup2(file, number)
    script, *flags = job["arguments"]
    sys.argv = [script, *([f"--local_rank={rank}"] if job["ranks"] else []), *flags]
    sys.path[0] = str(Path(script).absolute().parent)
    return script


def serve() -> str:
    """Run jobs until stdin ends; returns only in a process of a job, and there its script."""
    for line in os.fdopen(os.dup(0)):  # a process of a job must find its sys.stdin unread
        job, pids = json.loads(line), set()
        for rank in range(job["ranks"] or 1):
            if not (pid := os.fork()):
                return become(job, rank)
            pids.add(pid)
        print(wait_for_all(pids), flush=True)
    sys.exit()


def run_and_exit(script: str) -> NoReturn:
    """Run a script as `python` does, but leave without taking apart all that was imported: every page of memory that
    this touches would have to be copied first, which takes seconds."""
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if end.code not in (None, status):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    exit_process(status)


if __name__ == "__main__":
    sys.path = [place for place in sys.path if Path(place) != Path(__file__).parent / "hidden"]  # for trackers in ranks
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # collections in the forks would copy the pages of what was imported, too
    run_and_exit(serve())
