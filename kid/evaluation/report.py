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


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its first column to the left and the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
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


def predictions_section(questions: Sequence, predictions: dict[str, list[str]], verdicts: dict[str, list[bool]]) -> str:
    """Markdown: each question with its gold SQL and every model's prediction, marked right or wrong.

    Args:
        questions: `kid.data.benchmarks.Question`s, n of them.
        predictions: model -> n predictions.
        verdicts: model -> n verdicts.
    """
    width = max(map(len, predictions))
    lines = []
    for index, question in enumerate(questions):
        lines += [f"**{question.question}** ({question.db_id})", "", "```sql"]
        lines.append(f"{'gold':<{width}}    {question.query}")
        for model, texts in predictions.items():
            lines.append(f"{model:<{width}} {'ok' if verdicts[model][index] else '--'} {texts[index]}")
        lines += ["```", ""]
    return "\n".join(lines)
