"""Draw a random schema of two to five tables, and rows for it."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kid.minibench.vocabulary import POOLS, TABLE_ATTRIBUTES, TABLE_NOUNS, Attribute

TABLE_COUNTS = {2: 2, 3: 5, 4: 2, 5: 1}  # number of tables -> weight
BRIDGES = 0.4  # share of tables with two parents, from the third table on
ATTRIBUTES, BRIDGE_ATTRIBUTES = (2, 4), (1, 3)  # number of columns besides id, keys and label: (least, most)
LABELLED_EVENTS = 0.5  # share of event tables with a label, among those that are not bridges
NULLABLE, NULLS = 0.3, 0.15  # share of columns with NULLs, and of NULLs in them
DUPLICATES = 0.3  # share of number columns in which values may repeat
PARENT_ROWS, CHILD_ROWS = (12, 16), (18, 28)  # number of rows: (least, most)
PARENTS_WITH_CHILDREN = 2 / 3  # share of parent rows; the others are for NOT IN and EXCEPT
MAX_CATEGORIES = 6

SQL_TYPES = {"label": "TEXT", "category": "TEXT", "real": "REAL", "date": "DATE"}
SPIDER_TYPES = {"label": "text", "category": "text", "date": "time"}


@dataclass(frozen=True)
class Column:
    """A column.

    kind: "id", "key", or the `vocabulary.Attribute.kind`.
    parent: the table that a key points to.
    """

    table: str
    name: str
    kind: str
    attribute: Attribute | None = None
    parent: str | None = None
    nullable: bool = False
    duplicates: bool = False

    @property
    def words(self) -> str:
        """`release_year` -> `release year`."""
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Table:
    """A table: its name, its name in the synonym split, its kind of noun, and its columns, the primary key first."""

    name: str
    synonym: str
    kind: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        return self.columns[0].name

    @property
    def keys(self) -> dict[str, str]:
        """Parent -> the column that points to it."""
        return {column.parent: column.name for column in self.columns if column.parent}


Schema = dict[str, Table]
Rows = dict[str, list[tuple]]


def draw_schema(rng: random.Random) -> Schema:
    """Draw tables, parents before children; each except the first points to one or two of those before it."""
    count = rng.choices(list(TABLE_COUNTS), list(TABLE_COUNTS.values()))[0]
    long_keys = rng.random() < 0.5  # author.author_id instead of author.id
    events = [noun for noun in TABLE_NOUNS if noun[2] == "event"]
    others = [noun for noun in TABLE_NOUNS if noun[2] != "event"]
    schema: Schema = {}
    for index in range(count):
        bridge = index >= 2 and rng.random() < BRIDGES
        last = index == count - 1
        pool = events if bridge or (last and rng.random() < 0.3) else others
        name, synonym, kind = rng.choice([noun for noun in pool if noun[0] not in schema])
        names = list(schema)
        parents = rng.sample(names, 2) if bridge else names and [rng.choice([rng.choice(names), names[-1]])]
        schema[name] = Table(name, synonym, kind, draw_columns(name, kind, parents, bridge, long_keys, rng))
    return schema


def draw_columns(
    table: str, kind: str, parents: list[str], bridge: bool, long_keys: bool, rng: random.Random
) -> tuple[Column, ...]:
    label, *rest = TABLE_ATTRIBUTES[kind]
    labels = [label] if kind != "event" or (not bridge and rng.random() < LABELLED_EVENTS) else []
    drawn = set(rng.sample(rest, rng.randint(*(BRIDGE_ATTRIBUTES if bridge else ATTRIBUTES))))
    columns = [Column(table, f"{table}_id" if long_keys else "id", "id")]
    columns += [Column(table, attribute.name, "label", attribute) for attribute in labels]
    columns += [Column(table, f"{parent}_id", "key", parent=parent) for parent in parents]
    for attribute in (attribute for attribute in rest if attribute in drawn):
        nullable, duplicates = rng.random() < NULLABLE, rng.random() < DUPLICATES
        columns.append(Column(table, attribute.name, attribute.kind, attribute, None, nullable, duplicates))
    return tuple(columns)


def draw_numbers(column: Column, count: int, rng: random.Random) -> list[int | float]:
    """`count` numbers in the column's range; distinct unless the column has duplicates or the range is too small."""
    low, high = (float(end) for end in column.attribute.values.removeprefix("year:").split("-"))
    if column.kind == "real":
        numbers = [number / 10 for number in range(int(low * 10), int(high * 10) + 1)]
    else:
        # Large numbers are round, as people would write them.
        step = 100 if high > 3000 else 10 if column.kind == "integer" and high > 500 else 1
        numbers = list(range(int(low), int(high) + 1, step))
    if column.duplicates:
        numbers = rng.sample(numbers, min(len(numbers), count // 2))
    return rng.sample(numbers, count) if len(numbers) >= count else rng.choices(numbers, k=count)


def draw_values(column: Column, count: int, parent_ids: list[int], rng: random.Random) -> list:
    """`count` values of a column, from top to bottom."""
    if column.kind == "id":
        return list(range(1, count + 1))
    if column.kind == "key":
        return rng.choices(rng.sample(parent_ids, round(len(parent_ids) * PARENTS_WITH_CHILDREN)), k=count)
    if column.kind in ("integer", "real", "year"):
        values: list = draw_numbers(column, count, rng)
    elif column.kind == "date":
        low, high = map(int, column.attribute.values.removeprefix("date:").split("-"))
        years = rng.choices(rng.sample(range(low, high + 1), 8), k=count)
        values = [f"{year}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}" for year in years]
    else:
        pool = POOLS.get(column.attribute.values, column.attribute.values).replace("_", " ").split("|")
        if column.kind == "label":
            return rng.sample(pool, count)
        # Each database uses a part of the pool, so that models learn to copy values instead of memorising them.
        pool = rng.sample(pool, min(len(pool), MAX_CATEGORIES))
        values = pool + rng.choices(pool, k=count - len(pool))
        rng.shuffle(values)
    if column.nullable:
        for row in rng.sample(range(count), max(1, round(count * NULLS))):
            values[row] = None
    return values


def draw_rows(schema: Schema, rng: random.Random) -> Rows:
    """Draw the rows of every table, parents before children."""
    rows: Rows = {}
    for table in schema.values():
        count = rng.randint(*(CHILD_ROWS if table.keys else PARENT_ROWS))
        ids = {parent: [row[0] for row in rows[parent]] for parent in table.keys}
        columns = [draw_values(column, count, ids.get(column.parent, []), rng) for column in table.columns]
        rows[table.name] = list(zip(*columns, strict=True))
    return rows


def create_table_sql(table: Table) -> str:
    """The CREATE TABLE statement."""
    lines = [f"{column.name} {SQL_TYPES.get(column.kind, 'INTEGER')}" for column in table.columns]
    lines[0] += " PRIMARY KEY"
    for parent, key in table.keys.items():
        lines.append(f"FOREIGN KEY ({key}) REFERENCES {parent}")
    return f"CREATE TABLE {table.name} (\n  " + ",\n  ".join(lines) + "\n)"


def fill(connection: sqlite3.Connection, schema: Schema, rows: Rows) -> None:
    """Create all tables and insert their rows."""
    for table in schema.values():
        connection.execute(create_table_sql(table))
        marks = ", ".join("?" * len(table.columns))
        connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows[table.name])
    connection.commit()


def write_database(path: Path, schema: Schema, rows: Rows) -> None:
    """Write a SQLite file with all tables and rows."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # hundreds of files; an incomplete benchmark is built again
        fill(connection, schema, rows)


def tables_json_entry(db_id: str, schema: Schema) -> dict:
    """A database's entry in tables.json, with Spider's official keys."""
    names = list(schema)
    columns = [column for table in schema.values() for column in table.columns]
    numbers = {(column.table, column.name): number for number, column in enumerate(columns, start=1)}
    return {
        "db_id": db_id,
        "table_names": names,
        "table_names_original": names,
        "column_names": [[-1, "*"], *([names.index(column.table), column.words] for column in columns)],
        "column_names_original": [[-1, "*"], *([names.index(column.table), column.name] for column in columns)],
        "column_types": ["text", *(SPIDER_TYPES.get(column.kind, "number") for column in columns)],
        "primary_keys": [numbers[name, schema[name].key] for name in names],
        "foreign_keys": [
            [numbers[column.table, column.name], numbers[column.parent, schema[column.parent].key]]
            for column in columns
            if column.parent
        ],
    }
