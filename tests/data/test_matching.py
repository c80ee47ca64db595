"""Cells that a question mentions: the rules one by one, odd databases, the cache, shards, memory, real questions."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kid.data import value_index
from kid.data.matching import match_values
from kid.data.value_index import build_value_index
from kid.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def column(tmp_path):
    """column(values) -> a database with them in T.c."""

    def make(values, path=tmp_path / "values.sqlite"):
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE T (c TEXT)")
        connection.executemany("INSERT INTO T VALUES (?)", [(value,) for value in values])
        connection.commit()
        connection.close()
        return path

    return make


def match(database: Path, text: str) -> dict:
    return match_values(build_value_index(database), [text])[0]


def run_sql(path: Path, script: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


@pytest.mark.parametrize(
    ("question", "values", "expected"),
    [
        ("Who lives in France?", ["France", "Germany"], ["France"]),
        ("singers from FRANCE", ["France"], ["France"]),
        ("What is the location?", ["cat", "loc"], []),
        ("Which cats are there?", ["Cat", "Dog"], []),  # 0.86 similar
        ("How many nurses work here?", ["Nurse"], ["Nurse"]),
        ("What did Britanny Harris pay?", ["Brittany Harris", "Harris Brittany"], ["Brittany Harris"]),
        ("wines of at least four wines", ["Four Vines"], []),
        ("Who wrote The Lord of the Rings: The Return of the King in English?",
         ["The Lord of the Rings: The Return of the King"], ["The Lord of the Rings: The Return of the King"]),
        ("Who wrote the return of the king?", ["The Lord of the Rings: The Return of the King"], []),
        # stop words, letters, short codes
        ("Is it a no in the end?", ["a", "no", "it", "in", "the", "end", "IT"], []),
        ('Whose answer is "No".', ["no", "yes"], ["no"]),
        ("departments of division AS or IN", ["AS", "IN", "or"], ["AS", "IN"]),
        ("WHAT IS IN THE BOX", ["IN", "IS", "BOX"], ["BOX"]),
        ("students of sex F, not m", ["F", "M", "f"], ["F"]),
        ("A student with grade B- or B", ["A", "B", "B-", "B+"], ["B-", "B"]),
        ("I know who holds a Ph.D. of Sarah's", ["D", "S", "s", "I"], []),
        ("Which routes go to us from AL?", ["GO", "US", "AL"], ["AL"]),
        ("Is C++ older than C?", ["C++", "C#", "C"], ["C++", "C"]),
        # numbers
        ("Which were built in 2014?", ["2014", "2015", "20.14", "02014"], ["2014"]),
        ("Which have more than 3 doors?", ["3"], []),
        ("Which are in class '3'?", ["3", "4"], ["3"]),
        ("a mark of 300.5 points", ["300", "300.5", "300.50"], ["300.5"]),
        ("the one with -500 points", ["-500", "-600"], ["-500"]),
        ("flights of a Boeing 737 Max", ["Boeing 737 Max", "Boeing 747 Max"], ["Boeing 737 Max"]),
        ("on 2014/01/02", ["2014-01-02", "2014-01-03"], ["2014-01-02"]),
        # what stands around a value
        ("Who is 'Sarah Martinez'?", ["Sarah Martinez"], ["Sarah Martinez"]),
        ("Countries except \u201cUSA\u201d, please!", ["USA"], ["USA"]),
        ("What is Sarah Martinez's age?", ["Sarah Martinez"], ["Sarah Martinez"]),
        ("What is Sarah Martinez\u2019s age?", ["Sarah Martinez"], ["Sarah Martinez"]),
        ("Has McDonald\u2019s more than O'Brien?", ["McDonald's", "O\u2019Brien"], ["McDonald's", "O\u2019Brien"]),
        ("Is a full time job (permanent) better?", ["full-time", "Permanent."], ["full-time", "Permanent."]),
        ("USA-based teams", ["USA"], ["USA"]),
        ("Winners in Sao Paulo and Malmö", ["São Paulo", "Malmo"], ["São Paulo", "Malmo"]),
        # a better match leaves a worse one no place
        ("Who lives in New York City?", ["New York", "New York City"], ["New York City"]),
        ("From New York City to New York", ["New York", "New York City"], ["New York City", "New York"]),
        ("What about Johnson?", ["Johnson", "Johnsons"], ["Johnson"]),
        ("trips of American Airlines", ["American Airlines", "North American Airlines"], ["American Airlines"]),
        # order: similarity, place, text
        ("doctors, nurse or NURSE", ["Doctor", "nurse", "NURSE", "Nurse"], ["NURSE", "Nurse", "nurse", "Doctor"]),
        ("green or blue", ["blue", "green"], ["green", "blue"]),
        # nothing to find
        ("", ["France"], []),
        ("?!", ["France", "?!", "-"], []),
        ("Quux zyx", ["France"], []),
    ],
)  # fmt: skip
def test_rules(column, question, values, expected):
    assert match(column(values), question) == ({("T", "c"): expected} if expected else {})


def test_at_most_25_values(column):
    values = [f"{number:03d} green street" for number in range(100, 140)]
    assert match(column(values), ", ".join(values)) == {("T", "c"): values[:25]}


def test_only_texts_of_1_to_100_characters_are_cells(column):
    long = "x" * 100
    values = [None, 1234, 12.5, b"bytes", "", " \n", long, long + "y", f"Old York\0{long}", "Old York"]
    found = match(column(values), f"1234 12.5 bytes Old York {long} {long}y")
    # SQLite turns numbers into text in a column of type TEXT, as Spider's years are.
    assert found == {("T", "c"): ["1234", "12.5", "Old York", long]}


def test_cells_are_compared_without_and_given_with_their_own_blanks(column):
    values = ["HPV  quad", "HPV quad", "HPV\u3000quad", " HPV\u00a0quad", "HPV\tquad\n", "HPVquad"]
    assert match(column(values), "Who had the hpv quad?") == {("T", "c"): sorted(values[:-1])}


def test_thousands_of_cells_that_are_compared_alike_are_indexed_in_time(column):
    values = [f"{number:016b}".translate({ord("0"): "\t", ord("1"): " "}) + "Oslo" for number in range(40_000)]
    started = time.monotonic()
    assert len(match(column(values), "From Oslo")[("T", "c")]) == 25
    assert time.monotonic() - started < 10


def test_a_longer_match_in_another_column_leaves_no_place(tmp_path):
    database = run_sql(
        tmp_path / "d.sqlite",
        "CREATE TABLE s (city TEXT, name TEXT); CREATE TABLE p (name TEXT);"
        "INSERT INTO s VALUES ('San Jose', 'San Jose State University'); INSERT INTO p VALUES ('Jose');",
    )
    assert match(database, "fees of San Jose State University") == {("s", "name"): ["San Jose State University"]}
    assert match(database, "fees in San Jose") == {("s", "city"): ["San Jose"]}


def test_columns_are_in_the_databases_order(tmp_path):
    database = run_sql(
        tmp_path / "d.sqlite",
        "CREATE TABLE z (b TEXT, a TEXT); CREATE TABLE y (c TEXT);"
        "INSERT INTO z VALUES ('green', 'Green'); INSERT INTO y VALUES ('GREEN');",
    )
    found = match(database, "what is green?")
    assert list(found.items()) == [(("z", "b"), ["green"]), (("z", "a"), ["Green"]), (("y", "c"), ["GREEN"])]


def test_odd_names(tmp_path):
    folder = tmp_path / "what? #1 100%"
    folder.mkdir()
    names = [
        "two words",
        'quo"te',
        "quo'te",
        "dot.ted",
        "brack[et]",
        "tab\tbed",
        "select",
        "ünïcode",
        "semi;colon",
        "a`b",
    ]
    connection = sqlite3.connect(folder / "odd & #.sqlite")
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f'CREATE TABLE {quoted} ({quoted} TEXT, "group" TEXT)')
        connection.execute(f"INSERT INTO {quoted} VALUES ('Paris', 'London')")
    connection.commit()
    connection.close()
    before = sorted(folder.iterdir())
    found = match(folder / "odd & #.sqlite", "From Paris to London")
    assert list(found) == [(name, column) for name in names for column in (name, "group")]
    assert all(values == [["Paris"], ["London"]][column == "group"] for (_, column), values in found.items())
    assert sorted(folder.iterdir()) == before  # no journal beside it


def test_odd_tables(tmp_path):
    """No rows, views, WITHOUT ROWID, virtual tables (one that cannot be read), AUTOINCREMENT's sqlite_sequence."""
    path = tmp_path / "odd.sqlite"
    connection = sqlite3.connect(path)
    connection.create_function("twice", 1, lambda text: text * 2, deterministic=True)
    connection.create_collation("strange", lambda a, b: (a > b) - (a < b))
    connection.executescript(
        "CREATE TABLE none (c TEXT); CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, c TEXT);"
        "CREATE TABLE keyed (c TEXT PRIMARY KEY, d TEXT) WITHOUT ROWID;"
        "CREATE TABLE collated (c TEXT COLLATE NOCASE, d TEXT COLLATE strange);"
        "CREATE TABLE generated (c TEXT, d TEXT GENERATED ALWAYS AS (twice(c)));"
        "CREATE VIRTUAL TABLE found USING fts5(body);"
        "INSERT INTO auto (c) VALUES ('Rome'); INSERT INTO keyed VALUES ('Rome', 'Oslo');"
        "INSERT INTO collated VALUES ('rome', 'Oslo'), ('Rome', 'Bern'); INSERT INTO generated (c) VALUES ('Rome');"
        "INSERT INTO found VALUES ('Rome'); CREATE VIEW seen AS SELECT c FROM keyed;"
        "PRAGMA writable_schema = 1;"
        "INSERT INTO sqlite_master VALUES ('table', 'lost', 'lost', 0, 'CREATE VIRTUAL TABLE lost USING gone(c)');"
    )
    connection.close()
    assert match(path, "From Rome to Oslo with auto") == {
        ("auto", "c"): ["Rome"],
        ("keyed", "c"): ["Rome"],
        ("keyed", "d"): ["Oslo"],
        ("collated", "c"): ["Rome", "rome"],
        ("collated", "d"): ["Oslo"],
        ("generated", "c"): ["Rome"],
        ("found", "body"): ["Rome"],
    }


@pytest.mark.parametrize(
    "script", ["", "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7)", "CREATE VIEW v AS SELECT 1"]
)
def test_databases_without_texts(tmp_path, script):
    index = build_value_index(run_sql(tmp_path / "d.sqlite", script))
    assert match_values(index, ["Is there 7 of anything?", ""]) == [{}, {}]
    assert match_values(index, []) == []


def test_cells_that_are_not_utf8(tmp_path):
    database = run_sql(
        tmp_path / "d.sqlite", "CREATE TABLE t (c TEXT); INSERT INTO t VALUES (CAST(x'436166e920526f79616c' AS TEXT));"
    )
    assert match(database, "Who owns the Caf Royal?") == {("t", "c"): ["Caf Royal"]}


def test_utf16_databases(tmp_path):
    database = run_sql(
        tmp_path / "d.sqlite",
        "PRAGMA encoding = 'UTF-16'; CREATE TABLE t (c TEXT); INSERT INTO t VALUES ('Café Noir');",
    )
    assert match(database, "Who owns Cafe Noir?") == {("t", "c"): ["Café Noir"]}


def damaged(path: Path, how: str) -> None:
    if how == "no database":
        path.write_text("id,name\n1,Rome\n" * 100)
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "bad page":
        content = bytearray(path.read_bytes())
        content[4096 * 4 : 4096 * 5] = b"\xff" * 4096
        path.write_bytes(content)
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["no database", "cut off", "bad page", "gone"])
def test_a_damaged_file_is_named_in_one_line(column, cache, how):
    database = column([f"value number {number}" for number in range(5000)])
    damaged(database, how)
    with pytest.raises(InputError, match=r"^[^\n]*values\.sqlite: [^\n]+$"):
        build_value_index(database)
    assert not list(cache.glob("values/*/"))


def test_an_unwritable_cache_is_named(column, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set KID_CACHE to another folder"):
        build_value_index(column(["Rome"]))


def test_the_index_is_built_once_per_content(column, monkeypatch):
    first = build_value_index(column(["Rome"]))
    with monkeypatch.context() as patched:
        patched.setattr(value_index, "write_shard", lambda *_: pytest.fail("built again"))
        assert build_value_index(column(["Rome"])) == first
    second = build_value_index(column(["Rome", "Oslo"]))
    assert second != first
    assert match_values(first, ["Oslo"]) == [{}]
    assert match_values(second, ["Oslo"]) == [{("T", "c"): ["Oslo"]}]


def city(number: int) -> str:
    return f"{['Port', 'East', 'New', 'Lake'][number % 4]} {'abcdefgh'[number % 8] * 3}{number % 50}ville"


QUESTIONS = [f"Who moved from {city(number)} to {city(number * 7)} in 2014?" for number in range(60)]


def test_a_result_does_not_depend_on_the_other_texts(column):
    index = build_value_index(column([city(number) for number in range(400)]))
    together = match_values(index, QUESTIONS)
    assert all(len(found[("T", "c")]) == 2 - (city(n) == city(7 * n)) for n, found in enumerate(together))
    assert together == [match_values(index, [question])[0] for question in QUESTIONS]
    assert together == match_values(index, QUESTIONS[::-1])[::-1]


def test_several_shards_find_what_one_finds(column, monkeypatch):
    database = column([city(number) for number in range(400)])
    one = build_value_index(database)
    monkeypatch.setattr(value_index, "SHARD_CELLS", 30)
    several = build_value_index(database)
    assert len(list(one.glob("*/"))) == 1 and len(list(several.glob("*/"))) == 7
    assert match_values(several, QUESTIONS) == match_values(one, QUESTIONS)


MEMORY = """
import re, sys
from pathlib import Path
from kid.data import value_index
value_index.SHARD_CELLS = int(sys.argv[2])
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before = peak()
value_index.build_value_index(Path(sys.argv[1]))
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_database(column):
    """Measured over what the imports take: 95 MB with shards of 10,000 cells, 64 of them SQLite's; 350 MB with one."""
    database = column(f"item {number:x} {number * 7919 % 1000003:x}" for number in range(300_000))
    command = [sys.executable, "-c", MEMORY, str(database), "10000"]
    child = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert int(child.stdout) < 160


@pytest.mark.parametrize(
    ("db_id", "question", "expected"),
    [
        (
            "concert_singer",
            "What are the names of all stadiums whose concerts in 2014 had singers from the Netherlands?",
            {
                ("singer", "Country"): ["Netherlands"],
                ("singer", "Song_release_year"): ["2014"],
                ("concert", "Year"): ["2014"],
            },
        ),
        (
            "world_1",
            "What is the average life expectancy of countries in Africa where English is not the official language?",
            {("country", "Continent"): ["Africa"], ("countrylanguage", "Language"): ["English"]},
        ),
        (
            "flight_2",
            "How many 'JetBlue Airways' flights leave Aberdeen for APG?",
            {
                ("airlines", "Airline"): ["JetBlue Airways"],
                ("airports", "City"): ["Aberdeen "],  # blanks around values are the database's
                ("airports", "AirportCode"): ["APG"],
                ("flights", "SourceAirport"): [" APG"],
                ("flights", "DestAirport"): [" APG"],
            },
        ),
        ("car_1", "How many car makers are there in each continent? List the name and the count.", {}),
    ],
)
def test_real_questions(real_data, db_id, question, expected):
    assert match(real_data / "spider" / "database" / db_id / f"{db_id}.sqlite", question) == expected
