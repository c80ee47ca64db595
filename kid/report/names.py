"""Identify the model of a path or hub id, and name it by the shortest unambiguous part of its path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

MODEL_FOLDERS = ("adapter", "adapters", "model", "models")  # in a run: the final model, and the saved ones (…/step-N)


def run_folder(model: str) -> Path:
    """Return a model's path or hub id without a trailing adapter/, model/ or step-N: the run that trained it, if so."""
    path = Path(model)
    while path.parent.name and (path.name in MODEL_FOLDERS or path.name.startswith("step-")):
        path = path.parent
    return path


def canonical_model(model: str) -> str:
    """Return the resolved run_folder of a model, which is equal for all spellings of the same model."""
    return os.path.realpath(run_folder(model))


def short_name(model: str) -> str:
    """Return the last part of a model's run_folder."""
    return run_folder(model).name


def last_parts(model: str, count: int) -> str:
    return "/".join(Path(os.path.abspath(run_folder(model))).parts[-count:])


def model_names(used: Iterable[tuple[tuple, str]]) -> dict[str, str]:
    """Name each model by the last part of its run_folder, or by more parts if others have the same name.

    Two models with the same name that are never used on the same benchmark count as one: in the paper's tables, a
    teacher fine-tuned on Spider shares a row with the same teacher fine-tuned on BIRD.

    Args:
        used: (the benchmark, as in `Run.benchmark_key`; path or hub id).

    Returns:
        Path or hub id as given -> name.
    """
    used = list(dict.fromkeys(used))
    names = {}
    for _, model in used:
        same_name = [
            (benchmark_key, other)
            for benchmark_key, other in used
            if short_name(other).lower() == short_name(model).lower()
        ]
        most = max(len(Path(os.path.abspath(run_folder(other))).parts) for _, other in same_name)
        names[model] = last_parts(model, next((n for n in range(1, most) if not is_ambiguous(same_name, n)), most))
    return names


def is_ambiguous(used: Sequence[tuple[tuple, str]], count: int) -> bool:
    """Whether names of `count` parts are equal for two models of one benchmark."""
    known: dict[tuple, str] = {}
    return any(
        known.setdefault((benchmark_key, last_parts(model, count).lower()), canonical_model(model))
        != canonical_model(model)
        for benchmark_key, model in used
    )
