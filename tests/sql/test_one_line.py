"""One line of SQL gives the rows of the text it was made of; checked on SQLite."""

from __future__ import annotations

import random
import sqlite3

import pytest

from kid.evaluation.predictions_file import read_predictions
from kid.files import write_atomically
from kid.sql.one_line import one_line
from kid.sql.tokens import first_statement, sql_tokens

REWRITTEN = "\n\r\t"
ODD = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\u00a0\u3000\ufeff"  # blanks or line ends to some, not to SQLite
QUOTES = {'"': '"', "`": "`", "[": "]"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a,\n\t b\r\nFROM  t", "SELECT a, b FROM t"),
        ("SELECT 'two  blanks', \"a  b\", `c  d`, [e  f]", None),
        ("SELECT 'a\u00a0b\u3000c\u2028d\x85e\x0bf\x0cg\x1ch'", None),
        ("SELECT a\u00a0b FROM t\u3000", None),
        ("SELECT a -- not 'b'\nFROM t /* ; \n */ WHERE/**/c", "SELECT a FROM t WHERE c"),
        ("SELECT '--', \"/*\", `;` -- end", "SELECT '--', \"/*\", `;`"),
        (" -- nothing\n ; SELECT 1 ; SELECT 2", "SELECT 1"),
        ("SELECT 1;\n\nThis counts.", "SELECT 1"),
        ("SELECT ';' ;", "SELECT ';'"),
        ("SELECT 1--1\n- -2", "SELECT 1 - -2"),
        ("SELECT 'a\nb'", "SELECT ('a' || char(10) || 'b')"),
        ("SELECT x LIKE'\r\n%''\t'", "SELECT x LIKE(char(13, 10) || '%''' || char(9))"),
        ("SELECT 1 AS 'a\nb', 2 'c\n\nd' FROM 't\tu' ORDER BY \"a\nb\"",
         "SELECT 1 AS 'a b', 2 'c d' FROM 't\tu' ORDER BY \"a b\""),
        ("SELECT a = \"it's\n\", t.\"b\nc\" = \"t\n\".d", "SELECT a = ('it''s' || char(10)), t.\"b c\" = \"t \".d"),
        ("SELECT replace(a, \"\n\", '') FROM [b\nc]", "SELECT replace(a, (char(10)), '') FROM [b c]"),
        ("SELECT 1 AS \"A\nb\" ORDER BY \"a\nB\", \"c\td\"", "SELECT 1 AS \"A b\" ORDER BY \"a B\", \"c\td\""),
        ("SELECT x IS NOT DISTINCT FROM 'a\nb'", "SELECT x IS NOT DISTINCT FROM ('a' || char(10) || 'b')"),
        ("SELECT 'open\n;\tend", "SELECT 'open ; end"),
        ("-- only a note", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_what_becomes_of_a_text(sql, expected):
    assert one_line(sql) == (sql if expected is None else expected)


def draw_text(generator: random.Random, letters: str) -> str:
    return "".join(generator.choice(letters) for _ in range(generator.randint(0, 6)))


def draw_literal(generator: random.Random, letters: str) -> str:
    return "'" + draw_text(generator, letters).replace("'", "''") + "'"


def draw_name(generator: random.Random, letters: str, start: str) -> str:
    opening = generator.choice('"`[')
    text = start + draw_text(generator, letters.replace("]", "")) + "n"
    return opening + text.replace(opening, opening * 2 if opening != "[" else opening) + QUOTES[opening]


def draw_blank(generator: random.Random, least: int = 0) -> str:
    """Blanks and comments, at least one if asked for."""
    parts = [" ", "  ", "\n", "\t", "\r\n", " \x0b", " \ufeff", "-- it's ; \"\n", "/* ; ' -- \n */", "/**/"]
    return "".join(generator.choice(parts) for _ in range(generator.randint(least, 3)))


def draw_sql(generator: random.Random, rewritten: str) -> str:
    """A query over literals, quoted names, comments and blanks, with or without text after it."""
    letters = "ab  '\"`[]-/*;%_\\é学" + ODD + rewritten
    first, second, alias = (draw_name(generator, letters, start) for start in "nmo")
    a, b, c, d = (draw_literal(generator, letters) for _ in range(4))
    pieces = [
        "SELECT", first, ",", second, "||", a, ",", "length", "(", b, ")", "AS", alias, ",", "CASE", "WHEN", first, "=",
        generator.choice((a, b)), "THEN", c, "ELSE", "NOT", d, "END", ",", second, "LIKE", d, ",", b, "IN", "(", a, ",",
        b, ")", "FROM", "(", "SELECT", generator.choice((a, b)), "AS", first, ",", c, second, "UNION", "ALL", "SELECT",
        b, ",", a, ")", "ORDER", "BY", first, "COLLATE", "'nocase'", ",", alias, ",", second, "LIMIT", "+", "2",
    ]  # fmt: skip
    text = "".join(piece + draw_blank(generator, least=piece[0].isalnum()) for piece in pieces)
    return draw_blank(generator) + text + generator.choice(["", ";", "; SELECT 2", ";\nIt's a list", "-- end"])


def run(connection: sqlite3.Connection, sql: str) -> list[tuple] | str:
    try:
        return connection.execute(sql).fetchall()
    except sqlite3.Error as error:
        return str(error)


@pytest.mark.parametrize("rewritten", ["", REWRITTEN])
def test_rows_stay_and_the_line_survives_the_file(rewritten, tmp_path):
    generator, connection, lines = random.Random(0), sqlite3.connect(":memory:"), []
    for _ in range(400):
        sql = draw_sql(generator, rewritten)
        tokens = first_statement(sql)
        line = one_line(sql)
        lines.append(line)
        assert not set("\r\n") & set(line) and one_line(line) == line
        assert {token.text for token in sql_tokens(line) if token.is_blank} <= {" "}
        if not rewritten:
            meanings = [[t[:2] for t in read if not t.is_blank] for read in (sql_tokens(line), tokens)]
            assert meanings[0] == meanings[1]
        rows = run(connection, "".join(token.text for token in tokens))
        assert isinstance(rows, list) and run(connection, line) == rows, (sql, line)
    path = tmp_path / "predictions.sql"
    write_atomically(path, "".join(f"{line}\n" for line in lines))
    assert read_predictions(path, len(lines)).queries == lines
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_predictions(path, len(lines)).queries == lines


def test_a_literal_of_many_lines_stays_within_sqlites_limits():
    text = "a\n" * 3000 + "\n" * 500
    assert run(sqlite3.connect(":memory:"), one_line(f"SELECT '{text}'")) == [(text,)]


def test_odd_texts_become_one_line():
    """What SQLite refuses stays refused, and nothing raises."""
    generator, connection = random.Random(1), sqlite3.connect(":memory:")
    for _ in range(5000):
        sql = "SELECT " + "".join(generator.choice("'\"`[]-/*; \n\t\r\ufeffax1.,()=\u00a0") for _ in range(9))
        line = one_line(sql)
        assert "\n" not in line and "\r" not in line
        whole = "".join(token.text for token in first_statement(sql))
        before, after = run(connection, whole), run(connection, line)
        assert before == after or (isinstance(before, str) and isinstance(after, str)), sql
