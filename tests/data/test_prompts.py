"""The formats of prompts beside the paper's, compared letter by letter; test_schema_and_prompt.py has the paper's."""

import hashlib
import sqlite3

import pytest

from kid.config.run_config import PROMPTS
from kid.data.faults import Damage
from kid.data.prompts import ddl
from kid.data.prompts.formats import FORMATS
from kid.data.questions import find_databases, find_tables
from kid.data.schema import Column, Schema, Table, read_tables
from kid.data.schema_filter import apply_selection
from kid.data.sqlite_schema import read_database

SCHEMA = Schema(
    "films",
    (
        Table("Movie", (
            Column("id", "", "integer", True, ("7", "-8")),
            Column("Title", "movie\n title", "varchar", False, ("It's", "one\ntwo")),
            Column("Year", "", "text", False, ("1999",)),
            Column("group by", "genre", "", False, ("a, b", "5")),
        )),
        Table("Movie-Rating", (
            Column("mid", "", "integer", True, ("7",)),
            Column("stars (0-5)", "", "real", False, ("4.5", "1e-05")),
            Column("at", "", "date", True),
        )),
    ),
    (("Movie-Rating", "mid", "Movie", "id"),),
)  # fmt: skip
MATCHES = {("movie-rating", "STARS (0-5)"): ["4.5"], ("Movie", "title"): ["It's", "Up"], ("gone", "x"): ["y"]}
QUESTION, EVIDENCE = " How many\n are there? ", "many is\tmore than 3"
DDL = """\
Task:
Write one SQLite query that answers the question about the database below. Reply with the query alone.

Database engine:
SQLite

Database schema:
CREATE TABLE movie (
    id INTEGER, -- example: [7, -8]
    title VARCHAR, -- movie title, example: ['It''s', 'one'||char(10)||'two']
    year TEXT, -- example: ['1999']
    `group by`, -- genre, example: ['a, b', 5]
    PRIMARY KEY (id)
);

CREATE TABLE `movie-rating` (
    mid INTEGER, -- example: [7]
    `stars (0-5)` REAL, -- example: [4.5, 1e-05]
    at DATE,
    PRIMARY KEY (mid, at),
    FOREIGN KEY (mid) REFERENCES movie (id)
);

Values that the question mentions:
movie.title: 'It''s', 'Up'
`movie-rating`.`stars (0-5)`: 4.5

Question:
many is more than 3
How many are there?

SQL query:
"""
M_SCHEMA = """\
You are a SQLite expert. Read the schema below, and answer the question with one SQLite query and nothing else.

【DB_ID】 films
【Schema】
# Table: movie
[
(id:INTEGER, Primary Key, Examples: [7, -8]),
(title:VARCHAR, movie title, Examples: [It's, one'||char(10)||'two]),
(year:TEXT, Examples: [1999]),
(`group by`, genre, Examples: [a, b, 5])
]
# Table: `movie-rating`
[
(mid:INTEGER, Primary Key, Examples: [7]),
(`stars (0-5)`:REAL, Examples: [4.5, 1e-05]),
(at:DATE, Primary Key)
]
【Foreign keys】
`movie-rating`.mid=movie.id
【Matched values】
movie.title: [It's, Up]
`movie-rating`.`stars (0-5)`: [4.5]
【Question】
How many are there?
【Evidence】
many is more than 3
【SQL】
"""


def parts(name: str, schema: Schema = SCHEMA, matches=MATCHES, evidence: str = EVIDENCE) -> list[str]:
    form = FORMATS[name]
    shown = [form.schema_part(schema), form.matched_part(schema, matches)]
    return [form.OPENING, *shown, form.question_part(QUESTION, evidence)]


@pytest.mark.parametrize(("name", "prompt"), [("ddl", DDL), ("m-schema", M_SCHEMA)])
def test_a_prompt_letter_by_letter(name, prompt):
    assert "".join(parts(name)) == prompt


@pytest.mark.parametrize("name", PROMPTS)
def test_each_part_is_lines_that_do_not_join_those_before(name):
    """Otherwise the ids of the parts would not be those of the whole."""
    assert tuple(FORMATS) == PROMPTS
    small = apply_selection(SCHEMA, {"Movie": ["Year"]})
    for texts in (parts(name), parts(name, small, {}, "")):
        for text in filter(None, texts):
            assert text.endswith("\n") and not text[0].isspace()
    assert "stars" not in "".join(parts(name, small))


def test_the_schema_as_statements_is_sql_that_makes_the_same_tables():
    connection = sqlite3.connect(":memory:")
    connection.executescript(ddl.schema_part(SCHEMA))
    assert connection.execute("SELECT name, type, pk FROM pragma_table_info('movie')").fetchall() == [
        ("id", "INTEGER", 1), ("title", "VARCHAR", 0), ("year", "TEXT", 0), ("group by", "", 0),
    ]  # fmt: skip
    keys = connection.execute("""SELECT "table", "from", "to" FROM pragma_foreign_key_list('movie-rating')""")
    assert keys.fetchall() == [("movie", "mid", "id")]
    connection.close()


@pytest.mark.parametrize(
    "value", ["It's", "one\ntwo", "'", "a', 'b", "\r\n'", "5", "-1.5", "1e-05", "0x1F", "007", "1_0", "\u0663"]
)
@pytest.mark.parametrize("kind", ["text", "integer", "", "VARCHAR"])
def test_a_copied_value_is_the_value(value, kind):
    (found,) = sqlite3.connect(":memory:").execute(f"SELECT {ddl.literal(value, kind)}").fetchone()
    assert found == (float(value) if isinstance(found, float | int) else value) and "\n" not in ddl.literal(value, kind)
    assert isinstance(found, str) or kind in ("integer", "")


# Of prompts that were read line by line beside the database, as in test_schema_and_prompt.py.
CHECKED = {
    "spider/train/aircraft": ("0900c8846dec3d62", "da65ff98797f88eb"),
    "spider/train/perpetrator": ("1870bdb9c2d65345", "521df7b8432fb782"),
    "spider/dev/orchestra": ("23d51b2f78aad98c", "56a67fc2c93d6161"),
    "spider/dev/concert_singer": ("3536205e01315fd7", "0359792f10f71a52"),
    "spider/train/geo": ("c6bd40673600fb93", "13df9b36b9167421"),
    "spider/train/academic": ("26230f55ae55f0a3", "9b0d7a46af372ea2"),
    "spider/dk/new_pets_1": ("e1c371200e738372", "65bb7dca535d1acc"),
    "bird/dev/superhero": ("7b6d42988c96a45a", "7d65884a433481d3"),
}


@pytest.mark.parametrize("name", CHECKED)
def test_golden_prompts_of_published_databases(real_data, name):
    benchmark, split, db_id = name.split("/")
    data = real_data / benchmark
    schema = read_tables(find_tables(benchmark, split, data), Damage())[db_id]
    schema = read_database(schema, db_id, find_databases(benchmark, split, data, [db_id])[db_id])
    for form, expected in zip(("ddl", "m-schema"), CHECKED[name], strict=True):
        text = FORMATS[form].schema_part(schema)
        assert hashlib.sha256(text.encode()).hexdigest()[:16] == expected, text
