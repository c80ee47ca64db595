"""Create the paper's Tables 2 to 6 from grouped runs, and the table of all runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kid.report.groups import Group, compared_rows
from kid.report.names import short_name
from kid.report.rows import (
    Metric,
    Row,
    average,
    common_metrics,
    main_column,
    metrics_of,
    relative_latency,
)
from kid.report.runs import Run
from kid.report.score_files import SCORE_COLUMNS
from kid.report.settings import describe_settings, variant
from kid.report.text import format_mean, pluralize, plus_minus, signed

TIMES = "\u00d7"
UNTOUCHED = 0  # the step of the student before training
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass
class Table:
    """A table as text: `**…**` around a cell makes it bold; a row that is a str is a heading of the rows below it.

    left: number of leading columns with text; the others have numbers.
    """

    title: str
    caption: str
    header: list[str]
    rows: list[list[str] | str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: int = 1

    def footnote_mark(self, note: str) -> str:
        """Return the superscript of a footnote, which is added if it is new; equal notes share one."""
        if note not in self.notes:
            self.notes.append(note)
        return superscript(self.notes.index(note) + 1)

    def numbered_notes(self) -> list[str]:
        """Return the footnotes below the table, each after its mark."""
        return [f"{superscript(number)} {note}" for number, note in enumerate(self.notes, start=1)]


def superscript(number: int) -> str:
    return str(number).translate(SUPERSCRIPTS)


def embolden_best(rows: Sequence[list[str]], values: Sequence[Sequence[float | None]]) -> None:
    """Make the highest value of each column bold, comparing one decimal as shown; all ties are bold.

    Args:
        rows: the cells, one list per row; changed in place.
        values: for each row, the number in each cell, or None.
    """
    for index, column in enumerate(zip(*values, strict=True)):
        rounded = [None if value is None else round(value, 1) for value in column]
        known = [value for value in rounded if value is not None]
        for cells, value in zip(rows, rounded, strict=True):
            if len(known) > 1 and value == max(known):
                cells[index] = f"**{cells[index]}**"


def mean(values: Sequence[float]) -> float | None:
    return statistics.mean(values) if values else None


def metric_heading(metric: Metric) -> str:
    column, kind = metric
    return f"{SCORE_COLUMNS[column]} {kind.upper()}"


def divergence_table(group: Group) -> Table | None:
    """Create Table 2: EX of the methods that predate KID, one column per teacher."""
    rows = [row for rows in group.methods.values() for row in rows if row.method not in ("sft", "kid")]
    column, labels = main_column(rows), dict.fromkeys(row.label for row in rows)
    if column is None or len(labels) < 2:
        return None
    teachers = list(group.methods)
    found = {(row.label, row.teacher): row.values((column, "ex")) for row in rows}
    values = [[found.get((label, teacher), []) for teacher in teachers] for label in labels]
    cells = [[format_mean(exs) for exs in row] for row in values]
    embolden_best(cells, [[mean(exs) for exs in row] for row in values])
    return Table(
        f"{group.student} by methods other than KID",
        f"EX in percent on {SCORE_COLUMNS[column]}; one column per teacher, its best value in bold.",
        ["method", *teachers],
        [[label, *row] for label, row in zip(labels, cells, strict=True)],
    )


def untouched_student(group: Group) -> Row | None:
    """Return the student before training, if `eval/evaluate.py --steps base` has scored it for one of its runs."""
    for row in group.rows():
        for run in row.runs:
            if UNTOUCHED in run.curve:
                runs = (replace(run, scores=run.curve[UNTOUCHED]),)
                return Row(group.student, "", "sft", (), runs, row.reference)
    return None


def main_table(number: int, group: Group, teachers: Sequence[str]) -> Table | None:
    """Create Tables 3, 4 and 6: latency, EX, TS, their average and the gain over SFT, with a block for each teacher."""
    compared = compared_rows(group, teachers)
    all_rows = compared + [group.teachers[teacher] for teacher in teachers if teacher in group.teachers]
    # Columns that only SFT has allow no comparison.
    metrics = metrics_of(row for row in all_rows if row is not group.sft) or metrics_of(all_rows)
    common = common_metrics(compared)
    if not metrics:
        return None
    if common:
        names = ", ".join(map(metric_heading, common))
        caption = f"Avg. is the mean of what all rows (except teachers) have: {names}. \u0394: Avg. minus that of SFT."
    else:
        caption = "No column is filled in all rows, so there is no Avg."
    caption += f" All runs to which this applies have {describe_settings(group.shared)}." if group.shared else ""
    caption += "" if group.sft else f" There is no SFT run of {group.student} to compare with."
    several = any(len(group.main_rows(teacher)) > 1 for teacher in teachers)
    caption += " The best method of each teacher is bold." if several else ""
    table = Table(
        group.student + (" from a 32B teacher" if number == 6 else " by method and benchmark"),
        f"Percent; seconds per step relative to SFT. {caption}",
        ["method", "latency", *map(metric_heading, metrics), "Avg.", "\u0394"],
    )
    reference, untouched = average(group.sft, common) if group.sft else None, untouched_student(group)

    def make_row(row: Row, label: str) -> tuple[list[str], list[float | None]]:
        """Return a row's cells, and the numbers of the cells that may become bold."""
        row_average = average(row, common)
        gain = "-" if row is group.sft or not reference or not row_average else signed(row_average[0] - reference[0])
        # Before the scores, so that footnotes are numbered in reading order.
        latency = "-" if row is untouched else latency_cell(row, group.sft, table)
        scores = [row.values(metric) for metric in metrics]
        marks = [score_marks(row, metric, table) for metric in metrics]
        shown = [format_mean(values) + mark for values, mark in zip(scores, marks, strict=True)]
        cells = [label, latency, *shown, plus_minus(*row_average) if row_average else "-", gain]
        return cells, [*map(mean, scores), row_average and row_average[0]]

    table.rows += [make_row(untouched, "before training")[0]] if untouched else []
    table.rows += [make_row(row, row.label)[0] for row in group.baselines()]
    for teacher in teachers:
        table.rows.append(f"Teacher: {teacher}")
        if teacher in group.teachers:
            table.rows.append(make_row(group.teachers[teacher], "Teacher")[0])
        lines = [make_row(row, row.label) for row in group.main_rows(teacher)]
        scored = [cells[2:-1] for cells, _ in lines]
        embolden_best(scored, [values for _, values in lines])
        table.rows += [[*cells[:2], *best, cells[-1]] for (cells, _), best in zip(lines, scored, strict=True)]
    return table


def score_marks(row: Row, metric: Metric, table: Table) -> str:
    """Return footnote marks of a cell that lacks some of the row's seeds or skips scores on other questions."""
    column, by_seed, marks = metric[0], row.by_seed(metric), []
    others = [
        run.scores[column] for run in row.runs if column in run.scores and not row.is_comparable(run.scores[column])
    ]
    for score in others:
        asked = f"{score.n}, not {row.reference[column].n}," if score.n != row.reference[column].n else "other"
        marks.append(table.footnote_mark(f"Skipped: scored on {asked} questions of {SCORE_COLUMNS[column]}."))
    seeds = {run.config.seed for run in row.runs}
    if by_seed and len(by_seed) < len(seeds):
        shown = ", ".join(map(str, sorted(by_seed)))
        marks.append(table.footnote_mark(f"Only {len(by_seed)} of {pluralize(len(seeds), 'seed')}: {shown}."))
    return " ".join(dict.fromkeys(marks))


def latency_cell(row: Row, sft: Row | None, table: Table) -> str:
    """Write the relative latency, with a footnote for every run that does not count."""
    latency, reasons = relative_latency(row, sft)
    marks = " ".join(table.footnote_mark(f"Latency not compared: {reason}.") for reason in reasons)
    return ("-" if latency is None else f"{latency:.1f}{TIMES}") + marks


def rewriting_table(groups: Sequence[Group]) -> Table | None:
    """Create Table 5: KID without rewriting, with masking only, and in full; one column per student and teacher."""
    body = [["SFT"], ["vanilla KID"], ["masking only"], ["rewriting"]]
    table = Table("KID with and without rewriting", "", ["method"], [*body])
    splits = []
    for group in groups:
        for teacher, rows in group.methods.items():
            full, masked, vanilla = (
                group.row(teacher, "kid", variant)
                for variant in ((), (("rewrite", "mask-only"),), (("rewrite", "none"),))
            )
            column = main_column(rows)
            if column is None or not full or not (masked or vanilla):
                continue
            mark = ""
            if not vanilla:
                vanilla = group.row(teacher, "rkd")
                mark = table.footnote_mark("RKD, which equals KID without rewriting.") if vanilla else ""
            values = [row.values((column, "ex")) if row else [] for row in (group.sft, vanilla, masked, full)]
            cells = [[format_mean(exs)] for exs in values]
            if values[1]:
                for index in (2, 3):
                    cells[index][0] += f" ({signed(mean(values[index]) - mean(values[1]))})" if values[index] else ""
                cells[1][0] += mark
            embolden_best(cells, [[mean(exs)] for exs in values])
            splits.append(SCORE_COLUMNS[column])
            table.header.append(f"{group.student} from {teacher}")
            for line, cell in zip(body, cells, strict=True):
                line += cell
    columns = ", ".join(dict.fromkeys(splits))
    table.caption = f"EX in percent on {columns}; in brackets the gain over vanilla KID, which rewrites nothing."
    return table if splits else None


def runs_table(runs: Sequence[Run]) -> Table:
    """Create a table of all runs with what their numbers depend on, so that all numbers of the report can be traced."""
    table = Table(
        "All runs",
        "EX in percent by split, from the run's scores/. Seconds: median per step.",
        ["run", "method", "student", "teacher", "benchmark", "hardware", "steps", "seed", "seconds", "EX"],
        left=6,
    )
    for run in runs:
        config = run.config
        changes = variant(config, {})
        benchmark = config.benchmark + {None: "", True: ", evidence", False: ", no evidence"}[run.benchmark_key[1]]
        ranks = "" if run.ranks is None else f"; {pluralize(run.ranks, 'rank')}"
        exs = [f"{column[1]} {score.ex:.1f}" for column, score in run.scores.items()]
        table.rows.append(
            [
                str(run.folder),
                config.method + (f", {describe_settings(changes)}" if changes else ""),
                short_name(config.student),
                short_name(config.teacher) or "-",
                benchmark,
                (run.hardware or "unknown") + ranks,
                f"{run.steps}" + ("" if run.finished else " so far"),
                str(config.seed),
                "-" if run.seconds is None else f"{run.seconds:.3g}",
                ", ".join(exs) or "-",
            ]
        )
    return table
