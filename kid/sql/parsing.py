"""sqlglot's SQLite parser as this project uses it: names and functions stay as written, and its steps are limited."""

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
logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns about every operand of -> that is not a path
# Limits on how often the parser moves between tokens. Gold queries of Spider and BIRD need at most 2.7 steps per token.
FREE_STEPS, STEPS_PER_TOKEN = 2_000, 50


class PlainParser(SQLiteParser):
    """Keeps functions as written: does not read names in them as units, or `list < 1` as a type `list<...>`."""

    FUNCTIONS: ClassVar[dict[str, Callable]] = {}
    NESTED_TYPE_TOKENS: ClassVar[set[TokenType]] = set()
    STRUCT_TYPE_TOKENS: ClassVar[set[TokenType]] = set()

    def parse(self, raw_tokens: list[Token], sql: str) -> list[exp.Expr | None]:
        """The trees of the statements.

        Raises:
            ParseError: also if sqlglot backtracks too often. Each DATE( nested in another makes it read the rest four
                times, and a model in a loop writes dozens of them.
        """
        self.steps_left = FREE_STEPS + STEPS_PER_TOKEN * len(raw_tokens)
        return super().parse(raw_tokens, sql)

    def _advance(self, times: int = 1) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise ParseError("too deeply nested")
        super()._advance(times)


def join_operators(sql: str) -> str:
    """Join operators that a space has split, like the `> =` in Spider; literals and names are not changed."""
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
    """The tokens' text for sqlglot, with blanks in place of comments, some of which it reads differently."""
    return "".join(" " * len(token.text) if token.is_blank else token.text for token in tokens)


def lower(name: str) -> str:
    """`name` in lower case, ASCII letters only, as SQLite compares names."""
    return name.translate(ASCII_LOWERCASE)


def upper(word: str) -> str:
    """`word` in capitals, ASCII letters only."""
    return word.translate(ASCII_UPPERCASE)
