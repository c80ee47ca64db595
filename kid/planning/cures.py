"""What makes a run fit that does not: settings of the run's own flags, planned before they are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kid.config.methods import METHODS
from kid.config.run_config import RunConfig
from kid.planning.plan import Machine, Models, predict

# Settings that take less; tried in this order, each alone and then on top of those before. A file's name stands for the
# file of that name beside the one in use.
CURES: tuple[dict[str, str | int | bool], ...] = (
    {"teacher_deepspeed": "teacher_zero3.json"},
    {"deepspeed": "student_zero3.json"},
    {"fused": True},
    {"batching": "schema", "prefix": True},
    {"micro_batch_size": 1},
    {"logit_memory_mb": 256},
    {"prefix": False, "activation_checkpointing": True},
    {"teacher_deepspeed": "teacher_zero3_offload.json"},
)


def find_cure(config: RunConfig, models: Models, machine: Machine) -> str | None:
    """Flags for the first of `cured` that makes the method fit; None: none does. Raises as `predict`."""
    for changed in cured(config):
        if predict(changed, models, machine).first_over(machine) is None:
            return as_flags(config, changed)
    return None


def cured(config: RunConfig) -> list[RunConfig]:
    """The configuration under each of CURES that changes it, then under more and more of them together."""
    alone, together = [], [config]
    for cure in CURES:
        settings = {name: instead_of(getattr(config, name), value) for name, value in cure.items()}
        if None in settings.values() or ("teacher_deepspeed" in settings and not METHODS[config.method].needs_teacher):
            continue
        alone.append(replace(config, **settings))
        together.append(replace(together[-1], **settings))
    found = dict.fromkeys([*alone, *together])
    # A run that has both is refused (kid.config.recipe).
    return [c for c in found if c != config and not (c.prefix and c.activation_checkpointing)]


def instead_of(current, value):
    """What a cure puts in a setting's place: a file's path, None if there is none; a number no larger than before."""
    if isinstance(value, str) and value.endswith(".json"):
        path = Path(current).with_name(value)
        return str(path) if path.is_file() else None
    return value if isinstance(value, str | bool) else min(current, value)


def as_flags(config: RunConfig, changed: RunConfig) -> str:
    """The flags that make the second of the first."""
    found = []
    for name, value in vars(changed).items():
        if value != getattr(config, name):
            found.append(f"--{name.replace('_', '-')}")
            if not (value is True and RunConfig.__dataclass_fields__[name].default is False):  # as in train/cli.py
                found.append(("off", "on")[value] if isinstance(value, bool) else str(value))
    return " ".join(found)
