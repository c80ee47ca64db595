"""Formats numbers, tables and predictions as text; without matplotlib, which takes a second to import."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); the latter is None for a single value."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def standard_error(measurements: Sequence[tuple[float, int]]) -> float:
    """Binomial standard error, in points, of the mean of some (EX in percent, questions); seeds count as one."""
    return math.sqrt(sum(ex * (100 - ex) / n for ex, n in measurements)) / len(measurements)


def plus_minus(mean: float, deviation: float | None) -> str:
    """A mean and its deviation, if any, with one decimal."""
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def format_mean(values: Sequence[float]) -> str:
    """Mean and, for several values, sample standard deviation as text; "-" without values."""
    return plus_minus(*mean_and_deviation(values)) if values else "-"


def one_decimal(number: float) -> str:
    """The number with one decimal, never as -0.0."""
    return f"{round(number, 1) + 0.0:.1f}"


def signed(difference: float) -> str:
    """The difference with its sign and one decimal, never as -0.0."""
    return f"{round(difference, 1) + 0.0:+.1f}"


def pluralize(number: int, noun: str) -> str:
    """The number with its noun: "1 run", "2 runs"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table with its first `left` columns left-aligned and the others right-aligned."""
    lines = [header, [*["---"] * left, *["---:"] * (len(header) - left)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def marked_predictions(gold: str, predictions: dict[str, str], right: dict[str, bool]) -> str:
    """Lines of the gold SQL, if not empty, and of every model's prediction, marked right or wrong."""
    width = max(map(len, [*predictions, "gold"]))
    lines = [f"{'gold':<{width}}    {gold}"] if gold else []
    lines += [f"{model:<{width}} {'ok' if right[model] else '--'} {text}" for model, text in predictions.items()]
    return "\n".join(lines)
