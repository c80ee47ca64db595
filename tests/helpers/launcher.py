"""Where the project lies, and two ways to start ranks: DeepSpeed's launcher, and forks, which take less time.

Scripts that import torch are forked, too; `python` itself starts in less time than the fork server where they do not.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HIDDEN = str(Path(__file__).parent / "hidden")  # in PYTHONPATH, it hides what takes long to import and is not needed


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def launch_command(ranks: int, *arguments: str | Path) -> list[str]:
    """deepspeed's command line on a free port."""
    runner = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_gpus", str(ranks)]
    return [*runner, "--master_port", free_port(), *map(str, arguments)]


class Forks:
    """Starts launches and scripts by `fork_server.py`, one after the other."""

    def __init__(self) -> None:
        self.folder: Path | None = None  # for the streams of what is run
        self.server: subprocess.Popen | None = None

    def run(
        self, ranks: int, *arguments: str | Path, folder: Path = ROOT, given: str = ""
    ) -> subprocess.CompletedProcess:
        """Run a script in a folder: on ranks, as DeepSpeed's launcher does, or with 0, as `python` does.

        given: its stdin.
        """
        if self.server is None:
            command = [sys.executable, "-u", ROOT / "tests" / "helpers" / "fork_server.py"]
            self.server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        world = {"WORLD_SIZE": str(ranks), "LOCAL_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1"}
        world |= {"MASTER_PORT": free_port()}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **(world if ranks else {})}
        files = {name: self.folder / name for name in ("stdout", "stderr")}
        for file in files.values():
            file.unlink(missing_ok=True)
        files["stdin"] = self.folder / "stdin"
        files["stdin"].write_text(given)
        words = list(map(str, arguments))
        job = {"ranks": ranks, "arguments": words, "environment": environment, "folder": str(folder)}
        self.server.stdin.write(json.dumps({**job, **{name: str(file) for name, file in files.items()}}) + "\n")
        self.server.stdin.flush()
        status = self.server.stdout.readline()
        assert status, "fork_server.py has ended; its own error is in the captured stderr"
        streams = (files[name].read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(words, int(status), *streams)

    def end(self) -> None:
        if self.server is not None:
            self.server.stdin.close()
            self.server.wait(timeout=60)


FORKS = Forks()  # of this test process; conftest.py ends it


def run_script(script: str | Path, *flags: object, folder: Path = ROOT, given: str = "") -> subprocess.CompletedProcess:
    """Run a script of the project, forked. given: its stdin."""
    return FORKS.run(0, ROOT / script, *map(str, flags), folder=folder, given=given)
