"""Run the scripts of train/ and eval/ as processes, several in parallel; build their command lines."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from kid.console import Console
from kid.errors import InputError
from kid.terminal import printable, unescaped

ROOT = Path(__file__).parents[2]
# glibc's malloc keeps large tensors instead of returning their memory to the system, which would cause page faults.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**28)}
SECONDS_TO_END = 180  # for a stopped job to finish its step and write a checkpoint
console = Console(soft_wrap=True)
Command = tuple[Path, list[str]]  # the log to write, what to run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launcher(script: str, ranks: int) -> list[str]:
    """The command line of a script under DeepSpeed's launcher, on a free port, up to the script's own flags."""
    runner = [sys.executable, "-m", "deepspeed.launcher.runner"]
    return [*runner, "--num_gpus", str(ranks), "--master_port", str(free_port()), script]


def launched(script: str, output: Path, data: Path, *flags: str, ranks: int = 2) -> list[str]:
    """The launcher's command line for a training under ZeRO-3, which resumes an interrupted run."""
    common = ["--data", data, "--output", output, "--deepspeed", "ds_configs/cpu.json", "--dtype", "fp32", "--resume"]
    return [*launcher(script, ranks), *map(str, common), *flags]


def follow(commands: Iterable[Command]) -> Generator[Path, None, None]:
    """Run commands one after another, with one thread per process; yields the log of the running one until it ends.

    Closing this iterator ends the running command with all its child processes, and waits while ranks write a
    checkpoint.

    Raises:
        InputError: a command failed; the message has the end of its log.
    """
    # The environment's own ninja first: with another version, DeepSpeed's op would be compiled again.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, **KEEP_MEMORY, "PATH": path, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    for log, command in commands:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            # Its own process group, because DeepSpeed's launcher does not end the ranks when it is terminated.
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                process_group=0,
            )  # fmt: skip
        try:
            while process.poll() is None:
                yield log
        finally:
            if process.poll() is None:
                end_group(process)
        if process.returncode:
            lines = log.read_text(errors="replace").splitlines()
            said = next((line for line in lines if line.startswith("error")), lines[-1] if lines else "no output")
            raise InputError(f"{log.stem} failed: {said} (full log: {log}); fix this and run it again to resume")


def end_group(process: subprocess.Popen) -> None:
    """End a process that leads its group, and its descendants; those that do not end in time are killed."""
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()  # DeepSpeed's launcher ends at once, while its ranks finish their step and write a checkpoint
    deadline = time.time() + SECONDS_TO_END
    while started := [one for one in started if is_alive(one)]:
        if time.time() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.1)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process is running; a zombie is not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_jobs(jobs: dict[str, Iterable[Command]], workers: int, watch: Callable[[dict[str, Path], int], None]) -> None:
    """Run jobs, `workers` of them in parallel; if one fails, the others are ended.

    Args:
        jobs: name -> commands to run one after another; the iterator is advanced when the previous command has ended.
        workers: number of parallel jobs.
        watch: called several times per second with the logs of the running jobs and the number of finished jobs.

    Raises:
        InputError: a command failed.
    """
    waiting, running = list(jobs), {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                name = waiting.pop(0)
                running[name] = follow(jobs[name])
            logs = {name: next(job, None) for name, job in running.items()}
            running = {name: job for name, job in running.items() if logs[name]}
            watch({name: logs[name] for name in running}, len(jobs) - len(waiting) - len(running))
            if running:
                time.sleep(0.2)
    finally:
        with ThreadPoolExecutor() as pool:  # stop all jobs at once, then wait
            list(pool.map(Generator.close, running.values()))


def show_last_line(running: dict[str, Path], done: int) -> None:
    """On a terminal, show the last line of a running job's log, which is its progress bar."""
    if sys.stdout.isatty():
        text = next(iter(running.values())).read_text(errors="replace") if running else ""
        last = re.split(r"[\r\n]", text.rstrip())[-1]
        show_status(f"    {last[:100]}" if running else "")


def show_status(text: str) -> None:
    """Replace the terminal's current line by `text`."""
    print(f"\r\033[K{printable(text)}", end="", flush=True, file=unescaped(sys.stdout))


def execute(log: Path, *commands: list[str]) -> None:
    """Run commands in parallel. Raises InputError with the end of the log if one fails."""
    logs = [log]
    if len(commands) > 1:
        logs = [log.with_name(f"{log.stem}-{number}.log") for number in range(len(commands))]
    jobs = {file.stem: [(file, command)] for file, command in zip(logs, commands, strict=True)}
    run_jobs(jobs, len(commands), show_last_line)


def differing(before: dict[str, str], now: dict[str, str]) -> str:
    """The settings that have changed, as text; settings that did not exist before are ignored."""
    return ", ".join(
        f"{key} ({before[key]} there, {now[key]} here)" for key in now if now[key] != before.get(key, now[key])
    )


def end_with_children() -> None:
    """Make SIGTERM and a closed terminal end this process and its children, as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
