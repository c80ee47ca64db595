from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from kid.data.sqlite_schema import read_database
from kid.evaluation.suites.chance import extreme_queries
from kid.evaluation.suites.database_plans import read_plan
from kid.evaluation.suites.neighbours import find_constants, make_neighbours, ordering_columns, parse_with_schema


@pytest.fixture
def schema(database):
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            """
            CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER REFERENCES singer(id), title TEXT, plays REAL);
            INSERT INTO song VALUES (1, 1, 'Sun', 2.5), (2, 2, 'Moon', 3.0), (3, 2, 'Star', 3.0);
            """
        )
    return read_database(None, "concert", database)


@pytest.fixture
def columns(schema, database):
    return read_plan(schema, database).columns


def neighbours(query, schema, columns, count=1000, seed=0):
    return make_neighbours(parse_with_schema(query, schema), columns, count, random.Random(seed))


# A gold query, and the neighbours that its one interesting part has.
EDITS = [
    ("SELECT name FROM singer WHERE age > 30", {
        "SELECT name FROM singer WHERE age >= 30",
        "SELECT name FROM singer WHERE age < 30",
        "SELECT name FROM singer WHERE age = 30",
        "SELECT name FROM singer WHERE age > 29",
        "SELECT name FROM singer WHERE age > 31",
        "SELECT name FROM singer",
        'SELECT name FROM singer WHERE "singer"."id" > 30',
        'SELECT "singer"."country" FROM singer WHERE age > 30',
    }),
    ("SELECT avg(plays) FROM song", {
        "SELECT MIN(plays) FROM song",
        "SELECT MAX(plays) FROM song",
        "SELECT SUM(plays) FROM song",
        "SELECT COUNT(plays) FROM song",
        'SELECT AVG("song"."id") FROM song',
        'SELECT AVG("song"."singer_id") FROM song',
    }),
    ("SELECT id FROM singer WHERE age = 1 OR country = 'US'", {
        "SELECT id FROM singer WHERE (age = 1 AND country = 'US')",
        "SELECT id FROM singer WHERE age = 1",
        "SELECT id FROM singer WHERE country = 'US'",
        "SELECT id FROM singer WHERE age = 1 OR country = 'NL'",
        "SELECT id FROM singer WHERE age = 1 OR country = 'FR'",
        "SELECT id FROM singer WHERE age = 1 OR country <> 'US'",
    }),
    ("SELECT name FROM singer ORDER BY age DESC LIMIT 3", {
        "SELECT name FROM singer ORDER BY age LIMIT 3",
        "SELECT name FROM singer LIMIT 3",
        "SELECT name FROM singer ORDER BY age DESC",
        "SELECT name FROM singer ORDER BY age DESC LIMIT 4",
        "SELECT name FROM singer ORDER BY age DESC LIMIT 2",
    }),
    ("SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id", {
        "SELECT singer.name FROM singer LEFT JOIN song ON singer.id = song.singer_id",
        'SELECT singer.name FROM singer JOIN song ON singer.id = "song"."id"',
        'SELECT "song"."title" FROM singer JOIN song ON singer.id = song.singer_id',
    }),
    ("SELECT id FROM singer EXCEPT SELECT singer_id FROM song", {
        "SELECT id FROM singer UNION SELECT singer_id FROM song",
        "SELECT id FROM singer INTERSECT SELECT singer_id FROM song",
        "SELECT id FROM singer",
        "SELECT singer_id FROM song",
    }),
    ("SELECT id FROM singer WHERE name LIKE '%o%'", {
        "SELECT id FROM singer WHERE name LIKE 'o%'",
        "SELECT id FROM singer WHERE name LIKE '%o'",
        "SELECT id FROM singer WHERE name LIKE 'o'",
        "SELECT id FROM singer WHERE NOT (name LIKE '%o%')",
    }),
    ("SELECT id FROM singer WHERE age BETWEEN 20 AND 32", {
        "SELECT id FROM singer WHERE (age > 20 AND age < 32)",
        "SELECT id FROM singer WHERE age >= 20",
        "SELECT id FROM singer WHERE age <= 32",
    }),
    ("SELECT country, count(*) FROM singer GROUP BY country HAVING count(*) > 1", {
        "SELECT country, COUNT(*) FROM singer HAVING COUNT(*) > 1",
        "SELECT country, COUNT(*) FROM singer GROUP BY country",
        "SELECT country, COUNT(*) FROM singer GROUP BY country HAVING COUNT(*) > 2",
    }),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), EDITS)
def test_edits(schema, columns, query, expected):
    found = neighbours(query, schema, columns)
    assert expected <= set(found), expected - set(found)
    assert len(set(found)) == len(found)


def test_the_only_edits_of_a_plain_query(schema, columns):
    assert neighbours("SELECT title FROM song", schema, columns) == []  # no other text column, nothing else to edit
    assert neighbours("SELECT DISTINCT name FROM singer", schema, columns) == ['SELECT "singer"."country" FROM singer']


def test_joins_keep_their_conditions(schema, columns):
    found = neighbours("SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id", schema, columns)
    assert found and all(" = " in query for query in found)


def test_every_kind_of_edit_gets_its_share(schema, columns):
    query = "SELECT max(age) FROM singer WHERE age > 30 AND country = 'US' GROUP BY country ORDER BY max(age) LIMIT 1"
    found = neighbours(query, schema, columns, count=14)
    assert len(found) == 14
    assert not all("LIMIT 1" in sql for sql in found) and not all("GROUP" in sql for sql in found)
    assert any("MAX(age) DESC" in sql for sql in found) and any("OR country" in sql for sql in found)


def test_the_same_for_the_same_seed(schema, columns):
    query = "SELECT name FROM singer WHERE age > 30 AND country = 'US'"
    first, again, other = (neighbours(query, schema, columns, 10, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_every_neighbour_of_these_queries_runs(schema, columns, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="ignore")
        for query, _ in EDITS[:8]:
            for sql in neighbours(query, schema, columns):
                connection.execute(sql).fetchall()


def test_strings_in_double_quotes_are_literals(schema, columns):
    tree = parse_with_schema('SELECT T1.id FROM singer AS T1 WHERE T1.country = "US" AND T1.age >= -5.5', schema)
    assert find_constants(tree, columns) == [("singer", "country", "US"), ("singer", "age", "-5.5")]


def test_constants_belong_to_the_columns_they_are_compared_with(schema, columns):
    query = (
        "SELECT name FROM singer WHERE age BETWEEN 20 AND 30 AND name LIKE '%o%' AND id IN "
        "(SELECT singer_id FROM song WHERE plays > 2.5 OR title IN ('Sun', 'Moon')) LIMIT 7"
    )
    assert sorted(find_constants(parse_with_schema(query, schema), columns)) == [
        ("singer", "age", "20"), ("singer", "age", "30"), ("singer", "name", "%o%"),
        ("song", "plays", "2.5"), ("song", "title", "Moon"), ("song", "title", "Sun"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "constants"),
    [
        ("strftime('%Y', day) < '2021'", {"%2021%"}),
        ("substr(day, 1, 4) = '2021'", {"%2021%"}),
        ("CAST(strftime('%m', day) AS INTEGER) = 5", {"%5%"}),
        ("day < date('2021-01-01', '+1 year')", set()),
        ("date(day) BETWEEN date('2021-01-01') AND '2021-06-01'", {"2021-01-01", "2021-06-01"}),
        ("'2021-01-01' < day", {"2021-01-01"}),
        ("day IN ('2021-01-01', date('2021-01-02'))", {"2021-01-01", "2021-01-02"}),
        ("day IS NOT '2021-01-01' AND day IS NOT DISTINCT FROM '2021-01-02'", {"2021-01-01", "2021-01-02"}),
        ("day GLOB '2021-0?-*'", {"2021-0_-%"}),
        ("coalesce(day, '1900-01-01') > '2021-01-01' COLLATE NOCASE", {"2021-01-01"}),
        ("julianday('now') - julianday(day) > 365", {"%365%"}),
        ("length(title) > 5 OR substr(title, 1, 1) = 'A' OR instr(title, 'x') > 2", set()),
        ("lower(title) = 'sun'", {"sun"}),
        ("plays * 100 / 7 > 50 AND round(plays, 2) < -3.5 AND abs(plays) != 8", {"50", "-3.5", "8"}),
        ("(SELECT sum(plays) FROM event) > 20 AND length(plays) = 9", set()),
        ("plays LIKE '2%' ESCAPE '!'", {"2%"}),
    ],
)
def test_other_arguments_of_functions_are_no_constants(tmp_path, condition, constants):
    path = tmp_path / "event.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE event (day TEXT, title TEXT, plays INTEGER);
            INSERT INTO event VALUES ('2020-01-31', 'Sun', 3), ('2021-02-01', 'Night Moon', 4);
            """
        )
    schema = read_database(None, "event", path)
    tree = parse_with_schema(f"SELECT 1 FROM event WHERE {condition}", schema)
    assert {text for *_, text in find_constants(tree, read_plan(schema, path).columns)} == constants


def test_ordering_columns(schema, columns):
    query = "SELECT T2.title FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id ORDER BY T1.age, plays, count(*)"
    assert ordering_columns(parse_with_schema(query, schema), columns) == [("singer", "age"), ("song", "plays")]


def test_what_cannot_be_read_has_no_tree(schema):
    assert parse_with_schema("SELECT FROM WHERE", schema) is None
    assert parse_with_schema("DROP TABLE singer", schema) is None


# age: 52, 32, 32, NULL; country: NL, US, US, FR; plays of the songs: 2.5, 3.0, 3.0.
@pytest.mark.parametrize(
    ("query", "open_to_chance"),
    [
        ("SELECT name FROM singer ORDER BY age DESC LIMIT 1", False),  # one is 52
        ("SELECT name FROM singer ORDER BY age DESC LIMIT 2", True),  # two are 32
        ("SELECT name FROM singer ORDER BY age DESC LIMIT 3", True),  # and may come in either order
        ("SELECT country FROM singer ORDER BY age DESC LIMIT 2", False),  # but are both from the US
        ("SELECT * FROM singer ORDER BY age", True),
        ("SELECT * FROM singer ORDER BY id", False),
        ("SELECT name FROM singer LIMIT 1", True),
        ("SELECT country FROM singer GROUP BY country ORDER BY count(*) DESC LIMIT 1", False),
        ("SELECT country FROM singer GROUP BY country ORDER BY count(*) LIMIT 1", True),
        ("SELECT name, country, count(*) FROM singer GROUP BY country", True),  # Ann or Bob
        ("SELECT name, count(*) FROM singer GROUP BY id", False),
        ("SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song ORDER BY plays DESC LIMIT 1)", False),
        ("SELECT title FROM song WHERE id IN (SELECT id FROM song ORDER BY plays DESC LIMIT 1)", True),
        ("SELECT country FROM singer UNION SELECT name FROM singer ORDER BY country LIMIT 2", False),
    ],
)
def test_what_a_query_leaves_to_chance(schema, columns, database, query, open_to_chance):
    queries = extreme_queries(parse_with_schema(query, schema), columns)
    with closing(sqlite3.connect(database)) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="ignore")
        smallest, largest = (connection.execute(sql).fetchall() for sql in queries)
        rows = connection.execute(query).fetchall()
    assert (smallest != largest) == open_to_chance
    if not open_to_chance:
        assert smallest == rows


def test_a_query_that_leaves_nothing_open(schema, columns):
    assert extreme_queries(parse_with_schema("SELECT name FROM singer WHERE age > 30", schema), columns) is None
    assert (
        extreme_queries(parse_with_schema("SELECT country, count(*) FROM singer GROUP BY country", schema), columns)
        is None
    )
    # SQLite takes the name from the row with the largest id.
    assert extreme_queries(parse_with_schema("SELECT name, max(id) FROM singer", schema), columns) is None
