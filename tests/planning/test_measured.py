"""A measured peak of memory beside the planner's estimate."""

import re
from dataclasses import replace

from kid.config.run_config import RunConfig
from kid.minibench.tiny_models import MODELS
from kid.planning.measured import compare_memory
from kid.planning.plan import GIB


def test_a_measured_peak_stands_beside_the_estimate():
    models = {"student": str(MODELS / "student"), "teacher": str(MODELS / "teacher")}
    config = RunConfig(method="kid", batch_size=16, micro_batch_size=16, lora_rank=0, **models)

    def estimate(run: RunConfig) -> float:
        line = compare_memory(run, 1.5 * GIB, 1)
        return float(re.search(r"peak memory .* 1\.5 GiB; train/plan.py estimates ([\d.]+) GiB", line)[1])

    assert estimate(config) > estimate(replace(config, micro_batch_size=1)) >= 0
