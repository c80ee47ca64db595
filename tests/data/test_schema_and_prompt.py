"""The schema of a database and the prompt made of it, compared letter by letter."""

import hashlib
import json
import sqlite3

import pytest

from kid.data.database import JOURNAL_MAGIC, DamagedDatabaseError, check_not_in_use, quote
from kid.data.faults import Damage
from kid.data.prompts.codes import matched_part, question_part, schema_part
from kid.data.prompts.values import written_value
from kid.data.questions import find_databases, find_tables
from kid.data.schema import read_descriptions, read_tables
from kid.data.sqlite_schema import read_database
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
table movie , columns = [ movie.id ( integer | primary key | values : 7 , 8 ) , \
movie.title ( varchar | comment : movie title | values : Up , Caf ) , movie.director ( text ) ]
table `movie-rating` , columns = [ `movie-rating`.mid ( integer | primary key | comment : movie id | values : 7 ) , \
`movie-rating`.`stars (0-5)` ( real | values : 4.5 , 3.0 ) ]
foreign keys :
`movie-rating`.mid = movie.id
"""
FROM_TABLES_JSON_ALONE = """\
database schema :
table movie , columns = [ movie.id ( number | primary key ) , movie.title ( text | comment : movie title ) , \
movie.director ( text ) ]
table `movie-rating` , columns = [ `movie-rating`.mid ( number | primary key | comment : movie id ) , \
`movie-rating`.`stars (0-5)` ( number ) ]
foreign keys :
`movie-rating`.mid = movie.id
"""
ODD = """\
database schema :
table `order` , columns = [ `order`.`group by` ( integer | primary key | values : 1 ) , \
`order`.`a.b` ( text | values : x ) , \
`order`.`tab\tname` ( text | values : a\tb ) , `order`.`quote"d` ( values : 2.5 ) , `order`.`[x]` ( text ) , \
`order`.`2nd` ( text | values : z ) , `order`.`back``tick` ( blob ) ]
table empty , columns = [ empty.id ( integer | primary key ) , empty.ref ( integer ) ]
table lines , columns = [ lines.no ( int ) , lines.`order` ( int ) ]
table seen , columns = [ seen.`a.b` ( text | values : x ) , seen.number ( values : 2 ) ]
table found , columns = [ found.words ( values : one two ) ]
foreign keys :
empty.ref = `order`.`group by`
lines.`order` = `order`.`group by`
"""


@pytest.fixture
def files(tmp_path):
    """tables.json and a database with a null, an over-long value, repeated values and a cell that is not UTF-8."""
    tables, database = tmp_path / "tables.json", tmp_path / "films.sqlite"
    tables.write_text(json.dumps([ITEM]))
    connection = sqlite3.connect(database)
    connection.executescript(
        'CREATE TABLE "Movie" (id INTEGER PRIMARY KEY, title VARCHAR(80), "Director" TEXT);'
        'CREATE TABLE "Movie-Rating" (mid INTEGER, "stars (0-5)" REAL);'
        f"INSERT INTO Movie VALUES (7, NULL, NULL), (8, '{'long' * 9}', ''), (9, 'Up', NULL), (10, 'Up', NULL);"
        "INSERT INTO Movie VALUES (11, CAST(x'436166e9' AS TEXT), NULL);"
        'INSERT INTO "Movie-Rating" VALUES (7, 4.5), (7, 3.0), (7, 1.0);'
    )
    connection.close()
    return tables, database


def tables_json(path, *items):
    path.write_text(json.dumps(items))
    damage = Damage("skip")
    return read_tables(path, damage), damage.lines()


def test_prompt_letter_by_letter(files):
    tables, database = files
    schema = read_tables(tables, Damage())["films"]
    assert schema_part(schema) == FROM_TABLES_JSON_ALONE
    assert schema_part(read_database(schema, "films", database)) == PROMPT


def test_no_foreign_keys_are_said(files):
    schemas, _ = tables_json(files[0], {**ITEM, "foreign_keys": []})
    assert schema_part(read_database(schemas["films"], "films", files[1])).endswith("\nforeign keys : None\n")


def test_odd_names_views_empty_tables_and_keys_to_nowhere_from_the_file_alone(tmp_path):
    database = tmp_path / "a ?#%.sqlite"
    connection = sqlite3.connect(database)
    names = ["group by", "a.b", "tab\tname", 'quote"d', "[x]", "2nd", "back`tick"]
    kinds = ["INTEGER PRIMARY KEY", "TEXT", "TEXT", "", "TEXT", "TEXT", "BLOB"]
    columns = ", ".join(f"{quote(name)} {kind}" for name, kind in zip(names, kinds, strict=True))
    connection.executescript(
        f'CREATE TABLE "order" ({columns});'
        "INSERT INTO \"order\" VALUES (1, 'x', 'a\tb', 2.5, '', 'z', x'00ff');"
        'CREATE TABLE empty (id INTEGER PRIMARY KEY AUTOINCREMENT, ref INTEGER REFERENCES "order");'
        'CREATE TABLE lines (no INT REFERENCES gone(id), "order" INT REFERENCES "order"("group by"));'
        'CREATE VIEW seen AS SELECT "a.b", "group by" + 1 AS number FROM "order";'
        "CREATE TABLE away (x); CREATE VIEW broken AS SELECT x FROM away; DROP TABLE away;"
        'CREATE VIEW failing AS SELECT json_extract("a.b", \'$\') AS y FROM "order";'
        "CREATE VIRTUAL TABLE found USING fts5(words); INSERT INTO found VALUES ('one two');"
    )
    connection.close()
    schema = read_database(None, "odd", database)
    assert schema_part(schema) == ODD
    assert schema.skipped == (
        "broken (no such table: main.away)",
        "failing (malformed JSON)",
        "foreign key lines.no to gone.id",
    )


def test_a_declared_key_of_a_column_that_is_not_shown_is_left_out(files):
    tables, database = files
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE more (id INT, film INT REFERENCES Movie(id))")
    connection.close()
    names = {"table_names_original": ["Movie", "more"], "table_names": ["movie", "more"], "foreign_keys": []}
    columns = [[-1, "*"], [0, "id"], [1, "id"]]
    more = {"column_names": columns, "column_names_original": columns, "column_types": ["text", "number", "number"]}
    schemas, _ = tables_json(tables, {**ITEM, **names, **more, "primary_keys": [1]})
    schema = read_database(schemas["films"], "films", database)
    assert schema.foreign_keys == () and schema.skipped == (
        "foreign key more.film to Movie.id",
        "tables that tables.json lacks: Movie-Rating",
        "columns that tables.json lacks: Movie.title, Movie.Director, more.film",
    )


def test_a_database_without_tables_is_damaged(tmp_path):
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(DamagedDatabaseError, match=r"empty.sqlite: it has no tables"):
        read_database(None, "empty", tmp_path / "empty.sqlite")


def test_a_description_that_cannot_be_read_is_said(files):
    folder = files[1].parent / "database_description"
    (folder / "dir.csv").mkdir(parents=True)
    (folder / "movie.csv").write_text("original_column_name,column_name\n" + "x" * 200_000 + ",y\n")
    schema = read_database(read_tables(files[0], Damage())["films"], "films", files[1])
    assert len(schema.skipped) == 1 and "movie.csv (field larger than field limit" in schema.skipped[0]


def test_a_key_to_nowhere_in_tables_json_is_left_out_and_said(files):
    schemas, lines = tables_json(files[0], {**ITEM, "foreign_keys": [[4, 1], [4, 99], [0, 1]]})
    assert lines == [] and schemas["films"].foreign_keys == (("Movie-Rating", "mid", "Movie", "id"),)
    assert schemas["films"].skipped == ("dangling foreign key [4, 99]", "dangling foreign key [0, 1]")


def test_birds_descriptions_are_comments_where_there_is_no_other(files):
    tables, database = files
    folder = database.parent / "database_description"
    folder.mkdir()
    head = "\ufefforiginal_column_name,column_name,column_description,data_format,value_description\n"
    lines = f'id,movie id,"The unique\nnumber of a film, {"as long as can be " * 9}",integer,\n'
    lines += "title,,what it is called,text,\nDirector,director of it,director,text,never a full name\n"
    (folder / "movie.csv").write_text(head + lines, encoding="utf-8")
    (folder / "Movie-Rating.csv").write_bytes(b"original_column_name,column_name\nstars (0-5),na\xefve stars\n")
    text = schema_part(read_database(read_tables(tables, Damage())["films"], "films", database))
    number = "The unique number of a film, as long as can be as long as can be as long as can be as long as can be"
    assert f"movie.id ( integer | primary key | comment : {number} | values : 7 , 8 )" in text
    assert "comment : movie title" in text and "what it is called" not in text  # tables.json comes first
    # The description says nothing new, and no prompt format shows what is said of values.
    assert "movie.director ( text | comment : director of it )" in text
    assert "`stars (0-5)` ( real | comment : naïve stars | values" in text


def test_blanks_around_the_names_of_birds_heading_do_not_matter(tmp_path):
    folder = tmp_path / "database_description"
    folder.mkdir()
    (folder / "pat.csv").write_text("original_column_name ,column_name, column_description\nnn,,the last name,more\n")
    assert read_descriptions(tmp_path / "klinik.sqlite") == ({("pat", "nn"): "the last name"}, [])


def test_descriptions_without_birds_heading_are_named(tmp_path):
    folder = tmp_path / "database_description"
    folder.mkdir()
    (folder / "pat.csv").write_text("column,description\nnn,the last name\n")
    found, unreadable = read_descriptions(tmp_path / "klinik.sqlite")
    assert not found
    assert unreadable == [f"comments in {folder / 'pat.csv'} (it has no column original_column_name)"]


def test_descriptions_in_tables_json_are_comments_before_all_others(files):
    given = [[-1, "*"], [0, ""], [0, "The film's title"], [0, None], [1, "mid"], [1, "x " * 99]]
    for descriptions in (given, [entry[1] for entry in given]):
        schemas, lines = tables_json(files[0], {**ITEM, "column_descriptions": descriptions})
        comments = [column.comment for table in schemas["films"].tables for column in table.columns]
        assert comments == ["", "The film's title", "", "movie id", ("x " * 50).strip()] and not lines
    for wrong in (given[1:], [*given[1:], [1, 5]]):
        _, (line,) = tables_json(files[0], {**ITEM, "column_descriptions": wrong})
        assert "column_descriptions that are not one text, or [table, text], for each column" in line


def test_matched_contents_in_the_schemas_order(files):
    schema = read_tables(files[0], Damage())["films"]
    matches = {("movie-rating", "STARS (0-5)"): ["5"], ("Movie", "title"): ["Up", "It"], ("gone", "x"): ["y"]}
    expected = "matched contents :\nmovie.title ( Up , It )\n`movie-rating`.`stars (0-5)` ( 5 )\n"
    assert matched_part(schema, matches) == expected
    assert matched_part(schema, {}) == "matched contents : None\n"


def test_values_stand_as_they_are_and_on_one_line(tmp_path):
    """What SQL can hold on one line is not changed; a copy of the rest, put between quotes, is equal to the value."""
    plain = ["HPV  quad", "flu\u3000shot", "a\u00a0b", " lead", "trail  ", "tab\tbed", "O'Neil", "a\u200bb"]
    broken = ["one\ntwo", "\r\none", "end\x85", "zero\0byte", "\u2028", "bell\a\x1b[0m"]
    connection = sqlite3.connect(tmp_path / "d.sqlite")
    connection.execute("CREATE TABLE t (" + ", ".join(f"c{n} TEXT" for n in range(len(plain + broken))) + ")")
    connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(plain + broken))})", plain + broken)
    connection.commit()
    schema = read_database(None, "d", tmp_path / "d.sqlite")
    text = schema_part(schema) + matched_part(schema, {("t", "c0"): plain + broken})
    assert all(f" {value} " in text for value in plain)
    assert "one'||char(10)||'two" in text and "'||char(13,10)||'one" in text
    assert len(text.splitlines()) == len(text.split("\n")) - 1 == 5
    for value in broken:
        if value.strip():
            (same,) = connection.execute(f"SELECT '{written_value(value)}'").fetchone()
            assert same == value and f" {written_value(value)} " in text
    connection.close()


def test_question_and_evidence_stand_on_one_line():
    assert question_part(" How many\n are there? ") == "How many are there?\n"
    assert question_part("How many?", "many is\tmore than 3") == "many is more than 3 How many?\n"


def test_a_database_that_does_not_fit_is_named(files, tmp_path):
    tables, database = files
    schema = read_tables(tables, Damage())["films"]
    connection = sqlite3.connect(database)
    connection.execute("ALTER TABLE Movie RENAME COLUMN title TO headline")
    connection.close()
    with pytest.raises(InputError, match=r"films.sqlite: no column Movie.title, although tables.json names it"):
        read_database(schema, "films", database)
    connection = sqlite3.connect(database)
    connection.execute('DROP TABLE "Movie"')
    connection.close()
    with pytest.raises(InputError, match=r"films.sqlite: no table Movie, although tables.json names it"):
        read_database(schema, "films", database)
    database.write_text("no database at all, only text that is long enough to be one" * 20)
    with pytest.raises(InputError, match=r"films.sqlite: file is not a database"):
        read_database(schema, "films", database)


def test_a_database_that_is_being_written_is_refused(files):
    tables, database = files
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO Movie VALUES (1, 'new', 'row')")
    connection.commit()
    with pytest.raises(InputError, match=r"films.sqlite is in use: films.sqlite-wal has part of it"):
        check_not_in_use(database)
    connection.close()
    check_not_in_use(database)
    journal = database.with_name("films.sqlite-journal")
    journal.write_bytes(bytes(512))
    check_not_in_use(database)
    journal.write_bytes(JOURNAL_MAGIC + bytes(512))
    with pytest.raises(InputError, match="must be rolled back"):
        check_not_in_use(database)
    assert "values : 1 , 7" in schema_part(read_database(read_tables(tables, Damage())["films"], "films", database))


@pytest.mark.parametrize("by", ["the file", "its folder", "a link to a link"])
def test_the_log_of_a_database_behind_a_link_is_seen(files, tmp_path, by):
    _, database = files
    (tmp_path / "there").mkdir()
    database = database.rename(tmp_path / "there" / database.name)
    links = {
        "the file": lambda: (tmp_path / "link.sqlite").symlink_to(database),
        "its folder": lambda: (tmp_path / "folder").symlink_to(database.parent),
        "a link to a link": lambda: (
            (tmp_path / "other.sqlite").symlink_to(database),
            (tmp_path / "link.sqlite").symlink_to("other.sqlite"),
        ),
    }
    links[by]()
    link = tmp_path / "folder" / database.name if by == "its folder" else tmp_path / "link.sqlite"
    connection = sqlite3.connect(link)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO Movie VALUES (1, 'new', 'row')")
    connection.commit()
    with pytest.raises(InputError, match=rf"{link.name} is in use: .*films.sqlite-wal has part of it"):
        check_not_in_use(link)
    connection.close()
    check_not_in_use(link)
    database.with_name("films.sqlite-journal").write_bytes(JOURNAL_MAGIC + bytes(512))
    with pytest.raises(InputError, match=r"is in use: .*films.sqlite-journal must be rolled back"):
        check_not_in_use(link)


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "a\\b", "a\0b", "d" * 256])
def test_a_schema_whose_db_id_is_no_name_is_a_fault(files, name):
    schemas, (line,) = tables_json(files[0], {**ITEM, "db_id": name}, ITEM)
    assert list(schemas) == ["films"] and line.startswith("schema with a db_id that ") and line.endswith("item 0")


def test_names_that_are_no_text_are_named(files):
    names = [[-1, "*"], [0, "id"], [0, "\ud800"], [0, "c"], [1, "mid"], [1, "s"]]
    schemas, lines = tables_json(files[0], {**ITEM, "column_names_original": names})
    assert schemas == {"films": None} and 'has [0, "\\ud800"] as entry 2 of column_names_original' in lines[0]


def test_descriptions_are_read_from_their_folder_only(files):
    """Files are listed, never opened by the name of a table, which could be a path."""
    connection = sqlite3.connect(files[1])
    connection.execute('CREATE TABLE "../secret" (id INT)')
    connection.close()
    (files[1].parent / "database_description").mkdir()
    (files[1].parent / "secret.csv").write_text("original_column_name,column_description\nid,private words\n")
    assert "private" not in schema_part(read_database(None, "films", files[1]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table_names_original": ["Movie", "movie"]}, "db_id films has two tables called movie"),
        ({"primary_keys": None}, "db_id films lacks primary_keys"),
        (
            {"primary_keys": [{"a": 1}]},
            'has {"a": 1} as entry 0 of primary_keys, which must be a column',
        ),
        ({"foreign_keys": {"a": 1}}, "has foreign_keys of another kind; each must be a list"),
        ({"table_names_original": [5, "a"]}, "has no tables, or one whose name is not text"),
        ({"table_names_original": []}, "has no tables"),
        (
            {"column_names_original": [[-1, "*"], *[[0, "a"], [0, "A"]], *[[1, n] for n in "xyz"]]},
            "has column a twice in table Movie",
        ),
        ({"column_names_original": [[-1, "*"], *[[0, n] for n in "vwxyz"]]}, "has no column in table"),
        (
            {"column_types": ["text"]},
            "has 6 column_names_original but 1 column_types; both must have an entry",
        ),
        (
            {"column_names_original": [[-1, "*"], [0, "id"], [0, "a"], [0, "b"], [1, "c"], [7, "d"]]},
            'has [7, "d"] as entry 5 of column_names_original, which must be [number of a table from 0 to 1, name]',
        ),
        (
            {"foreign_keys": [[4, 1], ["a", "b"]]},
            'has ["a", "b"] as entry 1 of foreign_keys, which must be [number',
        ),
        ({"foreign_keys": [[4, 1, 2]]}, "has [4, 1, 2] as entry 0 of foreign_keys"),
    ],
)
def test_damaged_schemas_are_named(files, changes, message):
    schemas, lines = tables_json(files[0], {**ITEM, **changes}, {**ITEM, "db_id": "good"}, {"no": "db_id"})
    assert schemas["good"] and schemas["films"] is None
    assert any(message in line for line in lines)
    assert any("schema without db_id: " in line and "item 2" in line for line in lines)


# The databases may not be copied into the project, so of the prompts that were read line by line beside the database
# and tables.json only the hashes are kept. A prompt that differs is printed.
CHECKED = {
    "spider/train/aircraft": "055aa3315c008573",  # a name with %
    "spider/train/perpetrator": "47823bbaa1a60f01",  # a name with a blank
    "spider/dev/orchestra": "670022f211137c2f",  # a name with brackets
    "spider/dev/concert_singer": "c3dbacb165be2c97",
    "spider/train/geo": "879648e91e8324d7",  # no rows; keys that only the database declares primary
    "spider/train/academic": "04a701eebdb291af",  # no rows
    "spider/dk/new_pets_1": "c8465016ad7be0ab",  # comments
    "bird/dev/superhero": "8dd43653b21066c9",  # comments from database_description
}


@pytest.mark.parametrize("name", CHECKED)
def test_golden_prompts_of_published_databases(real_data, name):
    benchmark, split, db_id = name.split("/")
    data = real_data / benchmark
    schema = read_tables(find_tables(benchmark, split, data), Damage())[db_id]
    database = find_databases(benchmark, split, data, [db_id])[db_id]
    text = schema_part(read_database(schema, db_id, database))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == CHECKED[name], text
