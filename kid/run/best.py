"""The best student so far: the best evaluation, best/ and best.json, and early stopping."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kid.config.run_config import MEASURES, RunConfig
from kid.config.trained import BEST_FILE
from kid.files import write_atomically

LINK = "best"


class Best(NamedTuple):
    """The best evaluation; ties go to the first. since: the number of evaluations after it."""

    step: int
    value: float
    since: int


def find_best(rows: Sequence[dict], measure: str) -> Best | None:
    """Find the best evaluation in the lines of metrics.jsonl; None if there is no evaluation.

    Args:
        measure: a key of `kid.config.run_config.MEASURES`, which is also its key in lines with an evaluation.
    """
    sign = 1 if MEASURES[measure].higher_is_better else -1
    found = [row for row in rows if measure in row]
    if not found:
        return None
    place = max(range(len(found)), key=lambda place: (sign * found[place][measure], -place))
    return Best(found[place]["step"], found[place][measure], len(found) - 1 - place)


def ends_early(config: RunConfig, rows: Sequence[dict]) -> bool:
    """Whether a run with these lines of metrics must stop, because --patience evaluations brought no improvement."""
    best = find_best(rows, config.keep_best) if config.keep_best and config.patience else None
    return bool(best and best.since >= config.patience)


def link_best(config: RunConfig, run: Path, rows: Sequence[dict]) -> None:
    """Update best/ and best.json to the best evaluation in these lines; remove both without one. Called on rank 0.

    The export of that step must exist. Exports are never removed, so a run resumed from before its best step can point
    to an earlier one again.
    """
    best = find_best(rows, config.keep_best) if config.keep_best else None
    link, record = run / LINK, run / BEST_FILE
    if best is None:
        for path in (link, record) if config.keep_best else ():
            path.unlink(missing_ok=True)
        return
    target = Path(f"{config.export_kind}s") / f"step-{best.step}"
    if not (link.is_symlink() and Path(os.readlink(link)) == target):
        partial = run / f"{LINK}.tmp"
        partial.unlink(missing_ok=True)
        partial.symlink_to(target)
        partial.replace(link)
    content = {"step": best.step, config.keep_best: best.value, "folder": str(target)}
    write_atomically(record, json.dumps(content) + "\n")
