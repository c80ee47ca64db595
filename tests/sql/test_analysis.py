"""The tables and columns that a query uses."""

import pytest

from kid.sql.analysis import gold_schema_items
from kid.sql.normalise import normalise_sql

TABLES = {
    "movie": ["mid", "title", "Year", "director", "rank"],
    "Reviewer": ["rid", "name", "show", "key"],
    "rating": ["rid", "mid", "stars", "date"],
    "Movie Facts": ["mid", "Box Office (US)", "order", "co]st", "a`b", "x.y", "tab\there", "Größe"],
    "cast": ["mid", "role"],
}
FIGURE_7 = (
    "SELECT DISTINCT movie.director FROM rating JOIN movie ON rating.mid = movie.mid "
    "JOIN reviewer ON rating.rid = reviewer.rid WHERE reviewer.name = 'Sarah Martinez'"
)


@pytest.mark.parametrize(
    ("query", "items"),
    [
        (FIGURE_7, {"movie": {"mid", "director"}, "rating": {"mid", "rid"}, "Reviewer": {"rid", "name"}}),
        ("SELECT count(*) FROM MOVIE", {"movie": set()}),
        ("SELECT * FROM cast T1", {"cast": {"mid", "role"}}),
        ("SELECT T2.* FROM movie T1 JOIN cast T2", {"movie": set(), "cast": {"mid", "role"}}),
        ("SELECT stars, YEAR FROM movie, rating", {"movie": {"Year"}, "rating": {"stars"}}),
        ("SELECT mid FROM movie, rating, reviewer", {"movie": {"mid"}, "rating": {"mid"}, "Reviewer": set()}),
        ('SELECT "Title" FROM movie WHERE director = "stars"', {"movie": {"title", "director"}}),
        ("SELECT title FROM movie WHERE mid IN (SELECT mid FROM rating WHERE stars > year)",
         {"movie": {"title", "mid", "Year"}, "rating": {"mid", "stars"}}),
        ("SELECT T1.t FROM (SELECT T1.title AS t FROM movie T1) T1 WHERE T1.t > 'a'", {"movie": {"title"}}),
        ("WITH rating AS (SELECT name FROM reviewer) SELECT name FROM rating", {"Reviewer": {"name"}}),
        ("SELECT title FROM movie UNION SELECT name FROM reviewer ORDER BY title",
         {"movie": {"title"}, "Reviewer": {"name"}}),
        ("SELECT 1 FROM movie JOIN rating USING (mid)", {"movie": {"mid"}, "rating": {"mid"}}),
        ("SELECT year AS y FROM movie WHERE y > 2 ORDER BY y", {"movie": {"Year"}}),
        ("SELECT [Box Office (US)] FROM `movie facts`", {"Movie Facts": {"Box Office (US)"}}),
        ("SELECT T9.title, T1.title, gone FROM movie T1, gone", {"movie": {"title"}}),
        # What cannot be resolved uses what it names.
        ("SELECT title title title FROM movie", {"movie": {"title"}}),
        ("DROP TABLE Movie", {"movie": set()}),
    ],
)  # fmt: skip
def test_tables_and_columns_of_a_query(query, items):
    assert gold_schema_items(query, TABLES) == items
    text, reason = normalise_sql(query, TABLES)
    assert reason or gold_schema_items(text, TABLES) == items


SHOP = {
    "orders": ["id", "Total", "lines", "名前"],
    "client": ["id", "name", "Order Count"],
    "view_1": ["n"],
    "list": ["id"],
}
ALL = {"id", "Total", "lines", "名前"}


@pytest.mark.parametrize(
    ("query", "items"),
    [
        # table functions and VALUES in FROM
        ("SELECT value FROM Orders, json_each(orders.LINES) WHERE orders.id = 1", {"orders": {"id", "lines"}}),
        ("SELECT j.value FROM (VALUES (1), (2)) j JOIN client c ON c.id = j.column1", {"client": {"id"}}),
        ("SELECT *, value FROM orders, json_each(lines)", {"orders": ALL}),
        ("SELECT orders.* FROM orders, json_each(lines)", {"orders": ALL}),
        ("SELECT COUNT(*), 2 * total FROM orders, json_each('[]')", {"orders": {"Total"}}),
        ("WITH list AS (VALUES (1)) SELECT name FROM client, list", {"client": {"name"}, "list": set()}),
        ("SELECT n FROM view_1, generate_series(1, 3)", {"view_1": {"n"}}),
        # all quotes, letters that are not ASCII, comments
        ("SELECT `名前`, \"TOTAL\" FROM [ORDERS], json_each(\"lines\") -- client",
         {"orders": {"名前", "Total", "lines"}}),
        ("SELECT 'order count' FROM 'client', json_each('[]') /* name */", {"client": {"Order Count"}}),
        # several statements, a statement that is no query, what no parser reads
        ("SELECT total FROM orders; SELECT name FROM client", {"orders": {"Total"}, "client": {"name"}}),
        ("SELECT total total total FROM orders", {"orders": {"Total"}}),
        ("SELECT total FROM orders WHERE lines = 'it\\'s' AND id = 1", {"orders": {"Total", "lines", "id"}}),
        ("UPDATE client SET name = 'x'", {"client": {"name"}}),
        # a qualifier that nothing has
        ("SELECT T2.name, T1.total FROM orders T1 JOIN client T3", {"orders": {"Total"}, "client": {"name"}}),
        ("SELECT 1 FROM nothing", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_what_cannot_be_resolved_uses_what_it_names(query, items):
    assert gold_schema_items(query, SHOP) == items
