"""The paper's Tables 2 to 7 out of grouped runs, and the table of all runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from kid.evaluation.report.rows import (
    Group,
    Metric,
    Row,
    averages,
    blocks,
    common_metrics,
    compared_rows,
    main_column,
    metrics_of,
    relative_latency,
    spread,
)
from kid.evaluation.report.runs import COLUMNS, Run, is_number, short_name

TIMES = "\u00d7"
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass
class Table:
    """A table as text: `**…**` around a cell makes it bold, a row that is one str is a heading over those below it.

    left: how many of the first columns hold words; the others hold numbers.
    """

    title: str
    caption: str
    header: list[str]
    rows: list[list[str] | str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: int = 1

    def mark(self, note: str) -> str:
        """The superscript that leads to a footnote; the same note has the same one."""
        if note not in self.notes:
            self.notes.append(note)
        return superscript(self.notes.index(note) + 1)

    def numbered_notes(self) -> list[str]:
        """The footnotes as they stand below the table, each after its mark."""
        return [f"{superscript(number)} {note}" for number, note in enumerate(self.notes, start=1)]


def superscript(number: int) -> str:
    return str(number).translate(SUPERSCRIPTS)


def embolden_best(rows: Sequence[list[str]], values: Sequence[Sequence[float | None]]) -> None:
    """Set each column's highest value in bold: highest to one decimal, as it is read; ties are all highest.

    Args:
        rows: the cells, one list a row; changed in place.
        values: for each row, the number of each cell, or None.
    """
    for place, column in enumerate(zip(*values, strict=True)):
        rounded = [None if value is None else round(value, 1) for value in column]
        known = [value for value in rounded if value is not None]
        for cells, value in zip(rows, rounded, strict=True):
            if len(known) > 1 and value == max(known):
                cells[place] = f"**{cells[place]}**"


def mean(values: Sequence[float]) -> float | None:
    return statistics.mean(values) if values else None


def signed(difference: float) -> str:
    """With its sign and one decimal; nothing is ever -0.0."""
    return f"{round(difference, 1) + 0.0:+.1f}"


def heading(metric: Metric) -> str:
    column, kind = metric
    return f"{COLUMNS[column]} {kind.upper()}"


def divergence_table(group: Group) -> Table | None:
    """Table 2: EX of the methods there were before KID, a column per teacher."""
    rows = [row for rows in group.methods.values() for row in rows if row.method not in ("sft", "kid")]
    column, labels = main_column(rows), dict.fromkeys(row.label for row in rows)
    if column is None or len(labels) < 2:
        return None
    teachers = list(group.methods)
    found = {(row.label, row.teacher): row.values((column, "ex")) for row in rows}
    values = [[found.get((label, teacher), []) for teacher in teachers] for label in labels]
    cells = [[spread(one) for one in row] for row in values]
    embolden_best(cells, [[mean(one) for one in row] for row in values])
    return Table(
        f"Table 2: {group.student} by existing methods",
        f"EX in percent on {COLUMNS[column]}; a column per teacher, its best in bold.",
        ["method", *teachers],
        [[label, *row] for label, row in zip(labels, cells, strict=True)],
    )


def main_table(number: int, group: Group, teachers: Sequence[str]) -> Table | None:
    """Tables 3, 4 and 6: latency, EX, TS, their average, and the gain over SFT, in a block per teacher."""
    compared = compared_rows(group, teachers)
    everyone = compared + [group.teachers[teacher] for teacher in teachers if teacher in group.teachers]
    # Of columns that SFT alone has there is nothing to compare.
    metrics = metrics_of(row for row in everyone if row is not group.sft) or metrics_of(everyone)
    common = common_metrics(compared)
    if not metrics:
        return None
    if common:
        names = ", ".join(map(heading, common))
        caption = f"Avg. is the mean of what all rows (but a teacher's) have: {names}. \u0394: Avg. less that of SFT."
    else:
        caption = "No column is filled in all rows, so there is no Avg."
    caption += "" if group.sft else f" There is no SFT run of {group.student} to compare with."
    table = Table(
        f"Table {number}: {group.student}" + (" from a 32B teacher" if number == 6 else " by method and benchmark"),
        f"Percent; seconds per step relative to SFT. {caption} Best of each block in bold.",
        ["method", "latency", *map(heading, metrics), "Avg.", "\u0394"],
    )
    reference = mean(averages(group.sft, common)) if group.sft else None

    def line(row: Row, label: str) -> tuple[list[str], list[float | None]]:
        """A row's cells, and the numbers of those that may be in bold."""
        average = averages(row, common)
        scores = [row.values(metric) for metric in metrics]
        gain = "-" if row is group.sft or reference is None or not average else signed(mean(average) - reference)
        latency = latency_cell(row, group.sft, table)  # first: footnotes are numbered as they are read
        marks = [seeds_mark(row, metric, table) for metric in metrics]
        shown = [spread(values) + mark for values, mark in zip(scores, marks, strict=True)]
        cells = [label, latency, *shown, spread(average), gain]
        return cells, [*map(mean, scores), mean(average)]

    if group.sft:
        table.rows.append(line(group.sft, group.sft.label)[0])
    for teacher in teachers:
        table.rows.append(f"Teacher: {teacher}")
        if teacher in group.teachers:
            table.rows.append(line(group.teachers[teacher], "Teacher")[0])
        lines = [line(row, row.label) for row in group.main_rows(teacher)]
        scored = [cells[2:-1] for cells, _ in lines]
        embolden_best(scored, [values for _, values in lines])
        table.rows += [[*cells[:2], *best, cells[-1]] for (cells, _), best in zip(lines, scored, strict=True)]
    return table


def seeds_mark(row: Row, metric: Metric, table: Table) -> str:
    """A footnote where a cell lacks some of the row's seeds; Avg. is then of those that have all, if any does."""
    there, seeds = row.by_seed(metric), {run.config.seed for run in row.runs}
    if not there or len(there) == len(seeds):
        return ""
    return table.mark(f"Of {len(there)} of {len(seeds)} seeds: {', '.join(map(str, sorted(there)))}.")


def latency_cell(row: Row, sft: Row | None, table: Table) -> str:
    """Relative latency, with a footnote for every run that does not count towards it."""
    latency, reasons = relative_latency(row, sft)
    marks = " ".join(table.mark(f"Latency not compared: {reason}.") for reason in reasons)
    return ("-" if latency is None else f"{latency:.1f}{TIMES}") + marks


def rewriting_table(groups: Sequence[Group]) -> Table | None:
    """Table 5: KID without rewriting, with the mask tokens left in, and in full; a column per student and teacher."""
    table = Table("Table 5: rewriting", "", ["method"], [["SFT"], ["vanilla KID"], ["masking only"], ["rewriting"]])
    where = []
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
                mark = table.mark("RKD, which KID without rewriting equals.") if vanilla else ""
            values = [row.values((column, "ex")) if row else [] for row in (group.sft, vanilla, masked, full)]
            cells = [[spread(one)] for one in values]
            if values[1]:
                for place in (2, 3):
                    cells[place][0] += f" ({signed(mean(values[place]) - mean(values[1]))})" if values[place] else ""
                cells[1][0] += mark
            embolden_best(cells, [[mean(one)] for one in values])
            where.append(COLUMNS[column])
            table.header.append(f"{group.student} from {teacher}")
            for line, cell in zip(table.rows, cells, strict=True):
                line += cell
    columns = ", ".join(dict.fromkeys(where))
    table.caption = f"EX in percent on {columns}; in brackets the gain over vanilla KID, which is not rewritten at all."
    return table if where else None


def mismatch_table(group: Group) -> Table | None:
    """Table 7: excess accumulated error, which measures the mismatch of training and inference, beside EX."""
    table = Table(
        f"Table 7: mismatch of training and inference, {group.student}",
        "ExAccErr in percent, lower is better: over the first 16 tokens with its 95 % interval, and over the whole "
        "length. EX in percent on the run's own dev questions. A row per run.",
        ["method", "benchmark", "seed", "ExAccErr, 16", "interval", "ExAccErr, all", "EX"],
        left=2,
    )
    blocks = {"": [group.sft] if group.sft else []} | group.methods
    for teacher, rows in blocks.items():
        measured = [(row, run) for row in rows for run in row.runs if run.exposure]
        if measured and teacher:
            table.rows.append(f"Teacher: {teacher}")
        for row, run in measured:
            low_and_high = [number for number in run.exposure.get("interval_16") or () if is_number(number)]
            shown = " to ".join(f"{number:.1f}" for number in low_and_high) or "-"
            errors = [run.exposure.get(f"ex_acc_err_{length}") for length in (16, "full")]
            first, full = (f"{error:.1f}" if is_number(error) else "-" for error in errors)
            score = run.scores.get(run.dev)
            ex = "-" if score is None else f"{score.ex:.1f}"
            table.rows.append([row.label, COLUMNS[run.dev], str(run.config.seed), first, shown, full, ex])
    return table if table.rows else None


def runs_table(runs: Sequence[Run]) -> Table:
    """Every run with what its numbers depend on, so that each number of the report can be traced."""
    table = Table(
        "All runs",
        "EX in percent by split, as in the run's scores/. Seconds: median of a step.",
        ["run", "method", "student", "teacher", "benchmark", "hardware", "steps", "seed", "seconds", "EX"],
        left=6,
    )
    for run in runs:
        config = run.config
        variant = "".join(f", {key.replace('_', ' ')} {value}" for key, value in run.variant)
        benchmark = config.benchmark + {None: "", True: ", evidence", False: ", no evidence"}[run.home[1]]
        ranks = "" if run.ranks is None else f"; {run.ranks} ranks"
        exs = [f"{column[1]} {score.ex:.1f}" for column, score in run.scores.items()]
        table.rows.append(
            [
                str(run.folder),
                config.method + variant,
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


def paper_tables(groups: Sequence[Group]) -> dict[int, list[Table]]:
    """Number in the paper -> the tables there is something in, one a student but for Table 5."""
    mains: dict[int, list[Table | None]] = {3: [], 4: [], 6: []}
    for group in groups:
        for number, teachers in blocks(group).items():
            mains[number].append(main_table(number, group, teachers))
    everything = {
        2: [divergence_table(group) for group in groups],
        3: mains[3],
        4: mains[4],
        5: [rewriting_table(groups)],
        6: mains[6],
        7: [mismatch_table(group) for group in groups],
    }
    return {number: [table for table in tables if table] for number, tables in everything.items()}
