"""Compare a run's peak memory with the estimate of train/plan.py."""

from __future__ import annotations

from kid.config.run_config import RunConfig
from kid.errors import InputError
from kid.models.pretrained import find_model, find_teacher
from kid.planning.plan import GIB, GPU_RESERVED, Machine, Models, estimate_run
from kid.planning.shapes import find_shape


def compare_memory(config: RunConfig, peak: float, world_size: int) -> str:
    """A line with the peak memory of tensors on a GPU, and its estimate or why there is none. peak: bytes."""
    measured = f"peak memory of tensors on rank 0's GPU: {peak / GIB:.1f} GiB; "
    try:
        estimate = estimate_memory(config, world_size)
    except InputError as error:  # the run is finished: it needs no estimate
        return f"{measured}there is no estimate beside it ({error})"
    return f"{measured}train/plan.py estimates {estimate / GIB:.1f} GiB, with prompts and outputs at their limits"


def estimate_memory(config: RunConfig, world_size: int) -> float:
    """The planner's estimate of the bytes of tensors on a GPU.

    Raises:
        InputError: the planner does not know the optimizer, or a model's folder has been removed since the run started.
    """
    student = find_shape(str(find_model(config.student, "--student")), "--student")
    teacher = find_teacher(config.teacher, "--teacher") if config.teacher and not config.teacher_states else None
    shape = find_shape(str(teacher.adapter or teacher.base), "--teacher") if teacher else None
    return estimate_run(config, Models(student, shape), Machine(world_size, 2**63)).gpu - GPU_RESERVED
