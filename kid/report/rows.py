"""A row of a table: runs of one method over benchmarks and seeds, with their scores, average and latency."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kid.report.runs import Run
from kid.report.score_files import COLUMNS, Column, Score
from kid.report.settings import Variant, conditions, in_words
from kid.report.text import mean_and_deviation

METHOD_LABELS = {
    "sft": "SFT",
    "fkd": "FKD",
    "rkd": "RKD",
    "f-distill": "f-distill",
    "imitkd": "ImitKD",
    "gkd-fkl": "GKD-FKL",
    "gkd-rkl": "GKD-RKL",
    "gkd-jsd": "GKD-JSD",
    "kid": "KID",
}
Metric = tuple[Column, str]  # the str is "ex" or "ts"


@dataclass(frozen=True, eq=False)
class Row:
    """Runs of one method from one teacher into one student: on Spider, on BIRD, with several seeds.

    reference: the score whose questions those of a column must be: the baseline's. What is of others is left out.
    """

    student: str
    teacher: str
    method: str
    variant: Variant
    runs: tuple[Run, ...]
    reference: Mapping[Column, Score] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return METHOD_LABELS[self.method] + (f" ({in_words(self.variant)})" if self.variant else "")

    def fits(self, score: Score) -> bool:
        """Whether a score is of the questions that the others of its column are of."""
        return score.questions == self.reference.get(score.column, score).questions

    def scores(self, column: Column) -> dict[int, Score]:
        """Seed -> the score of that column."""
        found = {run.config.seed: run.scores[column] for run in self.runs if column in run.scores}
        return {seed: score for seed, score in found.items() if self.fits(score)}

    def by_seed(self, metric: Metric) -> dict[int, float]:
        """Seed -> EX or TS in percent."""
        column, kind = metric
        values = {seed: getattr(score, kind) for seed, score in self.scores(column).items()}
        return {seed: value for seed, value in values.items() if value is not None}

    def values(self, metric: Metric) -> list[float]:
        return list(self.by_seed(metric).values())


def metrics_of(rows: Iterable[Row]) -> list[Metric]:
    """EX of every column that a row has, and TS where a row has it, in the order of the tables."""
    rows = list(rows)
    metrics = [(column, kind) for column in COLUMNS for kind in ("ex", "ts")]
    return [metric for metric in metrics if any(row.by_seed(metric) for row in rows)]


def common_metrics(rows: Sequence[Row]) -> list[Metric]:
    """Those that all rows have: what Avg. is the mean of."""
    return [metric for metric in metrics_of(rows) if all(row.by_seed(metric) for row in rows)]


def main_column(rows: Iterable[Row]) -> Column | None:
    """The first column that a row has: Spider's dev wherever it was scored."""
    metrics = metrics_of(rows)
    return metrics[0][0] if metrics else None


def average(row: Row, metrics: Sequence[Metric]) -> tuple[float, float | None] | None:
    """The mean of the metrics' means, and its deviation over seeds where all metrics have the same ones.

    None where a metric is missing.
    """
    found = [row.by_seed(metric) for metric in metrics]
    if not found or not all(found):
        return None
    deviation = None
    if all(values.keys() == found[0].keys() for values in found):
        _, deviation = mean_and_deviation([statistics.mean(values[seed] for values in found) for seed in found[0]])
    return statistics.mean(statistics.mean(values.values()) for values in found), deviation


def relative_latency(row: Row, sft: Row | None) -> tuple[float | None, list[str]]:
    """Seconds per step over the SFT run's on the same benchmark, averaged over the row's runs.

    Returns:
        The mean over the runs that can be compared, None if there is none; and why the others cannot.
    """
    ratios, reasons = [], []
    for run in row.runs:
        where = COLUMNS[run.dev].replace("-dev", "")
        same = [base for base in sft.runs if base.home == run.home and base.seconds] if sft else []
        alike = [base for base in same if run.hardware and run.ranks and conditions(base) == conditions(run)]
        if not run.seconds:
            reasons.append(f"{where}: no steps in metrics.jsonl")
        elif not same:
            reasons.append(f"{where}: no SFT run to compare with")
        elif not alike:
            pairs = zip(conditions(run).items(), conditions(same[0]).values(), strict=True)
            differ = [
                f"{name} {said(own)}, SFT's {said(baseline)}" for (name, own), baseline in pairs if own != baseline
            ]
            reasons.append(f"{where}: {'; '.join(differ) or 'hardware unknown'}")
        else:
            ratios.append(run.seconds / statistics.mean(base.seconds for base in alike))
    return statistics.mean(ratios) if ratios else None, list(dict.fromkeys(reasons))


def said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value in (None, "") else str(value)
