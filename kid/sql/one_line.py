"""Write a model's output as one line of SQL with the same result: a predictions file has one query per line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kid.sql.tokens import SqlToken, first_statement, unquoted

# In a predictions file, a line break ends a query, and the rest of a line after a tab is not read.
LINE_BREAKS, BREAKS = re.compile(r"[\n\r]+"), re.compile(r"([\n\r\t]+)")
# A literal after one of these words is a value, after others a name: AS 'name', FROM 'table', COLLATE 'nocase'.
WORDS_BEFORE_VALUE = frozenset((
    "SELECT", "DISTINCT", "ALL", "WHERE", "AND", "OR", "NOT", "ON", "HAVING", "BY", "CASE", "WHEN", "THEN", "ELSE",
    "IS", "LIKE", "GLOB", "REGEXP", "MATCH", "BETWEEN", "ESCAPE", "LIMIT", "OFFSET",
))  # fmt: skip
MAX_ARGUMENTS = 100  # of char(); SQLite's limit for a function is 127
MAX_OPERANDS = 100  # in a chain of `||`; SQLite's limit for the depth of an expression is 1,000


def one_line(sql: str) -> str:
    r"""The first statement of `sql` on one line, without its semicolon; empty if there is none.

    Blanks and comments between tokens become one space. Line breaks and tabs in literals become calls of char():
    `'a\nb'` is `('a' || char(10) || 'b')`. SQL has no such form for a quoted name, so line breaks in an alias become
    spaces in every use of it, which does not change the rows. Tables and columns with a line break in their own name
    are no longer found.
    """
    tokens = [token for token in first_statement(sql) if not token.is_blank]
    broken = [index for index, token in enumerate(tokens) if LINE_BREAKS.search(token.text)]
    names = {unquoted(tokens[index].text).lower() for index in broken if is_name(tokens, index)}
    pieces: list[str] = []
    end = tokens[0].start if tokens else 0
    for index, token in enumerate(tokens):
        pieces.append(" " if token.start > end else "")
        end = token.start + len(token.text)
        if not BREAKS.search(token.text):
            pieces.append(token.text)
        elif token.kind == "illegal":  # an error in any case
            pieces.append(BREAKS.sub(" ", token.text))
        elif is_name(tokens, index) or (token.kind == "quoted" and unquoted(token.text).lower() in names):
            pieces.append(LINE_BREAKS.sub(" ", token.text))
        elif token.kind == "quoted" and not LINE_BREAKS.search(token.text):  # a name or a literal; tabs do no harm
            pieces.append(token.text)
        else:
            pieces.append(literal_expression(unquoted(token.text).replace("'", "''")))
    return "".join(pieces)


def is_name(tokens: Sequence[SqlToken], index: int) -> bool:
    """Whether the literal or quoted name tokens[index] is certainly a name. tokens: a statement's, without blanks.

    SQLite reads a literal as a name where no value is possible, and an unknown name in double quotes as a literal.
    """
    token, before, after = tokens[index], tokens[max(index - 2, 0) : index], tokens[index + 1 : index + 2]
    if token.text[0] not in "'\"" or (after and after[0].text == "."):
        return True
    words = [other.text.upper() for other in before]
    if before and before[-1].kind == "operator":
        return words[-1] in (")", ".")
    return not words or not (words[-1] in WORDS_BEFORE_VALUE or words == ["DISTINCT", "FROM"])


def literal_expression(content: str) -> str:
    """An expression for a literal with this content (quotes doubled), with char() for line breaks and tabs."""
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
    """The operands joined by `||`, in parentheses."""
    if len(operands) <= MAX_OPERANDS:
        return f"({' || '.join(operands)})"
    half = len(operands) // 2
    return f"({concatenation(operands[:half])} || {concatenation(operands[half:])})"
