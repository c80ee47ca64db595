"""Format numbers, tables and predictions as text; without matplotlib, which takes a second to import.

All text in Markdown passes through `escape_markdown`, `inline_markdown`, `inline_code`, `code_block` or
`markdown_table`: names, questions, queries and errors come from files and models that nobody has checked.
"""

from __future__ import annotations

import math
import re
import statistics
import textwrap
from collections.abc import Sequence
from functools import partial

from kid.terminal import printable

COLUMNS = 120  # of a line of predictions
ENTITY = r"&(?=#?\w+;)"
ADDRESS = r"(?<=:)/(?=/)|(?<=\bwww)\."  # GitHub would make it a link
ITEM = r"\A[-+](?=\s|[-\s]*\Z)"  # a list item, or a horizontal line
SIGNS = re.compile(rf"[\\`*_<>\[\]#~]|{ENTITY}|{ADDRESS}|{ITEM}", re.IGNORECASE)
# Without characters that are literal in their position: a < b, [1, 2], snake_case. Stars are left to the caller.
ACTIVE_SIGNS = re.compile(
    rf"\\(?=[!-/:-@\[-`{{-~]|\Z)|[`~]|<(?=[a-z/!?])|\](?=[(\[:])|\A[#>]|{ENTITY}|{ADDRESS}", re.IGNORECASE
)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and sample standard deviation (n - 1); the latter is None for a single value."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def standard_error(measurements: Sequence[tuple[float, int]]) -> float:
    """Return the binomial standard error, in points, of the mean of (EX in percent, questions); seeds count as one."""
    return math.sqrt(sum(ex * (100 - ex) / n for ex, n in measurements)) / len(measurements)


def plus_minus(mean: float, deviation: float | None) -> str:
    """Write a mean and its deviation, if any, with one decimal."""
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def format_mean(values: Sequence[float]) -> str:
    """Write mean and, for several values, sample standard deviation; "-" without values."""
    return plus_minus(*mean_and_deviation(values)) if values else "-"


def one_decimal(number: float) -> str:
    """Write a number with one decimal, never as -0.0."""
    return f"{round(number, 1) + 0.0:.1f}"


def signed(difference: float) -> str:
    """Write a difference with its sign and one decimal, never as -0.0."""
    return f"{round(difference, 1) + 0.0:+.1f}"


def pluralize(number: int, noun: str) -> str:
    """Write a number with its noun: "1 run", "2 runs"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def one_line(text: str) -> str:
    """Make a text `printable`, with spaces instead of line breaks."""
    return re.sub(r"\s*\n\s*", " ", printable(text)).strip()


def escape_markdown(text: str) -> str:
    """Escape a text for Markdown, on one line: none of it is read as Markdown or HTML."""
    return SIGNS.sub(r"\\\g<0>", " ".join(printable(text).split()))


def inline_markdown(text: str) -> str:
    """Write a paragraph, heading or cell as Markdown: only its `code`, *emphasis* and **bold** have an effect.

    HTML, links, images and headings are escaped; text without them does not change.
    """
    parts = re.split(r"(`[^`]+`)", one_line(text))
    return "".join(
        inline_code(part[1:-1]) if number % 2 else ACTIVE_SIGNS.sub(r"\\\g<0>", part)
        for number, part in enumerate(parts)
    )


def inline_code(text: str) -> str:
    """Write a text as `code` on one line, between more backticks than it has in a row."""
    text = one_line(text)
    ticks = "`" * (longest_ticks(text) + 1)
    space = " " if text[:1] == "`" or text[-1:] == "`" or not text else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def code_block(text: str, language: str) -> str:
    """Write a text as a code block that no line of it can end: the fences are longer than any backticks in it."""
    text = printable(text)
    fence = "`" * max(3, longest_ticks(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def longest_ticks(text: str) -> int:
    """Return the maximum number of consecutive backticks in a text."""
    return max(map(len, re.findall("`+", text)), default=0)


def markdown_table(header: Sequence[object], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """Write a Markdown table with its first `left` columns left-aligned, the others right-aligned; cells are inline."""
    cells = [[table_cell(str(cell)) for cell in line] for line in (header, *rows)]
    lines = [cells[0], [*["---"] * left, *["---:"] * (len(header) - left)], *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_cell(text: str) -> str:
    """Write a cell's Markdown with escaped bars, so that none ends the cell."""
    return inline_markdown(text).replace("|", "\\|")


def marked_predictions(gold: str, predictions: dict[str, str], right: dict[str, bool]) -> str:
    """Return lines with the gold SQL, if not empty, and each model's prediction, marked correct or wrong.

    SQL that is too long for a line continues below its beginning.
    """
    width = max(map(len, [*predictions, "gold"]))
    entries = [(f"{'gold':<{width}}    ", gold)] if gold else []
    entries += [(f"{model:<{width}} {'ok' if right[model] else '--'} ", text) for model, text in predictions.items()]
    wrap = partial(
        textwrap.fill, width=COLUMNS, subsequent_indent=" " * (width + 4), expand_tabs=False, replace_whitespace=False,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(wrap(text, initial_indent=start) if text else start for start, text in entries)
