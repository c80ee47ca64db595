"""The embedded benchmark: determinism, Spider's layout, gold queries that run, splits that do not leak."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from kid.errors import InputError
from kid.minibench.first_edition import build
from kid.minibench.first_edition.domains import DEV_DOMAINS, TRAIN_DOMAINS
from kid.minibench.first_edition.patterns import PATTERNS
from kid.minibench.first_edition.questions import plural

FILES = {"train": "train_spider.json", "dev": "dev.json", "seen": "seen.json"}
SIZES = {"train": 12000, "dev": 200, "seen": 240}

FEATURES = {
    "projection": r"^SELECT \w+(, \w+)? FROM \w+$",
    "equal": r"WHERE \w+ = '\w[^']*'$",
    "greater": r"\w > \d",
    "less": r"\w < \d",
    "not equal": r" != ",
    "between": r" BETWEEN \S+ AND \S+$",
    "like": r" LIKE '\w%'$",
    "and": r" = '[^']+' AND ",
    "or": r" OR ",
    "join": r" FROM (\w+) JOIN (\w+) ON \1\.\2_id = \2\.id",
    "join where": r" JOIN .* WHERE \w+\.\w+ ",
    "group count": r"^SELECT \w+, COUNT\(\*\) FROM \w+ GROUP BY ",
    "having": r" HAVING COUNT\(\*\) >=? \d",
    "order": r" ORDER BY \w+ (ASC|DESC)$",
    "order limit": r" ORDER BY .* LIMIT \d$",
    "nested average": r" [<>] \(SELECT AVG\(",
    "not in": r" NOT IN \(SELECT ",
    "intersect": r" INTERSECT SELECT ",
    "union": r" UNION SELECT ",
    "except": r" EXCEPT SELECT ",
    "count": r"^SELECT COUNT\(\*\)",
    "avg": r"^SELECT AVG\(",
    "sum": r"^SELECT SUM\(",
    "max": r"^SELECT MAX\(",
    "min": r"^SELECT MIN\(",
    "distinct": r"^SELECT DISTINCT ",
    "count distinct": r"^SELECT COUNT\(DISTINCT ",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, float]:
    """The benchmark's folder, the counts that the build returned, and its seconds."""
    folder = tmp_path_factory.mktemp("minibench")
    start = time.perf_counter()
    counts = build.build_minibench(folder)
    return folder, counts, time.perf_counter() - start


@pytest.fixture(scope="module")
def splits(built: tuple) -> dict[str, list[dict]]:
    """The items of each split."""
    return {split: json.loads((built[0] / name).read_text()) for split, name in FILES.items()}


def open_readonly(folder: Path, db_id: str) -> sqlite3.Connection:
    """A database of the benchmark that cannot be written."""
    path = folder / "database" / db_id / f"{db_id}.sqlite"
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


def dump_rows(folder: Path) -> dict[str, list[str]]:
    """Every database as SQL text."""
    dumps = {}
    for path in sorted((folder / "database").glob("*/*.sqlite")):
        with closing(open_readonly(folder, path.stem)) as connection:
            dumps[path.stem] = list(connection.iterdump())
    return dumps


def test_the_seed_decides_everything(built: tuple, tmp_path: Path) -> None:
    counts = build.build_minibench(tmp_path / "again", seed=0)
    build.build_minibench(tmp_path / "other", seed=1)
    assert counts == built[1]
    for name in (*FILES.values(), "tables.json"):
        assert (tmp_path / "again" / name).read_bytes() == (built[0] / name).read_bytes(), name
    assert dump_rows(tmp_path / "again") == dump_rows(built[0])
    assert (tmp_path / "other" / "dev.json").read_bytes() != (built[0] / "dev.json").read_bytes()
    assert dump_rows(tmp_path / "other") != dump_rows(built[0])
    assert (tmp_path / "other" / "tables.json").read_bytes() == (built[0] / "tables.json").read_bytes()


def test_it_is_fast(built: tuple) -> None:
    assert built[2] < 30


def test_sizes_and_databases(built: tuple, splits: dict) -> None:
    folder, counts, _ = built
    assert counts["questions"] == SIZES == {split: len(items) for split, items in splits.items()}
    databases = {split: {item["db_id"] for item in items} for split, items in splits.items()}
    assert databases["train"] == databases["seen"] == set(TRAIN_DOMAINS) and len(TRAIN_DOMAINS) == 24
    assert databases["dev"] == set(DEV_DOMAINS) and len(DEV_DOMAINS) == 8
    assert not databases["train"] & databases["dev"]
    assert counts["databases"] == {"train": 24, "dev": 8, "seen": 24}
    assert {path.name for path in (folder / "database").iterdir()} == databases["train"] | databases["dev"]
    assert all(set(item) == {"db_id", "query", "question"} for items in splits.values() for item in items)


def test_tables_json_agrees_with_the_files(built: tuple) -> None:
    described = json.loads((built[0] / "tables.json").read_text())
    assert [entry["db_id"] for entry in described] == [*TRAIN_DOMAINS, *DEV_DOMAINS]
    for entry in described:
        tables, columns = entry["table_names_original"], entry["column_names_original"]
        assert columns[0] == entry["column_names"][0] == [-1, "*"]
        assert len(columns) == len(entry["column_names"]) == len(entry["column_types"])
        assert [[table, name.replace("_", " ")] for table, name in columns] == entry["column_names"]
        assert len(tables) == len(entry["table_names"])
        assert entry["foreign_keys"]
        spider_types = {"TEXT": "text", "INTEGER": "number", "REAL": "number", "DATE": "time"}
        with closing(open_readonly(built[0], entry["db_id"])) as connection:
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            assert names == set(tables)
            found, types, primary, foreign = [[-1, "*"]], ["text"], [], set()
            for number, table in enumerate(tables):
                for _, name, declared, _, _, is_key in connection.execute(f"PRAGMA table_info({table})"):
                    if is_key:
                        primary.append(len(found))
                    found.append([number, name])
                    types.append(spider_types[declared])
                for row in connection.execute(f"PRAGMA foreign_key_list({table})"):
                    foreign.add((table, row[3], row[2], row[4]))
        assert found == columns and types == entry["column_types"] and primary == entry["primary_keys"]
        pairs = {
            (tables[columns[child][0]], columns[child][1], tables[columns[parent][0]], columns[parent][1])
            for child, parent in entry["foreign_keys"]
        }
        assert pairs == foreign


def test_rows_are_valid(built: tuple) -> None:
    for entry in json.loads((built[0] / "tables.json").read_text()):
        columns = entry["column_names_original"]
        with closing(open_readonly(built[0], entry["db_id"])) as connection:
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            for table in entry["table_names_original"]:
                assert 12 <= connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] <= 24
            for child, parent in entry["foreign_keys"]:
                child_table = entry["table_names_original"][columns[child][0]]
                parent_table = entry["table_names_original"][columns[parent][0]]
                childless = f"SELECT id FROM {parent_table} EXCEPT SELECT {columns[child][1]} FROM {child_table}"
                assert connection.execute(childless).fetchall(), entry["db_id"]


def test_every_gold_query_runs_and_returns_something(built: tuple, splits: dict) -> None:
    for item in (item for items in splits.values() for item in items):
        with closing(open_readonly(built[0], item["db_id"])) as connection:
            rows = connection.execute(item["query"]).fetchall()
        assert any(value is not None for row in rows for value in row), item


def test_the_second_half_of_a_set_operation_matters(built: tuple, splits: dict) -> None:
    checked = 0
    for item in (item for items in splits.values() for item in items):
        first, *rest = re.split(r" (?:INTERSECT|EXCEPT|UNION) ", item["query"])
        if rest:
            with closing(open_readonly(built[0], item["db_id"])) as connection:
                assert set(connection.execute(first)) != set(connection.execute(item["query"])), item
            checked += 1
    assert checked > 200


def test_splits_do_not_leak(splits: dict) -> None:
    for items in splits.values():
        questions = [(item["db_id"], item["question"]) for item in items]
        assert len(set(questions)) == len(questions)
    for field in ("query", "question"):
        train, seen = ({(item["db_id"], item[field]) for item in splits[split]} for split in ("train", "seen"))
        assert not train & seen, field


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_is_in_every_split(splits: dict, feature: str) -> None:
    for split, items in splits.items():
        assert any(re.search(FEATURES[feature], item["query"]) for item in items), split


def test_patterns_take_even_turns(built: tuple) -> None:
    for split, size in SIZES.items():
        counts = built[1]["patterns"][split]
        assert set(counts) == {pattern.name for pattern in PATTERNS}
        assert sum(counts.values()) == size
        # Those with few slots run out of new questions on a database; others take their turns.
        assert all(0.4 <= count / (size / len(PATTERNS)) <= 1.5 for count in counts.values()), (split, counts)


def test_questions_quote_the_values_and_read_well(splits: dict) -> None:
    for item in (item for items in splits.values() for item in items):
        words = re.findall(r"[A-Za-z0-9.]+", item["question"].rstrip(".?"))
        for value in re.findall(r"'([^'%]+)'|(?<= )(\d[\d.]*)(?=$| |\))", item["query"].replace("LIMIT 1", "")):
            assert set("".join(value).split()) <= {word.rstrip(".") for word in words}, item
        assert re.fullmatch(r"[A-Z][^{}_]*[.?]", item["question"]), item
        assert not re.search(r"\ba [aeiou]|\b(\w+) \1\b", item["question"]), item
        assert len(item["question"].split()) <= 25 and len(item["query"].split()) <= 35, item
        assert not re.search(r";|\bAS\b|  |\"", item["query"]), item


def test_superlatives_and_orders_have_no_ties(built: tuple, splits: dict) -> None:
    """With the ORDER BY column reversed for equal values, the answer would not be well defined."""
    checked = 0
    for item in (item for items in splits.values() for item in items):
        match = re.fullmatch(r"SELECT .* FROM (.*) ORDER BY (\S+) (ASC|DESC) LIMIT (\d)", item["query"])
        if match:
            source, key, direction, limit = match.groups()
            query = f"SELECT {key} FROM {source} ORDER BY {key} {direction} LIMIT {int(limit) + 1}"
            with closing(open_readonly(built[0], item["db_id"])) as connection:
                keys = connection.execute(query).fetchall()
            assert len(set(keys)) == len(keys), item
            checked += 1
    assert checked > 200


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        build.build_minibench(tmp_path)
    with pytest.raises(InputError, match="not an empty folder"):
        build.build_minibench(tmp_path / "kept.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("city", "cities"),
        ("play", "plays"),
        ("branch", "branches"),
        ("species", "species"),
        ("birth year", "birth years"),
    ],
)
def test_plural(word: str, expected: str) -> None:
    assert plural(word) == expected
