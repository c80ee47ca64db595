"""Queries that read a column's text in other ways than the gold query, and are right, are right on a suite."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kid.data.faults import Damage
from kid.data.questions import Question, find_databases, find_tables, load_questions
from kid.data.schema import Schema, read_tables
from kid.data.sqlite_schema import read_database
from kid.evaluation.suites.build import make_suites
from kid.evaluation.suites.options import Options
from kid.sql.comparison import normalize_query, order_matters, results_equal

# Conditions on a column {d} of ISO dates or datetimes, {y} a year, and what means the same; see docs/evaluation.md.
REWRITES = [
    ("{d} < '{y}-01-01'", "strftime('%Y', {d}) < '{y}'"),
    ("{d} < '{y}-01-01'", "substr({d}, 1, 4) < '{y}'"),
    ("{d} < '{y}-01-01'", "CAST(strftime('%Y', {d}) AS INTEGER) < {y}"),
    ("{d} < '{y}-01-01'", "date({d}) < '{y}-01-01'"),
    ("{d} < '{y}-01-01'", "julianday({d}) < julianday('{y}-01-01')"),
    ("{d} >= '{y}-06-01'", "date({d}) >= date('{y}-06-01')"),
    ("{d} >= '{y}-06-01'", "strftime('%s', {d}) + 0 >= strftime('%s', '{y}-06-01') + 0"),
    ("{d} BETWEEN '{y}-01-01' AND '{y}-12-31 23:59:59'", "{d} >= '{y}-01-01' AND {d} <= '{y}-12-31 23:59:59'"),
    ("{d} BETWEEN '{y}-01-01' AND '{y}-12-31 23:59:59'", "strftime('%Y', {d}) = '{y}'"),
    ("{d} LIKE '{y}-03%'", "strftime('%Y-%m', {d}) = '{y}-03'"),
    ("{d} LIKE '{y}%'", "{d} >= '{y}-01-01' AND {d} < date('{y}-01-01', '+1 year')"),
    ("{d} LIKE '%-03-%'", "CAST(strftime('%m', {d}) AS INTEGER) = 3"),
    ("strftime('%m', {d}) = '05'", "substr({d}, 6, 2) = '05'"),
    # Constants that are no dates.
    ("{d} > '{y}-12-32'", "strftime('%Y', {d}) > '{y}'"),
    ("{d} < '{y}-06'", "julianday({d}) < julianday('{y}-06-01')"),
]
# The same for the order of rows, and for what is shown; the condition is another column's.
SHOWN = [
    ("SELECT {k} FROM {t} ORDER BY {d} DESC LIMIT 3", "SELECT {k} FROM {t} ORDER BY julianday({d}) DESC LIMIT 3"),
    ("SELECT {k} FROM {t} ORDER BY {d}", "SELECT {k} FROM {t} ORDER BY datetime({d})"),
    ("SELECT max({d}) FROM {t}", "SELECT {d} FROM {t} WHERE {d} IS NOT NULL ORDER BY julianday({d}) DESC LIMIT 1"),
    ("SELECT count(*), strftime('%Y', {d}) FROM {t} GROUP BY 2",
     "SELECT count(*), substr({d}, 1, 4) FROM {t} GROUP BY 2"),
]  # fmt: skip

MOMENTS = [datetime(2019, 1, 1, 7, 30) + timedelta(days=23 * i, seconds=5003 * i) for i in range(48)]
# Columns of one table: declared type, and the text of row i; then gold queries with what means the same, and with what
# is right on the original by accident, if that is tested.
COLUMNS = {
    "day": ("TEXT", lambda i: f"{MOMENTS[i]:%Y-%m-%d}"),
    "at": ("TEXT", lambda i: f"{MOMENTS[i]:%Y-%m-%d %H:%M:%S}"),
    "midnight": ("DATETIME", lambda i: f"{MOMENTS[i]:%Y-%m-%d} 00:00:00"),
    "zulu": ("TEXT", lambda i: f"{MOMENTS[i]:%Y-%m-%dT%H:%M:%S}.{100 + i}Z"),
    "slashed": ("TEXT", lambda i: f"{MOMENTS[i]:%d/%m/%Y}"),
    "compact": ("INTEGER", lambda i: f"{MOMENTS[i]:%Y%m%d}"),
    "month": ("TEXT", lambda i: f"{MOMENTS[i]:%Y-%m}"),
    "year": ("INTEGER", lambda i: f"{MOMENTS[i].year}"),
    "clock": ("TEXT", lambda i: f"{MOMENTS[i]:%H:%M}"),
    "written": ("TEXT", lambda i: f"{MOMENTS[i].day} {MOMENTS[i]:%B %Y}"),
    "pages": ("TEXT", lambda i: f"{100 + 17 * i % 900}"),
    "padded": ("TEXT", lambda i: f"{13 * i % 400:04d}"),
    "weight": ("TEXT", lambda i: f"{1 + i % 8}.{i % 10}0"),
    "facts": ("TEXT", lambda i: json.dumps({"price": 10 + 7 * i % 90, "colour": ["red", "blue"][i % 2], "tags": [i]})),
    "share": ("TEXT", lambda i: f"{10 + i}%"),
    "code": ("TEXT", lambda i: f"{'ABC'[i % 3]}-{i:03d}"),
    "mail": ("TEXT", lambda i: f"user{i}@{'ab'[i % 2]}.org"),
    "gone": ("DATE", lambda _: None),
    "mostly": ("TEXT", lambda i: "n/a" if i == 7 else f"{MOMENTS[i]:%Y-%m-%d}"),
}
SAME = [
    *((gold.format(d=column, y=2020), same.format(d=column, y=2020))
      for column in ("day", "at", "gone") for gold, same in REWRITES),
    # In a column declared DATE, SQLite would compare with the number 2020, and no text is smaller.
    ("day < '2020'", "strftime('%Y', day) < '2020'"),
    ("midnight < '2020-03-04 12:00:00'", "midnight <= '2020-03-04 00:00:00'"),
    ("midnight = '2020-03-04 00:00:00'", "date(midnight) = '2020-03-04'"),
    ("zulu >= '2020-01-01'", "strftime('%Y', zulu) >= '2020'"),
    ("zulu LIKE '2020-05%'", "date(zulu) BETWEEN '2020-05-01' AND '2020-05-31'"),
    ("slashed LIKE '%/2020'", "substr(slashed, 7) = '2020'"),
    ("substr(slashed, 7) || substr(slashed, 4, 2) >= '202006'",
     "date(substr(slashed, 7) || '-' || substr(slashed, 4, 2) || '-' || substr(slashed, 1, 2)) >= '2020-06-01'"),
    ("compact BETWEEN 20200101 AND 20201231", "compact / 10000 = 2020"),
    ("compact > 20201232", "compact LIKE '2021%'  OR compact LIKE '2022%' OR compact / 10000 > 2022"),
    ("compact LIKE '2020%'", "strftime('%Y', substr(compact, 1, 4) || '-' || substr(compact, 5, 2) || '-01') = '2020'"),
    ("month > '2020-06'", "date(month || '-01') > '2020-06-01'"),
    ("month > '2020-13'", "substr(month, 1, 4) >= '2021'"),
    ("year LIKE '20%'", "year BETWEEN 2000 AND 2099"),
    ("clock < '12:00'", "strftime('%H', clock) < '12'"),
    ("clock > '11:60'", "strftime('%H', clock) >= '12'"),
    ("clock BETWEEN '08:00' AND '09:59'", "substr(clock, 1, 2) IN ('08', '09')"),
    ("written LIKE '%March%'", "substr(written, instr(written, ' ') + 1, 5) = 'March'"),
    ("pages > '500'", "CAST(pages AS INTEGER) > 500"),
    ("pages > '50'", "pages + 0 >= 500"),
    ("padded >= '0050'", "CAST(padded AS INTEGER) >= 50"),
    ("weight > '4.50'", "CAST(weight AS REAL) > 4.5"),
    ("json_extract(facts, '$.price') > 50", "facts ->> '$.price' >= 51"),
    ("json_extract(facts, '$.colour') = 'red'", "facts ->> 'colour' = 'red'"),
    ("json_array_length(facts, '$.tags') = 1", "json_type(facts, '$.price') = 'integer'"),
    ("CAST(share AS INTEGER) > 20", "CAST(replace(share, '%', '') AS INTEGER) > 20"),
    ("share LIKE '3%'", "substr(share, 1, 1) = '3'"),
    ("code LIKE 'A-%'", "substr(code, 1, instr(code, '-') - 1) = 'A'"),
    ("CAST(substr(code, 3) AS INTEGER) > 9", "substr(code, 3) > '009'"),
    ("mail LIKE '%@a.org'", "substr(mail, instr(mail, '@') + 1) = 'a.org'"),
    ("mostly < '2020-01-01'", "mostly < '2020' AND mostly NOT LIKE 'n%'"),
]  # fmt: skip
# Wrong by a little; the original may or may not have a row that shows it.
WRONG = [
    ("day < '2021-01-01'", "day <= '2021-01-01'"), ("day < '2021-01-01'", "strftime('%Y', day) <= '2021'"),
    ("at >= '2020-06-01'", "at > '2020-07'"), ("day > '2020-12-32'", "day > '2020-12-30'"),
    ("at BETWEEN '2020-01-01' AND '2020-12-31'", "strftime('%Y', at) = '2020'"),
    ("compact > 20200630", "compact > 20200701"), ("clock < '12:00'", "clock <= '12:00'"),
    ("pages > '500'", "pages >= '500'"), ("padded >= '0050'", "padded > '0050'"), ("year > 2020", "year >= 2020"),
    ("json_extract(facts, '$.price') > 50", "json_extract(facts, '$.price') >= 50"),
    ("json_extract(facts, '$.colour') = 'red'", "facts ->> '$.colour' IS NOT NULL"),
    ("share LIKE '3%'", "share LIKE '%3%'"), ("code LIKE 'A-%'", "code < 'C'"),
    ("mostly = 'n/a'", "mostly > '2021-09'"),
    ("month > '2020-06'", "month >= '2020-06'"),
    ("gone < '2020-01-01'", "gone <= '2020-01-01'"),
]  # fmt: skip


def same_rows(database: Path, gold: str, prediction: str) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="ignore")
        expected, rows = (connection.execute(normalize_query(sql)).fetchall() for sql in (gold, prediction))
    return results_equal(expected, rows, order_matters(gold))


def make(
    golds: dict[str, list[str]], schemas: dict[str, Schema], paths: dict[str, Path], output: Path, **options
) -> None:
    questions = [Question(i, db_id, "?", sql) for db_id in golds for i, sql in enumerate(golds[db_id])]
    make_suites(questions, schemas, paths, output, Options(**options), {"benchmark": "jsonl", "split": "dev"}, 1)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("original") / "log.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
        connection.execute(f"CREATE TABLE log (id INTEGER PRIMARY KEY, {columns})")
        for i in range(len(MOMENTS)):
            cells = [i + 1, *(cell(i) for _, cell in COLUMNS.values())]
            connection.execute(f"INSERT INTO log VALUES ({', '.join('?' * len(cells))})", cells)
    return path


def query(condition: str) -> str:
    return f"SELECT id FROM log WHERE {condition}"


def make_log(original: Path, golds: list[str], output: Path, **options) -> list[Path]:
    schema = read_database(None, "log", original)
    make({"log": golds}, {"log": schema}, {"log": original}, output, **options)
    return sorted((output / "log").iterdir())


@pytest.fixture(scope="module")
def suite(original, tmp_path_factory) -> list[Path]:
    golds = list(dict.fromkeys(query(gold) for gold, _ in SAME))
    golds += [gold.format(t="log", d=column, k="id") for column in ("day", "at") for gold, _ in SHOWN]
    output = tmp_path_factory.mktemp("suites") / "suite"
    return make_log(original, golds, output, neighbours=6, max_databases=12, rows=60)


@pytest.fixture(scope="module")
def thorough_suite(original, tmp_path_factory) -> list[Path]:
    """A suite for the few gold queries of WRONG."""
    golds = list(dict.fromkeys(query(gold) for gold, _ in WRONG))
    output = tmp_path_factory.mktemp("suites") / "thorough"
    return make_log(original, golds, output, neighbours=20, max_databases=30)


@pytest.mark.slow
@pytest.mark.parametrize(("gold", "same"), SAME)
def test_conditions_that_mean_the_same(original, suite, gold, same):
    assert same_rows(original, query(gold), query(same))
    assert [path.name for path in suite if not same_rows(path, query(gold), query(same))] == []


@pytest.mark.parametrize("column", ["day", "at"])
@pytest.mark.parametrize(("gold", "same"), SHOWN)
def test_orders_and_results_that_mean_the_same(original, suite, gold, same, column):
    gold, same = (sql.format(t="log", d=column, k="id") for sql in (gold, same))
    assert same_rows(original, gold, same)
    assert [path.name for path in suite if not same_rows(path, gold, same)] == []


@pytest.mark.slow
@pytest.mark.parametrize(("gold", "wrong"), WRONG)
def test_wrong_conditions_are_found_out(original, thorough_suite, gold, wrong):
    assert not all(same_rows(path, query(gold), query(wrong)) for path in (original, *thorough_suite))


def test_cells_have_their_columns_format(suite):
    checks = {
        "day": "date({}) IS {}", "gone": "date({}) IS {}", "at": "datetime({}) IS {}",
        "midnight": "datetime(date({0})) IS {0}", "month": "strftime('%Y-%m', {0} || '-01') IS {0}",
        "zulu": "strftime('%Y-%m-%dT%H:%M:', {0}) IS substr({0}, 1, 17) AND {0} LIKE '%.___Z'",
        "clock": "strftime('%H:%M', {}) IS {}", "facts": "json_valid({}) AND json_extract({}, '$.price') > 0",
        "pages": "{} GLOB '[1-9][0-9][0-9]'", "padded": "{} GLOB '[0-9][0-9][0-9][0-9]'",
        "code": "{} GLOB '[A-C]-[0-9][0-9][0-9]'",
        "mostly": "{0} IS 'n/a' OR date({0}) IS {0}", "mail": "{} LIKE '%_@_.org'",
    }  # fmt: skip
    for path in suite:
        with closing(sqlite3.connect(path)) as connection:
            for column, check in checks.items():
                condition = check.replace("{}", column).format(column)
                odd = f"SELECT {column} FROM log WHERE {column} IS NOT NULL AND NOT ({condition})"
                assert connection.execute(odd).fetchall() == [], path.name
    # A column that has no cell to learn from has some in the suite.
    with closing(sqlite3.connect(suite[0])) as connection:
        assert connection.execute("SELECT count(mostly) FROM log").fetchone()[0] > 0


def test_dates_of_real_databases(real_data, tmp_path):
    """REWRITES of conditions on every ISO date column of Spider dev."""
    folder = real_data / "spider"
    questions = load_questions("spider", "dev", folder)
    paths = find_databases("spider", "dev", folder, [question.db_id for question in questions])
    known = read_tables(find_tables("spider", "dev", folder), Damage())
    schemas, pairs = {}, {}
    for db_id, path in paths.items():
        columns = iso_columns(path)
        if columns:
            schemas[db_id] = read_database(known[db_id], db_id, path)
            pairs[db_id] = [
                pair
                for table, key, column, year in columns
                for pair in date_queries(f'"{table}"', f'"{key}"', f'"{column}"', year)
            ]
    assert {"dog_kennels", "student_transcripts_tracking"} <= set(pairs)
    golds = {db_id: list(dict.fromkeys(gold for gold, _ in rows)) for db_id, rows in pairs.items()}
    make(golds, schemas, paths, tmp_path / "suite", neighbours=4, max_databases=6, rows=40)
    checked, failed = 0, []
    for db_id, rows in pairs.items():
        suite = sorted((tmp_path / "suite" / db_id).iterdir())
        assert suite
        for gold, same in rows:
            if same_rows(paths[db_id], gold, same):  # EX right
                checked += 1
                failed += [(path.name, gold, same) for path in suite if not same_rows(path, gold, same)]
    assert failed == [] and checked > 200


def iso_columns(path: Path) -> list[tuple[str, str, str, int]]:
    """(table, its first column, date column, a year in it) of columns whose cells are all ISO dates or datetimes."""
    found = []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="ignore")
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            names = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for name in names[1:]:
                cells = f'FROM "{table}" WHERE "{name}" IS NOT NULL'
                iso = f"""typeof("{name}") = 'text' AND "{name}" IN (date("{name}"), datetime("{name}"))"""
                total, dates = (
                    connection.execute(f"SELECT count(*) {cells} {more}").fetchone()[0] for more in ("", f"AND {iso}")
                )
                if total and total == dates:
                    ((year,),) = connection.execute(
                        f'SELECT substr("{name}", 1, 4) {cells} ORDER BY 1 LIMIT 1 OFFSET {total // 2}'
                    )
                    found.append((table, names[0], name, int(year)))
    return found


def date_queries(table: str, key: str, column: str, year: int) -> list[tuple[str, str]]:
    where = [
        tuple(f"SELECT {key} FROM {table} WHERE {side.format(d=column, y=year)}" for side in pair) for pair in REWRITES
    ]
    return where + [tuple(sql.format(t=table, d=column, k=key) for sql in pair) for pair in SHOWN]
