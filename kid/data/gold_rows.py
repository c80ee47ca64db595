"""Gold rows instead of gold SQL: CSV files with the rows of a correct prediction, as in Spider 2.0-lite."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import ascii_lowercase

FIELD, COLUMNS_FIELD, ORDER_FIELD = "gold_rows", "condition_cols", "ignore_order"  # the last two as in Spider 2


@dataclass(frozen=True)
class GoldRows:
    """The accepted results of a question; a prediction that matches one of them is correct.

    files: paths of CSV files, each with a header.
    columns: for each file, the numbers of the columns to compare; empty: all.
    ignore_order: whether the values of a column may be in any order.
    """

    files: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    ignore_order: bool = False


def read_gold_rows(item: dict, folder: Path) -> tuple[GoldRows | None, str]:
    """(the gold rows that a question's item names, "") or (None, why they cannot be used).

    In addition to NAME.csv, or instead of it, there may be variants NAME_a.csv to NAME_z.csv in the same folder.

    Args:
        folder: the folder of the question's file; the CSV files are in or below it.
    """
    name = item[FIELD]
    if not isinstance(name, str) or not name.endswith(".csv") or not is_below(name):
        return None, f"a {FIELD} that is not the path of a .csv file in or below the folder of the questions"
    stem = str(folder / name).removesuffix(".csv")
    files = [
        path
        for end in ("", *(f"_{letter}" for letter in ascii_lowercase))
        if os.path.isfile(path := f"{stem}{end}.csv")
    ]
    if not files:
        return None, f"no file {name}"
    columns = columns_of_files(item.get(COLUMNS_FIELD) or [], len(files))
    if columns is None:
        required = f"a list of column numbers, or one such list for each of the {len(files)} files"
        return None, f"a {COLUMNS_FIELD} that is not {required}"
    ignore_order = item.get(ORDER_FIELD) or False
    if not isinstance(ignore_order, bool):
        return None, f"an {ORDER_FIELD} that is neither true nor false"
    return GoldRows(tuple(files), columns, ignore_order), ""


def is_below(name: str) -> bool:
    """Whether a path is relative and stays in or below its folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\0" not in name


def columns_of_files(value: object, count: int) -> tuple[tuple[int, ...], ...] | None:
    """The columns of each file, from one list for all files or a list for each; None if `value` is neither."""
    if not isinstance(value, list):
        return None
    if all(entry in ([], None) for entry in value):
        return ((),) * count
    lists = value if all(isinstance(entry, list) for entry in value) else [value] * count
    numbers = [number for entry in lists for number in entry]
    valid = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)
    return tuple(map(tuple, lists)) if valid and len(lists) == count else None
