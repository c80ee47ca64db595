"""A rank hears of a signal, or that its launcher is gone, whatever its main thread does."""

import os
import signal
import subprocess
import sys
import time

import pytest
from launcher import ROOT

from kid.errors import STOPPED_STATUS

# A rank that is between two steps for good: it says what it has heard, and ends when its input does.
RANK = """
import sys, time
from kid.stopping import stop_watch
watch = stop_watch()
watch.asked = "{asked}" == "asked"
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


def test_a_launcher_that_is_killed_is_missed(start):
    launcher = start(LAUNCHER, "deepspeed", RANK.format(asked="asked"), LOCAL_SIZE="1")
    time.sleep(1)  # it is looked at twice, and is there
    launcher.kill()
    assert launcher.stdout.readline() == "the launcher's end\n"


def test_without_a_launcher_there_is_none_to_miss(start):
    rank = start(RANK.format(asked="asked"))
    time.sleep(1)
    rank.send_signal(signal.SIGTERM)
    assert rank.stdout.readline() == "SIGTERM\n"


def test_a_launcher_gone_before_its_rank_looks_for_it(start):
    rank = start(RANK.format(asked="asked"), LOCAL_SIZE="1")  # started by something else
    assert rank.stdout.readline() == "the launcher's end\n"
