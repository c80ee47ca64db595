"""Bars, error bars and reference lines for the figures of the report and of bench/."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
from matplotlib.axes import Axes

from kid.report.text import mean_and_deviation


def draw_seeds(axes: Axes, x: float, values: list[float], width: float) -> None:
    """Draw the standard deviation over seeds as an error bar around their mean, and each seed as a dot."""
    mean, deviation = mean_and_deviation(values)
    if deviation is not None:
        axes.errorbar(x, mean, yerr=deviation, color="black", capsize=5, zorder=3)
        xs = [x + width * (2 * number / (len(values) - 1) - 1) for number in range(len(values))]
        axes.scatter(xs, values, s=14, color="white", edgecolors="black", linewidths=0.8, zorder=4)


def draw_bars(axes: Axes, bars: dict[str, list[float]]) -> None:
    """Draw a bar for each name, as high as the mean of its values, with the number above it."""
    for x, values in enumerate(bars.values()):
        mean, deviation = mean_and_deviation(values)
        axes.bar(x, mean, width=0.65, color="C0", alpha=0.6)
        draw_seeds(axes, x, values, 0.2)
        top = max(mean + (deviation or 0), *values)
        white = {"facecolor": "white", "linewidth": 0, "alpha": 0.75, "pad": 1}
        axes.annotate(f"{mean:.1f}", (x, top), (0, 6), textcoords="offset points", ha="center", fontsize=9, bbox=white)
    axes.set_xticks(range(len(bars)), list(bars))


def draw_line(axes: Axes, name: str, values: list[float], color: str) -> None:
    """Draw a dashed reference line at the mean of `values`, with a band of one standard deviation on each side."""
    mean, deviation = mean_and_deviation(values)
    axes.axhline(mean, linestyle="--", color=color, label=f"{name}: {mean:.1f}", zorder=2)
    if deviation is not None:
        axes.axhspan(mean - deviation, mean + deviation, color=color, alpha=0.2, linewidth=0, zorder=0)


def set_range(axes: Axes, values: list[float], ylabel: str) -> None:
    """Limit the y axis to the range of `values`: on an axis from 0, differences would be too small to see."""
    margin = max(1.5, 0.2 * (max(values) - min(values)))
    low = max(0, min(values) - margin)
    axes.set_ylim(low, min(100, max(values) + margin))
    axes.set_ylabel(f"{ylabel}\n(the axis does not start at 0)" if low else ylabel)
    axes.grid(alpha=0.3, axis="y")
