"""What finished runs have to say: their metrics as a figure, their scores as a table, predictions beside their gold."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SMOOTHED = 20  # steps, of the training loss in the figure


def read_metrics(run: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def seconds_per_step(run: Path) -> float:
    """Median over a run's steps: the first ones, and a moment when the machine did something else, do not count."""
    return statistics.median(row["seconds"] for row in read_metrics(run))


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); None for the latter of a single value."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table with its first `left` columns to the left and the others to the right."""
    lines = [header, [*["---"] * left, *["---:"] * (len(header) - left)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def plot_runs(runs: dict[str, Path], curves: dict[str, list[tuple[int, float]]], ylabel: str, path: Path) -> None:
    """EX, training loss and validation loss over steps, side by side, a line per run.

    Args:
        runs: name -> run directory.
        curves: name -> (step, EX in percent), in order of step.
        ylabel: which questions the EX is on.
        path: PNG to write.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
    for name, run in runs.items():
        left.plot(*zip(*curves[name], strict=True), marker="o", label=name)
        rows = read_metrics(run)
        steps = [row["step"] for row in rows]
        smooth = [statistics.mean(row["mle"] for row in rows[max(0, end - SMOOTHED) : end]) for end in steps]
        middle.plot(steps, smooth, label=name)
        rows = [row for row in rows if "validation_loss" in row]
        right.plot([row["step"] for row in rows], [row["validation_loss"] for row in rows], marker=".", label=name)
    left.set(ylabel=ylabel, ylim=(0, 100))
    middle.set(ylabel="training MLE loss, smoothed (nats per token)")
    right.set(ylabel="validation MLE loss on dev (nats per token)")
    for axes in (left, middle, right):
        axes.set(xlabel="optimizer step")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_seeds(axes, place: float, values: list[float], width: float) -> None:
    """Standard deviation over the seeds as an error bar around their mean, and every seed as a dot beside it."""
    mean, deviation = mean_and_deviation(values)
    if deviation is not None:
        axes.errorbar(place, mean, yerr=deviation, color="black", capsize=5, zorder=3)
        places = [place + width * (2 * number / (len(values) - 1) - 1) for number in range(len(values))]
        axes.scatter(places, values, s=14, color="white", edgecolors="black", linewidths=0.8, zorder=4)


def draw_bars(axes, bars: dict[str, list[float]]) -> None:
    """A bar per name as high as the mean of its values, with the number above it."""
    for place, values in enumerate(bars.values()):
        mean, deviation = mean_and_deviation(values)
        axes.bar(place, mean, width=0.65, color="C0", alpha=0.6)
        draw_seeds(axes, place, values, 0.2)
        top = max(mean + (deviation or 0), *values)
        white = {"facecolor": "white", "linewidth": 0, "alpha": 0.75, "pad": 1}
        axes.annotate(
            f"{mean:.1f}", (place, top), (0, 6), textcoords="offset points", ha="center", fontsize=9, bbox=white
        )
    axes.set_xticks(range(len(bars)), list(bars))


def draw_line(axes, name: str, values: list[float], color: str) -> None:
    """A dashed line at the mean of what others are compared with, in a band of a standard deviation each way."""
    mean, deviation = mean_and_deviation(values)
    axes.axhline(mean, linestyle="--", color=color, label=f"{name}: {mean:.1f}", zorder=2)
    if deviation is not None:
        axes.axhspan(mean - deviation, mean + deviation, color=color, alpha=0.15, linewidth=0, zorder=0)


def set_range(axes, values: list[float], ylabel: str) -> None:
    """Leave out what is empty below and above `values`: shown from 0 on, differences would be too small to see."""
    margin = max(1.5, 0.2 * (max(values) - min(values)))
    low = max(0, min(values) - margin)
    axes.set_ylim(low, min(100, max(values) + margin))
    axes.set_ylabel(f"{ylabel}\n(the axis does not start at 0)" if low else ylabel)
    axes.grid(alpha=0.3, axis="y")


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


def marked_predictions(gold: str, predictions: dict[str, str], right: dict[str, bool]) -> str:
    """Lines of the gold SQL, where it is not empty, and of every model's prediction, marked right or wrong."""
    width = max(map(len, [*predictions, "gold"]))
    lines = [f"{'gold':<{width}}    {gold}"] if gold else []
    lines += [f"{model:<{width}} {'ok' if right[model] else '--'} {text}" for model, text in predictions.items()]
    return "\n".join(lines)


def predictions_section(questions: Sequence, predictions: dict[str, list[str]], verdicts: dict[str, list[bool]]) -> str:
    """Markdown: each question with its gold SQL and every model's prediction, marked right or wrong.

    Args:
        questions: `kid.data.benchmarks.Question`s, n of them.
        predictions: model -> n predictions.
        verdicts: model -> n verdicts.
    """
    lines = []
    for index, question in enumerate(questions):
        texts = {model: found[index] for model, found in predictions.items()}
        right = {model: found[index] for model, found in verdicts.items()}
        lines += [f"**{question.question}** ({question.db_id})", "", "```sql"]
        lines += [marked_predictions(question.query, texts, right), "```", ""]
    return "\n".join(lines)
