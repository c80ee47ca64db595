"""Suggest settings that make a run fit in memory; each suggestion is checked by planning it first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kid.config.keys import as_flags, unused_reason
from kid.config.run_config import RunConfig
from kid.planning.plan import Machine, Models, estimate_run

# Settings that need less memory, tried in this order: each alone, then added to the previous ones. A file name means
# the file of that name in the folder of the current file.
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
    """Flags of the first of `candidate_configs` that fits in memory; None if none does. Raises like `estimate_run`."""
    for changed in candidate_configs(config):
        if estimate_run(changed, models, machine).first_excess(machine) is None:
            return changed_flags(config, changed)
    return None


def candidate_configs(config: RunConfig) -> list[RunConfig]:
    """The configuration with each of the CURES that changes it, then with the first two of them, three, and so on."""
    alone, together = [], [config]
    for cure in CURES:
        settings = {name: new_value(getattr(config, name), value) for name, value in cure.items()}
        if None in settings.values() or any(unused_reason(name, config) for name in settings):
            continue
        alone.append(replace(config, **settings))
        together.append(replace(together[-1], **settings))
    found = dict.fromkeys([*alone, *together])
    # kid.config.recipe rejects a run with both.
    return [c for c in found if c != config and not (c.prefix and c.activation_checkpointing)]


def new_value(current, value):
    """The value that a cure gives a setting: the path of an existing file (else None), or a number that never grows."""
    if isinstance(value, str) and value.endswith(".json"):
        path = Path(current).with_name(value)
        return str(path) if path.is_file() else None
    return value if isinstance(value, str | bool) else min(current, value)


def changed_flags(config: RunConfig, changed: RunConfig) -> str:
    """The flags that turn `config` into `changed`."""
    values = {name: value for name, value in vars(changed).items() if value != getattr(config, name)}
    return " ".join(word for name, value in values.items() for word in as_flags(name, value))
