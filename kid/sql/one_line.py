"""A model's output as one line of SQL that gives the same rows: a line of a predictions file holds one query."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kid.sql.tokens import SqlToken, first_statement, unquoted

# In a file of predictions a line break ends a query, and a tab what is read of its line.
LINE_BREAKS, BREAKS = re.compile(r"[\n\r]+"), re.compile(r"([\n\r\t]+)")
# Words after which a literal is a value. After others it is a name: AS 'name', FROM 'table', COLLATE 'nocase'.
WORDS_BEFORE_VALUE = frozenset((
    "SELECT", "DISTINCT", "ALL", "WHERE", "AND", "OR", "NOT", "ON", "HAVING", "BY", "CASE", "WHEN", "THEN", "ELSE",
    "IS", "LIKE", "GLOB", "REGEXP", "MATCH", "BETWEEN", "ESCAPE", "LIMIT", "OFFSET",
))  # fmt: skip
MAX_ARGUMENTS = 100  # of char(); SQLite allows a function 127
MAX_OPERANDS = 100  # in a chain of `||`; SQLite allows an expression a depth of 1,000


def one_line(sql: str) -> str:
    r"""The first statement of `sql` on one line, without its semicolon; empty if there is none.

    Blanks and comments between tokens become one space. Line breaks and tabs in literals become calls of char():
    `'a\nb'` is `('a' || char(10) || 'b')`. SQL has no such form for a quoted name: the line breaks of an alias become
    spaces wherever it stands, which changes no rows. A table or column whose own name holds a line break is not found.
    """
    tokens = [token for token in first_statement(sql) if not token.is_blank]
    broken = [place for place, token in enumerate(tokens) if LINE_BREAKS.search(token.text)]
    names = {unquoted(tokens[place].text).lower() for place in broken if is_name(tokens, place)}
    pieces: list[str] = []
    end = tokens[0].start if tokens else 0
    for place, token in enumerate(tokens):
        pieces.append(" " if token.start > end else "")
        end = token.start + len(token.text)
        if not BREAKS.search(token.text):
            pieces.append(token.text)
        elif token.kind == "illegal":  # an error, whatever it holds
            pieces.append(BREAKS.sub(" ", token.text))
        elif is_name(tokens, place) or (token.kind == "quoted" and unquoted(token.text).lower() in names):
            pieces.append(LINE_BREAKS.sub(" ", token.text))
        elif token.kind == "quoted" and not LINE_BREAKS.search(token.text):  # a name or a literal; tabs can stay
            pieces.append(token.text)
        else:
            pieces.append(literal_expression(unquoted(token.text).replace("'", "''")))
    return "".join(pieces)


def is_name(tokens: Sequence[SqlToken], place: int) -> bool:
    """Whether a literal or a quoted name stands for a name for sure, among a statement's tokens without blanks.

    SQLite reads a literal as a name where there can be no value, and double quotes that name nothing as a literal.
    """
    token, before, after = tokens[place], tokens[max(place - 2, 0) : place], tokens[place + 1 : place + 2]
    if token.text[0] not in "'\"" or (after and after[0].text == "."):
        return True
    words = [other.text.upper() for other in before]
    if before and before[-1].kind == "operator":
        return words[-1] in (")", ".")
    return not words or not (words[-1] in WORDS_BEFORE_VALUE or words == ["DISTINCT", "FROM"])


def literal_expression(content: str) -> str:
    """An expression for the literal that holds this text (quotes doubled), with char() for line breaks and tabs."""
    operands = []
    for number, part in enumerate(BREAKS.split(content)):
        if number % 2 == 0:
            operands += [f"'{part}'"] if part else []
            continue
        codes = [str(ord(character)) for character in part]
        groups = [codes[start : start + MAX_ARGUMENTS] for start in range(0, len(codes), MAX_ARGUMENTS)]
        operands += [f"char({', '.join(group)})" for group in groups]
    return concatenation(operands)


def concatenation(operands: Sequence[str]) -> str:
    """The operands joined by `||`, in brackets."""
    if len(operands) <= MAX_OPERANDS:
        return f"({' || '.join(operands)})"
    half = len(operands) // 2
    return f"({concatenation(operands[:half])} || {concatenation(operands[half:])})"
