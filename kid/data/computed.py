"""Read the parts of a database that SQLite computes: views, virtual tables and generated columns.

Each may take unlimited time or memory, and SQLite cannot interrupt a single function call. So they are read in a
separate process, kid/data/computed_reader.py, which an alarm ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

GRACE_SECONDS = 1.0  # the alarm comes this long after the limit, at which SQLite interrupts the statement if it can
START_SECONDS = 60.0  # allowed for the process to start on a busy machine
LIMIT_STATUSES = (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL)


def read_apart(
    path: Path, jobs: list[tuple], seconds: float, total: float
) -> Iterator[tuple[int, Any, tuple[str, int] | None]]:
    """Yield the results of jobs in order: (number of the job, value, None), or (number, None, fault) if one fails.

    Args:
        path: the SQLite file.
        jobs: each is a key of `kid.data.computed_reader.READERS` followed by arguments for it.
        seconds: time limit for each job.
        total: time limit for all jobs together.

    A fault is (reason, SQLite's error code); the code is 0 if a limit of time or memory ended the job.
    """
    first, deadline = 0, time.monotonic() + total
    while first < len(jobs) and (left := deadline - time.monotonic()) > 0:
        # Use a file, not a pipe: output may be large, and it must survive if the process is killed.
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as output,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        ):
            status = run_reader([str(path), jobs[first:], seconds, left], output, errors)
            output.seek(0)
            done = first
            for line in output:
                if not line.endswith("\n"):  # the process was killed while writing
                    break
                offset, value, fault, last = json.loads(line)
                if last:
                    done = first + offset + 1
                if fault or not last:
                    yield first + offset, value, tuple(fault) if fault else None
            if status and done < len(jobs):
                errors.seek(0)
                said = errors.read().strip().rpartition("\n")[2]
                late = status in LIMIT_STATUSES
                reason = f"not read within {round(seconds, 1):g} s" if late else f"its reader failed: {said or status}"
                yield done, None, (reason, 0)
                done += 1
        first = done
    for number in range(first, len(jobs)):
        yield number, None, (f"not reached within {round(total, 1):g} s", 0)


def run_reader(job: list, output: IO[str], errors: IO[str]) -> int:
    """Run the reader process. Returns its status, or minus the number of the signal that ended it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "kid.data.computed_reader"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=errors, env=environment, text=True
    ) as process:
        try:
            process.communicate(json.dumps(job), timeout=job[-1] + START_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
    return process.returncode
