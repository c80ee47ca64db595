"""Runs put together as the paper's tables have them: a row per method and teacher, over benchmarks and seeds."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kid.evaluation.report.basics import mean_and_deviation
from kid.evaluation.report.runs import COLUMNS, Column, Run, Score, Variant, short_name

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
TABLE_2_ONLY = ("gkd-fkl", "gkd-jsd")  # the paper's later tables have GKD with its best divergence alone
ABLATED = ("rewrite", "mask_strategy", "mask_ratio")  # Table 5 and Figures 4 and 5 vary one of these
# Runs that differ in these are not a fair comparison of methods; the report says so.
TRAINING_KEYS = (
    "epochs", "max_steps", "batch_size", "lr", "warmup_ratio", "weight_decay", "max_grad_norm", "lora_rank",
    "lora_alpha", "lora_dropout", "max_prompt_length", "max_completion_length", "schema_filter",
)  # fmt: skip
Metric = tuple[Column, str]  # the str is "ex" or "ts"


@dataclass(frozen=True, eq=False)
class Row:
    """Runs of one method from one teacher into one student: on Spider, on BIRD, with several seeds."""

    student: str
    teacher: str
    method: str
    variant: Variant
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        changes = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in self.variant)
        return METHOD_LABELS[self.method] + (f" ({changes})" if changes else "")

    def scores(self, column: Column) -> dict[int, Score]:
        """Seed -> the score of that column."""
        return {run.config.seed: run.scores[column] for run in self.runs if column in run.scores}

    def by_seed(self, metric: Metric) -> dict[int, float]:
        """Seed -> EX or TS in percent."""
        column, kind = metric
        values = {seed: getattr(score, kind) for seed, score in self.scores(column).items()}
        return {seed: value for seed, value in values.items() if value is not None}

    def values(self, metric: Metric) -> list[float]:
        return list(self.by_seed(metric).values())


@dataclass(frozen=True, eq=False)
class Group:
    """All rows of one student. sft: the baseline, or None; methods, teachers: by teacher, small ones first."""

    student: str
    sft: Row | None
    methods: dict[str, list[Row]]
    teachers: dict[str, Row]

    def rows(self) -> list[Row]:
        """The baseline and every method's rows; not the teachers'."""
        return [*([self.sft] if self.sft else []), *(row for rows in self.methods.values() for row in rows)]

    def row(self, teacher: str, method: str, variant: Variant = ()) -> Row | None:
        rows = self.methods[teacher]
        return next((row for row in rows if row.method == method and row.variant == variant), None)

    def main_rows(self, teacher: str) -> list[Row]:
        """The teacher's rows without ablations of its KID and divergences that Table 2 alone compares."""
        rows = [row for row in self.methods[teacher] if row.method not in TABLE_2_ONLY]
        if self.row(teacher, "kid"):
            rows = [row for row in rows if not is_ablation(row)]
        return rows or self.methods[teacher]


def blocks(group: Group) -> dict[int, list[str]]:
    """Number of the paper's table -> the teachers whose rows stand in it.

    Table 4 has CodeGen and the LLaMAs, Table 6 the teacher that is 64 times larger than its student, Table 3 all else.
    """
    number = 4 if re.match(r"codegen|(tiny-?)?llama", group.student.lower()) else 3
    largest = [teacher for teacher in group.methods if re.search(r"(?<!\d)32b", teacher)]
    others = [teacher for teacher in group.methods if teacher not in largest]
    return ({number: others} if others or not largest else {}) | ({6: largest} if largest else {})


def compared_rows(group: Group, teachers: Sequence[str]) -> list[Row]:
    """The rows of a block that are compared with one another: SFT and the methods, those that have a score."""
    rows = [row for teacher in teachers for row in group.main_rows(teacher)]
    return [row for row in ([group.sft] if group.sft else []) + rows if metrics_of([row])]


def is_ablation(row: Row) -> bool:
    """Whether a row is KID with exactly one of Table 5's and Figures 4 and 5's settings changed."""
    return row.method == "kid" and len(row.variant) == 1 and row.variant[0][0] in ABLATED


def group_runs(runs: Sequence[Run], remarks: list[str]) -> list[Group]:
    """The runs by student, then teacher, then method; runs that repeat another's seed are left out, with a remark."""
    keyed: dict[tuple, list[Run]] = {}
    for run in runs:
        config = run.config
        teacher = short_name(config.teacher).lower()
        key = (short_name(config.student), teacher, config.method, run.variant)
        keyed.setdefault(key, []).append(run)
    rows = [Row(*key, one_a_seed(same, remarks)) for key, same in keyed.items()]
    order = list(METHOD_LABELS)
    rows.sort(key=lambda row: (order.index(row.method), len(row.variant)))
    groups = [as_group(student, rows) for student in dict.fromkeys(row.student for row in rows)]
    # What only served others, as their teacher or as their base, needs no table of its own.
    serving = {name.lower() for row in rows if row.teacher for name in (row.teacher, row.student)}
    kept = [g for g in groups if g.methods or not serves(g.sft, serving)]
    for group in kept:
        compare_settings(group, remarks)
    return kept


def as_group(student: str, rows: Iterable[Row]) -> Group:
    """The rows of one student, and those of its teachers' own fine-tuning."""
    rows = list(rows)
    own = [row for row in rows if row.student == student]
    sft = [row for row in own if row.method == "sft"]
    names = sorted({row.teacher: None for row in own if row.teacher}, key=billions)
    methods = {teacher: [row for row in own if row.teacher == teacher] for teacher in names}
    for extra in sft[1:]:  # sft with another loss: shown beside the methods, compared with the plain one
        for teacher in methods:
            methods[teacher].insert(0, extra)
    teachers = {}
    for name in names:
        found = [row for row in rows if row.method == "sft" and serves(row, {name})]
        if found:
            teachers[name] = found[0]
    return Group(student, sft[0] if sft else None, methods, teachers)


def billions(model: str) -> float:
    """The size that a model's name gives, to sort by; those that give none come last, in the order given."""
    size = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)b\b", model)
    return float(size[1]) if size else float("inf")


def serves(row: Row | None, names: set[str]) -> bool:
    """Whether a row's runs made one of the models named (lower case): their directory or their base has its name."""
    if row is None:
        return False
    own = {short_name(row.student), *(short_name(name) for run in row.runs for name in (run.config.output, run.folder))}
    return any(name.lower() in names for name in own)


def one_a_seed(runs: Sequence[Run], remarks: list[str]) -> tuple[Run, ...]:
    """The runs without those that have benchmark and seed in common with an earlier one; by seed."""
    kept: dict[tuple, Run] = {}
    for run in runs:
        first = kept.setdefault((run.home, run.config.seed), run)
        if first is not run:
            differ = differences(first, run)
            reason = f"it differs in {differ}" if differ else "it is the same configuration"
            remarks.append(
                f"{run.folder} was left out of the tables: {first.folder} is {run.config.method} on the same models, "
                f"benchmark and seed, and was given first; {reason}"
            )
    for first in kept.values():
        for run in kept.values():
            if run.home == first.home and run.config.seed > first.config.seed and differences(first, run):
                remarks.append(f"{first.folder} and {run.folder} are averaged, but differ in {differences(first, run)}")
    return tuple(sorted(kept.values(), key=lambda run: (run.home[0], run.config.seed)))


def differences(first: Run, second: Run) -> str:
    """Settings of training, but for method and seed, in which two runs differ, in words."""
    pairs = [(key, getattr(first.config, key), getattr(second.config, key)) for key in TRAINING_KEYS]
    return ", ".join(f"{key} ({one!r} and {other!r})" for key, one, other in pairs if one != other)


def compare_settings(group: Group, remarks: list[str]) -> None:
    """Say where a method was trained under other settings than the baseline that it is compared with."""
    for row in group.rows()[1:] if group.sft else []:
        for run in row.runs:
            baseline = next((base for base in group.sft.runs if base.home == run.home), None)
            differ = differences(baseline, run) if baseline else ""
            if differ:
                remarks.append(
                    f"{run.folder} and its baseline {baseline.folder} differ in {differ}: not in the method alone"
                )


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


def averages(row: Row, metrics: Sequence[Metric]) -> list[float]:
    """Mean over the metrics for each seed that has all; the mean of the metrics' means where no seed does."""
    found = [row.by_seed(metric) for metric in metrics]
    if not found or not all(found):
        return []
    whole = [seed for seed in found[0] if all(seed in values for values in found)]
    if whole:
        return [statistics.mean(values[seed] for values in found) for seed in whole]
    return [statistics.mean(statistics.mean(values.values()) for values in found)]


def spread(values: Sequence[float]) -> str:
    """Mean and, over several seeds, sample standard deviation, with one decimal; "-" of nothing."""
    if not values:
        return "-"
    mean, deviation = mean_and_deviation(values)
    return f"{mean:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")


def relative_latency(row: Row, sft: Row | None) -> tuple[float | None, list[str]]:
    """Seconds per step over the SFT run's on the same benchmark, averaged over the row's runs.

    Returns:
        The mean over the runs that can be compared, None if there is none; and why the others cannot.
    """
    ratios, reasons = [], []
    for run in row.runs:
        where = COLUMNS[run.dev].replace("-dev", "")
        same = [base for base in sft.runs if base.home == run.home and base.seconds] if sft else []
        alike = [base for base in same if run.ranks and conditions(base) == conditions(run)]
        if not run.seconds:
            reasons.append(f"{where}: no steps in metrics.jsonl")
        elif not same:
            reasons.append(f"{where}: no SFT run to compare with")
        elif not alike:
            pairs = zip(conditions(run).items(), conditions(same[0]).values(), strict=True)
            differ = [
                f"{name} {own or 'unknown'}, SFT's {its or 'unknown'}" for (name, own), its in pairs if own != its
            ]
            reasons.append(f"{where}: {'; '.join(differ) or 'hardware unknown'}")
        else:
            ratios.append(run.seconds / statistics.mean(base.seconds for base in alike))
    return statistics.mean(ratios) if ratios else None, list(dict.fromkeys(reasons))


def conditions(run: Run) -> dict[str, object]:
    """What must be equal before two runs' seconds are compared."""
    return {"hardware": run.hardware, "ranks": run.ranks, "batch size": run.config.batch_size}
