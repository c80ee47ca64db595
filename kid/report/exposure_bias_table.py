"""The paper's Table 7: exposure bias next to EX."""

from __future__ import annotations

from kid.report.groups import Group
from kid.report.names import canonical_model, short_name
from kid.report.rows import Row
from kid.report.runs import Run
from kid.report.score_files import SCORE_COLUMNS, is_number
from kid.report.tables import Table
from kid.report.text import one_decimal

MEASUREMENT_KEYS = (
    "prompts",
    "samples",
    "max_completion_length",
)  # comparable measurements must have the same values of these


def mismatch_table(group: Group) -> Table | None:
    """Create Table 7: excess accumulated error, a measure of the mismatch of training and inference, next to EX."""
    table = Table(
        f"Exposure bias of {group.student}",
        "ExAccErr (excess accumulated error): by how many percent a student's errors on its own outputs exceed those "
        "on its teacher's outputs, lower is better; over the first 16 tokens with its 95 % interval over the prompts, "
        "and over the whole length. EX in percent on the run's own dev questions. One row per run.",
        ["method", "benchmark", "seed", "prompts", "ExAccErr, 16", "interval", "ExAccErr, all", "EX"],
        left=2,
    )
    shown_runs = []
    for teacher, measured in runs_by_teacher(group).items():
        table.rows.append(f"Teacher: {teacher}")
        for row, run in measured:
            shown_runs.append(run)
            table.rows.append(exposure_cells(row, run))
    for benchmark_key in dict.fromkeys(run.benchmark_key for run in shown_runs):
        figures = [run.exposure for run in shown_runs if run.benchmark_key == benchmark_key]
        for key in MEASUREMENT_KEYS:
            values = {str(exposure.get(key, "unknown")) for exposure in figures}
            if len(values) > 1:
                split_name = SCORE_COLUMNS[
                    next(run.dev_column for run in shown_runs if run.benchmark_key == benchmark_key)
                ]
                words = key.replace("_", " ")
                table.footnote_mark(
                    f"{split_name}: rows differ in {words} ({' and '.join(sorted(values))}); compare them with care."
                )
    return table if table.rows else None


def runs_by_teacher(group: Group) -> dict[str, list[tuple[Row, Run]]]:
    """Return name of a teacher -> the runs measured against it, including baselines."""
    names = {
        canonical_model(run.config.teacher): teacher
        for teacher, rows in group.methods.items()
        for row in rows
        for run in row.runs
    }
    found: dict[str, list[tuple[Row, Run]]] = {}
    for row in group.rows():
        for run in row.runs:
            if run.exposure:
                measured_against = run.exposure["teacher"]
                name = names.get(canonical_model(measured_against), short_name(measured_against).lower())
                found.setdefault(name, []).append((row, run))
    return found


def exposure_cells(row: Row, run: Run) -> list[str]:
    exposure, score = run.exposure, run.scores.get(run.dev_column)
    interval = " to ".join(one_decimal(number) for number in exposure["interval_16"] if is_number(number))
    full = exposure.get("ex_acc_err_full")
    return [
        row.label,
        SCORE_COLUMNS[run.dev_column],
        str(run.config.seed),
        str(exposure["prompts"]),
        one_decimal(exposure["ex_acc_err_16"]),
        interval or "-",
        one_decimal(full) if is_number(full) else "-",
        one_decimal(score.ex) if score and row.is_comparable(score) else "-",
    ]
