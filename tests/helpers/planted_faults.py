"""A small minibench with a shop beside it, in which questions with every kind of fault are planted."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

SHOP = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, kind TEXT, price REAL, made TEXT);
INSERT INTO item VALUES (1, 'cup', 'china', 3.0, '2020-01-01'), (2, 'pot', 'china', 9.5, '2021-01-01'),
    (3, 'fork', 'steel', 3.0, '2022-01-01'), (4, 'knife', 'steel', NULL, '2023-01-01'), (5, 'pan', 'iron', 20.0, NULL);
CREATE TABLE gift (id INTEGER, name TEXT);
CREATE TABLE sale (item INTEGER, amount INTEGER, helper INTEGER);
INSERT INTO sale VALUES (1, 70, NULL), (2, 80, NULL);
"""
FOREVER = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
# What is asked of the shop, and the findings that it is planted for.
PLANTED = [
    ("Which items have no shelf?", "SELECT shelf FROM item", {"does-not-run"}),
    ("How many items are there in the end?", FOREVER, {"too-slow"}),
    ("What is the name of each gift?", "SELECT name FROM gift", {"empty"}),
    ("How much does the golden item cost?", "SELECT max(price) FROM item WHERE kind = 'gold'", {"empty"}),
    ("What is the kind of the two cheapest items?",
     "SELECT kind FROM item WHERE price IS NOT NULL ORDER BY price LIMIT 1", {"tied-limit"}),
    ("Give the names of items, cheap ones first", "SELECT name FROM item ORDER BY kind", {"tied-order"}),
    ("Name three items", "SELECT name FROM item LIMIT 3", {"unordered-limit"}),
    ("What does an item of each kind cost?", "SELECT kind, name, count(*) FROM item GROUP BY kind", {"bare-column"}),
    ("What is the price of the cheapest item?", "SELECT name, price FROM item ORDER BY price LIMIT 1", {"null-order"}),
    ("Which items were made today?", "SELECT count(*) FROM item WHERE made = date('now')", {"clock"}),
    ("Who?", "SELECT max(price) FROM item", {"no-schema-word"}),
    ("Knives are there how often?", "SELECT count(*) FROM item WHERE kind = 'steel' AND name = 'knife'", set()),
]  # fmt: skip


def write_json(path: Path, items: list[dict]) -> None:
    path.write_text(json.dumps(items))


def write_planted(minibench: Path, data: Path) -> dict[tuple[str | None, int | None, str], set[str]]:
    """Write the benchmark. Returns what is planted: (split, index, db_id) -> kinds of findings.

    train is of minibench's `seen`, since its own train has wrong labels; dev of its dev; both are clean.
    """
    data.mkdir()
    train, dev = (json.loads((minibench / name).read_text()) for name in ("seen.json", "dev.json"))
    groups = [
        (train, sorted({item["db_id"] for item in train})[:3]),
        (dev, sorted({item["db_id"] for item in dev})[:2]),
    ]
    (train, train_ids), (dev, dev_ids) = ([[i for i in items if i["db_id"] in ids], ids] for items, ids in groups)
    spare = sorted(path.name for path in (minibench / "database").iterdir() if path.name not in (*train_ids, *dev_ids))
    for db_id in (*train_ids, *dev_ids, spare[0]):
        shutil.copytree(minibench / "database" / db_id, data / "database" / db_id)
    tables = json.loads((minibench / "tables.json").read_text())
    (data / "database" / "shop").mkdir()
    with closing(sqlite3.connect(data / "database" / "shop" / "shop.sqlite")) as connection:
        connection.executescript(SHOP)
    columns = [[0, name] for name in ("id", "name", "kind", "price", "made")] + [[1, "id"], [1, "name"]]
    columns += [[2, "item"], [2, "amount"], [2, "helper"]]
    tables.append(
        {
            "db_id": "shop", "table_names_original": ["item", "gift", "sale"],
            "table_names": ["item", "gift", "sale"],
            "column_names_original": [[-1, "*"], *columns], "column_names": [[-1, "*"], *columns],
            "column_types": ["text"] * (len(columns) + 1), "primary_keys": [],
            # A right one, one to a table without rows, one from a column without values, and one between wrong columns.
            "foreign_keys": [[8, 1], [8, 6], [10, 1], [9, 1]],
        }
    )  # fmt: skip
    here = {*train_ids, *dev_ids, spare[0], "shop"}
    write_json(data / "tables.json", [entry for entry in tables if entry["db_id"] in here])

    planted: dict[tuple[str | None, int | None, str], set[str]] = {(None, None, spare[0]): {"unused-database"}}
    planted[None, None, "shop"] = {"unmatched-key"}
    planted[None, None, ""] = {"damaged-file"}

    def plant(item: dict, *kinds: str) -> None:
        planted["dev", len(dev), item["db_id"]] = set(kinds)
        dev.append(item)

    for question, query, kinds in PLANTED:
        plant({"db_id": "shop", "question": question, "query": query}, *kinds)
    plant({"db_id": "shop", "question": "What does the pan cost?", "query": ""}, "damaged")
    asked = max(train, key=lambda item: len(item["question"]))
    own = {"db_id": asked["db_id"], "query": f"SELECT count(*), 1 FROM ({asked['query']})"}
    plant({**own, "question": asked["question"].upper().replace(" ", "  ") + "!!"}, "same-question")
    plant({**own, "question": asked["question"] + "x"}, "near-question")
    other = f"Of {asked['db_id'].replace('_', ' ')} give this, in words nobody else has used for it"
    plant({"db_id": asked["db_id"], "question": other, "query": asked["query"].replace("SELECT", "select")}, "same-sql")
    write_json(data / "train_spider.json", train)
    write_json(data / "train_others.json", [])
    write_json(data / "dev.json", [*dev, "not an object"])
    return {where: kinds for where, kinds in planted.items() if kinds}
