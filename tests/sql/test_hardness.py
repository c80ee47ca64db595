"""Hardness by text against the official rule: by hand, and on every published question that has the official tree."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from kid.sql.hardness import LEVELS, count_components, hardness_level, parse_query, spider_hardness

# query -> (component 1, component 2, others), level; counted by hand after the official rule.
CASES = {
    "SELECT count(*) FROM t": ((0, 0, 0), "easy"),
    "SELECT a FROM t WHERE b = 1": ((1, 0, 0), "easy"),
    "SELECT a, b FROM t": ((0, 0, 1), "medium"),
    "SELECT a FROM t ORDER BY b LIMIT 1": ((2, 0, 0), "medium"),
    "SELECT T1.a FROM t AS T1 JOIN u AS T2 ON T1.id = T2.id WHERE T2.b = 'x'": ((2, 0, 0), "medium"),
    "SELECT a FROM t, u WHERE t.id = u.id": ((2, 0, 0), "medium"),
    "SELECT a, max(b), min(c) FROM t WHERE d > 1 AND e < 2 GROUP BY a": ((2, 0, 3), "hard"),
    "SELECT a FROM t WHERE b = 1 GROUP BY a ORDER BY c": ((3, 0, 0), "hard"),
    "SELECT a FROM t WHERE b NOT IN (SELECT b FROM u WHERE c = 1 OR d = 2)": ((1, 1, 0), "hard"),
    "SELECT a FROM t UNION SELECT a FROM u ORDER BY a LIMIT 3": ((0, 1, 0), "hard"),
    "SELECT a FROM t WHERE b IN (SELECT b FROM u) AND c IN (SELECT c FROM v)": ((1, 2, 1), "extra"),
    "SELECT a FROM t WHERE b = 1 GROUP BY a ORDER BY c LIMIT 1": ((4, 0, 0), "extra"),
    # What the official rule does and one would not expect:
    "SELECT a, max(b) FROM t WHERE c = 1 AND d = 2 GROUP BY a": ((2, 0, 2), "extra"),  # falls through the thresholds
    "SELECT a FROM t GROUP BY a HAVING max(b) > min(b)": ((1, 0, 0), "easy"),  # aggregates of HAVING are forgotten
    "SELECT a FROM t GROUP BY a HAVING max(b) > 1 AND min(b) > 2 AND c = 3": ((1, 0, 1), "medium"),  # but not its ANDs
    "SELECT max(a) FROM t WHERE b NOT LIKE 'x'": ((2, 0, 1), "medium"),  # a NOT counts as an aggregate
    "SELECT a FROM (SELECT a FROM t WHERE b = 1 OR c = 2)": ((0, 0, 0), "easy"),  # a query in FROM is a table
    "SELECT a FROM t WHERE b BETWEEN 1 AND 2": ((1, 0, 0), "easy"),  # one condition
    "SELECT a FROM t WHERE b = 1 OR c LIKE 'x' OR d LIKE 'y'": ((5, 0, 1), "extra"),
    "SELECT a FROM t GROUP BY a ORDER BY count(*), sum(b)": ((2, 0, 1), "medium"),
}


@pytest.mark.parametrize(("sql", "expected"), CASES.items(), ids=CASES.keys())
def test_components_and_level_by_hand(sql, expected):
    components, name = expected
    tree = parse_query(sql)
    first = tree.this if "UNION" in sql else tree
    assert count_components(first, int("UNION" in sql)) == components
    assert spider_hardness(sql) == name == hardness_level(*components)


@pytest.mark.parametrize(
    "sql",
    [
        "select a from t where b > = 1 and c ! = 2;",
        "SELECT `a` FROM t WHERE \"b\" >= 1 AND c <> 'OR (SELECT LIKE'",
        "(SELECT a FROM t WHERE b >= 1 AND c != 2)",
        "SELECT DISTINCT a FROM t WHERE (b >= 1) AND (c != 2); SELECT 1",
    ],
)
def test_spelling_does_not_matter(sql):
    assert spider_hardness(sql) == "medium"


@pytest.mark.parametrize(
    "sql",
    ["", ";", "SELECT", "DROP TABLE t", "(a)", "SELECT a FROM t UNION b", "WITH x AS (y) SELECT 1", "SELECT '"],
)
def test_what_cannot_be_read_is_extra(sql):
    assert spider_hardness(sql) == "extra"


def test_what_is_too_deep_or_too_long_is_extra():
    assert spider_hardness("SELECT " + "(" * 4000 + "1" + ")" * 4000) == "extra"
    assert spider_hardness("SELECT 1" + " " * 9_992) == "easy"
    assert spider_hardness("SELECT 1" + " " * 9_993) == "extra"


def official_level(sql: dict) -> str:
    """The official rule on the official tree; a condition there is [not, operator, unit, value, value]."""
    conditions = [*sql["from"]["conds"], *sql["where"], *sql["having"]]
    tests = [item for item in conditions if not isinstance(item, str)]
    like = 9
    clauses = sum(map(bool, (sql["where"], sql["groupBy"], sql["orderBy"], sql["limit"])))
    clauses += len(sql["from"]["table_units"]) - 1 + conditions.count("or") + sum(test[1] == like for test in tests)
    nested = sum(isinstance(value, dict) for test in tests for value in test[3:5])
    nested += sum(sql[name] is not None for name in ("intersect", "union", "except"))
    # The first element is an aggregate in a unit, but NOT in a condition and a letter in "and".
    units = [*sql["select"][1], *sql["where"][::2], *sql["groupBy"], *sql["having"]]
    units += [unit for pair in (sql["orderBy"] or ["asc", []])[1] for unit in pair[1:] if unit]
    aggregates = sum(unit[0] != 0 for unit in units)
    several = (aggregates, len(sql["select"][1]), len(sql["where"]), len(sql["groupBy"]))
    others = sum(count > 1 for count in several)
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if nested == 0 and ((others <= 2 and clauses <= 1) or (clauses <= 2 and others < 2)):
        return "medium"
    if (others > 2 and clauses <= 2 and nested == 0) or (2 < clauses <= 3 and others <= 2 and nested == 0):
        return "hard"
    return "hard" if clauses <= 1 and others == 0 and nested <= 1 else "extra"


@pytest.mark.parametrize(
    ("file", "counts"),
    [("spider/dev.json", (248, 446, 174, 166)), ("spider_realistic/spider-realistic.json", (109, 203, 99, 97))],
)
def test_every_question_is_as_hard_as_officially(real_data, file, counts):
    items = json.loads((real_data / file).read_text())
    official = [official_level(item["sql"]) for item in items]
    assert Counter(official) == dict(zip(LEVELS, counts, strict=True))  # dev: the published distribution
    assert [spider_hardness(item["query"]) for item in items] == official


def test_training_questions_keep_their_distribution(real_data):
    # These files lack the official tree. By the grammar of the official parser 2777 are medium and 1460 hard: in #6288
    # and #6289 it takes `< T2.Jul OR T2.Mar > T2.Oct` for one operand, and so misses an OR and a condition.
    items = json.loads((real_data / "spider/train_spider.json").read_text())
    levels = [spider_hardness(item["query"]) for item in items]
    assert Counter(levels) == {"easy": 1694, "medium": 2775, "hard": 1462, "extra": 1069}
    assert levels[6288] == levels[6289] == "hard"
