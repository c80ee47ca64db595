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

SMOOTHED = 20  # steps, of the training loss in the figure


def plot_epochs(curves: dict[str, list[list[tuple[float, float]]]], runs: dict[str, Path], path: Path) -> None:
    """EX on valid and the training loss on labels over epochs, a colour per method, a line per seed.

    Args:
        curves: method -> for each seed (epoch, EX in percent), in order.
        runs: method -> run directory, of one seed.
        path: PNG to write.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for number, (name, seeds) in enumerate(curves.items()):
        for place, curve in enumerate(seeds):
            left.plot(*zip(*curve, strict=True), marker="o", color=f"C{number}", label=None if place else name)
        rows, _ = read_metrics(runs[name] / "metrics.jsonl")
        last = max(epoch for epoch, _ in seeds[0])
        epochs = [last * (place + 1) / len(rows) for place in range(len(rows))]
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
    """EX on valid over epochs, a panel per setting, a colour per run: the mean over seeds in a band of their deviation.

    Args:
        settings: title -> (run -> for each seed EX in percent after each epoch, EX of the untouched base).
        path: PNG to write.
    """
    figure, panels = plt.subplots(
        1, len(settings), figsize=(4.6 * len(settings), 4.2), layout="constrained", sharey=True, squeeze=False
    )
    for axes, (title, (runs, base)) in zip(panels[0], settings.items(), strict=True):
        for number, (name, seeds) in enumerate(runs.items()):
            found = [mean_and_deviation(values) for values in zip(*seeds, strict=True)]
            epochs, means = range(1, len(found) + 1), [mean for mean, _ in found]
            axes.plot(epochs, means, marker="o", color=f"C{number}", label=name)
            low, high = ([mean + sign * (deviation or 0) for mean, deviation in found] for sign in (-1, 1))
            axes.fill_between(epochs, low, high, color=f"C{number}", alpha=0.15, linewidth=0)
        axes.axhline(base, linestyle="--", color="black", label="student base, untouched")
        axes.set(xlabel="epoch", title=title)
        axes.grid(alpha=0.3)
    panels[0][0].set(ylabel="EX % on valid")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_methods(methods: dict[str, list[float]], lines: dict[str, float], ylabel: str, path: Path) -> None:
    """A bar per method with the spread over its seeds; models that have one EX as dashed lines.

    Args:
        methods: name -> EX in percent, one a seed.
        lines: name -> EX in percent.
        ylabel: which questions the EX is on.
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
    """The paper's Figures 4 and 5 side by side: EX by masking strategy and over the mask ratio, beside sft.

    Args:
        strategies: name -> EX in percent, one a seed.
        ratios: ratio as text -> EX in percent, one a seed; in order.
        sft: EX in percent, one a seed.
        ylabel: which questions the EX is on.
        path: PNG to write.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    draw_bars(left, strategies)
    places = list(map(float, ratios))
    right.plot(places, [statistics.mean(values) for values in ratios.values()], marker="o")
    for place, values in zip(places, ratios.values(), strict=True):
        draw_seeds(right, place, values, 0.012)
    right.set_xticks(places, list(ratios))
    for axes in (left, right):
        draw_line(axes, "sft", sft, "C1")
    everything = [value for values in (*strategies.values(), *ratios.values(), sft) for value in values]
    set_range(left, everything, ylabel)
    left.set(xlabel="masking strategy")
    right.set(xlabel="mask ratio")
    right.grid(alpha=0.3, axis="y")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center")
    figure.savefig(path, dpi=120)
    plt.close(figure)
