from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from kid.data.faults import Damage
from kid.data.questions import find_databases, find_tables, load_questions
from kid.data.schema import read_tables, schema_from_tables_json
from kid.data.sqlite_schema import read_database
from kid.evaluation.suites.database_plans import ForeignKey, read_plan
from kid.evaluation.suites.random_databases import draw_rows, fill_column, near_values, repeat_unequally, write_database

# Every kind of key: composite, a unique index, a CHECK, a circle, a pointer to the own table, no rowid, a view.
SCRIPT = """
    CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, captain INTEGER REFERENCES player(id));
    CREATE TABLE player (
        id INTEGER PRIMARY KEY, name TEXT, team_id INTEGER NOT NULL REFERENCES team,
        mentor INTEGER REFERENCES player(id), height REAL CHECK (height > 0), born TEXT
    );
    CREATE TABLE match (home INTEGER, day TEXT, goals INTEGER, place TEXT DEFAULT 'x', PRIMARY KEY (home, day),
        FOREIGN KEY (home) REFERENCES team(id)) WITHOUT ROWID;
    CREATE TABLE report (home INTEGER, day TEXT, words TEXT, FOREIGN KEY (home, day) REFERENCES match(home, day));
    CREATE UNIQUE INDEX one_word ON report(words);
    CREATE INDEX by_height ON player(height);
    CREATE VIEW tall AS SELECT name FROM player WHERE height > 1.9;
    INSERT INTO team VALUES (1, 'Reds', 1), (2, 'Blues', NULL), (3, 'Greens', 3);
    INSERT INTO player VALUES (1, 'Ann', 1, NULL, 1.83, '1990'), (2, 'Bob', 1, 1, 1.91, '1991'),
        (3, 'Ann', 2, 1, 1.83, '1992'), (4, 'Eve', 3, 2, NULL, '1990');
    INSERT INTO match VALUES (1, '2020-01-01', 3, 'x'), (1, '2020-01-02', 0, 'y'), (2, '2020-01-01', 3, 'x');
    INSERT INTO report VALUES (1, '2020-01-01', 'good'), (1, '2020-01-02', 'bad'), (2, '2020-01-01', NULL);
"""
CONSTANTS = {("player", "name"): ["%Zo%"], ("player", "height"): ["2"], ("report", "home"): ["77"]}


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "league.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
    return read_plan(read_database(None, "league", path), path)


def make(plan, path: Path, seed: int, rows: int = 40, ordered: frozenset = frozenset()) -> sqlite3.Connection:
    write_database(plan, draw_rows(plan, CONSTANTS, ordered, rows, random.Random(seed)), path)
    return sqlite3.connect(path)


def test_plan(plan):
    tables = plan.tables
    assert list(tables) == ["player", "team", "match", "report"]  # player and team point in a circle
    assert tables["match"].keys == (("home", "day"),)
    assert tables["report"].keys == (("words",),)
    assert tables["team"].keys == (("id",), ("name",))
    assert tables["report"].foreign_keys == (ForeignKey(("home", "day"), "match", ("home", "day")),)
    assert tables["player"].foreign_keys[0] in (
        ForeignKey(("mentor",), "player", ("id",)), ForeignKey(("team_id",), "team", ("id",))
    )  # fmt: skip
    player = tables["player"].columns
    assert {name: column.kind for name, column in player.items()} == {
        "id": "integer", "name": "text", "team_id": "integer", "mentor": "integer", "height": "real", "born": "digits"
    }  # fmt: skip
    assert player["height"].values == (1.75, 2.0)  # 1.83 and 1.91 in quarters
    assert [name for name, column in player.items() if column.nullable] == ["mentor", "height"]
    assert [name for name, column in player.items() if column.distinct] == ["id"]


def test_keys_hold(plan, tmp_path):
    filled = Counter()
    for seed in range(40):
        with closing(make(plan, tmp_path / f"{seed}.sqlite", seed)) as connection:
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.execute("SELECT * FROM tall").fetchall()
            for name, table in plan.tables.items():
                rows = connection.execute(f"SELECT * FROM {name}").fetchall()
                assert len(rows) <= 40
                filled[name] += bool(rows)
                for key in table.keys:
                    query = f"SELECT 1 FROM {name} GROUP BY {', '.join(key)} HAVING count(*) > 1"
                    nulls = " OR ".join(f"{column} IS NULL" for column in key)
                    assert connection.execute(query).fetchall() == []
                    assert connection.execute(f"SELECT 1 FROM {name} WHERE {nulls}").fetchall() == []
    assert all(filled[name] > 25 for name in plan.tables), filled


def test_same_bytes_for_the_same_seed(plan, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        make(plan, tmp_path / f"{name}.sqlite", seed).close()
    first, again, other = ((tmp_path / f"{name}.sqlite").read_bytes() for name in "abc")
    assert first == again != other


def test_values_are_those_that_queries_ask_for(plan, tmp_path):
    found = Counter()
    for seed in range(40):
        with closing(make(plan, tmp_path / f"{seed}.sqlite", seed)) as connection:
            for name, query in {
                "matches": "name LIKE '%Zo%'", "does not": "name NOT LIKE '%Zo%'", "prefix": "name LIKE 'Zo%'",
                "not prefix": "name LIKE '_%Zo%'", "equal": "height = 2", "near": "height IN (1, 3)",
                "null": "height IS NULL", "own": "height = 1.75",
                "tie": "name IN (SELECT name FROM player GROUP BY name HAVING count(*) > 1)",
            }.items():  # fmt: skip
                found[name] += bool(connection.execute(f"SELECT 1 FROM player WHERE {query} LIMIT 1").fetchall())
            # What a child is compared with must be there in its parent, or the child could not have it.
            found["parent"] += bool(connection.execute("SELECT 1 FROM match WHERE home = 77").fetchall())
            assert connection.execute("SELECT 1 FROM player WHERE name IS NULL OR born IS NULL").fetchall() == []
    assert all(count >= 5 for count in found.values()) and len(found) == 10, found


def test_columns_that_order_have_no_ties(plan, tmp_path):
    for seed in range(20):
        with closing(make(plan, tmp_path / f"{seed}.sqlite", seed, ordered=frozenset({("player", "name")}))) as found:
            assert found.execute("SELECT name FROM player GROUP BY name HAVING count(*) > 1").fetchall() == []


def test_key_that_the_original_breaks_is_not_enforced(tmp_path):
    path = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE t (a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 1), (1, 2);")
    item = {"db_id": "x", "table_names_original": ["t"], "column_names_original": [[-1, "*"], [0, "a"], [0, "b"]]}
    item |= {"column_names": item["column_names_original"], "column_types": ["text", "number", "number"]}
    plans = []
    for keys in ([1], [2]):
        schema = schema_from_tables_json(item | {"primary_keys": keys, "foreign_keys": []})
        plans.append(read_plan(read_database(schema, "x", path), path))
    assert [plan.tables["t"].keys for plan in plans] == [(), (("b",),)]


@pytest.mark.parametrize(
    ("literal", "kind", "values"),
    [
        ("5", "integer", [5, 4, 6]),
        ("-5", "integer", [-5, -6, -4]),
        ("4.5", "integer", [4, 5]),
        ("4.5", "real", [4.5, 3.5, 5.5]),
        ("US", "integer", []),
        ("9" * 30, "integer", []),
        ("US", "text", ["US", "us", "U", "US ab"]),
        ("2018-03-09", "text", ["2018-03-09", "2018-03-08", "2018-03-10"]),
        ("%Hey_%", "text", ["Heya", "Heya ab", "ab Heya", "ab Heya ab"]),
    ],
)
def test_near_values(literal, kind, values):
    assert near_values(literal, kind) == values


def test_groups_have_all_different_sizes():
    assert Counter(repeat_unequally("abc", 6)) == {"a": 3, "b": 2, "c": 1}
    assert Counter(repeat_unequally("abc", 10)) == {"a": 7, "b": 2, "c": 1}
    assert Counter(repeat_unequally("abc", 4)) == {"a": 3, "b": 1}
    assert repeat_unequally("abc", 1) == ["a"]


def test_a_column_without_enough_values_gets_more(plan):
    column = plan.tables["player"].columns["born"]
    values = fill_column(column, "distinct", 9, ["1990"], random.Random(0))
    assert len(set(values)) == 9 and {"1990", "1991", "1992"} < set(values)
    assert all(len(value) == 4 and value.isdecimal() for value in values)


def test_a_key_of_a_format_with_few_values_makes_a_small_table(tmp_path):
    path = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE t (code TEXT PRIMARY KEY, n INT); INSERT INTO t VALUES ('1', 5), ('2', 6)"
        )
    plan = read_plan(read_database(None, "x", path), path)
    for seed in range(20):
        rows = draw_rows(plan, {}, frozenset(), 100, random.Random(seed))["t"]
        codes = [row["code"] for row in rows]
        assert 3 <= len(codes) == len(set(codes)) <= 10 and set(codes) <= set("0123456789")


def test_keys_of_real_databases_hold(real_data, tmp_path):
    folder = real_data / "spider"
    db_ids = [question.db_id for question in load_questions("spider", "dev", folder)]
    schemas = read_tables(find_tables("spider", "dev", folder), Damage())
    not_checked = set()  # foreign keys to what is no key
    for db_id, path in find_databases("spider", "dev", folder, db_ids).items():
        plan = read_plan(read_database(schemas[db_id], db_id, path), path)
        for seed in range(3):
            with closing(make(plan, tmp_path / f"{db_id}{seed}.sqlite", seed)) as connection:
                for table in plan.tables.values():
                    rows = connection.execute(f'SELECT * FROM "{table.name}"').fetchall()
                    assert rows, (db_id, table.name)
                    for key in table.keys:
                        cells = [tuple(row[list(table.columns).index(column)] for column in key) for row in rows]
                        assert len(set(cells)) == len(cells)
                    try:
                        assert connection.execute(f'PRAGMA foreign_key_check("{table.name}")').fetchall() == []
                    except sqlite3.OperationalError:
                        not_checked.add((db_id, table.name))
    assert not_checked == {("voter_1", "VOTES")}
