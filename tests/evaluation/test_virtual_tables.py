"""Virtual tables and table functions can be read, and only read, whoever made the database."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers.databases import make_virtual_tables

from kid.data.questions import Question
from kid.evaluation import virtual_tables
from kid.evaluation.execution_accuracy import Verdict, score_predictions
from kid.evaluation.virtual_tables import connect_virtual_tables
from kid.evaluation.worker import Limits, QueryError, fetch_table

LIMITS = Limits(seconds=30, rows=1000)


@pytest.fixture(scope="module")
def virtual(tmp_path_factory) -> Path:
    return make_virtual_tables(tmp_path_factory.mktemp("virtual") / "virtual.sqlite")


READING = {
    "SELECT head FROM note WHERE note MATCH 'leaves'": [("tea",)],
    "SELECT head FROM note('beans')": [("coffee",)],
    "SELECT n.head FROM [note] AS n ORDER BY n.rowid": [("tea",), ("coffee",)],
    "SELECT head FROM 'note' WHERE body LIKE '%dark%'": [("coffee",)],
    "SELECT highlight(note, 1, '<', '>'), snippet(note, 1, '', '', '', 1), bm25(note) < 0, rank < 0 FROM note('leaves')"
    " ORDER BY rank": [("green <leaves>", "leaves", 1, 1)],
    "SELECT count(*) FROM NOTE": [(2,)],
    "SELECT term, cnt FROM words WHERE term > 'i'": [("leaves", 1), ("tea", 1)],
    "SELECT doc, col FROM places WHERE term = 'dark'": [(2, "body")],
    "SELECT text FROM found WHERE found MATCH 'cat'": [("a grey cat",)],
    "SELECT text FROM found4 WHERE text MATCH 'dog'": [("a small dog",)],
    "SELECT body, offsets(memo), snippet(memo) FROM memo WHERE memo MATCH 'mil*'": [
        ("buy milk", "0 0 4 4", "buy <b>milk</b>")
    ],
    "SELECT length(matchinfo(memo)) > 0 FROM memo WHERE body MATCH 'milk'": [(1,)],
    "SELECT DISTINCT term FROM memo_words ORDER BY 1": [("buy",), ("milk",)],
    "SELECT body FROM old WHERE old MATCH 'milk'": [("old milk",)],
    "SELECT token FROM pieces WHERE input = 'running dogs'": [("run",), ("dog",)],
    "SELECT token FROM fts3tokenize WHERE input = 'a b'": [("a",), ("b",)],
    "SELECT id FROM span WHERE high > 3": [(2,)],
    "SELECT label FROM grid WHERE low <= 1": [("a",)],
    'SELECT x FROM "odd ""[name]"': [("here",)],
    'SELECT x FROM `odd "[name]` JOIN span ON id = 1': [("here",)],
    "SELECT * FROM leafier": [("tea",)],
    "WITH l AS (SELECT head FROM leafy) SELECT * FROM l": [("tea",)],
    "SELECT sum(value) FROM numbers": [(3,)],
    "SELECT atom FROM json_tree('[7]') WHERE atom": [(7,)],
    "SELECT name FROM pragma_table_info('page')": [("id",), ("text",)],
    "SELECT name FROM pragma_table_info('note')": [("head",), ("body",)],
    "SELECT name FROM pragma_table_xinfo WHERE arg = 'span'": [("id",), ("low",), ("high",)],
    "SELECT count(*) FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.name IN ('note', 'leafier')": [
        (3,)
    ],
    "SELECT type FROM pragma_table_list WHERE name = 'note'": [("virtual",)],
    "SELECT ncol > 0 FROM pragma_table_list('memo')": [(1,)],
    "SELECT count(*) FROM pragma_index_list('page')": [(0,)],
    "SELECT count(*) FROM pragma_foreign_key_check": [(0,)],
    "SELECT * FROM pragma_user_version": [(0,)],
    "SELECT page_count > 1 FROM pragma_page_count": [(1,)],
    "SELECT * FROM pragma_quick_check": [("ok",)],
    "SELECT count(*) > 50 FROM pragma_function_list": [(1,)],
    "PRAGMA encoding": [("UTF-8",)],
}


@pytest.mark.parametrize("sql", READING)
def test_reading(virtual, sql):
    assert fetch_table(virtual, sql, LIMITS)[1] == READING[sql]


def test_scoring_reads_them_too(virtual):
    queries = list(READING)
    questions = [Question(place, "virtual", "?", sql) for place, sql in enumerate(queries)]
    found = score_predictions(questions, queries, {"virtual": [virtual]}, 1, Limits(seconds=30))
    assert found == [Verdict(place, True) for place in range(len(queries))]


REFUSED = re.compile("not authorized|authorization denied|no such table|too many arguments|unknown database")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO note (note) VALUES ('optimize')",
        "INSERT INTO note (note) VALUES ('rebuild')",
        "INSERT INTO note (note, rank) VALUES ('merge', 500)",
        "INSERT INTO note VALUES ('x', 'y')",
        "INSERT INTO memo (memo) VALUES ('optimize')",
        "SELECT optimize(memo) FROM memo",
        "SELECT rtreecheck('span')",
        "SELECT fts3_tokenizer('simple') FROM memo",
        "DELETE FROM span",
        "UPDATE grid SET low = 3",
        "DROP TABLE note",
        "ALTER TABLE note RENAME TO other",
        "CREATE VIRTUAL TABLE temp.x USING fts5vocab(main, note, 'row')",
        "DELETE FROM note_data",
        "SELECT * FROM pragma_user_version(7)",
        "SELECT * FROM pragma_journal_mode('wal')",
        "SELECT * FROM pragma_wal_checkpoint, note",
        "SELECT * FROM pragma_optimize, note",
    ],
)
def test_writing_is_refused(virtual, sql):
    before = virtual.read_bytes()
    with pytest.raises(QueryError, match=REFUSED):
        fetch_table(virtual, sql, LIMITS)
    assert virtual.read_bytes() == before and os.listdir(virtual.parent) == [virtual.name]


# Written into the schema as they stand: some of these modules no build of SQLite has, others are not for data.
MODULES = {
    "csv": "csv(filename='/etc/passwd')",
    "files": "fsdir('/')",
    "archive": "zipfile('/tmp/x.zip')",
    "pages": "sqlite_dbpage",
    "statistics": "dbstat(main)",
    "statements": "sqlite_stmt",
    "functions": "pragma_table_info",
    "each": "json_each('[1]')",
    "missing": "nowhere",
    "library": "fts5(a, tokenize='/tmp/evil.so')",
    "other_library": "fts4(tokenize=/tmp/evil.so)",
    "itself": "fts5vocab(itself, 'row')",
    "injected": "fts5(a, content='page; DROP TABLE page')",
    "no_shadow": "fts5(a)",
    "no_shadow3": "fts3(a)",
    "no_shadow_tree": "rtree(a, b, c)",
}


def add_to_schema(path: Path, name: str, module: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        sql = f"CREATE VIRTUAL TABLE {name} USING {module}"
        connection.execute("INSERT INTO sqlite_master VALUES ('table', ?, ?, 0, ?)", (name, name, sql))
        connection.commit()


def test_modules_that_are_not_for_data_stay_unread(tmp_path):
    path = make_virtual_tables(tmp_path / "hostile.sqlite")
    for name, module in MODULES.items():
        add_to_schema(path, name, module)
    before = path.read_bytes()
    for name in MODULES:
        with pytest.raises(QueryError):
            fetch_table(path, f"SELECT * FROM {name}", LIMITS)
    assert fetch_table(path, "SELECT head FROM note('leaves')", LIMITS)[1] == [("tea",)]
    assert fetch_table(path, "SELECT count(*) FROM pragma_table_info('note')", LIMITS)[1] == [(2,)]
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("module", ["", "fts5(a, 'x", "(a)", "fts5(a); DROP TABLE page"])
def test_a_schema_that_is_no_sql_is_an_error_of_each_query(tmp_path, module):
    path = make_virtual_tables(tmp_path / "hostile.sqlite")
    add_to_schema(path, "x", module)
    before = path.read_bytes()
    with pytest.raises(QueryError):
        fetch_table(path, "SELECT * FROM x, note", LIMITS)
    assert path.read_bytes() == before


def test_a_damaged_index_is_an_error_of_its_query(tmp_path):
    path = make_virtual_tables(tmp_path / "damaged.sqlite", "DELETE FROM note_data WHERE id > 10;")
    with pytest.raises(QueryError, match="the database is damaged"):
        fetch_table(path, "SELECT head FROM note WHERE note MATCH 'leaves'", LIMITS)
    assert fetch_table(path, "SELECT body FROM memo WHERE memo MATCH 'milk'", LIMITS)[1] == [("buy milk",)]


def test_views_that_call_each_other_are_no_loop(tmp_path):
    loop = "CREATE VIEW a AS SELECT * FROM b; CREATE VIEW b AS SELECT * FROM a;"
    path = make_virtual_tables(tmp_path / "loop.sqlite", loop)
    with pytest.raises(QueryError, match="circularly defined"):
        fetch_table(path, "SELECT * FROM a, note", LIMITS)


def test_no_view_is_run_while_tables_are_connected(tmp_path):
    """Whatever its name."""
    called = []
    path = make_virtual_tables(tmp_path / "view.sqlite", "CREATE VIEW json_tree AS SELECT count(*), call() FROM page;")
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("call", 0, lambda: called.append(1))
        connect_virtual_tables(connection, "SELECT * FROM json_tree")
        assert called == []
        connection.execute("SELECT * FROM json_tree").fetchall()
        assert called == [1]


def test_only_what_a_query_names_is_connected(virtual, monkeypatch):
    def connected(sql: str) -> list[str]:
        names: list[str] = []
        monkeypatch.setattr(virtual_tables, "connect", lambda _, name: names.append(name))
        with closing(sqlite3.connect(virtual)) as connection:
            connect_virtual_tables(connection, sql)
        return sorted(names)

    assert connected("SELECT 'memo, note' FROM page -- span") == []
    assert connected("SELECT * FROM leafier JOIN span") == ['main."note"', 'main."span"']
    assert connected("SELECT * FROM words") == ['main."note"', 'main."words"']
    assert connected("SELECT * FROM numbers") == ["json_each"]
    every = connected("SELECT name FROM pragma_table_list")
    assert {'main."note"', 'main."span"', 'main."odd ""[name]"', "json_each", "pragma_table_list"} < set(every)
