"""A measured peak of memory beside the planner's estimate."""

import json
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


def test_a_finished_run_that_cannot_be_estimated_says_so_in_its_line(tmp_path):
    """By an optimizer that the planner does not know, or a model that is gone; the run has trained all the same."""
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"optimizer": {"type": "Lamb"}, "zero_optimization": {"stage": 2}}))
    config = RunConfig(method="sft", student=str(MODELS / "student"))
    measured = "peak memory of tensors on rank 0's GPU: 1.5 GiB; there is no estimate beside it ("
    line = compare_memory(replace(config, deepspeed=str(own)), 1.5 * GIB, 1)
    assert line == measured + "--deepspeed: the memory of optimizer Lamb cannot be estimated; use Adam or AdamW)"
    line = compare_memory(replace(config, student=str(tmp_path / "gone")), 1.5 * GIB, 1)
    assert line.startswith(measured) and "gone does not exist" in line and "\n" not in line
