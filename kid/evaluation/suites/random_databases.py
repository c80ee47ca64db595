"""Random databases over a schema: its types and keys kept, its values drawn from those that queries can tell apart.

After Zhong et al. (2020). Values come from the original database, from the constants of the gold queries
and from what lies next to these; columns are filled with ties, with group sizes that all differ, or without ties.
"""

from __future__ import annotations

import math
import random
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from kid.data.schema import quote
from kid.evaluation.suites.database_plans import FRACTIONS, NUMBER, ColumnPlan, DatabasePlan, ForeignKey, TablePlan
from kid.sql.normalise import lower

NULL_SHARE = 0.12
EXACT_WEIGHT = 3  # how often a constant itself is drawn for each time a value next to it is
FEW_VALUES = 4
LAST_NUMBER = re.compile(r"(\d+)(\D*)$")


def near_values(literal: str, kind: str) -> list:
    """A constant as a value of a column, then the values next to it; empty if it cannot be one."""
    if kind == "text":
        core = literal.replace("%", "").replace("_", "a")
        if "%" in literal:
            return [core, f"{core} ab", f"ab {core}", f"ab {core} ab"]
        number = LAST_NUMBER.search(literal)
        if number is None:
            return [literal, literal.swapcase(), literal[:-1], f"{literal} ab"]
        start, (digits, rest) = literal[: number.start()], number.groups()
        steps = [str(max(0, int(digits) + step)).zfill(len(digits)) for step in (-1, 1)]
        return [literal, *(f"{start}{step}{rest}" for step in steps)]
    text = literal.strip("%")  # LIKE '19%' on numbers
    if not NUMBER.fullmatch(text):
        return []
    number = float(text) if "." in text else int(text)
    if kind == "digits":
        return [text, *(str(number + step) for step in (-1, 1))]
    if kind == "real":
        return [float(number), number - 1.0, number + 1.0]
    whole = [math.floor(number), math.ceil(number)] if isinstance(number, float) else [number, number - 1, number + 1]
    return [value for value in whole if abs(value) < 2**62]  # SQLite's integers have 64 bits


def fresh_values(column: ColumnPlan, generator: random.Random) -> list:
    """A few values of the column's kind that stand in no database and no query."""
    numbers = [generator.randint(0, 9) for _ in range(3)]
    return {
        "integer": numbers,
        "real": [number + generator.randrange(FRACTIONS) / FRACTIONS for number in numbers],
        "digits": [str(number) for number in numbers],
        "text": [f"value {number}" for number in numbers],
    }[column.kind]


def unlike_values(column: ColumnPlan, taken: set, count: int) -> list:
    """So many values of the column's kind that are not taken yet."""
    make = {"integer": int, "real": float, "digits": str, "text": "value {}".format}[column.kind]
    found, number = [], 1
    while len(found) < count:
        if make(number) not in taken:
            found.append(make(number))
        number += 1
    return found


def fill_column(column: ColumnPlan, style: str, count: int, constants: Sequence, generator: random.Random) -> list:
    """So many values.

    Args:
        style: "distinct": none twice; "groups": few values, each another number of times; "ties": drawn freely.
        constants: values that queries ask for, and what lies next to them.
    """
    own = [value for value in column.values if not isinstance(value, bytes)] or list(column.values)
    if style == "distinct":
        chosen = generator.sample(constants, min(len(constants), (count + 1) // 2))
        # Constants may be drawn several times.
        chosen = list(dict.fromkeys([*chosen, *generator.sample(own, min(len(own), count))]))[:count]
        chosen += unlike_values(column, set(chosen), count - len(chosen))
    else:
        size = generator.randint(2, 5) if style == "groups" else max(2, count // 2)
        pool = generator.sample(constants, min(len(constants), max(1, size // 2)))
        pool += generator.sample(own, min(len(own), size))
        if column.kind != "text" or len(own) < FEW_VALUES:  # many names do not need more
            pool += fresh_values(column, generator)
        pool = list(dict.fromkeys(pool))[:size]
        if style == "groups":
            generator.shuffle(pool)
            chosen = in_groups(pool, count)
        else:
            chosen = generator.choices(pool, k=count)
    generator.shuffle(chosen)
    return chosen


def in_groups(pool: Sequence, count: int) -> list:
    """So many values, each of another number: 1 of the last, 2 of the one before, ...; the rest is of the first."""
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
    """Rows of every table, as column -> value.

    Args:
        constants: literals that queries compare a column with.
        ordered: columns by which queries order rows; ties in them would leave results to chance.
        max_rows: of a table.
    """
    rows: dict[str, list[dict]] = {}
    in_circles: list[tuple[TablePlan, ForeignKey]] = []
    constants = with_those_of_children(constants, plan)
    for name, table in plan.tables.items():
        count = round(math.exp(generator.uniform(math.log(3), math.log(max(3, max_rows)))))
        cells: dict[str, list] = {}
        single_keys = {key[0] for key in table.keys if len(key) == 1}
        for place, column in table.columns.items():
            asked = []
            for text in constants.get((name, place), ()):
                value, *near = near_values(text, column.kind) or [None]
                asked += [] if value is None else [value] * EXACT_WEIGHT + near
            distinct = place in single_keys or (name, place) in ordered
            # Names are unique in most originals; queries group by them and show what belongs to them.
            style = (
                "distinct"
                if distinct or (column.distinct and generator.random() < 0.7)
                else (generator.choice(("groups", "ties")))
            )
            cells[place] = fill_column(column, style, count, asked, generator)
            if column.nullable and generator.random() < 0.5:
                share = 1 / count if (name, place) in ordered else NULL_SHARE
                cells[place] = [None if generator.random() < share else value for value in cells[place]]
        drawn = [dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=True)]
        for key in table.foreign_keys:
            if key.table in rows or key.table == name:
                drawn = point_to(table, key, rows.get(key.table, drawn), drawn, generator)
            else:
                in_circles.append((table, key))
        rows[name] = without_duplicates(drawn, table.keys)
    for table, key in in_circles:
        name = lower(table.name)
        rows[name] = without_duplicates(point_to(table, key, rows[key.table], rows[name], generator), table.keys)
    return rows


def with_those_of_children(
    constants: Mapping[tuple[str, str], Sequence[str]], plan: DatabasePlan
) -> dict[tuple[str, str], list[str]]:
    """The constants, and for a column that others point to also what these are compared with."""
    found = {column: list(texts) for column, texts in constants.items()}
    for name in reversed(plan.tables):
        for key in plan.tables[name].foreign_keys:
            for column, referenced in zip(key.columns, key.referenced, strict=True):
                found.setdefault((key.table, referenced), []).extend(found.get((name, column), ()))
    return found


def point_to(
    table: TablePlan, key: ForeignKey, parents: list[dict], rows: list[dict], generator: random.Random
) -> list[dict]:
    """The rows with a foreign key's columns set to those of parents; rows that can point nowhere are NULL, or go."""
    may_be_null = all(table.columns[column].nullable for column in key.columns)
    targets = list(dict.fromkeys(tuple(parent[column] for column in key.referenced) for parent in parents))
    targets = [target for target in targets if None not in target]
    if not targets:
        nothing = dict.fromkeys(key.columns)
        in_keys = {column for columns in table.keys for column in columns}
        return [] if in_keys & set(key.columns) else [row | nothing for row in rows]
    if set(key.columns) in [set(columns) for columns in table.keys]:  # one row for one parent
        generator.shuffle(targets)
        chosen = targets[: len(rows)]
    elif generator.random() < 0.6:
        some = generator.sample(targets, generator.randint(1, min(len(targets), 8)))
        chosen = in_groups(some, len(rows))
        generator.shuffle(chosen)
    else:
        chosen = generator.choices(targets, k=len(rows))
    pointed = [row | dict(zip(key.columns, target, strict=True)) for row, target in zip(rows, chosen, strict=False)]
    if may_be_null:
        pointed = [row | dict.fromkeys(key.columns) if generator.random() < NULL_SHARE else row for row in pointed]
    return pointed


def without_duplicates(rows: list[dict], keys: Sequence[tuple[str, ...]]) -> list[dict]:
    for key in keys:
        rows = list({tuple(row[column] for column in key): row for row in reversed(rows)}.values())[::-1]
    return rows


def write_database(plan: DatabasePlan, rows: Mapping[str, list[dict]], path: Path) -> None:
    """A SQLite file with these rows; those that break a CHECK or a key are left out. Raises sqlite3.Error."""
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
    """Delete rows whose parent was not taken, then those that pointed to these, until every foreign key holds."""
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
