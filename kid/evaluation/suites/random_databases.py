"""Generate random databases for a schema: types and keys are kept, and values are chosen to distinguish queries.

After Zhong et al. (2020). Values come from the original database, from the constants of the gold queries and from
values near these; a column is filled with ties, with groups of different sizes, or without duplicates. A column whose
cells have one format, such as dates, gets only valid values of it (see `formats`).
"""

from __future__ import annotations

import math
import random
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from kid.data.database import quote
from kid.evaluation.suites.database_plans import FRACTIONS, ColumnPlan, DatabasePlan, ForeignKey, TablePlan
from kid.evaluation.suites.patterns import Near
from kid.evaluation.suites.text_numbers import NUMBER
from kid.sql.parsing import lower

NULL_SHARE = 0.12
EXACT_WEIGHT = 3  # a constant is this many times as likely as each value near it
FEW_VALUES = 4
TRIES_PER_VALUE = 4  # attempts to find a value of a format that is not used yet
LAST_NUMBER = re.compile(r"(\d+)(\D*)$")


def constant_values(literal: str, column: ColumnPlan) -> list:
    """Return values of a column near a query's constant, with the constant itself, if it is valid, several times.

    A column with a format gets a constant of another format only if it is one of the column's few odd cells.
    """
    if column.format is None:
        value, *others = near_values(literal, column.kind) or [None]
        near = Near(value, tuple(others))
    elif literal in column.values and not column.format.fits(literal):
        near = Near(literal, ())
    else:
        near = column.format.near(literal, [str(value) for value in column.well_formed])
    exact = [] if near.exact is None else [near.exact] * EXACT_WEIGHT
    return [as_stored(value, column) for value in (*exact, *near.others)]


def as_stored(value: Any, column: ColumnPlan) -> Any:
    """Convert a value to the type that the column stores; formats return text."""
    return int(value) if column.format is not None and column.kind == "integer" else value


def near_values(literal: str, kind: str) -> list:
    """Return a constant as a value of the column's kind, then values near it; empty if it cannot be converted."""
    if kind == "text":
        core = literal.replace("%", "").replace("_", "a")
        if "%" in literal:
            return [core, f"{core} ab", f"ab {core}", f"ab {core} ab"]
        last = LAST_NUMBER.search(literal)
        if last is None:
            return [literal, literal.swapcase(), literal[:-1], f"{literal} ab"]
        start, (digits, rest) = literal[: last.start()], last.groups()
        steps = [str(max(0, int(digits) + step)).zfill(len(digits)) for step in (-1, 1)]
        return [literal, *(f"{start}{step}{rest}" for step in steps)]
    text = literal.strip("%")  # LIKE '19%' on numbers
    if not NUMBER.fullmatch(text):
        return []
    number = float(text) if "." in text else int(text)
    if kind == "real":
        return [float(number), number - 1.0, number + 1.0]
    whole = [math.floor(number), math.ceil(number)] if isinstance(number, float) else [number, number - 1, number + 1]
    return [value for value in whole if abs(value) < 2**62]  # SQLite's integers have 64 bits


def fresh_values(column: ColumnPlan, generator: random.Random) -> list:
    """Return a few generic values of the column's kind or format, independent of the queries."""
    if column.format is not None:
        own = [str(value) for value in column.well_formed]
        found = [column.format.fresh(own, generator) for _ in range(3)]
        return [as_stored(value, column) for value in found if value is not None]
    numbers = [generator.randint(0, 9) for _ in range(3)]
    values: dict[str, list] = {
        "integer": numbers,
        "real": [number + generator.randrange(FRACTIONS) / FRACTIONS for number in numbers],
        "text": [f"value {number}" for number in numbers],
    }
    return values[column.kind]


def unused_values(column: ColumnPlan, taken: set, count: int, generator: random.Random) -> list:
    """Return `count` values of the column's kind that are not in `taken`; fewer if its format has no more."""
    found: dict[object, None] = {}
    if column.format is not None:
        for _ in range(TRIES_PER_VALUE * count):
            if len(found) < count:
                found |= dict.fromkeys(value for value in fresh_values(column, generator) if value not in taken)
        return list(found)[:count]
    makers: dict[str, Callable[[int], object]] = {"integer": int, "real": float, "text": "value {}".format}
    make = makers[column.kind]
    number = 1
    while len(found) < count:
        if make(number) not in taken:
            found[make(number)] = None
        number += 1
    return list(found)


def fill_column(column: ColumnPlan, style: str, count: int, constants: Sequence, generator: random.Random) -> list:
    """Draw `count` values of a column, in random order; without duplicates, fewer if its format has no more.

    Args:
        style: "distinct": no duplicates; "groups": few values, each a different number of times; "ties": drawn with
            replacement.
        constants: values that queries compare the column with, and values near them.
    """
    own = list(column.well_formed)
    if style == "distinct":
        chosen = generator.sample(constants, min(len(constants), (count + 1) // 2))
        # `constants` may have a value several times.
        chosen = list(dict.fromkeys([*chosen, *generator.sample(own, min(len(own), count))]))[:count]
        chosen += unused_values(column, set(chosen), count - len(chosen), generator)
    else:
        size = generator.randint(2, 5) if style == "groups" else max(2, count // 2)
        pool = generator.sample(constants, min(len(constants), max(1, size // 2)))
        pool += generator.sample(own, min(len(own), size))
        # A column of free text with many values needs no others.
        if column.kind != "text" or column.format is not None or len(own) < FEW_VALUES:
            pool += fresh_values(column, generator)
        pool = list(dict.fromkeys(pool))[:size]
        if style == "groups":
            generator.shuffle(pool)
            chosen = repeat_unequally(pool, count)
        else:
            chosen = generator.choices(pool, k=count)
    generator.shuffle(chosen)
    return chosen


def repeat_unequally(pool: Sequence, count: int) -> list:
    """Return `count` values, each repeated a different number of times: the last once, the one before twice, and so on.

    The first value fills the rest.
    """
    size = len(pool)
    while size > 1 and size * (size + 1) // 2 > count:
        size -= 1
    chosen = [value for times, value in enumerate(reversed(pool[:size]), start=1) for _ in range(times)]
    return (chosen + [pool[0]] * count)[:count]


def draw_rows(
    plan: DatabasePlan,
    constants: Mapping[tuple[str, str], Sequence[str]],
    ordered: frozenset[tuple[str, str]],
    max_rows: int,
    generator: random.Random,
) -> dict[str, list[dict]]:
    """Draw the rows of every table, each as column -> value.

    Args:
        constants: (table, column) -> literals that queries compare the column with.
        ordered: columns that queries order rows by; ties in them would make results nondeterministic.
        max_rows: maximum number of rows of a table.
    """
    rows: dict[str, list[dict]] = {}
    cyclic_keys: list[tuple[TablePlan, ForeignKey]] = []
    constants = add_child_constants(constants, plan)
    for name, table in plan.tables.items():
        count = round(math.exp(generator.uniform(math.log(3), math.log(max(3, max_rows)))))
        cells: dict[str, list] = {}
        single_keys = {key[0] for key in table.keys if len(key) == 1}
        for column_name, column in table.columns.items():
            texts = constants.get((name, column_name), ())
            wanted = [value for text in texts for value in constant_values(text, column)]
            distinct = column_name in single_keys or (name, column_name) in ordered
            # Names are unique in most originals; queries group by them and output other columns of the same row.
            style = (
                "distinct"
                if distinct or (column.distinct and generator.random() < 0.7)
                else (generator.choice(("groups", "ties")))
            )
            values = fill_column(column, style, count, wanted, generator)
            if not distinct and values:
                values += generator.choices(values, k=count - len(values))
            if column.nullable and generator.random() < 0.5:
                share = 1 / count if (name, column_name) in ordered else NULL_SHARE
                values = [None if generator.random() < share else value for value in values]
            cells[column_name] = values
        # A format may have too few values for a key: the table has fewer rows.
        drawn = [dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=False)]
        for key in table.foreign_keys:
            if key.table in rows or key.table == name:
                drawn = set_foreign_key(table, key, rows.get(key.table, drawn), drawn, generator)
            else:
                cyclic_keys.append((table, key))
        rows[name] = without_duplicates(drawn, table.keys)
    for table, key in cyclic_keys:
        name = lower(table.name)
        rows[name] = without_duplicates(set_foreign_key(table, key, rows[key.table], rows[name], generator), table.keys)
    return rows


def add_child_constants(
    constants: Mapping[tuple[str, str], Sequence[str]], plan: DatabasePlan
) -> dict[tuple[str, str], list[str]]:
    """Return the constants, with those of a referring column added to the column that it refers to."""
    found = {column: list(texts) for column, texts in constants.items()}
    for name in reversed(plan.tables):
        for key in plan.tables[name].foreign_keys:
            for column, referenced in zip(key.columns, key.referenced, strict=True):
                found.setdefault((key.table, referenced), []).extend(found.get((name, column), ()))
    return found


def set_foreign_key(
    table: TablePlan, key: ForeignKey, parents: list[dict], rows: list[dict], generator: random.Random
) -> list[dict]:
    """Return the rows with a foreign key's columns set to values of parent rows.

    Without parent rows, the columns become NULL, or the rows are dropped if a key of the table forbids NULL.
    """
    may_be_null = all(table.columns[column].nullable for column in key.columns)
    targets = list(dict.fromkeys(tuple(parent[column] for column in key.referenced) for parent in parents))
    targets = [target for target in targets if None not in target]
    if not targets:
        nothing = dict.fromkeys(key.columns)
        in_keys = {column for columns in table.keys for column in columns}
        return [] if in_keys & set(key.columns) else [row | nothing for row in rows]
    if set(key.columns) in [set(columns) for columns in table.keys]:  # one row per parent
        generator.shuffle(targets)
        chosen = targets[: len(rows)]
    elif generator.random() < 0.6:
        some = generator.sample(targets, generator.randint(1, min(len(targets), 8)))
        chosen = repeat_unequally(some, len(rows))
        generator.shuffle(chosen)
    else:
        chosen = generator.choices(targets, k=len(rows))
    linked = [row | dict(zip(key.columns, target, strict=True)) for row, target in zip(rows, chosen, strict=False)]
    if may_be_null:
        linked = [row | dict.fromkeys(key.columns) if generator.random() < NULL_SHARE else row for row in linked]
    return linked


def without_duplicates(rows: list[dict], keys: Sequence[tuple[str, ...]]) -> list[dict]:
    for key in keys:
        rows = list({tuple(row[column] for column in key): row for row in reversed(rows)}.values())[::-1]
    return rows


def write_database(plan: DatabasePlan, rows: Mapping[str, list[dict]], path: Path) -> None:
    """Write a SQLite file with these rows; rows that violate a CHECK or a key are skipped. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for statement in plan.statements:
            connection.execute(statement)
        for name, table in plan.tables.items():
            columns = ", ".join(quote(column.name) for column in table.columns.values())
            marks = ", ".join("?" * len(table.columns))
            insert = f"INSERT OR IGNORE INTO {quote(table.name)} ({columns}) VALUES ({marks})"
            connection.executemany(insert, [tuple(row.values()) for row in rows[name]])
        drop_orphans(plan, connection)
        connection.execute("COMMIT")


def drop_orphans(plan: DatabasePlan, connection: sqlite3.Connection) -> None:
    """Delete rows without a parent row, then the rows that refer to these, until every foreign key holds."""
    before = -1
    while before != connection.total_changes:
        before = connection.total_changes
        for table in plan.tables.values():
            for key in table.foreign_keys:
                columns = [f"{quote(table.name)}.{quote(column)}" for column in key.columns]
                given = " AND ".join(f"{column} IS NOT NULL" for column in columns)
                pairs = zip(columns, key.referenced, strict=True)
                same = " AND ".join(f"parent.{quote(referenced)} = {column}" for column, referenced in pairs)
                exists = f"EXISTS (SELECT 1 FROM {quote(key.table)} AS parent WHERE {same})"
                connection.execute(f"DELETE FROM {quote(table.name)} WHERE {given} AND NOT {exists}")
