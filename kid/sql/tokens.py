"""Split SQL into tokens exactly as SQLite's tokenizer does: literals, names, comments, blanks.

Other tokenizers differ in ways that matter: in sqlparse a backslash escapes a quote, in sqlglot U+00A0 is a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

# The branches are those of sqlite3GetToken (tokenize.c), in an order that gives the same tokens. Any non-ASCII
# character is allowed in a name, except U+FEFF at its start. An unclosed comment extends to the end of the text.
TOKENS = re.compile(
    r"""(?sx)
      (?P<blank>   [ \t\n\f\r][ \t\n\v\f\r]* | \ufeff )
    | (?P<comment> --[^\n]* | /\*(?=.)(?:.*?\*/|.*) )
    | (?P<blob>    [xX]'(?:[0-9a-fA-F]{2})*' )
    | (?P<string>  '(?:[^']++|'')*+' )
    | (?P<quoted>  "(?:[^"]++|"")*+" | `(?:[^`]++|``)*+` | \[[^\]]*\] )
    | (?P<number>  (?>0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*
                     | (?>[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)? | \.[0-9](?:_?[0-9])*)
                       (?:[eE][+-]?[0-9](?:_?[0-9])*)?)
                   (?![A-Za-z0-9_$\x80-\U0010ffff]) )
    | (?P<bad_blob> [xX]'[^']*'? )
    | (?P<word>    [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
    | (?P<variable> \?[0-9]* | [$@:\#][A-Za-z0-9_$\x80-\U0010ffff]+ )
    | (?P<operator> \|\| | ->>? | << | >> | <= | >= | <> | == | != | [-+*/%=<>&|~(),.] )
    | (?P<semicolon> ; )
    | (?P<illegal> ['"`\[].*
                   | [0-9.][A-Za-z0-9_$\x80-\U0010ffff.]*
                   | . )
    """
)


class SqlToken(NamedTuple):
    """A token. kind: a group of `TOKENS` ("quoted": a quoted name); text: as written; start: its offset."""

    kind: str
    text: str
    start: int

    @property
    def is_blank(self) -> bool:
        """Whether the token only separates others: blanks or a comment."""
        return self.kind in ("blank", "comment")


def unquoted(text: str) -> str:
    """The name or string that a token's text denotes, without its quotes."""
    if text[0] == "[":
        return text[1:-1]
    return text[1:-1].replace(text[0] * 2, text[0]) if text[0] in "'\"`" else text


def sql_tokens(sql: str) -> Iterator[SqlToken]:
    """The tokens of a text in order, without gaps: joined, they give the text.

    Text that SQLite cannot read (an unclosed quote, `12abc`, `x'1'`) is a token of kind "illegal".
    """
    for match in TOKENS.finditer(sql):
        kind = "illegal" if match.lastgroup == "bad_blob" else match.lastgroup
        yield SqlToken(kind, match[0], match.start())


def virtual_table_module(statement: str) -> str:
    """The module of a `CREATE VIRTUAL TABLE` statement, in lower case; empty for other statements."""
    # SQLite stores these words in this form, however they were written.
    if not statement.upper().startswith("CREATE VIRTUAL TABLE"):
        return ""
    tokens = [token for token in sql_tokens(statement) if not token.is_blank]
    following = (
        after.text for token, after in pairwise(tokens) if token.kind == "word" and token.text.lower() == "using"
    )
    return unquoted(next(following, "unknown")).lower()


def first_statement(sql: str) -> list[SqlToken]:
    """The tokens of the first statement, without its semicolon; empty if there is none.

    Blanks, comments and semicolons before it, and blanks and comments after it, are dropped.
    """
    found: list[SqlToken] = []
    for token in sql_tokens(sql):
        if token.kind == "semicolon" and found:
            break
        if found or not (token.is_blank or token.kind == "semicolon"):
            found.append(token)
    while found and found[-1].is_blank:
        found.pop()
    return found
