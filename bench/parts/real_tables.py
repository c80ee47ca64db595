"""The tables of make real: its runs by method and seed, with the paper's numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from kid.report.rows import METHOD_LABELS, Row, relative_latency
from kid.report.runs import Run
from kid.report.tables import TIMES
from kid.report.text import format_mean, markdown_table, standard_error

SPLIT_TITLES = {"dev": "dev", "dk": "DK", "realistic": "Realistic", "syn": "Syn"}
DEV = ("spider", "dev", None)
# The paper's Table 3, Qwen1.5-0.5B from 1.8B: latency, then EX and TS of dev, DK, Realistic, Syn.
PAPER = {
    "teacher": (1.5, 67.3, 66.3, 54.6, 52.3, 62.0, 60.8, 52.7, 52.6),
    "sft": (1.0, 57.8, 56.4, 44.8, 46.5, 50.6, 47.6, 44.2, 43.7),
    "fkd": (2.1, 57.3, 56.5, 43.7, 41.7, 50.2, 48.0, 43.7, 43.3),
    "rkd": (2.0, 62.7, 61.5, 50.8, 49.2, 51.2, 49.6, 48.7, 48.3),
    "f-distill": (6.0, 57.6, 56.3, 45.0, 43.2, 52.6, 51.0, 43.4, 43.0),
    "imitkd": (5.9, 58.3, 57.2, 46.2, 44.1, 52.4, 50.8, 44.1, 43.3),
    "gkd-rkl": (10.9, 62.9, 61.6, 49.9, 47.9, 50.6, 48.6, 48.6, 48.1),
    "kid": (2.0, 63.7, 63.1, 47.6, 45.4, 53.0, 51.4, 47.5, 47.0),
}

Rows = dict[str, tuple[str, Row]]  # "teacher", "base" or a method -> (its label, its runs)


def rows_of(runs: Sequence[Run]) -> Rows:
    """Group the runs of make real by their folders: teacher, student before distilling, and each method's seeds."""
    folders = {run.folder.name: [run] for run in runs}
    named = {
        "teacher": ("teacher", folders["teacher"]),
        "base": ("student before distilling", folders["healed"]),
    }
    students = [run for run in runs if run.folder.parent.name == "students"]
    for method, label in METHOD_LABELS.items():
        found = [run for run in students if run.config.method == method]
        if found:
            named[method] = (label, found)
    return {name: (label, Row("", "", name, (), tuple(found))) for name, (label, found) in named.items()}


def methods_of(rows: Rows) -> dict[str, Row]:
    """The rows of methods only."""
    return {name: row for name, (_, row) in rows.items() if name in METHOD_LABELS}


def cells(row: Row, kinds: Sequence[str] = ("ex", "ts")) -> list[str]:
    return [format_mean(row.values((("spider", split, None), kind))) for split in SPLIT_TITLES for kind in kinds]


def latency(name: str, rows: Rows) -> str:
    """Seconds per step relative to sft; a dash if the row is not a method or was trained with other settings."""
    methods = methods_of(rows)
    found = relative_latency(methods[name], methods.get("sft"))[0] if name in methods else None
    return "-" if found is None else f"{found:.1f}{TIMES}"


def main_table(rows: Rows) -> str:
    """Markdown: our numbers, each followed by the paper's."""
    header = ["", "latency", *(f"{title} {kind}" for title in SPLIT_TITLES.values() for kind in ("EX", "TS"))]
    lines = []
    for name, (label, row) in rows.items():
        lines.append([label, latency(name, rows), *cells(row)])
        if name in PAPER:
            times, *scores = PAPER[name]
            lines.append(["*in the paper*", f"*{times:.1f}{TIMES}*", *(f"*{score:.1f}*" for score in scores)])
    return markdown_table(header, lines)


def error_on_dev(rows: Rows) -> tuple[int, float]:
    """(number of dev questions, standard error of an EX on them that equals the mean of the students' EX)."""
    scores = [score for row in methods_of(rows).values() for score in row.scores(DEV).values()]
    return scores[0].n, standard_error([(statistics.mean(score.ex for score in scores), scores[0].n)])


def results_of(rows: Rows) -> dict[str, list[dict]]:
    """Method -> results for `claims.claims_table`, one for each seed that all methods have."""
    methods = methods_of(rows)
    seeds = set.intersection(*({run.config.seed for run in row.runs} for row in methods.values()))
    return {
        name: [
            {
                "right": "".join(str(int(verdict["ex"])) for verdict in run.scores[DEV].verdicts),
                "seconds": run.seconds,
                "ex_acc_err": run.exposure["ex_acc_err_full"],
            }
            for run in row.runs
            if run.config.seed in seeds
        ]
        for name, row in methods.items()
    }
