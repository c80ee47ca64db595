"""Explain the abbreviations in a report, one line each; only those that its runs need."""

from __future__ import annotations

from collections.abc import Sequence

from kid.config.benchmarks import BENCHMARKS
from kid.config.methods import GOLD, IMPERFECT, METHODS, ON_POLICY, TEACHER_OUTPUTS
from kid.report.rows import METHOD_LABELS
from kid.report.runs import Run
from kid.report.score_files import SCORE_COLUMNS

SOURCES = {
    GOLD: "gold SQL",
    IMPERFECT: "gold SQL with some tokens rewritten by the student",
    TEACHER_OUTPUTS: "the teacher's outputs",
    ON_POLICY: "the student's own outputs",
}
DIVERGENCE_NAMES = {
    "fkl": "forward KL divergence",
    "rkl": "reverse KL divergence",
    "jsd": "Jensen-Shannon divergence",
    "tvd": "total variation distance",
}


def glossary(runs: Sequence[Run]) -> list[str]:
    """Return a line for each abbreviation, as plain text."""
    lines = []
    scores = [score for run in runs for score in run.scores.values()]
    if scores:
        lines.append("EX: execution accuracy, the percentage of questions whose predicted SQL returns the gold rows.")
    if any(score.ts is not None for score in scores):
        lines.append("TS: test-suite accuracy, the percentage whose SQL does so on every database of a test suite.")
    own = [run for run in runs if BENCHMARKS[run.config.benchmark].own_files]
    for name in dict.fromkeys(SCORE_COLUMNS[run.dev_column] for run in own):
        lines.append(own_files_line(name, [run for run in own if SCORE_COLUMNS[run.dev_column] == name]))
    lines += [method_line(method) for method in METHODS if any(run.config.method == method for run in runs)]
    if any(run.config.teacher for run in runs):
        lines.append(
            "Latency: the median time of a training step, divided by that of the SFT run of the same student and "
            "benchmark on the same hardware with the same settings for batches, lengths, precision and memory. After "
            "fewer than 100 steps, or on a machine that did other work, it is mostly noise."
        )
    if len({run.config.seed for run in runs}) > 1:
        lines.append("±: the sample standard deviation over seeds; the number before it is their mean.")
    return [*lines, "A dash: not measured."]


def own_files_line(name: str, runs: Sequence[Run]) -> str:
    """Say which file a column of the user's own questions is."""
    file = BENCHMARKS[runs[0].config.benchmark].splits["dev"].questions[0]
    return f"{name}: {file} in {' and '.join(dict.fromkeys(run.config.data for run in runs))}."


def method_line(method: str) -> str:
    """Say what a method trains on."""
    sources = " or ".join(SOURCES[source] for source in METHODS[method].sources)
    divergence = METHODS[method].divergence
    what = f"{DIVERGENCE_NAMES[divergence]} to the teacher" if divergence else "fine-tuning without a teacher"
    return f"{METHOD_LABELS[method]}: {what}, on {sources}."
