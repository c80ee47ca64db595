"""Build the sections of a report, in order, from loaded runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from kid.progress import progress_bar
from kid.report.curve_figures import loss_figure, steps_figure
from kid.report.examples import (
    choose_run,
    compared_runs,
    failure_blocks,
    hardness_table,
    scored_predictions,
    spaced_examples,
)
from kid.report.exposure_bias_table import mismatch_table
from kid.report.figures import (
    Figure,
    latency_figure,
    ratios_figure,
    strategies_figure,
    tradeoff_figure,
    undrawn_latency,
)
from kid.report.glossary import glossary
from kid.report.groups import Group, group_runs, teachers_by_table
from kid.report.missing import Gap, missing_measurements, to_resume
from kid.report.page import Block, Bullets, Commands, Section
from kid.report.paper import missing_results, numbered, reproduces_paper
from kid.report.runs import Run
from kid.report.score_files import SCORE_COLUMNS
from kid.report.significance import significance_table
from kid.report.tables import Table, divergence_table, main_table, rewriting_table, runs_table
from kid.report.text import one_line, pluralize

# Number in the paper -> function that draws the figure; 0: not in the paper.
FIGURES: dict[int, Callable[[Sequence[Group]], Figure | None]] = {
    1: tradeoff_figure,
    2: latency_figure,
    4: strategies_figure,
    5: ratios_figure,
    6: steps_figure,
    0: loss_figure,
}


def report_sections(runs: Sequence[Run], remarks: list[str], data: Path | None) -> list[Section]:
    """Return all sections that these runs can fill; adds what is unusual about them to `remarks`.

    Args:
        runs, remarks: as returned by `kid.report.runs.load_runs`.
        data: the benchmark's folder, for questions and gold queries in examples; None: show neither.
    """
    groups = group_runs(runs, remarks)
    tables = {number: found for number, found in paper_tables(groups).items() if found}
    figures: dict[int, Figure] = {}
    with progress_bar("drawing", "figure", len(FIGURES)) as bar:
        for number, make in FIGURES.items():
            if figure := make(groups):
                figures[number] = figure
            bar.update()
    lacking = []
    if reproduces_paper(runs):
        lacking = missing_results(tables, figures)
        tables = {number: [numbered(table, number) for table in found] for number, found in tables.items()}
        figures = {number: numbered(figure, number) if number else figure for number, figure in figures.items()}
    unfinished, gaps = to_resume(runs), missing_measurements(runs, groups)
    sections = [
        Section("Overview", overview(runs)),
        Section("Tables", list(chain.from_iterable(tables.values()))),
        Section("Figures", [*figures.values(), *undrawn_latency(groups)]),
        Section("Significance", [table for group in groups if (table := significance_table(group))]),
        *failure_sections(runs, groups, remarks, data),
        Section("Runs", [runs_table(runs)]),
        Section("Missing", missing_blocks(lacking, unfinished, gaps)),
    ]
    sections.append(Section("Remarks", [Bullets(list(dict.fromkeys(remarks)))] if remarks else []))
    return [section for section in sections if section.blocks]


def paper_tables(groups: Sequence[Group]) -> dict[int, list[Table]]:
    """Return number in the paper -> its non-empty tables: one per student, except for Table 5."""
    mains: dict[int, list[Table | None]] = {3: [], 4: [], 6: []}
    for group in groups:
        for number, teachers in teachers_by_table(group).items():
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


def overview(runs: Sequence[Run]) -> list[Block]:
    """Return the overview: the runs in the report, and its abbreviations."""
    seeds = ", ".join(str(seed) for seed in sorted({run.config.seed for run in runs}))
    scored = sum(bool(run.scores) for run in runs)
    said = f"Written by `eval/report.py` from {pluralize(len(runs), 'run')}, {scored} of them scored; seeds: {seeds}."
    return [said, Bullets(glossary(runs))]


def failure_sections(
    runs: Sequence[Run], groups: Sequence[Group], remarks: list[str], data: Path | None
) -> list[Section]:
    """Return the errors of the best KID run (or of the first run), and some of its predictions."""
    choice = choose_run(runs, data, remarks)
    if not choice:
        return []
    run, score = choice.run, choice.score
    table: list[Block] = [f"Run `{run.folder}`, seed {run.config.seed}: {choice.reason}.", hardness_table(run, score)]
    predictions = scored_predictions(score, remarks)
    if predictions:
        for name, examples in failure_blocks(choice, predictions):
            table += [f"Class **{name}**:", *examples]
    if predictions and not data:
        table.append("To show questions and gold queries, give `--data DIR`, the benchmark's folder.")
    shown = compared_runs(choice, groups)
    examples = spaced_examples(choice, shown, remarks)
    sections = [Section("Failures", table)]
    if examples:
        names = "; ".join(
            f"{label}: `{shown_run.folder}`, seed {shown_run.config.seed}" for label, shown_run in shown.items()
        )
        intro = f"Evenly spaced questions of {SCORE_COLUMNS[score.column]}; `ok`: correct, `--`: wrong. {names}."
        title = pluralize(len(examples), "prediction") + (" next to gold SQL" if choice.questions else "")
        sections.append(Section(title, [intro, *examples]))
    return sections


def missing_blocks(lacking: list[str], unfinished: list[str], gaps: list[Gap]) -> list[Block]:
    """Return what the report lacks, and the commands that create it."""
    found: list[Block] = []
    if lacking:
        found += ["Tables and figures of the paper without runs, and what they need:", Bullets(lacking)]
    if unfinished:
        found += ["Unfinished runs:", Bullets(unfinished)]
    if gaps:
        text = "Results that runs lack, with the commands that create them."
        if any("TEST_SUITE" in gap.command for gap in gaps):
            text += " Replace `TEST_SUITE` by the test suite of the other scores."
        found += [text, Commands([line for gap in gaps for line in (f"# {one_line(gap.what)}", gap.command)])]
    return found
