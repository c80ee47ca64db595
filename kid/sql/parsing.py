"""sqlglot's SQLite parser as this project uses it: names and functions as written, and bounded in its steps."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import ClassVar

from sqlglot import ParseError, exp
from sqlglot.parsers.sqlite import SQLiteParser
from sqlglot.tokens import Token, TokenType

from kid.sql.tokens import SqlToken, sql_tokens

ASCII_LOWERCASE = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
ASCII_UPPERCASE = {ord(small): chr(capital) for capital, small in ASCII_LOWERCASE.items()}
BROKEN_OPERATOR = re.compile(r"[<>!]\s+=")
logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of every operand of -> that is no path
# Steps of the parser from one token to another. The gold queries of Spider and BIRD take at most 2.7 per token.
FREE_STEPS, STEPS_PER_TOKEN = 2_000, 50


class PlainParser(SQLiteParser):
    """Keeps functions as written, and reads no name in them as a unit, nor `list < 1` as a type `list<...>`."""

    FUNCTIONS: ClassVar[dict[str, Callable]] = {}
    NESTED_TYPE_TOKENS: ClassVar[set[TokenType]] = set()
    STRUCT_TYPE_TOKENS: ClassVar[set[TokenType]] = set()

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
    if not BROKEN_OPERATOR.search(sql):
        return sql
    tokens = list(sql_tokens(sql))
    broken = {
        blank.start
        for before, blank, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if before.text in ("<", ">", "!") and blank.kind == "blank" and after.text == "="
    }
    return "".join(token.text for token in tokens if token.start not in broken)


def plain_text(tokens: Iterable[SqlToken]) -> str:
    """The tokens' text for sqlglot, which reads some comments otherwise: each is written as blanks of its length."""
    return "".join(" " * len(token.text) if token.is_blank else token.text for token in tokens)


def lower(name: str) -> str:
    """`name` lower-cased as SQLite compares names: ASCII letters only."""
    return name.translate(ASCII_LOWERCASE)


def upper(word: str) -> str:
    """`word` in capitals, its ASCII letters only."""
    return word.translate(ASCII_UPPERCASE)
