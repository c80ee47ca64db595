"""A rank hears of a signal, or that its launcher is gone, whatever its main thread does."""

import os
import select
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
from helpers.launcher import ROOT

from kid.errors import INTERRUPTED_STATUS, STOPPED_STATUS
from kid.run.stopping import launchers

# A rank that is between two steps for good: it says what it has heard, and ends when its input does.
RANK = """
import sys, time
from kid.run.stopping import stop_watcher
watch = stop_watcher()
watch.polled = "{asked}" == "asked"
print("watching", flush=True)
while watch.reason is None:
    time.sleep(0.01)
print(watch.reason, flush=True)
sys.stdin.read()
"""
# Its launcher: named like DeepSpeed's, it starts the rank and waits.
LAUNCHER = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[2]])"


@pytest.fixture
def start():
    """start(command, environment) -> a process that watches; killed in the end."""
    started = []

    def run(*command: str, **environment: str) -> subprocess.Popen:
        clean = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_SIZE")}
        process = subprocess.Popen(
            [sys.executable, "-c", *command], cwd=ROOT, env=clean | environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout.readline() == "watching\n"
        return process

    yield run
    for process in started:
        process.stdin.close()
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_is_kept_for_the_next_step(start, name):
    rank = start(RANK.format(asked="asked"))
    rank.send_signal(signal.Signals[name])
    assert rank.stdout.readline() == f"{name}\n" and rank.poll() is None


def test_a_rank_that_has_nothing_to_save_ends_at_once(start):
    for number in (0, 1):
        rank = start(RANK.format(asked="not yet"), RANK=str(number))
        rank.send_signal(signal.SIGUSR1)
        assert rank.wait(timeout=30) == STOPPED_STATUS
        said = rank.stdout.read()
        assert ("stopped by SIGUSR1 before the first step" in said) == (number == 0)


def said(process: subprocess.Popen, seconds: float) -> str:
    """The next line, if it comes in time."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline() if ready else ""


def test_a_launcher_that_is_killed_is_missed(start):
    launcher = start(LAUNCHER, "deepspeed.launcher.launch", RANK.format(asked="asked"), LOCAL_SIZE="1")
    assert said(launcher, seconds=1.5) == ""  # it has been looked for, and is there
    launcher.kill()
    assert said(launcher, seconds=30) == "the launcher's end\n"


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, {"LOCAL_SIZE": "1"}])
def test_without_a_launcher_there_is_none_to_miss(start, environment):
    """Nor where something else has started the rank."""
    rank = start(RANK.format(asked="asked"), **environment)
    assert said(rank, seconds=1.5) == ""
    rank.send_signal(signal.SIGTERM)
    assert said(rank, seconds=30) == "SIGTERM\n"


LAUNCH, RUNNER = ["python", "-m", "deepspeed.launcher.launch"], ["python", "/bin/deepspeed"]


@pytest.mark.parametrize(
    ("commands", "found"),
    [
        ([LAUNCH, RUNNER, ["bash"], ["init"]], [0, 1]),
        ([LAUNCH, RUNNER], [0, 1]),  # a container that runs nothing else
        ([["bash", "wrapper.sh", "--deepspeed", "ds_configs/cpu.json"], LAUNCH, RUNNER, ["init"]], [1, 2]),
        ([LAUNCH, ["init"]], None),  # the runner is gone
        ([["init"]], None),  # both are
        ([["bash"], ["init"]], []),
        ([], []),  # alone in a container
    ],
)
def test_launchers_are_known_by_what_they_run(commands, found, monkeypatch):
    numbers = range(len(commands), 0, -1)
    parents = [SimpleNamespace(pid=pid, cmdline=lambda c=c: c) for pid, c in zip(numbers, commands, strict=True)]
    monkeypatch.setenv("LOCAL_SIZE", "1")
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(parents=lambda: parents))
    assert launchers() == (None if found is None else [parents[at] for at in found])


# A rank whose first step has begun; `kept` and `seconds_to_stop` are set as the training does.
INTERRUPTED_RANK = """
import sys
from kid.run.stopping import stop_watcher
watch = stop_watcher()
watch.polled, watch.kept, watch.seconds_to_stop = True, "checkpoints/step-8", {seconds}
print("watching", flush=True)
sys.stdin.read()
"""


def test_ctrl_c_asks_for_a_checkpoint_and_a_second_one_ends_the_rank(start):
    rank = start(INTERRUPTED_RANK.format(seconds=3))
    rank.send_signal(signal.SIGINT)
    assert said(rank, seconds=30) == "\n"  # the progress bar's line ends here
    assert rank.stdout.readline().startswith("Ctrl-C: stopping after this step, with a checkpoint")
    rank.send_signal(signal.SIGTERM)  # the launcher's, which belongs to the same Ctrl-C
    rank.send_signal(signal.SIGINT)  # as this one may
    assert said(rank, seconds=2.5) == "" and rank.poll() is None
    rank.send_signal(signal.SIGINT)
    assert rank.wait(timeout=30) == INTERRUPTED_STATUS
    assert rank.stdout.read() == "\nCtrl-C again: ended immediately; checkpoints/step-8 is kept\n"


def test_where_a_checkpoint_takes_too_long_ctrl_c_says_what_is_kept(start):
    rank = start(INTERRUPTED_RANK.format(seconds=41.7))
    rank.send_signal(signal.SIGINT)
    assert said(rank, seconds=30) == "\n"
    line = rank.stdout.readline()
    assert "take about 42 s" in line and "checkpoints/step-8 is kept in any case" in line
