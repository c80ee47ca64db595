"""The paper's Table 7: exposure bias beside EX."""

from __future__ import annotations

from kid.report.groups import Group
from kid.report.names import identity, short_name
from kid.report.rows import Row
from kid.report.runs import Run
from kid.report.score_files import COLUMNS, is_number
from kid.report.tables import Table
from kid.report.text import fixed

HOW = ("prompts", "samples", "max_completion_length")  # figures that differ in these are not of one measurement


def mismatch_table(group: Group) -> Table | None:
    """Table 7: excess accumulated error, which measures the mismatch of training and inference, beside EX."""
    table = Table(
        f"Table 7: mismatch of training and inference, {group.student}",
        "ExAccErr in percent, lower is better: over the first 16 tokens with its 95 % interval over the prompts, and "
        "over the whole length. EX in percent on the run's own dev questions. A row per run.",
        ["method", "benchmark", "seed", "prompts", "ExAccErr, 16", "interval", "ExAccErr, all", "EX"],
        left=2,
    )
    shown = []
    for teacher, measured in by_teacher(group).items():
        table.rows.append(f"Teacher: {teacher}")
        for row, run in measured:
            shown.append(run)
            table.rows.append(cells(row, run))
    for home in dict.fromkeys(run.home for run in shown):
        figures = [run.exposure for run in shown if run.home == home]
        for key in HOW:
            values = {str(one.get(key, "unknown")) for one in figures}
            if len(values) > 1:
                where = COLUMNS[next(run.dev for run in shown if run.home == home)]
                words = key.replace("_", " ")
                table.mark(f"{where}: rows differ in {words} ({' and '.join(sorted(values))}); compare with care.")
    return table if table.rows else None


def by_teacher(group: Group) -> dict[str, list[tuple[Row, Run]]]:
    """Name of a teacher -> the runs measured against it; a baseline's by the teacher it was measured against."""
    names = {
        identity(run.config.teacher): teacher
        for teacher, rows in group.methods.items()
        for row in rows
        for run in row.runs
    }
    found: dict[str, list[tuple[Row, Run]]] = {}
    for row in group.rows():
        for run in row.runs:
            if run.exposure:
                measured_against = run.exposure["teacher"]
                name = names.get(identity(measured_against), short_name(measured_against).lower())
                found.setdefault(name, []).append((row, run))
    return found


def cells(row: Row, run: Run) -> list[str]:
    exposure, score = run.exposure, run.scores.get(run.dev)
    interval = " to ".join(fixed(number) for number in exposure["interval_16"] if is_number(number))
    full = exposure.get("ex_acc_err_full")
    return [
        row.label,
        COLUMNS[run.dev],
        str(run.config.seed),
        str(exposure["prompts"]),
        fixed(exposure["ex_acc_err_16"]),
        interval or "-",
        fixed(full) if is_number(full) else "-",
        fixed(score.ex) if score and row.fits(score) else "-",
    ]
