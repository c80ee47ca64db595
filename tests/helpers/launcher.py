"""Where the project lies, and the launcher's command line."""

import socket
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def launch_command(ranks: int, *arguments: str | Path) -> list[str]:
    """deepspeed's command line on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_gpus", str(ranks), "--master_port", str(port)]
    return [*launcher, *map(str, arguments)]
