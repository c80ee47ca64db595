"""Build the embedded benchmark in Spider's layout: SQLite databases, tables.json, train_spider, dev and seen."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path

from kid.errors import InputError
from kid.minibench.first_edition.domains import DEV_DOMAINS, TRAIN_DOMAINS, Column, Table, parse_domain
from kid.minibench.first_edition.patterns import PATTERNS, Pattern
from kid.minibench.first_edition.questions import MAX_ATTEMPTS, Database, draw_question, natural_name

TRAIN_PER_DATABASE = 500
SEEN_PER_DATABASE = 10  # new questions on a training database
DEV_PER_DATABASE = 25

PARENT_ROWS = (12, 16)
CHILD_ROWS = (18, 24)
PARENTS_WITH_CHILDREN = 2 / 3  # NOT IN and EXCEPT find the others
MAX_CATEGORIES = 6

SQL_TYPES = {"label": "TEXT", "category": "TEXT", "real": "REAL", "date": "DATE"}
SPIDER_TYPES = {"label": "text", "category": "text", "date": "time"}


def draw_numbers(column: Column, count: int, rng: random.Random) -> list[int | float]:
    """`count` numbers in the column's range, different if it allows, so that order and superlatives have no ties."""
    low, high = (float(end) for end in column.values.split("-"))
    if column.kind == "real":
        return [number / 10 for number in rng.sample(range(int(low * 10), int(high * 10) + 1), count)]
    # Large numbers are round, as people would write them.
    step = 100 if high > 3000 else 10 if column.kind == "integer" and high > 500 else 1
    numbers = range(int(low), int(high) + 1, step)
    return rng.sample(numbers, count) if len(numbers) >= count else rng.choices(numbers, k=count)


def draw_values(column: Column, count: int, parent_ids: list[int], rng: random.Random) -> list:
    """`count` values of a column, from top to bottom."""
    if column.kind == "id":
        return list(range(1, count + 1))
    if column.kind == "key":
        return rng.choices(rng.sample(parent_ids, round(len(parent_ids) * PARENTS_WITH_CHILDREN)), k=count)
    if column.kind == "date":
        low, high = map(int, column.values.split("-"))
        years = rng.choices(range(low, high + 1), k=count)
        return [f"{year}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}" for year in years]
    if column.kind in ("integer", "real", "year"):
        return draw_numbers(column, count, rng)
    pool = column.values.replace("_", " ").split("|")
    if column.kind == "label":
        return rng.sample(pool, count)
    # Each database uses its own part of a pool, so that models must copy values, not remember them. Each value occurs.
    pool = rng.sample(pool, min(len(pool), MAX_CATEGORIES))
    values = pool + rng.choices(pool, k=count - len(pool))
    rng.shuffle(values)
    return values


def draw_rows(tables: dict[str, Table], rng: random.Random) -> dict[str, list[tuple]]:
    """Rows of every table, parents before children."""
    rows: dict[str, list[tuple]] = {}
    for table in tables.values():
        count = rng.randint(*(CHILD_ROWS if table.parents else PARENT_ROWS))
        ids = {parent: [row[0] for row in rows[parent]] for parent in table.parents}
        columns = [draw_values(column, count, ids.get(column.values, []), rng) for column in table.columns]
        rows[table.name] = list(zip(*columns, strict=True))
    return rows


def create_table_sql(table: Table) -> str:
    """The CREATE TABLE statement."""
    lines = [f"{column.name} {SQL_TYPES.get(column.kind, 'INTEGER')}" for column in table.columns]
    lines[0] += " PRIMARY KEY"
    lines += [f"FOREIGN KEY ({parent}_id) REFERENCES {parent} (id)" for parent in table.parents]
    return f"CREATE TABLE {table.name} (\n  " + ",\n  ".join(lines) + "\n)"


def write_database(path: Path, tables: dict[str, Table], rows: dict[str, list[tuple]]) -> None:
    """Write a SQLite file with all tables and rows."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        for table in tables.values():
            connection.execute(create_table_sql(table))
            marks = ", ".join("?" * len(table.columns))
            connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows[table.name])
        connection.commit()


def tables_json_entry(db_id: str, tables: dict[str, Table]) -> dict:
    """A database's entry in tables.json, with Spider's official keys."""
    names = list(tables)
    columns = [column for table in tables.values() for column in table.columns]
    column_numbers = {(column.table, column.name): number for number, column in enumerate(columns, start=1)}
    return {
        "db_id": db_id,
        "table_names": [natural_name(name) for name in names],
        "table_names_original": names,
        "column_names": [[-1, "*"], *([names.index(column.table), natural_name(column.name)] for column in columns)],
        "column_names_original": [[-1, "*"], *([names.index(column.table), column.name] for column in columns)],
        "column_types": ["text", *(SPIDER_TYPES.get(column.kind, "number") for column in columns)],
        "primary_keys": [column_numbers[name, "id"] for name in names],
        "foreign_keys": [
            [column_numbers[column.table, column.name], column_numbers[column.values, "id"]]
            for column in columns
            if column.kind == "key"
        ],
    }


def draw_questions(
    count: int, schedule: Iterator[Pattern], database: Database, rng: random.Random, avoid: list[dict], counts: Counter
) -> list[dict]:
    """`count` different questions on a database, with the patterns in turn.

    Args:
        count: number of questions.
        schedule: an endless sequence of patterns; one that yields no new question on this database is skipped.
        database: what the questions are about.
        rng: makes every draw.
        avoid: items of another split; their queries and questions are not used again.
        counts: questions by pattern; updated in place.
    """
    items: list[dict] = []
    queries = {item["query"] for item in avoid}
    questions = {item["question"] for item in avoid}
    while len(items) < count:
        pattern = next(schedule)
        for _ in range(MAX_ATTEMPTS):
            item = draw_question(pattern, database, rng)
            if item and item["query"] not in queries and item["question"] not in questions:
                items.append(item)
                questions.add(item["question"])
                counts[pattern.name] += 1
                break
    return items


def write_json(path: Path, items: list[dict]) -> None:
    """Write a JSON list as Spider does: indented, one key a line."""
    path.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")


def build_minibench(output: Path, seed: int = 0) -> dict:
    """Write the benchmark. The same seed gives the same JSON bytes and the same rows.

    Args:
        output: folder to write; new or empty.
        seed: seed of every draw.

    Returns:
        `databases` and `questions`: counts by split; `patterns`: by split, the number of questions per pattern.

    Raises:
        InputError: `output` is not empty, or not a folder.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} exists and is not an empty folder; give another one with --output")
    items: dict[str, list[dict]] = {"train": [], "dev": [], "seen": []}
    counts = {split: Counter() for split in items}
    schedules = {}
    for split in items:
        order = random.Random(f"{seed}/{split}").sample(PATTERNS, len(PATTERNS))
        schedules[split] = cycle(order)
    entries = []
    for db_id, domain in {**TRAIN_DOMAINS, **DEV_DOMAINS}.items():
        # One generator per database: a change to one domain leaves the rows of the others unchanged.
        rng = random.Random(f"{seed}/{db_id}")
        tables = parse_domain(domain)
        rows = draw_rows(tables, rng)
        path = output / "database" / db_id / f"{db_id}.sqlite"
        write_database(path, tables, rows)
        entries.append(tables_json_entry(db_id, tables))
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            database = Database(db_id, tables, rows, connection)
            if db_id in DEV_DOMAINS:
                items["dev"] += draw_questions(DEV_PER_DATABASE, schedules["dev"], database, rng, [], counts["dev"])
                continue
            # `seen` is drawn first: training questions are many, so they are the ones that avoid it.
            seen = draw_questions(SEEN_PER_DATABASE, schedules["seen"], database, rng, [], counts["seen"])
            items["seen"] += seen
            train = draw_questions(TRAIN_PER_DATABASE, schedules["train"], database, rng, seen, counts["train"])
            items["train"] += train
    write_json(output / "tables.json", entries)
    for split, name in (("train", "train_spider.json"), ("dev", "dev.json"), ("seen", "seen.json")):
        write_json(output / name, items[split])
    return {
        "databases": {"train": len(TRAIN_DOMAINS), "dev": len(DEV_DOMAINS), "seen": len(TRAIN_DOMAINS)},
        "questions": {split: len(items[split]) for split in items},
        "patterns": {split: {pattern.name: counts[split][pattern.name] for pattern in PATTERNS} for split in items},
    }
