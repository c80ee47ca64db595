"""Which model a path or hub id means, and a name for it: the shortest part of its path that is unambiguous."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

MODEL_FOLDERS = ("adapter", "adapters", "model", "models")  # in a run: the final model, and its checkpoints (…/step-N)


def run_folder(model: str) -> Path:
    """A model's path or hub id without a trailing adapter/, model/ or step-N: the run that made it, if any."""
    path = Path(model)
    while path.parent.name and (path.name in MODEL_FOLDERS or path.name.startswith("step-")):
        path = path.parent
    return path


def canonical_model(model: str) -> str:
    """The resolved run_folder of a model: equal for all spellings of one model."""
    return os.path.realpath(run_folder(model))


def short_name(model: str) -> str:
    """The last part of a model's run_folder."""
    return run_folder(model).name


def last_parts(model: str, count: int) -> str:
    return "/".join(Path(os.path.abspath(run_folder(model))).parts[-count:])


def model_names(used: Iterable[tuple[tuple, str]]) -> dict[str, str]:
    """A name for each model: the last part of its run_folder, or as many parts as distinguish it from its namesakes.

    Two models of the same name that are never used on the same benchmark count as one: in the paper's tables a teacher
    fine-tuned on Spider shares a row with the same teacher fine-tuned on BIRD.

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
    """Whether names of `count` parts are the same for two models of one benchmark."""
    known: dict[tuple, str] = {}
    return any(
        known.setdefault((benchmark_key, last_parts(model, count).lower()), canonical_model(model))
        != canonical_model(model)
        for benchmark_key, model in used
    )
