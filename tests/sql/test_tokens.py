"""SQLite's tokens, checked against SQLite itself where it shows what it read."""

from __future__ import annotations

import random
import sqlite3

import pytest

from kid.sql.tokens import first_statement, sql_tokens


def kinds(sql):
    return [(token.kind, token.text) for token in sql_tokens(sql) if token.kind != "blank"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (r"'a\' ; ", [("string", r"'a\'"), ("semicolon", ";")]),
        ("'it''s'''", [("string", "'it''s'''")]),
        ("'open", [("illegal", "'open")]),
        ("'a'''b'", [("string", "'a'''"), ("word", "b"), ("illegal", "'")]),
        ('"a""b" `c` [d]e]', [("quoted", '"a""b"'), ("quoted", "`c`"), ("quoted", "[d]"), ("word", "e"),
                              ("illegal", "]")]),
        ("a--b\nc", [("word", "a"), ("comment", "--b"), ("word", "c")]),
        ("a/*b*/c/*/d*/e/**/f/* g", [("word", "a"), ("comment", "/*b*/"), ("word", "c"), ("comment", "/*/d*/"),
                                    ("word", "e"), ("comment", "/**/"), ("word", "f"), ("comment", "/* g")]),
        ("1.5e-3 .5 0x1F 1. 12ab 1e", [("number", "1.5e-3"), ("number", ".5"), ("number", "0x1F"), ("number", "1."),
                                      ("illegal", "12ab"), ("illegal", "1e")]),
        ("x'0F' X'0' x'zz'", [("blob", "x'0F'"), ("illegal", "X'0'"), ("illegal", "x'zz'")]),
        ("a<<b>>c||d->>e->f!=g", [("word", "a"), ("operator", "<<"), ("word", "b"), ("operator", ">>"), ("word", "c"),
                                  ("operator", "||"), ("word", "d"), ("operator", "->>"), ("word", "e"),
                                  ("operator", "->"), ("word", "f"), ("operator", "!="), ("word", "g")]),
        ("\ufeffa \ufeffb\ufeff", [("word", "a"), ("word", "b\ufeff")]),
        ("a\u00a0b ?1 :n $x", [("word", "a\u00a0b"), ("variable", "?1"), ("variable", ":n"), ("variable", "$x")]),
    ],
)  # fmt: skip
def test_kinds(sql, expected):
    assert kinds(sql) == expected


def test_every_character_is_in_a_token_and_sqlite_agrees_on_what_is_a_literal():
    """A literal as the only expression comes back from SQLite as its value; what is illegal is an error."""
    generator = random.Random(0)
    connection = sqlite3.connect(":memory:")
    for _ in range(20_000):
        sql = "".join(generator.choice("'\"`[]-/*; \n\\ax01.eE;_\u00a0") for _ in range(generator.randint(1, 10)))
        tokens = list(sql_tokens(sql))
        assert "".join(token.text for token in tokens) == sql
        meaning = [token for token in tokens if not token.is_blank]
        try:
            value = connection.execute("SELECT " + sql).fetchone()[0]
        except sqlite3.Error as error:
            if "unrecognized token" not in str(error):
                continue
            assert any(token.kind == "illegal" for token in meaning) or "_" in sql
            continue
        except sqlite3.Warning:  # two statements
            assert any(token.kind == "semicolon" for token in meaning)
            continue
        assert all(token.kind != "illegal" for token in first_statement(sql)), sql
        if len(meaning) == 1 and meaning[0].kind == "string":
            assert value == meaning[0].text[1:-1].replace("''", "'")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1; SELECT 2", "SELECT 1"),
        (" -- note\n;; SELECT ';' -- end\n ; x", "SELECT ';'"),
        ("SELECT 1 /* ; */ , 2", "SELECT 1 /* ; */ , 2"),
        (" -- nothing", ""),
        ("", ""),
    ],
)
def test_first_statement(sql, expected):
    assert "".join(token.text for token in first_statement(sql)) == expected
