"""Runs that are killed, signalled, or meet a full disk go on where they were; nothing they leave is half there.

`KID_KILLS=20 python -m pytest tests/distributed/test_survival.py -k killed` kills ranks and launchers that often.
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch
from helpers.launcher import ROOT, launch_command
from helpers.run_files import adapter, metrics, one_line
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kid.run.checkpoint import list_checkpoints, verify_checkpoint

KILLS = int(os.environ.get("KID_KILLS", "1"))


def start(ranks: int, log: Path, *arguments: str | Path) -> subprocess.Popen:
    """A launched job that goes on beside the test."""
    with log.open("a") as output:
        return subprocess.Popen(
            launch_command(ranks, *arguments), cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def ranks_of(launcher: subprocess.Popen) -> list[psutil.Process]:
    """The ranks of a job by their numbers; none if it is not so far, or is gone."""
    try:
        everything = psutil.Process(launcher.pid).children(recursive=True)
        numbers = {part: process for process in everything for part in process.cmdline()[:5] if "--local_rank" in part}
        return [process for _, process in sorted(numbers.items())]
    except psutil.NoSuchProcess:
        return []


def wait_for(condition, process: subprocess.Popen | None = None, seconds: float = 300):
    """What `condition()` gives as soon as it is true; the process must not end before."""
    deadline = time.time() + seconds
    while not (found := condition()):
        assert time.time() < deadline and (process is None or process.poll() is None)
        time.sleep(0.02)
    return found


def lines(run: Path) -> int:
    return (run / "metrics.jsonl").read_text().count("\n") if (run / "metrics.jsonl").exists() else 0


def assert_same(run: Path, other: Path) -> None:
    """Bit for bit, in every line of metrics and every trained weight."""
    assert metrics(run) == metrics(other)
    assert all(torch.equal(adapter(run)[name], weight) for name, weight in adapter(other).items())


def assert_readable(run: Path) -> None:
    """Every checkpoint that has its final name is whole."""
    assert [verify_checkpoint(path, {})[0] for path in list_checkpoints(run)] == [None for _ in list_checkpoints(run)]


@pytest.fixture(scope="module")
def long_flags(kid_flags) -> list[str]:
    """Enough steps for all kills, with a checkpoint after every other one."""
    steps = str(30 + 12 * KILLS)
    return [*kid_flags, "--max-steps", steps, "--epochs", steps, "--eval-steps", "50"]


@pytest.fixture(scope="module")
def long_run(long_flags, launch, tmp_path_factory) -> Path:
    """Never disturbed."""
    folder = tmp_path_factory.mktemp("long") / "run"
    done = launch(2, *long_flags, "--output", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def kill_one(job: subprocess.Popen, run: Path, victim: str, chance: random.Random) -> float:
    """Kill -9 of a rank, or of one of the launcher's two processes; returns the seconds until all were gone."""
    ranks = wait_for(lambda: found if len(found := ranks_of(job)) == 2 else [], job)
    before = lines(run)
    if victim != "launcher" or chance.random() < 0.8:  # else perhaps while it is still starting
        wait_for(lambda: lines(run) > before and (victim != "rank 0" or len(list_checkpoints(run)) == 2), job)
    time.sleep(chance.uniform(0, 1.5))
    launchers = [psutil.Process(job.pid), *psutil.Process(job.pid).children()]
    {"any rank": chance.choice(ranks), "rank 0": ranks[0], "launcher": chance.choice(launchers)}[victim].kill()
    began = time.time()
    wait_for(lambda: not any(process.is_running() for process in ranks), seconds=90)
    job.wait(timeout=90)
    return time.time() - began


def test_a_killed_run_goes_on_to_the_same_metrics(long_run, long_flags, launch, tmp_path):
    run, chance, took = tmp_path / "killed", random.Random(0), []
    arguments = [*long_flags, "--output", run, "--resume"]
    for number in range(2 * KILLS):
        victim = "launcher" if number % 2 == 0 else "any rank" if number + 1 < 2 * KILLS else "rank 0"
        job = start(2, tmp_path / "log", *arguments)
        seconds, writing = kill_one(job, run, victim, chance), bool([*(run / "checkpoints").glob("*.partial")])
        took.append((victim, round(seconds, 1), lines(run), "while a checkpoint was written" if writing else ""))
        assert seconds < 60
        assert_readable(run)
    print(*took, sep="\n")
    # As if it had been killed at other moments still: metrics beyond the checkpoint, checkpoints half written and torn.
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "loss": ')
    newest = list_checkpoints(run)[-1]
    (run / "checkpoints" / "step-7.partial").mkdir()
    torn = next(newest.glob("*optim_states.pt"))
    torn.write_bytes(torn.read_bytes()[:-9])
    done = launch(2, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "taken over from a dead job (process " in done.stdout
    assert f"{newest} is skipped: {torn.name} has " in done.stdout and "resuming from" in done.stdout
    assert_same(run, long_run)
    assert {path.name for path in (run / "adapters").iterdir()} == {
        path.name for path in (long_run / "adapters").iterdir()
    }
    assert not [*(run / "checkpoints").glob("*.partial")]
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, len(metrics(long_run)) + 1))


def test_a_signal_stops_all_ranks_and_any_number_of_them_goes_on(long_run, long_flags, launch, tmp_path):
    run = tmp_path / "signalled"
    arguments = [*long_flags, "--output", run, "--resume"]
    job = start(2, tmp_path / "log", *arguments)
    wait_for(lambda: lines(run) > 2, job)
    os.kill(job.pid, signal.SIGSTOP)  # the runner only waits; the ranks must not end while the other job is tried
    ranks = ranks_of(job)
    for process in ranks:
        process.suspend()
    said = one_line(launch(1, *arguments))
    assert f"--output {run} is in use by another job (process " in said
    for process in ranks:
        process.resume()
    os.kill(job.pid, signal.SIGCONT)
    ranks[1].send_signal(signal.SIGUSR1)
    assert job.wait(timeout=120) == 75
    step = lines(run)
    assert f"kid: stopped by SIGUSR1 after step {step}; continue with --resume" in (tmp_path / "log").read_text()
    assert list_checkpoints(run)[-1].name == f"step-{step}" and step < len(metrics(long_run))
    assert_readable(run)
    done = launch(1, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"step-{step} was written by 2 ranks and is converted" in done.stdout
    assert metrics(run)[:step] == metrics(long_run)[:step]
    for one, two in zip(metrics(run), metrics(long_run), strict=True):
        assert one.pop("source") == two.pop("source")
        assert one == pytest.approx(two, rel=1e-4)
