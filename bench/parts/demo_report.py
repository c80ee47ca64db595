"""The demo's report: a table, a conclusion, curves, predictions, and the labels that the teacher doubts."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from kid.evaluation.label_trust import precision_and_recall
from kid.files import write_atomically
from kid.report.text import code_block, escape_markdown, markdown_table, marked_predictions
from parts.claims import interval_over_both
from parts.running import console

if TYPE_CHECKING:
    from demo import Demo

HEADER = ("model", "EX last", "±", "EX best", "best epoch", "s/step to sft", "wrong labels repeated", "put right")
NOTES = """
EX in percent on dev: 1,000 questions on 100 databases that no other split has; ± half of its 95 % interval. *Last*:
after eight epochs; *best*: the epoch with the highest EX on `valid`. The last two columns are about the training
questions with a wrong label: how many predictions give the label's rows, and how many the gold rows.
"""
TRUST_NOTES = """
Finding wrong labels with a teacher: training questions, sorted by the probability of their label's least probable
token. *Precision*: the share of wrong labels among the first N; *recall*: the share of all {wrong} wrong labels that
are among the first N.
"""
SHOWN = 5  # questions in the report, for each of two kinds
DOUBTED = 10  # doubted labels in the report


def digits(rights: list[str]) -> np.ndarray:
    """[seeds, questions], from a string like "0101..." for each seed."""
    return np.array([[int(digit) for digit in right] for right in rights], dtype=float)


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval in percent of [seeds, questions]; with one seed, over the questions only."""
    if len(values) > 1:
        mean, low, high = interval_over_both(values)
    else:
        mean, half = values.mean(), 1.96 * values.std() / math.sqrt(values.size)
        low, high = mean - half, mean + half
    return 100 * float(mean), 100 * float(low), 100 * float(high)


def ex_cells(rights: list[str]) -> list[str]:
    """EX in percent, and half the width of its interval."""
    mean, low, high = interval(digits(rights))
    return [f"{mean:.1f}", f"{(high - low) / 2:.1f}"]


def shares(found: list[dict]) -> list[str]:
    """The percentages of wrong labels that are repeated, and put right."""
    total = sum(one["n"] for one in found)
    return [f"{100 * sum(one[key] for one in found) / total:.0f} %" if total else "-" for key in ("label", "gold")]


def table_rows(demo: Demo) -> list[list[str]]:
    """For each model: EX on dev with its interval, cost of a step, and the wrong labels that it repeats."""
    rows = []
    for name in demo.models:
        found = demo.found(name)
        rows.append([name, *ex_cells([found["right"]]), "-", "-", "-", *shares([found["wrong_labels"]])])
    for method in demo.methods:
        students = [f"{method}-seed{seed}" for seed in demo.seeds]
        results = [demo.found(student) for student in students]
        best, _ = ex_cells([result["best"]["right"] for result in results])
        epoch = np.mean([result["best_step"] / demo.steps_per_epoch() for result in results])
        pairs = zip(students, demo.seeds, strict=True)
        price = np.mean([demo.seconds(student) / demo.seconds(f"sft-seed{seed}") for student, seed in pairs])
        last = [result["last"] for result in results]
        labels = shares([result["wrong_labels"] for result in last])
        ex = ex_cells([result["right"] for result in last])
        rows.append([method, *ex, best, f"{epoch:.1f}", f"{price:.2f}", *labels])
    return rows


def conclusion(demo: Demo) -> str:
    """One sentence that compares the models, whatever the result."""
    right = {
        method: digits([demo.found(f"{method}-seed{seed}")["last"]["right"] for seed in demo.seeds])
        for method in demo.methods
    }
    base = digits([demo.found("student base")["right"]])

    def against(method: str, other: np.ndarray, name: str) -> str:
        difference, low, high = interval(right[method] - other)
        verdict = "above" if low > 0 else "below" if high < 0 else "not significantly different from"
        return f"{verdict} {name} by {difference:+.1f} points ({low:+.1f} to {high:+.1f})"

    said = [f"sft ends {against('sft', base, 'the untouched base')}"]
    for method in demo.methods[1:]:
        both = (right["sft"], "sft"), (base, "the base")
        said.append(f"{method} {' and '.join(against(method, *one) for one in both)}")
    return (
        f"With {demo.labels} labels, {100 * demo.label_errors:g} % of them wrong: {'; '.join(said)}; EX on "
        f"{right['sft'].shape[1]} questions on new databases."
    )


def shown(item: dict, block: str) -> list[str]:
    """Markdown: a question, its database, and a block of SQL."""
    title = f"**{escape_markdown(item['question'])}** ({escape_markdown(item['db_id'])})"
    return [title, "", code_block(block, "sql"), ""]


def read(demo: Demo, name: str):
    return json.loads((demo.data / f"{name}.json").read_text(encoding="utf-8"))


def predictions(demo: Demo) -> list[str]:
    """Markdown: questions of dev, and training questions with a wrong label, with the SQL of every model."""
    names = ["teacher", "student base", *(f"{method}-seed{demo.seeds[0]}" for method in demo.methods)]
    found = {name: demo.found(name) for name in names}
    last = {name: result.get("last", result) for name, result in found.items()}
    dev, train, wrong = read(demo, "dev"), read(demo, "train_spider"), read(demo, "labels")["wrong"]
    lines = []
    for index in range(0, len(dev), len(dev) // SHOWN)[:SHOWN]:
        texts = {name: result["predictions"][index] for name, result in last.items()}
        right = {name: result["right"][index] == "1" for name, result in last.items()}
        lines += shown(dev[index], marked_predictions(dev[index]["query"], texts, right))
    for index, label in list(enumerate(wrong))[:: max(1, len(wrong) // SHOWN)][:SHOWN]:
        texts = {name: result["wrong_labels"]["predictions"][index] for name, result in last.items()}
        right = {name: result["wrong_labels"]["right"][index] == "1" for name, result in last.items()}
        block = marked_predictions(label["gold"], texts, right)
        lines += shown(train[label["index"]], f"{block}\nlabel ({label['kind']})  {train[label['index']]['query']}")
    return lines


def doubted_labels(demo: Demo) -> list[str]:
    """Markdown: how well the teacher finds wrong labels, and the labels that it doubts most."""
    trust = sorted(demo.found("teacher")["label_trust"], key=lambda label: label["probability"])
    train, wrong = read(demo, "train_spider"), {label["index"]: label for label in read(demo, "labels")["wrong"]}
    lines = []
    if wrong:
        ranking, rows = [label["index"] for label in trust], []
        for count in sorted({max(1, len(wrong) * part // 4) for part in (1, 2, 4, 8)}):
            precision, recall = precision_and_recall(ranking, set(wrong), count)
            rows.append([str(count), f"{100 * precision:.0f} %", f"{100 * recall:.0f} %"])
        table = markdown_table(["least trusted", "precision", "recall"], rows)
        lines += [TRUST_NOTES.format(wrong=len(wrong)), table, ""]
    for label in trust[:DOUBTED]:
        kind = wrong.get(label["index"])
        truth = f"gold ({kind['kind']})  {kind['gold']}" if kind else "the label is correct"
        item = train[label["index"]]
        block = (
            f"label  {item['query']}\n{truth}\nleast probable: {label['token'].strip()!r}, {label['probability']:.2g}"
        )
        lines += shown(item, block)
    return lines


def screen_table(rows: list[list[str]]) -> Table:
    """The table for the terminal, with one word of a heading per line, so that it fits into 80 columns."""
    table = Table(title="minibench, EX in percent on 100 new databases")
    for number, column in enumerate(HEADER):
        table.add_column(column.replace(" ", "\n"), justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def write_report(demo: Demo) -> None:
    """Print the table and the conclusion; write these, curves, predictions and doubted labels to report.md."""
    from parts.plots import plot_epochs  # not at the top: importing matplotlib takes a second

    rows, said = table_rows(demo), conclusion(demo)
    console.print(screen_table(rows))
    console.print(said)
    curves = {}
    for method in demo.methods:
        valid = [demo.found(f"{method}-seed{seed}")["valid"] for seed in demo.seeds]
        curves[method] = [[(int(step) / demo.steps_per_epoch(), ex) for step, ex in found.items()] for found in valid]
    runs = {method: demo.run(f"{method}-seed{demo.seeds[0]}") for method in demo.methods}
    plot_epochs(curves, runs, demo.output / "curves.png")
    parts = [
        ["# Demo: a tiny teacher distilled into a tiny student, with imperfect labels", "", said, ""],
        [markdown_table(HEADER, rows), NOTES, "![EX on valid and training loss over epochs](curves.png)", ""],
        ["## Predictions", "", *predictions(demo)],
        ["## Labels that the teacher doubts", "", *doubted_labels(demo)],
    ]
    write_atomically(demo.output / "report.md", "\n".join(line for part in parts for line in part) + "\n")
