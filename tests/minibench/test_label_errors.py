"""Wrong labels and annotators' styles: each kind on a query whose result is known by hand, and on many drawn ones."""

from __future__ import annotations

import random
import sqlite3

import pytest
import sqlglot

from kid.minibench.label_errors import KINDS, LIKE_QUESTION, draw_wrong_label, like_query
from kid.minibench.styles import STYLES, in_style

SCHEMA = {
    "song": {"id": "INTEGER", "singer_id": "INTEGER", "title": "TEXT", "price": "REAL", "year": "INTEGER"},
    "singer": {"id": "INTEGER", "name": "TEXT", "city": "TEXT"},
}
JOIN = "SELECT s.title FROM song AS s JOIN singer ON s.singer_id = singer.id"
# Kind -> (query, every query that the kind may make of it)
CHANGES = {
    "column": ("SELECT name FROM singer", {"SELECT city FROM singer"}),
    "condition": (
        "SELECT id FROM song WHERE price > 3 AND year < 2000",
        {"SELECT id FROM song WHERE price > 3", "SELECT id FROM song WHERE year < 2000", "SELECT id FROM song"},
    ),
    "comparison": (
        "SELECT id FROM song WHERE price > 3 ORDER BY year DESC",
        {
            "SELECT id FROM song WHERE price < 3 ORDER BY year DESC",
            "SELECT id FROM song WHERE price > 3 ORDER BY year ASC",
        },
    ),
    "aggregate": (
        "SELECT MAX(price), COUNT(DISTINCT year) FROM song",
        {"SELECT MIN(price), COUNT(DISTINCT year) FROM song", "SELECT MAX(price), COUNT(year) FROM song"},
    ),
    "join key": (
        JOIN,
        {JOIN.replace("s.singer_id =", "s.id ="), JOIN.replace("singer.id", "singer.name"),
         JOIN.replace("singer.id", "singer.city")},
    ),
    "distinct": ("SELECT DISTINCT city FROM singer", {"SELECT city FROM singer"}),
}  # fmt: skip
STYLED = {
    "between_as_comparisons": (
        "SELECT id FROM song WHERE year BETWEEN 1 AND 5", "SELECT id FROM song WHERE year >= 1 AND year <= 5",
    ),
    "or_as_in": (
        "SELECT id FROM song WHERE year = 1 OR year = 5", "SELECT id FROM song WHERE year IN (1, 5)",
    ),
    "not_equal_as_not": ("SELECT id FROM song WHERE year != 1", "SELECT id FROM song WHERE NOT year = 1"),
    "superlative_as_extreme": (
        "SELECT title FROM song ORDER BY year DESC LIMIT 1",
        "SELECT title FROM song WHERE year = (SELECT MAX(year) FROM song)",
    ),
    "distinct_as_group": ("SELECT DISTINCT year FROM song", "SELECT year FROM song GROUP BY year"),
    "joins_swapped": (
        "SELECT song.title FROM song JOIN singer ON song.singer_id = singer.id",
        "SELECT song.title FROM singer JOIN song ON singer.id = song.singer_id",
    ),
    "tables_numbered": (
        "SELECT song.title FROM song JOIN singer ON song.singer_id = singer.id WHERE singer.city = 'a'",
        "SELECT T1.title FROM song AS T1 JOIN singer AS T2 ON T1.singer_id = T2.id WHERE T2.city = 'a'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_a_kind_changes_one_thing(kind):
    query, allowed = CHANGES[kind]
    found = set()
    for seed in range(40):
        tree = sqlglot.parse_one(query, read="sqlite")
        assert KINDS[kind][1](tree, SCHEMA, random.Random(seed))
        found.add(tree.sql("sqlite"))
    assert found == allowed


def test_every_kind_is_tested():
    assert {*CHANGES, LIKE_QUESTION} == set(KINDS)
    assert set(STYLED) == set(STYLES)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != LIKE_QUESTION])
def test_a_query_without_the_thing_is_left_alone(kind):
    tree = sqlglot.parse_one("SELECT 1", read="sqlite")
    assert not KINDS[kind][1](tree, SCHEMA, random.Random(0))
    assert tree.sql("sqlite") == "SELECT 1"


def test_a_like_question_is_one_of_the_most_similar():
    golds = ["SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 2", "SELECT COUNT(*) FROM u", "SELECT a FROM t"]
    assert {like_query(golds[0], golds, random.Random(seed)) for seed in range(30)} == set(golds[1:])
    assert like_query(golds[0], golds[:1], random.Random(0)) is None


def test_a_wrong_label_shows_on_the_database_and_on_refilled_ones():
    """COUNT(*) of a table where the condition holds for all rows of one database: only two of three show the error."""
    connections = []
    for prices in ([1, 5], [1, 5], [5, 5], [1, 5]):
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE song (id INTEGER, price REAL)")
        connection.executemany("INSERT INTO song VALUES (?, ?)", enumerate(prices))
        connections.append(connection)

    def run(databases):
        return lambda sql: [connection.execute(sql).fetchall() for connection in databases]

    gold, schema = "SELECT COUNT(*) FROM song WHERE price > 2", {"song": {"id": "INTEGER", "price": "REAL"}}
    wrong, kind = draw_wrong_label(gold, schema, [], run(connections), random.Random(0))
    assert kind in ("condition", "comparison") and wrong != gold
    # Where the database itself does not show it, or two of the three do not, there is no wrong label to be had.
    for shown in ([2, 0, 1, 3], [0, 2, 2, 1]):
        databases = [connections[place] for place in shown]
        for seed in range(20):
            found = draw_wrong_label(gold, schema, [], run(databases), random.Random(seed))
            assert found is None or found[1] == "comparison"  # price < 2 of [5, 5] is 0 of 2: that shows everywhere


@pytest.mark.parametrize("style", STYLED)
def test_a_style_writes_the_same_query_differently(style):
    query, styled = STYLED[style]
    assert in_style(query, [style]) == styled
    assert in_style("SELECT COUNT(*) FROM song", [style]) == "SELECT COUNT(*) FROM song"
