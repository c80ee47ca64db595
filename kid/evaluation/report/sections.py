"""The sections of a report, in order, out of runs that were read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from kid.evaluation.report.examples import (
    beside_gold,
    chosen_run,
    failure_blocks,
    hardness_table,
    read_predictions,
    read_questions,
)
from kid.evaluation.report.figures import FIGURES
from kid.evaluation.report.missing import absent, missing_cells
from kid.evaluation.report.page import Bullets, Commands, Section
from kid.evaluation.report.rows import Group, group_runs
from kid.evaluation.report.runs import COLUMNS, Run
from kid.evaluation.report.significance import significance_table
from kid.evaluation.report.tables import paper_tables, runs_table
from kid.progress import progress_bar


def report_sections(runs: Sequence[Run], remarks: list[str], data: Path | None) -> list[Section]:
    """Everything that these runs have to say; `remarks` grows by what is odd about them.

    Args:
        runs: as `kid.evaluation.report.runs.load_runs` gives them, with its remarks.
        data: the benchmark's folder, for questions and gold queries of examples; None: without them.

    Raises:
        InputError: `data` is not what the chosen run was scored on.
    """
    groups = group_runs(runs, remarks)
    failures = failure_sections(runs, groups, remarks, data)  # first: this is where --data may be wrong
    tables = paper_tables(groups)
    figures = {}
    with progress_bar("drawing", "figure", len(FIGURES)) as bar:
        for number, make in FIGURES.items():
            figures[number] = make(groups)
            bar.update()
    drawn = {number: figure for number, figure in figures.items() if figure}
    filled = {number: found for number, found in tables.items() if found}
    tests = [table for group in groups if (table := significance_table(group, remarks))]
    sections = [
        Section("Overview", overview(runs)),
        Section("Tables", list(chain.from_iterable(filled.values()))),
        Section("Figures", list(drawn.values())),
        Section("Significance", tests),
        *failures,
        Section("Runs", [runs_table(runs)]),
    ]
    lacking, commands = absent(filled, drawn), missing_cells(runs, groups)
    missing = []
    if lacking:
        missing += ["Of the paper's tables and figures these have no runs. What would fill them:", Bullets(lacking)]
    if commands:
        text = f"{len(commands)} commands that fill the missing cells of the runs given"
        text += (
            " (`TEST_SUITE`: a folder that `eval/make_test_suite.py` made):" if "TEST_SUITE" in str(commands) else ":"
        )
        missing += [text, Commands(commands)]
    sections.append(Section("Missing", missing))
    sections.append(Section("Remarks", [Bullets(list(dict.fromkeys(remarks)))] if remarks else []))
    return [section for section in sections if section.blocks]


def overview(runs: Sequence[Run]) -> list[str]:
    """What the numbers below are made of."""
    seeds = ", ".join(str(seed) for seed in sorted({run.config.seed for run in runs}))
    scored = sum(bool(run.scores) for run in runs)
    return [
        f"Made by `eval/report.py` of {len(runs)} runs, {scored} of them scored; seeds: {seeds}. EX: execution "
        "accuracy, TS: test-suite accuracy, in percent. A mean over seeds stands with its sample standard deviation; a "
        "dash is a missing cell. Latency is the median time of a training step over that of the SFT run of the same "
        "student, benchmark, hardware, number of ranks and batch size. The table of runs, below, has what each number "
        "stands on."
    ]


def failure_sections(
    runs: Sequence[Run], groups: Sequence[Group], remarks: list[str], data: Path | None
) -> list[Section]:
    """What the best KID run (or the first run) gets wrong, and ten of its predictions."""
    chosen = chosen_run(runs)
    if not chosen:
        return []
    run, score = chosen
    questions = read_questions(score.column, score.n, data) if data else None
    blocks = [hardness_table(run, score)]
    predictions = read_predictions(score, remarks)
    if predictions:
        for name, examples in failure_blocks(score, questions, predictions):
            blocks += [f"Of the class **{name}**:", *examples]
    if predictions and not questions:
        blocks.append("The questions and their gold queries are shown with `--data DIR`, the benchmark's folder.")
    sections = [Section("Failures", blocks)]
    examples = beside_gold(run, score, groups, questions, remarks)
    if examples:
        intro = f"Evenly spaced questions of {COLUMNS[score.column]}; `ok` is right, `--` wrong. Run: `{run.folder}`."
        title = f"{len(examples)} predictions" + (" beside their gold" if questions else "")
        sections.append(Section(title, [intro, *examples]))
    return sections
