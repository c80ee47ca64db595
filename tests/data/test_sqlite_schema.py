"""What tables.json lacks: taken from the SQLite file for JSONL, and said; listed as hidden for other benchmarks."""

import json
import sqlite3
from dataclasses import replace

import pytest
from helpers.small_benchmark import options

from kid.data.faults import Damage
from kid.data.prepare import make_notes
from kid.data.prompts.codes import schema_part
from kid.data.reading import LoadedSplit, load_split, read_schemas
from kid.data.schema import Column, Schema, Table, read_tables
from kid.data.sqlite_schema import completion_note, missing_keys_note, read_database
from kid.errors import InputError

SCRIPT = """
CREATE TABLE Author (id INTEGER PRIMARY KEY, name TEXT, born INT);
CREATE TABLE book (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, by INT REFERENCES Author(id),
    half INT AS (by / 2));
CREATE VIEW old AS SELECT name FROM Author WHERE born < 1900;
INSERT INTO Author VALUES (1, 'Ann', 1890), (2, 'Bo', 1950);
INSERT INTO book (title, by) VALUES ('One', 1);
"""
ALL = {
    "db_id": "lib",
    "table_names_original": ["Author", "book", "old"],
    "column_names_original": [
        [-1, "*"], [0, "id"], [0, "name"], [0, "born"], [1, "id"], [1, "title"], [1, "by"], [1, "half"], [2, "name"],
    ],
    "primary_keys": [1, 4],
    "foreign_keys": [[6, 1]],
}  # fmt: skip
ALL |= {"column_names": ALL["column_names_original"], "column_types": ["text"] * 9}


def pick(tables, columns, **more):
    """An item with some of the tables and columns of `ALL`, by their numbers there, in this order."""
    names = [ALL["column_names_original"][number] for number in columns]
    names = [[tables.index(table) if table >= 0 else -1, name] for table, name in names]
    item = {"table_names_original": [ALL["table_names_original"][number] for number in tables]}
    item |= {"column_names_original": names, "column_names": names, "column_types": ["text"] * len(names)}
    return ALL | item | {"primary_keys": [], "foreign_keys": []} | more


@pytest.fixture
def data(tmp_path):
    """data(items of tables.json, ...) -> a JSONL benchmark of two databases, lib and other."""

    def make(*items):
        for db_id, script in (("lib", SCRIPT), ("other", "CREATE TABLE z (a INT); INSERT INTO z VALUES (7)")):
            path = tmp_path / "database" / db_id / f"{db_id}.sqlite"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            connection = sqlite3.connect(path)
            connection.executescript(script)
            connection.close()
        lines = [
            json.dumps({"db_id": db_id, "question": "How many?", "query": "SELECT 1"}) for db_id in ("lib", "other")
        ]
        (tmp_path / "dev.jsonl").write_text("\n".join(lines))
        (tmp_path / "dev.json").write_text(f"[{','.join(lines)}]")
        (tmp_path / "tables.json").write_text(json.dumps(items))
        return tmp_path

    return make


def prompts_and_notes(folder, **changes):
    loaded = load_split(options(folder, benchmark="jsonl", **changes), "dev")
    schemas, _ = read_schemas(loaded, "error")
    return {db_id: schema_part(schema) for db_id, schema in schemas.items()}, loaded.notes


PARTIAL = {
    "a database": ([], "2 databases (lib, other)"),
    "a table": (
        [pick([0], [0, 1, 2, 3])],
        "1 database (other), 2 tables (lib.book, lib.old), 1 primary key (lib.Author.id)",
    ),
    "columns": (
        [pick([0, 1, 2], [0, 1, 2, 4, 6, 8], primary_keys=[1, 3], foreign_keys=[[4, 1]])],
        "1 database (other), 3 columns (lib.Author.born, lib.book.title, lib.book.half)",
    ),
    "all columns of a table": (
        [pick([0, 1], [0, 1, 2, 3], primary_keys=[1])],
        "1 database (other), 4 columns (lib.book.id, lib.book.title, lib.book.by and 1 more), 1 table (lib.old)",
    ),
    "keys": (
        [{key: value for key, value in ALL.items() if key not in ("primary_keys", "foreign_keys")}],
        "1 database (other), 2 primary keys (lib.Author.id, lib.book.id), 1 foreign key (lib.book.by)",
    ),
    "types and plain names": (
        [{key: value for key, value in ALL.items() if key not in ("column_names", "column_types")}],
        "1 database (other)",
    ),
    "all tables": (
        [{"db_id": "lib", "table_names_original": []}],
        "1 database (other), 3 tables (lib.Author, lib.book, lib.old)",
    ),
    "nothing, in another order and case": (
        [
            pick([2, 1, 0], [0, 8, 7, 6, 5, 4, 3, 2, 1], primary_keys=[5, 8], foreign_keys=[[3, 8]])
            | {"table_names_original": ["OLD", "Book", "author"]}
        ],
        "1 database (other)",
    ),
}


def parts_of(text):
    """The columns and keys of a schema part, in one order."""
    return sorted(part.split("[ ")[-1] for line in text.splitlines() for part in line.removesuffix(" ]").split(" , "))


@pytest.mark.slow
@pytest.mark.parametrize("lacking", PARTIAL)
def test_jsonl_takes_from_the_file_what_tables_json_lacks(data, capfd, lacking):
    items, said = PARTIAL[lacking]
    whole, notes = prompts_and_notes(data(ALL, ALL | {"db_id": "other", **pick_z()}))
    assert notes == []
    folder = data(*items)
    texts, notes = prompts_and_notes(folder)
    where = (
        "it is read from its SQLite file" if said == "1 database (other)" else "these are read from the SQLite files"
    )
    assert notes == [f"{folder / 'tables.json'} leaves out {said}; {where}"]
    assert capfd.readouterr().err == f"note: {notes[0]}\n"
    assert texts["other"] == whole["other"] and parts_of(texts["lib"]) == parts_of(whole["lib"])


def pick_z():
    names = [[-1, "*"], [0, "a"]]
    item = {"table_names_original": ["z"], "column_names_original": names, "column_names": names}
    return item | {"column_types": ["text", "number"], "primary_keys": [], "foreign_keys": []}


def test_plain_names_stay_and_added_columns_come_last(data):
    names = [[-1, "*"], [0, "full name"], [0, "number"]]
    item = pick([0], [0, 2, 1], column_names=names)
    texts, _ = prompts_and_notes(data(item))
    assert texts["lib"].splitlines()[1] == (
        "table author , columns = [ author.name ( text | comment : full name | values : Ann , Bo ) , "
        "author.id ( integer | primary key | comment : number | values : 1 , 2 ) , "
        "author.born ( int | values : 1890 , 1950 ) ]"
    )


def test_without_its_database_a_partial_description_stands_alone(data):
    folder = data(pick([0], [0, 1, 2]))
    (folder / "database" / "lib" / "lib.sqlite").unlink()
    loaded = load_split(options(folder, benchmark="jsonl", missing_database="schema-only"), "dev")
    schemas, _ = read_schemas(loaded, "schema-only")
    assert [column.name for column in schemas["lib"].tables[0].columns] == ["id", "name"]
    (folder / "database" / "other" / "other.sqlite").unlink()
    with pytest.raises(InputError, match="but none describes other"):
        load_split(options(folder, benchmark="jsonl", missing_database="schema-only"), "dev")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            ALL | {"table_names_original": ["Author", "book", "gone"]},
            "lib.sqlite: no table gone, although tables.json names it",
        ),
        (
            pick([0], [0, 1, 2], column_names_original=[[-1, "*"], [0, "id"], [0, "gone"]]),
            "no column Author.gone, although",
        ),
        ({"db_id": "lib"}, "damaged schema: .*db_id lib lacks table_names_original"),
        (pick([0], [0, 1, 1]), "has column .* twice in table Author"),
        (pick([0], [0, 1]) | {"foreign_keys": 5}, "has foreign_keys of another kind"),
        (pick([0], [0, 1]) | {"column_types": []}, "0 column_types"),
    ],
)
def test_what_the_database_lacks_is_a_fault(data, item, message):
    folder = data(item)
    with pytest.raises(InputError, match=message):
        prompts_and_notes(folder)
    texts, _ = prompts_and_notes(folder, damaged="skip")
    assert list(texts) == ["other"]


def test_two_descriptions_of_one_database_are_a_fault(data):
    with pytest.raises(InputError, match=r"second schema of one db_id: .*, lib"):
        prompts_and_notes(data(ALL, ALL))


def test_tables_whose_names_differ_in_letters_beyond_ascii_are_two(tmp_path):
    connection = sqlite3.connect(tmp_path / "d.sqlite")
    connection.executescript("CREATE TABLE Ä (é TEXT, É TEXT); CREATE TABLE ä (x INT); INSERT INTO Ä VALUES ('a', 'b')")
    connection.close()
    names = [[-1, "*"], [0, "É"], [0, "é"]]
    item = {"db_id": "d", "table_names_original": ["Ä"], "column_names_original": names}
    (tmp_path / "tables.json").write_text(json.dumps([item]))
    known = read_tables(tmp_path / "tables.json", Damage(), partial=True)
    schema = read_database(known["d"], "d", tmp_path / "d.sqlite", partial=True)
    assert [(c.name, c.values) for c in schema.tables[0].columns] == [("É", ("b",)), ("é", ("a",))]
    assert schema.added == (("table", "ä"),)


def test_other_benchmarks_show_what_tables_json_says_and_list_what_it_hides(data):
    folder = data(pick([0], [0, 1, 2]), ALL | {"db_id": "other", **pick_z()})
    loaded = load_split(options(folder, benchmark="spider"), "dev")
    schemas, _ = read_schemas(loaded, "error")
    assert schemas["lib"].columns_by_table == {"Author": ["id", "name"]} and loaded.notes == []
    assert schemas["lib"].skipped == (
        "tables that tables.json lacks: book, old",
        "columns that tables.json lacks: Author.born",
    )
    loaded = load_split(options(data(ALL), benchmark="spider"), "dev")
    with pytest.raises(InputError, match=r"db_id without schema in .*tables.json: other"):
        read_schemas(loaded, "error")


def test_many_names_are_counted(data):
    schemas = {f"d{n}": None for n in range(9)}
    known = dict.fromkeys(schemas)
    assert completion_note(None, {}, {}) is None and completion_note(data() / "tables.json", known, {}) is None
    found = read_database(None, "x", data() / "database" / "other" / "other.sqlite")
    line = completion_note(data() / "tables.json", {}, dict.fromkeys(schemas, found))
    assert "leaves out 9 databases (d0, d1, d2 and 6 more); these are" in line


def test_databases_of_several_tables_without_foreign_keys_are_named(tmp_path):
    """The notes of a prepared split name those of the user's own data."""
    tables = tuple(Table(name, (Column("x", "", "int", False),)) for name in "ab")
    keys = (("a", "x", "b", "x"),)
    schemas = {name: Schema(name, tables, ()) for name in ("d4", "d1", "d3", "d2")}
    schemas |= {"single": Schema("single", tables[:1], ()), "keys": Schema("keys", tables, keys)}
    line = missing_keys_note(schemas)
    assert line.startswith(
        "several tables but no foreign keys: d1, d2, d3 and 1 more; give foreign_keys in tables.json"
    )
    assert missing_keys_note({"keys": schemas["keys"], "single": schemas["single"]}) is None
    loaded = LoadedSplit([], None, None, dict.fromkeys(schemas, tmp_path), None, Damage(), partial=True)
    assert make_notes(loaded, schemas, {}) == [line]
    assert make_notes(replace(loaded, partial=False), schemas, {}) == []


def test_a_key_that_names_no_columns_leads_to_the_primary_key_in_its_own_order(tmp_path):
    connection = sqlite3.connect(tmp_path / "keys.sqlite")
    connection.executescript(
        "CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (b, a));"
        "CREATE TABLE c (x TEXT, y INT, FOREIGN KEY (x, y) REFERENCES t); CREATE TABLE d (z INT REFERENCES c);"
        "INSERT INTO t VALUES (1, 'one'); INSERT INTO c VALUES ('one', 1);"
    )
    assert not connection.execute("PRAGMA foreign_key_check(c)").fetchall()
    connection.close()
    schema = read_database(None, "keys", tmp_path / "keys.sqlite")
    assert schema.foreign_keys == (("c", "x", "t", "b"), ("c", "y", "t", "a"))
    assert any("d.z to c.(its primary key)" in line for line in schema.skipped)  # which it does not have


def test_a_key_to_a_view_that_sqlite_cannot_read_is_dangling(tmp_path):
    connection = sqlite3.connect(tmp_path / "view.sqlite")
    connection.executescript("CREATE TABLE c (x INT REFERENCES v); CREATE VIEW v AS SELECT * FROM missing;")
    connection.close()
    schema = read_database(None, "view", tmp_path / "view.sqlite")
    assert [table.name for table in schema.tables] == ["c"] and schema.foreign_keys == ()
    assert "foreign key c.x to v.(its primary key)" in schema.skipped
