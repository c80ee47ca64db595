"""Queries made to be slow to read: each reader of SQL gives up early, and ordinary queries are read as before."""

import time
from types import SimpleNamespace

import pytest

from kid.evaluation.failures import failure_classes
from kid.evaluation.suites.neighbours import parse_with_schema
from kid.sql.analysis import gold_schema_items
from kid.sql.hardness import parse_query, spider_hardness
from kid.sql.normalise import normalise_sql
from kid.sql.parsing import FREE_STEPS, STEPS_PER_TOKEN, PlainParser


def nested(start: str, depth: int, end: str = ")", middle: str = "1") -> str:
    return f"SELECT {start * depth}{middle}{end * depth}"


SLOW = {
    "types as functions": nested("DATE(", 24),
    "one that never closes": "SELECT " + "DATE(" * 3000 + "1",
    "two kinds in turn": nested("DATETIME(TIME(", 40, "))"),
    "types with sizes": nested("DECIMAL(", 40),
    "casts": nested("CAST(DATE(", 30, ") AS DATE)"),
    "comparisons": nested("(DATE(", 40, ") > 1)", "a"),
    "membership": nested("x IN (DATE(", 30, "))"),
    "cases": nested("CASE WHEN DATE(", 30, ") THEN 1 END"),
    "in a subquery": nested("(SELECT DATE(", 30, "))"),
    "brackets": nested("(", 3000),
    "subqueries": nested("(SELECT ", 500),
    "signs": nested("- ", 4000, ""),
    "negations": nested("NOT ", 2000, ""),
    "dots": nested("a.", 3000, "", "b"),
    "lists": "SELECT " + ", ".join(["a"] * 5000),
    "sums": "SELECT " + " + ".join(["1"] * 4000),
    "conditions": "SELECT 1 WHERE " + " AND ".join(["DATE(a) = 1"] * 1500),
    "joins": "SELECT 1 FROM t" + " JOIN t" * 1500,
    "unions": " UNION ".join(["SELECT 1"] * 1500),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_query_made_to_be_slow_ends_soon(name):
    query, started = SLOW[name], time.monotonic()
    spider_hardness(query)
    normalise_sql(query, {"t": ["a"]})
    gold_schema_items(query, {"t": ["a"]})
    failure_classes("SELECT a FROM t", query, None)
    parse_with_schema(query, SimpleNamespace(columns_by_table={"t": ["a"]}))
    assert time.monotonic() - started < 20  # some hundredths of a second, but for the long lists


def test_what_is_given_up_is_said():
    text, reason = normalise_sql(SLOW["types as functions"], {"t": ["a"]})
    assert text == SLOW["types as functions"] and reason == "does not parse: too deeply nested"


def test_nesting_as_people_write_it_is_read():
    query = "SELECT DATE(DATETIME(DATE(TIME(DATE(a))))) FROM t"
    assert parse_query(query).sql("sqlite") and normalise_sql(query, {"t": ["a"]})[1] is None


def test_published_queries_take_few_steps(real_data):
    """A twentieth of what is granted."""
    import json

    from sqlglot.dialects.sqlite import SQLite

    for query in {item["query"] for item in json.loads((real_data / "spider" / "dev.json").read_text())}:
        tokens, parser = SQLite().tokenize(query), PlainParser(dialect=SQLite)
        parser.parse(tokens, query)
        granted = FREE_STEPS + STEPS_PER_TOKEN * len(tokens)
        assert granted - parser.steps_left < granted / 20
