"""Formats numbers, tables and predictions as text; without matplotlib, which takes a second to import.

Whatever is put into Markdown goes through one of `escape_markdown`, `inline_markdown`, `inline_code`, `code_block` and
`markdown_table`: names, questions, queries and errors come from files and models that nobody has checked.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence

from kid.terminal import printable

ENTITY = r"&(?=#?\w+;)"
ADDRESS = r"(?<=:)/(?=/)|(?<=\bwww)\."  # GitHub makes a link of it
ITEM = r"\A[-+](?=\s|[-\s]*\Z)"  # of a list, or a line across the page
SIGNS = re.compile(rf"[\\`*_<>\[\]#~]|{ENTITY}|{ADDRESS}|{ITEM}", re.IGNORECASE)
# Without signs that stand for themselves where they are: a < b, [1, 2], snake_case. Stars are the caller's.
ACTIVE_SIGNS = re.compile(
    rf"\\(?=[!-/:-@\[-`{{-~]|\Z)|[`~]|<(?=[a-z/!?])|\](?=[(\[:])|\A[#>]|{ENTITY}|{ADDRESS}", re.IGNORECASE
)


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


def one_line(text: str) -> str:
    """The text as `printable`, its line breaks as spaces."""
    return re.sub(r"\s*\n\s*", " ", printable(text)).strip()


def escape_markdown(text: str) -> str:
    """The text escaped for Markdown, on one line: no sign of it is read as Markdown or HTML."""
    return SIGNS.sub(r"\\\g<0>", " ".join(printable(text).split()))


def inline_markdown(text: str) -> str:
    """A paragraph, heading or cell as Markdown: its `code`, *emphasis* and **bold** act, nothing else in it does.

    No HTML, link, image or heading comes of it; text without any stays as it is.
    """
    parts = re.split(r"(`[^`]+`)", one_line(text))
    return "".join(
        inline_code(part[1:-1]) if number % 2 else ACTIVE_SIGNS.sub(r"\\\g<0>", part)
        for number, part in enumerate(parts)
    )


def inline_code(text: str) -> str:
    """The text as `code` on one line, between more backticks than it has in a row."""
    text = one_line(text)
    ticks = "`" * (longest_ticks(text) + 1)
    space = " " if text[:1] == "`" or text[-1:] == "`" or not text else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def code_block(text: str, language: str) -> str:
    """The text as a block of code, which no line of it ends: its fences are longer than any backticks in it."""
    text = printable(text)
    fence = "`" * max(3, longest_ticks(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def longest_ticks(text: str) -> int:
    """How many backticks the text has in a row at most."""
    return max(map(len, re.findall("`+", text)), default=0)


def markdown_table(header: Sequence[object], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """A Markdown table with its first `left` columns left-aligned and the others right-aligned; cells are inline."""
    cells = [[table_cell(str(cell)) for cell in line] for line in (header, *rows)]
    lines = [cells[0], [*["---"] * left, *["---:"] * (len(header) - left)], *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_cell(text: str) -> str:
    """A cell's Markdown, which no bar in it ends."""
    return inline_markdown(text).replace("|", "\\|")


def marked_predictions(gold: str, predictions: dict[str, str], right: dict[str, bool]) -> str:
    """Lines of the gold SQL, if not empty, and of every model's prediction, marked right or wrong."""
    width = max(map(len, [*predictions, "gold"]))
    lines = [f"{'gold':<{width}}    {gold}"] if gold else []
    lines += [f"{model:<{width}} {'ok' if right[model] else '--'} {text}" for model, text in predictions.items()]
    return "\n".join(lines)
