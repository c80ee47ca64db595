"""sqlglot's SQLite parser as this project uses it: names and functions as written, and bounded in its steps."""

from __future__ import annotations

import re

from sqlglot import ParseError, exp
from sqlglot.parsers.sqlite import SQLiteParser
from sqlglot.tokens import Token

ASCII_LOWERCASE = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
# Literals and quoted names, which stay as they are; blanks with comments; an operator that a blank has broken.
SPECIAL = re.compile(
    r"""(?s)'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]"""
    r"|(?P<blank>(?:\s|--[^\n]*|/\*.*?\*/)+)|(?P<operator>[<>!])\s+="
)
# Steps of the parser from one token to another. The gold queries of Spider and BIRD take at most 2.7 per token.
FREE_STEPS, STEPS_PER_TOKEN = 2_000, 50


class PlainParser(SQLiteParser):
    """Keeps functions as written, and reads no name in them as a unit, nor `list < 1` as a type `list<...>`."""

    FUNCTIONS, NESTED_TYPE_TOKENS, STRUCT_TYPE_TOKENS = {}, frozenset(), frozenset()

    def parse(self, raw_tokens: list[Token], sql: str) -> list[exp.Expr | None]:
        """The trees of the statements.

        Raises:
            ParseError: also where sqlglot goes back too often. Each DATE( within another makes it read the rest four
                times, and a model that loops writes dozens.
        """
        self.steps_left = FREE_STEPS + STEPS_PER_TOKEN * len(raw_tokens)
        return super().parse(raw_tokens, sql)

    def _advance(self, times: int = 1) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise ParseError("too deeply nested to be read")
        super()._advance(times)


def join_operators(sql: str) -> str:
    """The text with `> =` and its like, as Spider has them, in one piece; literals and names stay as they are."""
    return SPECIAL.sub(lambda match: match["operator"] + "=" if match["operator"] else match[0], sql)


def lower(name: str) -> str:
    """`name` lower-cased as SQLite compares names: ASCII letters only."""
    return name.translate(ASCII_LOWERCASE)
