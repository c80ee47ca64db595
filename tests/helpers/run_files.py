"""What a run leaves behind and says, as tests look at it."""

import json
import subprocess
from pathlib import Path

import torch
from safetensors.torch import load_file


def timed_metrics(run: Path) -> list[dict]:
    """Its lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def depends_on_machine(key: str) -> bool:
    """Whether a number of a line of metrics is another on every run: speed and memory."""
    return key.startswith("seconds") or key in ("tokens_per_second", "peak_memory_gb")


def metrics(run: Path) -> list[dict]:
    """The same, without what depends on the machine."""
    return [{key: value for key, value in row.items() if not depends_on_machine(key)} for row in timed_metrics(run)]


def adapter(run: Path, folder: str = "adapter") -> dict[str, torch.Tensor]:
    return load_file(run / folder / "adapter_model.safetensors")


def one_line(done: subprocess.CompletedProcess, status: int = 2) -> str:
    """The tool's own line; the launcher's around it do not count."""
    assert done.returncode == status, done.stdout + done.stderr
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if line.startswith("error")]
    assert len(lines) == 1, output
    return lines[0]
