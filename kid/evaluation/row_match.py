"""Compare a prediction's rows with gold rows in CSV files, by the rule of Spider 2.0's evaluation suite.

In this rule, both results are tables read from CSV: a column is numeric if all its cells are numbers, and an empty cell
is NULL. A prediction is correct if each gold column that counts equals one of its columns, cell by cell: numbers to
within `TOLERANCE`, text exactly, NULL only NULL. The prediction may have more columns, names do not matter, and several
gold columns may equal the same column. Rows are in order unless the question says otherwise; then each column is
compared on its own, in any order.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path

from kid.data.gold_rows import GoldRows
from kid.evaluation.worker import QueryError, Sandbox
from kid.sql.comparison import Row, first_query

TOLERANCE = 0.01
# Cells that pandas.read_csv, with which the official code reads both results, reads as NULL.
NULLS = {
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
}  # fmt: skip
NUMBER = re.compile(r"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)\s*", re.IGNORECASE)
TRUTH = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}  # SQLite has 1 and 0
Column = Sequence[str | float | None]


def match_gold_rows(sandbox: Sandbox, database: Path, gold: GoldRows, prediction: str, seconds: float) -> bool:
    """The job of one question: whether the prediction returns the rows of one of the gold files.

    Args:
        seconds: time limit of the prediction.

    Raises:
        QueryError: the prediction fails, or a gold file cannot be read; the sandbox's stage says which.
    """
    sandbox.begin_stage("gold")
    tables = [gold_columns(Path(file), columns) for file, columns in zip(gold.files, gold.columns, strict=True)]
    sandbox.begin_stage("prediction", seconds)
    if not prediction.strip():
        raise QueryError("empty prediction")
    names, rows = sandbox.table(database, first_query(prediction))
    sandbox.begin_stage("comparison")
    predicted = columns_of_rows(rows, len(names))
    return any(columns_match(wanted, predicted, gold.ignore_order) for wanted in tables)


def gold_columns(path: Path, chosen: Sequence[int]) -> list[Column]:
    """Read the chosen columns of a CSV file with a header; all columns if none is chosen.

    Raises:
        QueryError: the file is damaged, or lacks a chosen column.
        OSError: the file cannot be read; this ends the scoring, as for a database.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (ValueError, csv.Error) as error:
        raise QueryError(f"{path} cannot be read ({error})") from None
    rows = [row for row in rows if row]  # pandas skips blank lines
    uneven = next((row for row in rows if len(row) != len(header)), None)
    if not header or uneven is not None:
        what = f"has a row of {len(uneven)} cells under {len(header)} names" if uneven else "has no header"
        raise QueryError(f"{path} {what}")
    if max(chosen, default=0) >= len(header):
        raise QueryError(f"{path} has {len(header)} columns, but column {max(chosen)} is to be compared")
    columns = columns_of_rows([tuple(row) for row in rows], len(header))
    return [columns[place] for place in chosen or range(len(header))]


def columns_of_rows(rows: Sequence[Row], width: int) -> list[Column]:
    """Return the columns of a result as read from a CSV file: all numbers and NULL, or all text and NULL."""
    cells = [["" if row[place] is None else str(row[place]) for row in rows] for place in range(width)]
    return [typed_column([None if cell in NULLS else cell for cell in column]) for column in cells]


def typed_column(cells: Sequence[str | None]) -> Column:
    """Convert the cells to numbers if all are numbers, or if all are true or false; otherwise keep them."""
    if all(cell is None or NUMBER.fullmatch(cell) for cell in cells):
        return [None if cell is None else float(cell) for cell in cells]
    if all(cell is None or cell in TRUTH for cell in cells):
        return [None if cell is None else TRUTH[cell] for cell in cells]
    return cells


def columns_match(gold: Sequence[Column], predicted: Sequence[Column], ignore_order: bool) -> bool:
    """Whether each gold column equals one of the prediction's."""
    if ignore_order:
        # Sort numbers by value: the official code sorts their text, which puts 9.999 and 10.0 far apart.
        gold, predicted = ([sorted(column, key=sorting_key) for column in columns] for columns in (gold, predicted))
    return all(any(equal_columns(wanted, found) for found in predicted) for wanted in gold)


def sorting_key(cell: str | float | None) -> tuple:
    return (cell is None, isinstance(cell, str), cell if cell is not None else 0)


def equal_columns(gold: Column, predicted: Column) -> bool:
    """Whether two columns are equal cell by cell."""
    return len(gold) == len(predicted) and all(map(equal_cells, gold, predicted))


def equal_cells(gold: str | float | None, predicted: str | float | None) -> bool:
    if isinstance(gold, float) and isinstance(predicted, float):
        return math.isclose(gold, predicted, abs_tol=TOLERANCE)
    return gold == predicted
