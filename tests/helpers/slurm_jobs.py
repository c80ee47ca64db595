"""Submitting jobs to a SLURM cluster, and what becomes of them."""

import re
import subprocess
import time
from pathlib import Path

from helpers.launcher import ROOT


def submit(settings: dict[str, str], *flags: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """Run slurm/submit.sh in a checkout."""
    command = ["slurm/submit.sh", *flags]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def submit_documented(words: list[str], settings: dict[str, str], folder: Path) -> subprocess.CompletedProcess:
    """Run a page's command. settings: the environment, in which the command's own settings come first."""
    script = words.index("slurm/submit.sh")
    given = dict(word.split("=", 1) for word in words[:script])
    return submit(settings | given, *words[script + 1 :], folder=folder)


def jobs_of(done: subprocess.CompletedProcess) -> dict[str, str]:
    """What submit.sh says it has submitted -> the job's number."""
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(re.findall(r"^(\w+) +(\d+) ", done.stdout, re.MULTILINE))


def state(job: str) -> dict[str, str]:
    """JobState, Restarts, ExitCode and more of a job; of an array, the first task's that is not done yet."""
    shown = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, check=True).stdout
    tasks = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in shown.splitlines()]
    return next((task for task in tasks if task["JobState"] != "COMPLETED"), tasks[0])


def wait_for(condition, seconds: float):
    """What `condition()` gives as soon as it is true."""
    deadline = time.time() + seconds
    while not (found := condition()):
        assert time.time() < deadline, subprocess.run(["squeue"], capture_output=True, text=True, check=False).stdout
        time.sleep(0.2)
    return found


def ended(job: str, seconds: float) -> str:
    """The state in which a job ends."""
    over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
    return wait_for(lambda: found if (found := state(job)["JobState"]) in over else "", seconds)


def logs(folder: Path, job: str) -> str:
    """Everything a job's batch script and its nodes said."""
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob(f"{job}*.log")))
