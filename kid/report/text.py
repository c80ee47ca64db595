"""Numbers, tables and predictions as text; without matplotlib, which takes a second to import."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); None for the latter of a single value."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def standard_error(found: Sequence[tuple[float, int]]) -> float:
    """Of the mean of some EX (percent, number of questions): binomial, in points; several seeds count as one."""
    return math.sqrt(sum(ex * (100 - ex) / n for ex, n in found)) / len(found)


def plus_minus(mean: float, deviation: float | None) -> str:
    """A mean, and the deviation where there is one, with one decimal."""
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def spread(values: Sequence[float]) -> str:
    """Mean and, of several values, sample standard deviation; "-" of nothing."""
    return plus_minus(*mean_and_deviation(values)) if values else "-"


def fixed(number: float) -> str:
    """With one decimal; nothing is ever -0.0."""
    return f"{round(number, 1) + 0.0:.1f}"


def signed(difference: float) -> str:
    """Likewise, with its sign."""
    return f"{round(difference, 1) + 0.0:+.1f}"


def counted(number: int, noun: str) -> str:
    """ "1 run", "2 runs"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table with its first `left` columns to the left and the others to the right."""
    lines = [header, [*["---"] * left, *["---:"] * (len(header) - left)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def marked_predictions(gold: str, predictions: dict[str, str], right: dict[str, bool]) -> str:
    """Lines of the gold SQL, where it is not empty, and of every model's prediction, marked right or wrong."""
    width = max(map(len, [*predictions, "gold"]))
    lines = [f"{'gold':<{width}}    {gold}"] if gold else []
    lines += [f"{model:<{width}} {'ok' if right[model] else '--'} {text}" for model, text in predictions.items()]
    return "\n".join(lines)
