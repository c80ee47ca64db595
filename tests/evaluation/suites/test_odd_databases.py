"""Gold against gold on odd databases: whatever a schema or its values are like, a right answer is right."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest
from helpers.launcher import ROOT

# Name -> (how the database is made, gold queries).
ODD = {
    "quoted_names": (
        """CREATE TABLE "order" ("group by" TEXT, `from` INTEGER, [a b] REAL);
        INSERT INTO "order" VALUES ('x', 1, 0.5), ('y', 2, 1.5), ('x', 3, NULL);""",
        ['SELECT "group by", sum(`from`) FROM "order" GROUP BY "group by"',
         "SELECT [a b] FROM [order] WHERE [from] > 1"],
    ),
    "quotes_in_names": (
        '''CREATE TABLE "say ""hi""\" ("it's" TEXT, "100%" INTEGER);
        INSERT INTO "say ""hi""\" VALUES ('a', 1), ('b', 2);''',
        ['SELECT "it\'s" FROM "say ""hi""\" WHERE "100%" > 1'],
    ),
    "other_scripts": (
        """CREATE TABLE città (naïve TEXT, 年 INTEGER); INSERT INTO città VALUES ('北京', 2008), ('Zürich', 1999);""",
        ["SELECT naïve FROM città WHERE 年 > 2000", "SELECT 年 FROM città WHERE naïve = 'Zürich'"],
    ),
    "capitals": (
        """CREATE TABLE Singer (ID INTEGER PRIMARY KEY, Name TEXT);
        CREATE TABLE SONG (iD INTEGER REFERENCES sInGeR(id));
        INSERT INTO Singer VALUES (1, 'Ann'), (2, 'Bo'); INSERT INTO SONG VALUES (1), (1), (2);""",
        ["SELECT name, count(*) FROM singer JOIN song ON singer.id = song.id GROUP BY singer.id"],
    ),
    "empty_table": ("CREATE TABLE t (a INTEGER, b TEXT);", ["SELECT count(*) FROM t", "SELECT b FROM t WHERE a > 3"]),
    "one_row": ("CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (7, 'x');", ["SELECT b FROM t WHERE a = 7"]),
    "all_null": (
        "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (NULL, NULL), (NULL, NULL);",
        ["SELECT count(a), count(*) FROM t", "SELECT a FROM t WHERE b IS NULL"],
    ),
    "no_types": (
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), ('1', 2.5), (x'01', NULL), (2, 'y');",
        ["SELECT a FROM t WHERE b = 'x'", "SELECT typeof(a), count(*) FROM t GROUP BY 1", "SELECT max(a) FROM t"],
    ),
    "odd_types": (
        """CREATE TABLE t (a VARCHAR(3), b DECIMAL(10, 2), c BOOLEAN, d "UNSIGNED BIG INT", e FLOATING POINT);
        INSERT INTO t VALUES ('abc', 1.25, 1, 9223372036854775807, 1e300), ('de', -3, 0, 0, -0.0);""",
        ["SELECT a FROM t WHERE c", "SELECT sum(b), max(d) FROM t", "SELECT e FROM t ORDER BY b DESC LIMIT 1"],
    ),
    "strict_without_rowid": (
        """CREATE TABLE t (k TEXT PRIMARY KEY, v INT, w ANY) STRICT, WITHOUT ROWID;
        INSERT INTO t VALUES ('a', 1, 'p'), ('b', 2, 2), ('c', 2, NULL);""",
        ["SELECT k FROM t WHERE v = 2", "SELECT w FROM t WHERE k > 'a'"],
    ),
    "generated_columns": (
        """CREATE TABLE t (a INTEGER, b INTEGER AS (a * 2) STORED, c TEXT AS (a || '!') VIRTUAL);
        INSERT INTO t (a) VALUES (1), (5), (9);""",
        ["SELECT c FROM t WHERE b > 4", "SELECT avg(b) FROM t"],
    ),
    "checks": (
        """CREATE TABLE t (a INTEGER CHECK (a BETWEEN 1 AND 9), b TEXT CHECK (b IN ('x', 'y')),
        CHECK (a > 2 OR b = 'x'));
        INSERT INTO t VALUES (1, 'x'), (4, 'y'), (9, 'x');""",
        ["SELECT b FROM t WHERE a > 3", "SELECT count(*) FROM t GROUP BY b"],
    ),
    "unique_pairs": (
        """CREATE TABLE t (a INTEGER, b TEXT, UNIQUE (a, b), UNIQUE (b COLLATE NOCASE, a));
        INSERT INTO t VALUES (1, 'x'), (1, 'y'), (2, 'x');""",
        ["SELECT b FROM t WHERE a = 1", "SELECT a, count(*) FROM t GROUP BY a"],
    ),
    "self_reference": (
        """CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT, boss INTEGER REFERENCES staff (id));
        INSERT INTO staff VALUES (1, 'A', NULL), (2, 'B', 1), (3, 'C', 1), (4, 'D', 2);""",
        ["SELECT a.name FROM staff AS a JOIN staff AS b ON a.boss = b.id WHERE b.name = 'A'"],
    ),
    "cyclic_keys": (
        """CREATE TABLE city (id INTEGER PRIMARY KEY, state INTEGER REFERENCES state (id), name TEXT);
        CREATE TABLE state (id INTEGER PRIMARY KEY, capital INTEGER REFERENCES city (id), name TEXT);
        INSERT INTO city VALUES (1, 1, 'P'), (2, 1, 'Q'), (3, 2, 'R');
        INSERT INTO state VALUES (1, 2, 'S'), (2, 3, 'T');""",
        ["SELECT city.name FROM city JOIN state ON state.capital = city.id WHERE state.name = 'S'"],
    ),
    "composite_keys": (
        """CREATE TABLE exam (course TEXT, term INTEGER, room TEXT, PRIMARY KEY (course, term));
        CREATE TABLE mark (course TEXT, term INTEGER, points REAL, FOREIGN KEY (course, term) REFERENCES exam);
        INSERT INTO exam VALUES ('m', 1, 'A'), ('m', 2, 'B'), ('p', 1, 'A');
        INSERT INTO mark VALUES ('m', 1, 3.5), ('m', 2, 4.0), ('p', 1, 1.0), ('m', 1, 2.0);""",
        ["SELECT room, avg(points) FROM exam NATURAL JOIN mark GROUP BY room",
         "SELECT points FROM mark JOIN exam USING (course, term) WHERE room = 'B'"],
    ),
    "key_to_nowhere": (
        "CREATE TABLE t (a INTEGER REFERENCES gone (id), b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y');",
        ["SELECT b FROM t WHERE a = 2"],
    ),
    "views": (
        """CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'x');
        CREATE VIEW large AS SELECT b, a * 10 AS ten FROM t WHERE a > 1; CREATE VIEW broken AS SELECT z FROM t;""",
        ["SELECT b FROM large WHERE ten > 20", "SELECT count(*) FROM large JOIN t USING (b)"],
    ),
    "full_text": (
        """CREATE VIRTUAL TABLE note USING fts5(head, body);
        INSERT INTO note VALUES ('tea', 'green leaves'), ('oil', 'black');
        CREATE TABLE tag (name TEXT); INSERT INTO tag VALUES ('a'), ('b');""",
        ["SELECT head FROM note WHERE note MATCH 'leaves'", "SELECT count(*) FROM tag"],
    ),
    "r_tree": (
        """CREATE VIRTUAL TABLE span USING rtree(id, low, high); INSERT INTO span VALUES (1, 0, 2), (2, 5, 9);
        CREATE TABLE label (id INTEGER, name TEXT); INSERT INTO label VALUES (1, 'a'), (2, 'b');""",
        ["SELECT name FROM label JOIN span USING (id) WHERE high > 3"],
    ),
    "triggers": (
        """CREATE TABLE t (a INTEGER, b TEXT); CREATE TABLE log (what TEXT);
        CREATE TRIGGER note AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.b || ' came'); END;
        INSERT INTO t VALUES (1, 'x'), (2, 'y');""",
        ["SELECT what FROM log", "SELECT a FROM t WHERE b = 'x'"],
    ),
    "collations": (
        """CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT COLLATE RTRIM); CREATE INDEX i ON t (lower(a)) WHERE b <> '';
        INSERT INTO t VALUES ('Red', 'x  '), ('RED', 'x'), ('blue', 'y ');""",
        ["SELECT count(*) FROM t WHERE a = 'red'", "SELECT DISTINCT b FROM t", "SELECT a FROM t WHERE b = 'y'"],
    ),
    "dates_and_json": (
        """CREATE TABLE t (day TEXT, at DATETIME, facts JSON, code TEXT);
        INSERT INTO t VALUES ('2020-01-31', '2020-01-31 08:30:00', '{"size": 3}', '007'),
        ('2021-12-01', '2021-12-01 23:59:59', '{"size": 5}', '042');""",
        ["SELECT code FROM t WHERE day < '2021-01-01'", "SELECT facts ->> '$.size' FROM t WHERE at > '2021-01-01'",
         "SELECT strftime('%Y', day), count(*) FROM t GROUP BY 1"],
    ),
    "blanks_and_blobs": (
        """CREATE TABLE t (a TEXT, b BLOB);
        INSERT INTO t VALUES ('  x', x'00ff'), ('x' || char(10) || 'y', x''), ('', NULL),
        (CAST(x'ff41' AS TEXT), zeroblob(3));""",
        ["SELECT a FROM t WHERE length(b) > 1", "SELECT count(*) FROM t WHERE a = ''", "SELECT hex(b) FROM t"],
    ),
    "many_columns": (
        f"CREATE TABLE t ({', '.join(f'c{number} INTEGER' for number in range(150))}); "
        f"INSERT INTO t VALUES ({', '.join(map(str, range(150)))});",
        ["SELECT c149 FROM t WHERE c3 = 3", "SELECT c1 + c2 FROM t"],
    ),
    "rowid_and_autoincrement": (
        """CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL DEFAULT 'none');
        INSERT INTO t (name) VALUES ('a'), ('b'); INSERT INTO t DEFAULT VALUES;""",
        ["SELECT name FROM t WHERE rowid = 2", "SELECT count(*) FROM t WHERE name = 'none'"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A benchmark of all of them, and a file with its golds as predictions."""
    folder = tmp_path_factory.mktemp("odd")
    lines = []
    for name, (script, golds) in ODD.items():
        path = folder / "database" / name / f"{name}.sqlite"
        path.parent.mkdir(parents=True)
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.close()
        lines += [{"db_id": name, "question": "?", "query": gold} for gold in golds]
    (folder / "dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "gold.sql").write_text("".join(line["query"] + "\n" for line in lines))
    return folder


def run(script, folder, *flags):
    command = [sys.executable, f"eval/{script}", "--benchmark", "jsonl", "--data", folder, *flags]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_gold_against_gold_is_right_on_every_odd_database(odd):
    assert len(ODD) >= 25
    run("make_test_suite.py", odd, "--output", odd / "suite", "--neighbours", 6, "--max-databases", 3, "--rows", 30)
    scores = odd / "scores.json"
    flags = ["--predictions", odd / "gold.sql", "--test-suite", odd / "suite", "--json", scores]
    done = run("score.py", odd, *flags)
    found = json.loads(scores.read_text())
    wrong = [(line["index"], line["error"]) for line in found["verdicts"] if not (line["ex"] and line["ts"])]
    assert not wrong and found["ex"] == found["ts"] == 100.0, (wrong, done.stdout)
    with_suite = set(ODD) - set(found.get("ts_is_ex", []))
    assert len(with_suite) >= 20, found["ts_is_ex"]  # else TS would be EX, and this test say little
