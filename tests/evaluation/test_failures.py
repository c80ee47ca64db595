"""The classes of a wrong prediction: what a person would say, what spelling must not change, and hostile text."""

from __future__ import annotations

import json
import time

import pytest
from sqlglot.errors import TokenError

from kid.data.questions import Question
from kid.data.schema import schema_from_tables_json
from kid.errors import InputError
from kid.evaluation.failures import CLASSES, failure_classes, failure_examples, failure_table
from kid.sql.normalise import normalise_sql

SINGERS = "SELECT name FROM singer"
SONGS = "SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id"

# gold, prediction -> classes
CASES = [
    (SINGERS, "SELECT name FROM artist", ["tables"]),
    (SINGERS, "SELECT age FROM singer", ["columns"]),
    (SINGERS, "SELECT name, age FROM singer", ["columns"]),
    (SINGERS, "SELECT * FROM singer", ["columns"]),
    (SINGERS, "SELECT name FROM singer GROUP BY name", ["grouping"]),
    (SINGERS, "SELECT name FROM singer LIMIT 1", ["ordering"]),
    (SINGERS, "SELECT max(name) FROM singer", ["aggregation"]),
    (SINGERS, "SELECT upper(name) FROM singer", ["aggregation"]),
    (SINGERS, "SELECT DISTINCT name FROM singer", ["other"]),
    (SINGERS, SINGERS, ["other"]),
    ("SELECT a, b FROM t", "SELECT b, a FROM t", ["columns"]),  # BIRD's evaluation minds
    ("SELECT sum(a) / count(*) FROM t", "SELECT sum(a) FROM t", ["aggregation"]),
    ("SELECT count(DISTINCT a) FROM t", "SELECT count(*) FROM t", ["aggregation"]),
    ("SELECT count(DISTINCT a) FROM t", "SELECT count(a) FROM t WHERE b = 1", ["conditions"]),
    ("SELECT iif(a = 'x', 1, 0) FROM t", "SELECT iif(a = 'y', 1, 0) FROM t", ["values"]),
    # joins
    (SONGS, SINGERS, ["tables"]),
    (SONGS, "SELECT T2.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id", ["columns"]),
    (SONGS, "SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.id", ["joins"]),
    (SONGS, "SELECT T1.name FROM singer AS T1 JOIN song AS T2", ["joins"]),
    (SONGS, "SELECT T1.name FROM singer AS T1 LEFT JOIN song AS T2 ON T1.id = T2.singer_id", ["joins"]),
    (SONGS, "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song)", ["joins", "conditions"]),
    (
        "SELECT T3.name FROM friend AS T1 JOIN pupil AS T2 ON T1.a = T2.id JOIN pupil AS T3 ON T1.b = T3.id",
        "SELECT pupil.name FROM friend JOIN pupil ON friend.b = pupil.id",
        ["joins"],
    ),
    (
        "SELECT T1.a FROM friend AS T1 JOIN pupil AS T2 ON T1.a = T2.id JOIN pupil AS T3 ON T1.b = T3.id",
        "SELECT T1.b FROM friend AS T1 JOIN pupil AS T2 ON T1.a = T2.id JOIN pupil AS T3 ON T1.b = T3.id",
        ["columns"],
    ),
    # conditions and values
    (SINGERS, "SELECT name FROM singer WHERE age = 3", ["conditions"]),
    (SINGERS + " WHERE age > 3", SINGERS + " WHERE age >= 3", ["conditions"]),
    (SINGERS + " WHERE age > 3", SINGERS + " WHERE height > 3", ["conditions"]),
    (SINGERS + " WHERE age > 3", SINGERS + " WHERE age > 4", ["values"]),
    (SINGERS + " WHERE age > 3", SINGERS + " WHERE height > 4", ["conditions"]),
    (SINGERS + " WHERE a = 'x' AND b = 1", SINGERS + " WHERE a = 'X'", ["conditions", "values"]),
    (SINGERS + " WHERE a = 1 AND b = 2", SINGERS + " WHERE a = 1 OR b = 2", ["conditions"]),
    (SINGERS + " WHERE (a = 1 OR b = 2) AND c = 3", SINGERS + " WHERE a = 1 OR (b = 2 AND c = 3)", ["conditions"]),
    (SINGERS + " WHERE a IN (1, 2)", SINGERS + " WHERE a IN (1, 3, 4)", ["values"]),
    (SINGERS + " WHERE a LIKE '%x%'", SINGERS + " WHERE a NOT LIKE '%x%'", ["conditions"]),
    (SINGERS + " ORDER BY age LIMIT 1", SINGERS + " ORDER BY age LIMIT 2", ["values"]),
    # ordering; only what the gold query asks for matters
    (SINGERS + " ORDER BY age", SINGERS + " ORDER BY age DESC", ["ordering"]),
    (SINGERS + " ORDER BY age, height", SINGERS + " ORDER BY height, age", ["ordering"]),
    (SINGERS + " ORDER BY age", SINGERS, ["ordering"]),
    (SINGERS, SINGERS + " ORDER BY age", ["other"]),
    # several queries in one
    (SINGERS + " EXCEPT SELECT name FROM band", SINGERS + " UNION SELECT name FROM band", ["set operation"]),
    (SINGERS + " EXCEPT SELECT name FROM band", SINGERS, ["tables", "set operation"]),
    (
        "SELECT name FROM singer WHERE age > (SELECT min(age) FROM singer)",
        "SELECT name FROM singer WHERE age > (SELECT max(age) FROM singer)",
        ["aggregation"],
    ),
    (
        "SELECT name FROM singer WHERE age = (SELECT max(age) FROM singer)",
        "SELECT name FROM singer ORDER BY age DESC LIMIT 1",
        ["conditions", "ordering"],
    ),
]


@pytest.mark.parametrize(("gold", "prediction", "expected"), CASES)
def test_differences_are_what_a_person_would_say(gold, prediction, expected):
    assert failure_classes(gold, prediction, None) == expected


SAME = [
    ("SELECT name FROM singer WHERE country = 'France'", 'select NAME from Singer where `Country` = "France";'),
    ("SELECT name FROM singer WHERE a = 5 AND b > 1", "SELECT name FROM singer WHERE b > 1 AND (a = '5.0')"),
    ("SELECT name FROM singer WHERE a = 1 OR b = 2", "SELECT name FROM singer WHERE b = 2 OR a = 1"),
    ("SELECT name FROM singer WHERE a BETWEEN 1 AND 2", "SELECT name FROM singer WHERE a > = 1 AND a <= 2"),
    ("SELECT name FROM singer WHERE a IN (1, 2)", "SELECT name FROM singer WHERE a IN (2, 1)"),
    ("SELECT name FROM singer WHERE a LIKE '%X%'", "SELECT name FROM singer WHERE a LIKE '%x%'"),
    ("SELECT name, age FROM singer ORDER BY age", "SELECT s.name, s.age AS old FROM singer s ORDER BY old"),
    ("SELECT a FROM t GROUP BY a, b HAVING count(*) > 2", "SELECT (a) FROM (t) GROUP BY b, a HAVING count(a) > 2"),
    ("SELECT count(*) FROM t HAVING count(*) > 2", "SELECT count(*) AS n FROM t HAVING n > 2"),
    ("SELECT a FROM t UNION SELECT b FROM u", "(SELECT a FROM t) UNION (SELECT b FROM u)"),
    (SONGS, "SELECT name FROM song, singer WHERE song.singer_id = singer.id"),
    (SONGS, "SELECT singer.name FROM song JOIN singer ON singer.id = song.singer_id ORDER BY song.title"),
    (
        "SELECT T1.id FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id JOIN hit AS T3 ON T1.id = T3.singer_id",
        "SELECT hit.singer_id FROM singer JOIN song ON id = song.singer_id JOIN hit ON song.singer_id = hit.singer_id",
    ),
    ("SELECT a FROM t WHERE b IN (SELECT b FROM u)", "SELECT x.a FROM t x WHERE x.b IN (SELECT y.b FROM u AS y)"),
    ("WITH w AS (SELECT a AS c FROM t) SELECT c FROM w", "SELECT z.k FROM (SELECT a AS k FROM t) AS z"),
]


@pytest.mark.parametrize(("gold", "prediction"), SAME)
def test_spelling_is_no_difference(gold, prediction):
    assert failure_classes(gold, prediction, None) == ["other"]


@pytest.mark.parametrize(
    ("prediction", "error", "expected"),
    [
        ("", "empty prediction", ["does not parse"]),
        ("  ", "gold failed: no such table: t", ["does not parse"]),
        ("SELECT name FROM", 'near "FROM": syntax error', ["does not parse"]),
        ("I am a model", None, ["does not parse"]),
        ("DELETE FROM singer", "not a query: it gives no result set", ["does not parse"]),
        ("SELECT name FROM singer", "out of memory", ["does not run"]),
        ("SELECT name FROM singer", "more than 1000000 rows", ["does not run"]),
        ("SELECT nome FROM singer", "no such column: nome", ["does not run", "columns"]),
        ("SELECT name FROM singer", "timeout", ["time-out"]),
        ("SELECT a FROM singer", "timeout", ["time-out", "columns"]),
        ("SELECT name FROM", "timeout", ["does not parse", "time-out"]),
        ("SELECT name FROM singer", "gold failed: no such column: x", ["other"]),
    ],
)
def test_the_verdict_says_what_the_trees_cannot(prediction, error, expected):
    assert failure_classes(SINGERS, prediction, error) == expected


def test_a_gold_query_that_cannot_be_read_leaves_the_verdict():
    assert failure_classes("SELECT a b c FROM t", SINGERS, None) == ["other"]
    assert failure_classes("SELECT a b c FROM t", SINGERS, "no such table: singer") == ["does not run"]


HOSTILE = {
    "a megabyte": "SELECT " + "a, " * 400_000 + "a FROM t",
    "brackets": "SELECT " + "(" * 4_900,
    "calls": "SELECT " + "f(" * 3_000 + "1" + ")" * 3_000,
    "casts": "SELECT a" + "::int" * 1_900,
    "many casts": "SELECT " + ",".join(["a::int"] * 500),
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 300 + "t" + ")" * 300,
    "ANDs": "SELECT a FROM t WHERE " + " AND ".join(["a = 1"] * 1_000),
    "alternation": "SELECT a FROM t WHERE " + "(a = 1 OR b = 2 AND " * 300 + "c" + ")" * 300,
    "unions": " UNION ".join(["SELECT a FROM t"] * 500),
    "doubling": "SELECT a || a AS a FROM " + "(SELECT a || a AS a FROM " * 40 + "t" + ")" * 40,
    "doubling CTEs": "WITH a0 AS (SELECT 1 AS x)"
    + "".join(f", a{i} AS (SELECT x || x AS x FROM a{i - 1})" for i in range(1, 150))
    + " SELECT x FROM a149",
    "an alias again and again": f"SELECT {'+'.join(['a'] * 1_500)} AS z FROM t ORDER BY {','.join(['z'] * 2_000)}",
    "joins": "SELECT * FROM t, u WHERE " + " AND ".join(f"t.a{i} = u.b{i}" for i in range(400)),
    "no text": "SELECT '\ud800' FROM t WHERE a = \"\udfff\" AND b = '\0'",
    "names": 'SELECT "a""b", [c d], `e` FROM "t u", t, t AS t USING (a)',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_predictions_neither_crash_nor_hang(name):
    start = time.monotonic()
    for gold, prediction in ((SONGS, HOSTILE[name]), (HOSTILE[name], SONGS)):
        found = failure_classes(gold, prediction, None)
        assert found and found == [name for name in CLASSES if name in found]
    assert time.monotonic() - start < 10


def test_what_is_too_long_or_too_deep_does_not_parse():
    assert failure_classes(SONGS, HOSTILE["a megabyte"], None) == ["does not parse"]
    assert failure_classes(SONGS, HOSTILE["calls"], None) == ["does not parse"]
    assert failure_classes(SONGS, HOSTILE["casts"], None) == ["does not parse"]  # sqlglot reads it but cannot write it


def test_a_recursion_that_ends_in_sqlglots_tokenizer_is_too_deep_as_well(monkeypatch):
    # It writes a cast by parsing the type anew; at the right depth the RecursionError comes as a TokenError.
    def fail(*_):
        raise TokenError("Error tokenizing 'dat'")

    monkeypatch.setattr("kid.evaluation.failures.extract_parts", fail)
    assert failure_classes(SONGS, SONGS, "no such column: x") == ["does not parse"]


def verdict(index: int, hardness: str | None, *differs: str, error: str | None = None) -> dict:
    return {
        "index": index,
        "ex": not differs,
        "ts": None,
        "error": error,
        "hardness": hardness,
        "differs": list(differs),
    }


VERDICTS = [
    verdict(0, "extra", "tables", "joins"),
    verdict(1, "easy", "tables"),
    verdict(2, "easy"),
    verdict(3, "medium"),
    verdict(4, "easy", "does not run", "tables", error="no such table: x"),
]


def test_table_counts_each_miss_in_every_class_and_once_in_all():
    header, rows = failure_table(VERDICTS)
    assert header == ["class", "easy", "medium", "extra", "all"]
    assert [row[0] for row in rows] == [*CLASSES, "misses"]
    counts = {name: numbers for name, *numbers in rows}
    assert {name: numbers for name, numbers in counts.items() if any(numbers)} == {
        "does not run": [1, 0, 0, 1],
        "tables": [2, 0, 1, 3],
        "joins": [0, 0, 1, 1],
        "misses": [2, 0, 1, 3],
    }


def test_table_without_hardness_and_with_birds():
    header, rows = failure_table([verdict(0, None, "values"), verdict(1, None)])
    assert header == ["class", "all"] and rows[-1] == ["misses", 1] and ["values", 1] in rows
    header, rows = failure_table([verdict(0, "challenging"), verdict(1, "simple", "other")])
    assert header == ["class", "simple", "challenging", "all"] and rows[-1] == ["misses", 1, 0, 1]


def test_examples_are_the_plainest_and_none_stands_twice():
    questions = [Question(i, "zoo", f"question {i}", f"gold {i}") for i in range(5)]
    predictions = [f"prediction {i}" for i in range(5)]
    examples = failure_examples(VERDICTS, questions, predictions, per_class=1)
    # "tables": 1 has no other class; 0 comes for its join.
    assert [(example["class"], example["index"]) for example in examples] == [
        ("does not run", 4),
        ("tables", 1),
        ("joins", 0),
    ]
    assert examples[0] == {
        "class": "does not run",
        "index": 4,
        "question": "question 4",
        "db_id": "zoo",
        "gold": "gold 4",
        "prediction": "prediction 4",
        "error": "no such table: x",
    }
    several = failure_examples(VERDICTS, questions, predictions, per_class=2)
    assert [(example["class"], example["index"]) for example in several] == [
        ("does not run", 4),
        ("tables", 1),
        ("tables", 0),
    ]


def test_examples_of_things_that_do_not_belong_together():
    with pytest.raises(InputError, match="5 verdicts do not match 0 questions and 1 predictions"):
        failure_examples(VERDICTS, [], ["SELECT 1"], per_class=1)


@pytest.mark.parametrize(
    ("file", "tables", "field"),
    [("spider/dev.json", "spider/tables.json", "query"), ("bird/dev.json", "bird/dev_tables.json", "SQL")],
)
def test_gold_queries_do_not_differ_from_their_canonical_form(real_data, file, tables, field):
    schemas = {item["db_id"]: schema_from_tables_json(item) for item in json.loads((real_data / tables).read_text())}
    for item in json.loads((real_data / file).read_text()):
        canonical, reason = normalise_sql(item[field], schemas[item["db_id"]].columns_by_table)
        assert reason is None and failure_classes(item[field], canonical, None) == ["other"]


def test_real_misses_are_classed(real_data):
    questions = json.loads((real_data / "spider/dev.json").read_text())
    reference = json.loads((real_data / "eval_reference/codes-1b-spider.json").read_text())["verdicts"]
    predictions = (real_data / "eval_reference/codes-1b-spider.txt").read_text().split("\n")
    found = {
        index: failure_classes(questions[index]["query"], predictions[index].split("\t")[0], None)
        for index, right in enumerate(reference)
        if right != 1
    }
    # Read and judged by a person.
    assert found[16] == ["aggregation"] and found[96] == ["tables"] and found[232] == ["grouping"]
    assert found[265] == ["conditions"] and found[387] == ["values"] and found[438] == ["columns"]
    assert found[773] == ["aggregation"] and found[851] == ["ordering"] and found[892] == ["joins"]
    assert found[723] == ["aggregation", "ordering"] and found[467] == ["tables", "values"]
    assert found[61] == ["conditions", "set operation"] and found[303] == ["tables", "columns"]
    assert len(found) == 221 and sum(classes == ["other"] for classes in found.values()) == 2


@pytest.mark.parametrize(
    ("gold", "prediction", "classes"),
    [
        ("SELECT a, b FROM t ORDER BY b", "SELECT a, b FROM t ORDER BY 2", ["other"]),
        ("SELECT a, count(*) FROM t GROUP BY a", "SELECT a, count(1) FROM t GROUP BY 1", ["other"]),
        ("SELECT a FROM t WHERE a = 1 AND b > 2", "SELECT a FROM t WHERE 2 < b AND 1 = a", ["other"]),
        ("SELECT a FROM t WHERE a > -1", "SELECT a FROM t WHERE a > 1", ["values"]),
        ("SELECT a FROM t WHERE a > 1", "SELECT a FROM t WHERE 1 > a", ["conditions"]),
        (
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.b = t.b)",
            "SELECT a FROM t WHERE EXISTS (SELECT * FROM u WHERE u.b = t.b)",
            ["other"],
        ),
    ],
)
def test_what_can_be_spelt_in_two_ways_is_no_difference(gold, prediction, classes):
    assert failure_classes(gold, prediction, None) == classes
