"""Rewrite gold SQL in one canonical form with the same meaning.

Names are resolved in sqlglot's tree. The text is then written from the query's own tokens, as SQLite reads them, not by
sqlglot's generator, which renames functions, changes types in casts and rewrites numbers. The result is parsed and
compiled again; a query whose meaning would change is left as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from sqlglot import exp

from kid.errors import InputError
from kid.sql.analysis import Analysis, analyse
from kid.sql.parsing import join_operators, lower, upper
from kid.sql.program import compile_query
from kid.sql.resolution import NameResolution, position
from kid.sql.tokens import sql_tokens, unquoted

# Words that SQLite, or sqlglot when it parses the result again, does not accept everywhere as an unquoted name.
KEYWORDS = """add all alter and any as autoincrement between case cast check collate commit constraint create cross
    current_date current_time current_timestamp default deferrable delete describe distinct drop else escape except
    exists false fetch for foreign from glob grant group having if ilike in index inner insert intersect into is isnull
    join lateral like limit not nothing notnull null offset on or order outer primary qualify raise references regexp
    returning revoke rlike rollback select set table tablesample then to transaction true uncache union unique update
    using values when where window with xor"""
RESERVED = frozenset(KEYWORDS.split())
# Words after which a parenthesis does not open the arguments of a function.
NOT_FUNCTIONS = RESERVED - {"cast", "if", "raise"} | {"by", "filter", "match", "materialized", "over"}
OPERANDS = frozenset(("END", "NULL", "TRUE", "FALSE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"))
OPERATOR_SPELLINGS = {"<>": "!=", "==": "="}
OPERAND_KINDS = ("name", "string", "number", "blob", "variable")
SIGNS = ("+", "-", "~")
MAX_CTE_COPIES = 1000  # SQLite compiles a CTE again for every use, so nested CTEs may take exponential time


class Piece(NamedTuple):
    """A token to write. kind: one of `kid.sql.tokens`, or "name"."""

    kind: str
    text: str


def written_name(name: str) -> str:
    """A name in canonical form: lower-cased, in backticks if it needs them."""
    name = lower(name)
    bare = re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in RESERVED
    return name if bare else "`" + name.replace("`", "``") + "`"


def keep_needed_aliases(resolution: NameResolution) -> None:
    """Keep a table's alias where the table's name would be ambiguous. Raises InputError if both are ambiguous."""
    same_scope = [
        (a, b) for scope in resolution.scopes for a in scope.from_items for b in scope.from_items if a is not b
    ]
    pairs = same_scope + [(a, b) for _, a, shadowing in resolution.qualifiers for b in shadowing]
    while clashing := [
        from_item for a, b in pairs if a.canonical_name == b.canonical_name != "" for from_item in (a, b)
    ]:
        if all(from_item.keeps_alias for from_item in clashing):
            raise InputError(f"has several tables called {clashing[0].canonical_name}")
        for from_item in clashing:
            from_item.keeps_alias = True


def written_names(analysis: Analysis) -> dict[int, str]:
    """What to write for each name: position -> text; "" for a dropped alias and its AS.

    Raises InputError if sqlglot finds no name at the position of a quoted token.
    """
    tokens, tree, resolution = analysis.tokens, analysis.tree, analysis.resolution
    names = {position(node): upper(node.name) if isinstance(node.parent, exp.Func) else written_name(node.name)
             for node in tree.find_all(exp.Identifier)}  # fmt: skip
    word_as = {token.start: word.start for word, token in pairwise(tokens) if upper(word.text) == "AS"}
    for start, from_item in resolution.aliases:
        if not from_item.keeps_alias:
            names[start] = names[word_as.get(start, start)] = ""
    names.update((start, written_name(from_item.canonical_name)) for start, from_item, _ in resolution.qualifiers)
    for word, token in pairwise(tokens):
        if token.start in resolution.string_positions:
            names[token.start] = "'" + unquoted(token.text).replace("'", "''") + "'"
        elif token.kind == "string" and word.text == ".":
            names[token.start] = written_name(unquoted(token.text))
        elif token.kind == "quoted" and token.start not in names:
            raise InputError(f"has {token.text} in an unexpected place")
    return names


def bare_aliases(analysis: Analysis) -> set[int]:
    """Positions of the aliases without AS."""
    after_as = {token.start for word, token in pairwise(analysis.tokens) if upper(word.text) == "AS"}
    nodes = analysis.tree.find_all(exp.Alias, exp.TableAlias)
    aliases = [node.args["alias"] if isinstance(node, exp.Alias) else node.this
               for node in nodes if not isinstance(node.parent, exp.CTE)]  # fmt: skip
    return {position(alias) for alias in aliases if alias is not None} - after_as


def pieces_to_write(analysis: Analysis) -> list[Piece]:
    """The query's tokens in canonical spelling. Raises InputError if sqlglot and SQLite see different names."""
    names, without_as = written_names(analysis), bare_aliases(analysis)
    pieces: list[Piece] = []
    for token in analysis.tokens:
        written = names.pop(token.start, None)
        if written is None and token.kind == "word":
            pieces.append(Piece("word", upper(token.text)))
        elif written is None:
            pieces.append(Piece(token.kind, OPERATOR_SPELLINGS.get(token.text, token.text)))
        elif written:
            pieces += [Piece("word", "AS")] if token.start in without_as else []
            pieces.append(Piece("name", written))
    if names:
        raise InputError(
            f"does not parse: sqlglot reads {analysis.resolution.query[min(names) :][:20]} differently from SQLite"
        )
    return pieces


def write_pieces(pieces: list[Piece]) -> str:
    """The pieces on one line, with conventional spacing."""
    text = ""
    joined = True  # no blank before this piece
    operand = False  # the previous piece ends an operand, so a sign after it is binary
    for piece, following in zip(pieces, [*(piece.text for piece in pieces[1:]), ""], strict=True):
        text += piece.text if joined or piece.text in (",", ")", ".") else " " + piece.text
        called = piece.kind == "name" or (piece.kind == "word" and lower(piece.text) not in NOT_FUNCTIONS)
        sign = piece.text == "~" or (piece.text in ("+", "-") and not operand)
        joined = (
            piece.text in ("(", ".")
            or (sign and following not in SIGNS)  # `--` would start a comment; sqlglot reads `~~` as LIKE
            or (called and following == "(")
        )
        operand = piece.kind in OPERAND_KINDS or piece.text in OPERANDS or piece.text == ")"
    return text


def canonical_form(query: str, tables: Mapping[str, Sequence[str]]) -> str:
    """The query in canonical form. Raises InputError if it cannot be resolved or its tokens would change."""
    analysis = analyse(query, tables)
    resolution = analysis.resolution
    if resolution.string_positions and resolution.unknown_names:
        resolution.problems.append(
            f"{min(resolution.unknown_names)} is in no known table, so names in double quotes could be strings"
        )
    if math.prod(filter(None, resolution.cte_uses.values())) > MAX_CTE_COPIES:
        resolution.problems.append("uses CTEs too often")
    if resolution.problems:
        raise InputError(resolution.problems[0])
    keep_needed_aliases(resolution)
    pieces = pieces_to_write(analysis)
    text = write_pieces(pieces)
    if [token.text for token in sql_tokens(text) if not token.is_blank] != [piece.text for piece in pieces]:
        raise InputError("is read differently in canonical form")
    return text


def fold_blanks(query: str) -> str:
    """The query with one blank for each run of blanks and comments, without blanks and semicolons around it."""
    groups = groupby(sql_tokens(query), lambda token: token.is_blank)
    line = "".join(" " if blank else "".join(token.text for token in group) for blank, group in groups)
    return line.strip("; ")


def normalise_sql(query: str, tables: Mapping[str, Sequence[str]]) -> tuple[str, str | None]:
    """Rewrite gold SQL in canonical form, if that does not change its meaning.

    The canonical form is one line without a final semicolon, with keywords in capitals, names in lower case (in
    backticks only if they need them), table names instead of aliases where they are unambiguous, and strings in single
    quotes. The rest is unchanged.

    Three checks guard the meaning: apart from these rewrites the tokens are the same; the canonical form of the result
    is the result itself; and on empty tables of the schema it compiles to the same program. The last check is skipped
    if the query does not compile there (it uses functions that SQLite lacks, or tables that the schema lacks or that
    plain empty tables cannot represent).

    Args:
        tables: the schema: name of a table -> names of its columns.

    Returns:
        (canonical form, None), or if a check fails or names cannot be resolved (the query on one line, the reason).
    """
    try:
        source = join_operators(query)
        text = canonical_form(source, tables)
        if text != source:
            if canonical_form(text, tables) != text:
                raise InputError("is read differently in canonical form")
            program = compile_query(source, tables)
            if program is not None and compile_query(text, tables) != program:
                raise InputError("compiles to another program in canonical form")
        return text, None
    except InputError as reason:
        return fold_blanks(query), str(reason)
