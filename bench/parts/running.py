"""The scripts of train/ and eval/ as processes: their command lines, and running some of them side by side."""

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
# For glibc's malloc: large tensors are not given back to the system, to be faulted in again page by page at every use.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**28)}
SECONDS_TO_END = 180  # of a job that is stopped: a step, and a checkpoint
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
    """The launcher's command line for a training under ZeRO-3; one that was stopped goes on where it was."""
    common = ["--data", data, "--output", output, "--deepspeed", "ds_configs/cpu.json", "--dtype", "fp32", "--resume"]
    return [*launcher(script, ranks), *map(str, common), *flags]


def follow(commands: Iterable[Command]) -> Generator[Path, None, None]:
    """Run commands one after another, one thread each process; yields the running one's log for as long as it runs.

    Closing this iterator ends the running one with all it has started, and waits for that: ranks write a checkpoint.

    Raises:
        InputError: a command failed; it has the end of its log.
    """
    # The environment's own ninja first: DeepSpeed's op is compiled anew whenever another version comes along.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, **KEEP_MEMORY, "PATH": path, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    for log, command in commands:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            # A process group of its own: DeepSpeed's launcher, when it is terminated, does not end the ranks.
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
            said = next((line for line in lines if line.startswith("error")), lines[-1] if lines else "nothing said")
            raise InputError(f"{log.stem} stopped: {said} (all of it in {log}); mend that and run it again to go on")


def end_group(process: subprocess.Popen) -> None:
    """End a process that leads its group, and all it has started; what does not end in time is killed."""
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()  # DeepSpeed's launcher is gone at once; its ranks finish their step and write a checkpoint
    deadline = time.time() + SECONDS_TO_END
    while started := [one for one in started if is_alive(one)]:
        if time.time() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.1)


def is_alive(process: psutil.Process) -> bool:
    """A zombie, of which its parent has not taken notice yet, is not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_jobs(jobs: dict[str, Iterable[Command]], workers: int, watch: Callable[[dict[str, Path], int], None]) -> None:
    """Run jobs, `workers` of them side by side; where one fails, the others are ended.

    Args:
        jobs: name -> commands, one after another; each is asked for when the one before it is done.
        workers: how many jobs at a time.
        watch: called a few times a second with the running jobs' logs, and with how many jobs are done.

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
        with ThreadPoolExecutor() as pool:  # all are told to end before one is waited for
            list(pool.map(Generator.close, running.values()))


def show_last_line(running: dict[str, Path], done: int) -> None:
    """On a terminal, the last line of a running job's log, which is its progress bar."""
    if sys.stdout.isatty():
        text = next(iter(running.values())).read_text(errors="replace") if running else ""
        last = re.split(r"[\r\n]", text.rstrip())[-1]
        show_status(f"    {last[:100]}" if running else "")


def show_status(text: str) -> None:
    """Put `text` in the place of the terminal's current line."""
    print(f"\r\033[K{printable(text)}", end="", flush=True, file=unescaped(sys.stdout))


def execute(log: Path, *commands: list[str]) -> None:
    """Run commands side by side; raises InputError with the end of a failed one's log."""
    logs = [log]
    if len(commands) > 1:
        logs = [log.with_name(f"{log.stem}-{number}.log") for number in range(len(commands))]
    jobs = {file.stem: [(file, command)] for file, command in zip(logs, commands, strict=True)}
    run_jobs(jobs, len(commands), show_last_line)


def differing(before: dict[str, str], now: dict[str, str]) -> str:
    """The settings that are not what they were, in words; those that were not there before do not count."""
    return ", ".join(
        f"{key} ({before[key]} there, {now[key]} here)" for key in now if now[key] != before.get(key, now[key])
    )


def end_with_children() -> None:
    """Let SIGTERM and a closed terminal end this process as Ctrl-C does: what it has started ends with it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
