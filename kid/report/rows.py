"""The rows of a table: runs of one method over benchmarks and seeds, with scores, average and latency."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kid.report.runs import Run
from kid.report.score_files import SCORE_COLUMNS, Score, ScoreColumn
from kid.report.settings import Variant, describe_settings, timing_conditions
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
Metric = tuple[ScoreColumn, str]  # the str is "ex" or "ts"


@dataclass(frozen=True, eq=False)
class Row:
    """Runs of one method with one teacher and one student: on Spider, on BIRD, with several seeds.

    reference: the baseline's score in each column; scores with different questions are skipped.
    """

    student: str
    teacher: str
    method: str
    variant: Variant
    runs: tuple[Run, ...]
    reference: Mapping[ScoreColumn, Score] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return METHOD_LABELS[self.method] + (f" ({describe_settings(self.variant)})" if self.variant else "")

    def is_comparable(self, score: Score) -> bool:
        """Whether a score has the same questions as the reference of its column."""
        return score.questions == self.reference.get(score.column, score).questions

    def scores(self, column: ScoreColumn) -> dict[int, Score]:
        """Return seed -> score in this column."""
        found = {run.config.seed: run.scores[column] for run in self.runs if column in run.scores}
        return {seed: score for seed, score in found.items() if self.is_comparable(score)}

    def by_seed(self, metric: Metric) -> dict[int, float]:
        """Return seed -> EX or TS in percent."""
        column, kind = metric
        values = {seed: getattr(score, kind) for seed, score in self.scores(column).items()}
        return {seed: value for seed, value in values.items() if value is not None}

    def values(self, metric: Metric) -> list[float]:
        return list(self.by_seed(metric).values())


def metrics_of(rows: Iterable[Row]) -> list[Metric]:
    """List EX and TS of every column for which any row has them, in the order of the tables."""
    rows = list(rows)
    metrics = [(column, kind) for column in SCORE_COLUMNS for kind in ("ex", "ts")]
    return [metric for metric in metrics if any(row.by_seed(metric) for row in rows)]


def common_metrics(rows: Sequence[Row]) -> list[Metric]:
    """List the metrics that all rows have; Avg. is their mean."""
    return [metric for metric in metrics_of(rows) if all(row.by_seed(metric) for row in rows)]


def main_column(rows: Iterable[Row]) -> ScoreColumn | None:
    """Return the first column that any row has: Spider-dev if it was scored."""
    metrics = metrics_of(rows)
    return metrics[0][0] if metrics else None


def average(row: Row, metrics: Sequence[Metric]) -> tuple[float, float | None] | None:
    """Return (mean of the metrics' means, its deviation over seeds if all metrics have the same seeds).

    None if a metric is missing.
    """
    values_by_seed = [row.by_seed(metric) for metric in metrics]
    if not values_by_seed or not all(values_by_seed):
        return None
    deviation = None
    if all(values.keys() == values_by_seed[0].keys() for values in values_by_seed):
        _, deviation = mean_and_deviation(
            [statistics.mean(values[seed] for values in values_by_seed) for seed in values_by_seed[0]]
        )
    return statistics.mean(statistics.mean(values.values()) for values in values_by_seed), deviation


def relative_latency(row: Row, sft: Row | None) -> tuple[float | None, list[str]]:
    """Divide seconds per step by those of the SFT run on the same benchmark, averaged over the row's runs.

    Returns:
        (the mean over the comparable runs, None without any; why the other runs are not comparable).
    """
    ratios, reasons = [], []
    for run in row.runs:
        split_name = SCORE_COLUMNS[run.dev_column].replace("-dev", "")
        baselines = (
            [base for base in sft.runs if base.benchmark_key == run.benchmark_key and base.seconds] if sft else []
        )
        comparable = [
            base
            for base in baselines
            if run.hardware and run.ranks and timing_conditions(base) == timing_conditions(run)
        ]
        if not run.seconds:
            reasons.append(f"{split_name}: no steps in metrics.jsonl")
        elif not baselines:
            reasons.append(f"{split_name}: no SFT run to compare with")
        elif not comparable:
            pairs = zip(timing_conditions(run).items(), timing_conditions(baselines[0]).values(), strict=True)
            differ = [
                f"{name} {display_value(own)}, SFT's {display_value(baseline)}"
                for (name, own), baseline in pairs
                if own != baseline
            ]
            reasons.append(f"{split_name}: {'; '.join(differ) or 'hardware unknown'}")
        else:
            ratios.append(run.seconds / statistics.mean(base.seconds for base in comparable))
    return statistics.mean(ratios) if ratios else None, list(dict.fromkeys(reasons))


def display_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value in (None, "") else str(value)
