"""Which model a path or hub id means, and what to call it: by as little of its path as tells it from the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

EXPORTS = ("adapter", "adapters", "model", "models")  # of a run: its result, and those on the way (…/step-N)


def run_folder(model: str) -> Path:
    """A model's path or hub id without the adapter/, model/ or step-N at its end: the run that made it, if one did."""
    path = Path(model)
    while path.parent.name and (path.name in EXPORTS or path.name.startswith("step-")):
        path = path.parent
    return path


def identity(model: str) -> str:
    """The same for two spellings of one model: its run_folder, resolved."""
    return os.path.realpath(run_folder(model))


def short_name(model: str) -> str:
    """The last part of a model's run_folder."""
    return run_folder(model).name


def last_parts(model: str, count: int) -> str:
    return "/".join(Path(os.path.abspath(run_folder(model))).parts[-count:])


def model_names(used: Iterable[tuple[tuple, str]]) -> dict[str, str]:
    """A name for each model: the last part of its run_folder, or as many parts as tell it from others of that name.

    Two models of one name that no benchmark has both of stay one: the paper's tables have a teacher fine-tuned on
    Spider and the same fine-tuned on BIRD in one row.

    Args:
        used: (the benchmark, as `Run.home` has it; path or hub id).

    Returns:
        Path or hub id, as it was given -> name.
    """
    used = list(dict.fromkeys(used))
    names = {}
    for _, model in used:
        alike = [(home, other) for home, other in used if short_name(other).lower() == short_name(model).lower()]
        most = max(len(Path(os.path.abspath(run_folder(other))).parts) for _, other in alike)
        names[model] = last_parts(model, next((n for n in range(1, most) if not mixed_up(alike, n)), most))
    return names


def mixed_up(used: Sequence[tuple[tuple, str]], count: int) -> bool:
    """Whether so many parts give two models of one benchmark the same name."""
    known: dict[tuple, str] = {}
    return any(
        known.setdefault((home, last_parts(model, count).lower()), identity(model)) != identity(model)
        for home, model in used
    )
