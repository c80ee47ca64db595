"""Run eval/score.py on four questions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helpers.launcher import ROOT

SCRIPT = ROOT / "eval" / "score.py"
GOLD = ["SELECT name FROM singer", "SELECT count(*) FROM singer", "SELECT x FROM singer", "SELECT max(age) FROM singer"]
PREDICTIONS = ["SELECT name FROM singer\tconcert\n", "SELECT count(*) FROM nobody\n", "SELECT 1\n", "\n"]


def score(folder: Path, *flags: object, **replaced: object) -> subprocess.CompletedProcess:
    given = {
        "benchmark": "spider",
        "data": folder,
        "predictions": folder / "preds.sql",
        "json": folder / "new/dev.json",
    }
    command = [sys.executable, SCRIPT, *flags]
    for name, value in (given | replaced).items():
        command += [f"--{name}", value]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
