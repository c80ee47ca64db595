"""The figures of make demo and make ablations."""

from __future__ import annotations

import statistics
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from kid.report.drawing import draw_bars, draw_line, draw_seeds, set_range
from kid.report.runs import read_metrics
from kid.report.text import mean_and_deviation

SMOOTHED = 20  # steps over which the figure averages the training loss


def plot_epochs(curves: dict[str, list[list[tuple[float, float]]]], runs: dict[str, Path], path: Path) -> None:
    """Plot EX on valid and the training loss on labels over epochs, with a colour per method and a line per seed.

    Args:
        curves: method -> for each seed a list of (epoch, EX in percent), in order.
        runs: method -> run directory of one seed.
        path: PNG to write.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for number, (name, seeds) in enumerate(curves.items()):
        for index, curve in enumerate(seeds):
            left.plot(*zip(*curve, strict=True), marker="o", color=f"C{number}", label=None if index else name)
        rows, _ = read_metrics(runs[name] / "metrics.jsonl")
        last = max(epoch for epoch, _ in seeds[0])
        epochs = [last * (index + 1) / len(rows) for index in range(len(rows))]
        smooth = [
            statistics.mean(row["mle"] for row in rows[max(0, end - SMOOTHED) : end + 1]) for end in range(len(rows))
        ]
        right.plot(epochs, smooth, color=f"C{number}", label=name)
    left.set(ylabel="EX % on valid")
    right.set(ylabel="training MLE loss, smoothed (nats per token)")
    for axes in (left, right):
        axes.set(xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_settings(settings: dict[str, tuple[dict[str, list[list[float]]], float]], path: Path) -> None:
    """Plot EX on valid over epochs, with a panel per setting and a colour per run: mean and deviation over seeds.

    Panels show different ranges of EX, but a point of EX is equally high in all of them.

    Args:
        settings: title -> (run -> for each seed the EX in percent after each epoch, EX of the untouched base).
        path: PNG to write.
    """
    figure, panels = plt.subplots(
        1, len(settings), figsize=(4.6 * len(settings), 4.2), layout="constrained", squeeze=False
    )
    for axes, (title, (runs, base)) in zip(panels[0], settings.items(), strict=True):
        for number, (name, seeds) in enumerate(runs.items()):
            found = [mean_and_deviation(values) for values in zip(*seeds, strict=True)]
            epochs, means = range(1, len(found) + 1), [mean for mean, _ in found]
            axes.plot(epochs, means, marker="o", color=f"C{number}", label=name)
            low, high = ([mean + sign * (deviation or 0) for mean, deviation in found] for sign in (-1, 1))
            axes.fill_between(epochs, low, high, color=f"C{number}", alpha=0.15, linewidth=0)
        axes.axhline(base, linestyle="--", color="black", label="student base, untouched")
        axes.set(xlabel="epoch", xticks=epochs, title=title)
        axes.grid(alpha=0.3)
    ranges = [axes.get_ylim() for axes in panels[0]]
    half = max(high - low for low, high in ranges) / 2
    for axes, (low, high) in zip(panels[0], ranges, strict=True):
        axes.set(ylim=((low + high) / 2 - half, (low + high) / 2 + half))
    panels[0][0].set(ylabel="EX % on valid")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_methods(methods: dict[str, list[float]], lines: dict[str, float], ylabel: str, path: Path) -> None:
    """Plot a bar per method with the spread over its seeds, and models with a single EX as dashed lines.

    Args:
        methods: name -> EX in percent, one per seed.
        lines: name -> EX in percent.
        ylabel: the questions that the EX is on.
        path: PNG to write.
    """
    figure, axes = plt.subplots(figsize=(10, 4.2), layout="constrained")
    draw_bars(axes, methods)
    for number, (name, value) in enumerate(lines.items(), start=1):
        draw_line(axes, name, [value], f"C{number}")
    set_range(axes, [*lines.values(), *(value for values in methods.values() for value in values)], ylabel)
    figure.legend(loc="outside upper center", ncols=len(lines))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_masking(
    strategies: dict[str, list[float]], ratios: dict[str, list[float]], sft: list[float], ylabel: str, path: Path
) -> None:
    """Plot the paper's Figures 4 and 5 side by side: EX by masking strategy and over the mask ratio, with sft.

    Args:
        strategies: name -> EX in percent, one per seed.
        ratios: ratio as text -> EX in percent, one per seed; in order.
        sft: EX in percent, one per seed.
        ylabel: the questions that the EX is on.
        path: PNG to write.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    draw_bars(left, strategies)
    positions = list(map(float, ratios))
    right.plot(positions, [statistics.mean(values) for values in ratios.values()], marker="o")
    for position, values in zip(positions, ratios.values(), strict=True):
        draw_seeds(right, position, values, 0.012)
    right.set_xticks(positions, list(ratios))
    for axes in (left, right):
        draw_line(axes, "sft", sft, "C1")
    all_values = [value for values in (*strategies.values(), *ratios.values(), sft) for value in values]
    set_range(left, all_values, ylabel)
    left.set(xlabel="masking strategy")
    right.set(xlabel="mask ratio")
    right.grid(alpha=0.3, axis="y")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center")
    figure.savefig(path, dpi=120)
    plt.close(figure)
