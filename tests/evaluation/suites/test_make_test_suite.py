from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kid.data.sqlite_schema import read_database
from kid.evaluation.suites.chance import extreme_queries
from kid.evaluation.suites.folders import MARKER_TEXT
from kid.evaluation.suites.neighbours import parse_with_schema
from kid.evaluation.suites.search import Gold, run_with_retries, screen
from kid.evaluation.worker import Limits
from kid.sql.comparison import normalize_query, order_matters, results_equal

SCRIPT = Path(__file__).parents[3] / "eval" / "make_test_suite.py"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
# Gold, a prediction that is right on the original by accident, and one that means the same as the gold.
QUERIES = [
    ("SELECT name FROM singer WHERE age > 40", "SELECT name FROM singer WHERE age > 32",
     "SELECT T1.name FROM singer AS T1 WHERE NOT T1.age <= 40"),
    ("SELECT count(*) FROM singer WHERE country = 'US'", "SELECT count(*) FROM singer WHERE country != 'NL'",
     "SELECT sum(country = 'US') FROM singer"),
    ("SELECT name FROM singer ORDER BY age DESC LIMIT 1", "SELECT name FROM singer ORDER BY id LIMIT 1",
     "SELECT name FROM singer WHERE age = (SELECT max(age) FROM singer)"),
    ("SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id WHERE T2.title = 'Sun'",
     "SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.id WHERE T2.title = 'Sun'",
     "SELECT name FROM singer, song WHERE song.title = 'Sun' AND singer_id = singer.id"),
    ("SELECT country FROM singer GROUP BY country ORDER BY count(*) DESC LIMIT 1",
     "SELECT country FROM singer WHERE id = 2",
     "SELECT country FROM (SELECT country, count(*) AS n FROM singer GROUP BY country) ORDER BY n DESC LIMIT 1"),
    ("SELECT id FROM singer EXCEPT SELECT singer_id FROM song", "SELECT id FROM singer WHERE id > 2",
     "SELECT id FROM singer WHERE id NOT IN (SELECT singer_id FROM song)"),
    ("SELECT avg(plays) FROM song", "SELECT 3.0", "SELECT sum(plays) / count(*) FROM song"),
]  # fmt: skip
FAILING = "SELECT missing FROM singer"


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> Path:
    """A Spider folder: the queries above, the first one twice, and one that does not run."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "database" / "concert").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "database" / "concert" / "concert.sqlite")) as connection:
        connection.executescript(
            """
            CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, country TEXT);
            CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER NOT NULL, title TEXT, plays REAL);
            INSERT INTO singer VALUES (1, 'Joe', 52, 'NL'), (2, 'Ann', 32, 'US'), (3, 'Bob', 31, 'US');
            INSERT INTO song VALUES (1, 1, 'Sun', 2.5), (2, 2, 'Moon', 3.5), (3, 2, 'Star', 3.0);
            """
        )
    columns = [("singer", name) for name in ("id", "name", "age", "country")]
    columns += [("song", name) for name in ("id", "singer_id", "title", "plays")]
    names = [[-1, "*"]] + [[["singer", "song"].index(table), column] for table, column in columns]
    item = {"db_id": "concert", "table_names_original": ["singer", "song"], "column_names_original": names}
    item |= {"column_names": names, "column_types": ["text"] * 9, "primary_keys": [1, 5], "foreign_keys": [[6, 1]]}
    (folder / "tables.json").write_text(json.dumps([item]))
    golds = [gold for gold, *_ in QUERIES] + [QUERIES[0][0], FAILING]
    write_questions(folder, golds)
    return folder


def write_questions(folder: Path, golds: list[str], name: str = "dev.json") -> Path:
    items = [{"db_id": "concert", "question": "?", "query": query} for query in golds]
    (folder / name).write_text(json.dumps(items))
    return folder / name


def make(folder: Path, output: Path, **flags: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPT]
    for name, value in ({"benchmark": "spider", "data": folder, "output": output, "workers": 1} | flags).items():
        command += [f"--{name}", value]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def suite(benchmark, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("suites") / "suite"
    result = make(benchmark, output)
    assert result.returncode == 0, result.stderr
    assert "gold query that does not run (concert): no such column: missing" in result.stdout
    return output


def is_right(database: Path, gold: str, prediction: str) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        expected, rows = (connection.execute(normalize_query(sql)).fetchall() for sql in (gold, prediction))
    return results_equal(expected, rows, order_matters(gold))


@pytest.mark.parametrize(("gold", "accident", "same"), QUERIES)
def test_the_suite_finds_out_accidents_and_nothing_else(benchmark, suite, gold, accident, same):
    original, databases = benchmark / "database/concert/concert.sqlite", sorted((suite / "concert").iterdir())
    assert is_right(original, gold, accident)
    assert not all(is_right(database, gold, accident) for database in databases)
    for database in (original, *databases):
        assert is_right(database, gold, gold)
        assert is_right(database, gold, same), database.name


def test_no_gold_is_left_to_chance(benchmark, suite):
    database = benchmark / "database/concert/concert.sqlite"
    schema = read_database(None, "concert", database)
    columns = {table.name: {column.name: column for column in table.columns} for table in schema.tables}
    checked = 0
    for gold, *_ in QUERIES:
        for path in (suite / "concert").iterdir():
            if queries := extreme_queries(parse_with_schema(gold, schema), columns):
                assert is_right(path, *queries) and is_right(path, gold, queries[0])
                checked += 1
    assert checked == 2 * len(list((suite / "concert").iterdir()))


def test_record(suite):
    content = json.loads((suite / "suite.json").read_text())
    record = content["databases"]["concert"]
    files = sorted(path.name for path in (suite / "concert").iterdir())
    assert content["benchmark"] == "spider" and content["split"] == "dev"
    assert content["options"] == {"neighbours": 30, "max_databases": 20, "rows": 100, "seed": 0, "seconds": 5.0}
    assert record["gold_queries"] == len(QUERIES) + 1 and record["gold_failed"] == 1
    assert record["failures"] == [{"query": FAILING, "error": "no such column: missing"}]
    assert files == [f"concert_{number:02d}.sqlite" for number in range(1, record["databases_kept"] + 1)]
    assert 1 <= len(files) <= record["databases_tried"]
    parts = ("told_apart_by_original", "told_apart_by_suite_alone", "never_told_apart", "neighbours_failed")
    assert record["neighbours"] == sum(record[key] for key in parts)
    assert record["never_told_apart"] == len(record["left"]) < record["told_apart_by_suite_alone"]
    assert content["total"] == {key: record[key] for key in content["total"]}
    assert sorted(path.name for path in suite.iterdir()) == ["concert", "lock", "suite.json"]


def test_each_database_is_there_for_something(benchmark, suite):
    """What the record says of neighbours holds when it is counted again, from the files alone."""
    for pair in json.loads((suite / "suite.json").read_text())["databases"]["concert"]["left"]:
        for database in (benchmark / "database/concert/concert.sqlite", *(suite / "concert").iterdir()):
            assert is_right(database, pair["query"], pair["neighbour"])


def test_the_same_whatever_the_number_of_workers(benchmark, suite, tmp_path):
    result = make(benchmark, tmp_path / "other", workers=3)
    assert result.returncode == 0, result.stderr
    paths = sorted(path.relative_to(suite) for path in suite.rglob("*.*") if path.is_file())
    assert paths == sorted(path.relative_to(tmp_path / "other") for path in (tmp_path / "other").rglob("*.*"))
    assert all((suite / path).read_bytes() == (tmp_path / "other" / path).read_bytes() for path in paths)


@pytest.mark.slow
def test_only_what_is_missing_or_different_is_made_again(benchmark, tmp_path):
    flags = {"questions": write_questions(tmp_path, [QUERIES[0][0]]), "max-databases": 2, "neighbours": 8}
    output = tmp_path / "suite"
    output.mkdir()
    (output / ".concert.partial").mkdir()  # of a run that was killed
    (output / ".concert.partial" / ".kid-suite").write_text(MARKER_TEXT)
    (output / ".concert.partial" / "1.sqlite").write_bytes(b"half a database")

    def times(**changed: object) -> list[int]:
        result = make(benchmark, output, **(flags | changed))
        assert result.returncode == 0, result.stderr
        assert sorted(path.name for path in output.iterdir()) == ["concert", "lock", "suite.json"]
        return [path.stat().st_mtime_ns for path in sorted((output / "concert").iterdir())]

    first = times()
    assert times() == first
    (output / "concert" / "concert_01.sqlite").unlink()
    second = times()
    assert len(second) == len(first) and second[0] != first[0]
    third = times(seed=1)
    assert third[0] != second[0]
    write_questions(tmp_path, [QUERIES[2][0]])
    assert times(seed=1)[0] != third[0]


def test_a_neighbour_that_never_ends_costs_only_itself(benchmark):
    database = benchmark / "database/concert/concert.sqlite"
    gold = Gold("SELECT name FROM singer", True, None, ("SELECT 1", ENDLESS, "SELECT name FROM singer"), (), ())
    endless = Gold(ENDLESS, True, None, ("SELECT 1",), (), ())
    found = dict(run_with_retries(screen, [(database, gold), (database, endless)], 1, Limits(seconds=0.5)))
    assert found[0].error is None and found[0].deterministic
    assert (found[0].verdicts[0], found[0].verdicts[2]) == ("differs", "same")
    assert found[0].verdicts[1] in ("timeout", "takes too long")
    assert found[1].error in ("timeout", "takes too long") and found[1].verdicts == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"benchmark": "spyder"}, "benchmark 'spyder' is unknown"),
        ({"data": "nowhere"}, "data folder nowhere does not exist"),
        ({"databases": "nowhere"}, "no database for 1 of 1 db_ids under nowhere"),
        ({"rows": 0}, "--rows 0 is out of range"),
        ({"timeout": "inf"}, "--timeout inf is out of range"),
        ({"neighbours": "many"}, "argument --neighbours: invalid int value: 'many'"),
        ({"output": SCRIPT.parent}, "is not empty and has no suite.json; give a new folder"),
        ({"output": SCRIPT}, "is not a folder that you can write to"),
    ],
)
def test_bad_input_is_one_line(benchmark, tmp_path, flags, message):
    assert_refused(make(benchmark, **({"output": tmp_path / "suite"} | flags)), message)
    assert not (tmp_path / "suite").exists()


def test_suite_of_another_split_is_not_added_to(benchmark, tmp_path):
    (tmp_path / "suite.json").write_text(json.dumps({"benchmark": "bird", "split": "dev", "databases": {}}))
    assert_refused(make(benchmark, tmp_path), "is a suite for bird dev; give another folder with --output")
    for content in ("[]", '{"benchmark": "spider", "split": "dev", "databases": {"concert": {"gold_queries": 1}}}'):
        (tmp_path / "suite.json").write_text(content)
        assert_refused(make(benchmark, tmp_path), "suite.json is damaged or old; remove it")


def assert_refused(result: subprocess.CompletedProcess, message: str) -> None:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ") and message in result.stderr


def test_help_has_an_example():
    result = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "example:\n  python eval/make_test_suite.py --benchmark spider" in result.stdout
