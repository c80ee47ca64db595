"""The schema of a database and the prompt made of it, compared letter by letter."""

import json
import sqlite3

import pytest

from kid.data.prompt import completion_text, question_part, schema_part
from kid.data.schema import load_schemas
from kid.errors import InputError

ITEM = {
    "db_id": "films",
    "table_names": ["movie", "movie rating"],
    "table_names_original": ["Movie", "Movie-Rating"],
    "column_names": [[-1, "*"], [0, "id"], [0, "movie title"], [0, "director"], [1, "movie id"], [1, "stars (0-5)"]],
    "column_names_original": [[-1, "*"], [0, "id"], [0, "title"], [0, "Director"], [1, "mid"], [1, "stars (0-5)"]],
    "column_types": ["text", "number", "text", "text", "number", "number"],
    "primary_keys": [1, [4]],
    "foreign_keys": [[4, 1]],
}
PROMPT = """\
database schema :
table movie , columns = [ movie.id ( number | primary key | values : 7 , 8 ) , \
movie.title ( text | comment : movie title | values : Up , Caf ) , movie.director ( text ) ]
table `movie-rating` , columns = [ `movie-rating`.mid ( number | primary key | comment : movie id | values : 7 ) , \
`movie-rating`.`stars (0-5)` ( number | values : 4.5 , 3.0 ) ]
foreign keys :
`movie-rating`.mid = movie.id
"""


@pytest.fixture
def files(tmp_path):
    """tables.json and a database with a null, an over-long value, repeated values and a cell that is not UTF-8."""
    tables, database = tmp_path / "tables.json", tmp_path / "films.sqlite"
    tables.write_text(json.dumps([ITEM]))
    connection = sqlite3.connect(database)
    connection.executescript(
        'CREATE TABLE "Movie" (id INTEGER PRIMARY KEY, title TEXT, "Director" TEXT);'
        'CREATE TABLE "Movie-Rating" (mid INTEGER, "stars (0-5)" REAL);'
        f"INSERT INTO Movie VALUES (7, NULL, NULL), (8, '{'long' * 9}', ''), (9, 'Up', NULL), (10, 'Up', NULL);"
        "INSERT INTO Movie VALUES (11, CAST(x'436166e9' AS TEXT), NULL);"
        'INSERT INTO "Movie-Rating" VALUES (7, 4.5), (7, 3.0), (7, 1.0);'
    )
    connection.close()
    return tables, database


def test_prompt_letter_by_letter(files):
    tables, database = files
    assert schema_part(load_schemas(tables, {"films": database})["films"]) == PROMPT


def test_no_foreign_keys_are_said(files):
    tables, database = files
    tables.write_text(json.dumps([{**ITEM, "foreign_keys": []}]))
    assert schema_part(load_schemas(tables, {"films": database})["films"]).endswith("\nforeign keys : None\n")


def test_question_and_sql_stand_on_one_line_each():
    assert question_part(" How many\n are there? ") == "How many are there?\n"
    assert completion_text("SELECT  a\nFROM b ;") == "SELECT a FROM b"


def test_a_database_without_a_column_of_the_schema_is_named(files):
    tables, database = files
    connection = sqlite3.connect(database)
    connection.execute("ALTER TABLE Movie RENAME COLUMN title TO headline")
    connection.close()
    with pytest.raises(InputError, match=r"films.sqlite: no such column: Movie.title"):
        load_schemas(tables, {"films": database})


def test_a_database_without_a_table_of_the_schema_is_named(files):
    tables, database = files
    connection = sqlite3.connect(database)
    connection.execute('DROP TABLE "Movie-Rating"')
    connection.close()
    with pytest.raises(InputError, match=r"films.sqlite: no such table: Movie-Rating"):
        load_schemas(tables, {"films": database})
