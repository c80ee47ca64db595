"""bench/step_latency.py with the same pairs in small, and with few points for --growth."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import step_latency

from kid.errors import run_script

for name, (family, *_, tied) in step_latency.SHAPES.items():
    step_latency.SHAPES[name] = (family, 300, 32, 64, 2, 2, 2, tied)
step_latency.GROWTH = {
    "prompt tokens": [16, 24], "questions per schema": [2], "batch": [2], "teacher layers": [1],
}  # fmt: skip
run_script(step_latency.main)
