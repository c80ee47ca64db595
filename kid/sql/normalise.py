"""Rewrite gold SQL in one canonical form that has the same meaning.

Names are resolved in sqlglot's tree. The text is then written from the query's own tokens, as SQLite reads them, not by
sqlglot's generator, which renames functions, changes the types in casts and respells numbers. What was written is read
again and compiled; a query whose meaning would change stays as it is.
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

# Words that SQLite, or sqlglot when it reads the result again, does not accept as a bare name everywhere.
KEYWORDS = """add all alter and any as autoincrement between case cast check collate commit constraint create cross
    current_date current_time current_timestamp default deferrable delete describe distinct drop else escape except
    exists false fetch for foreign from glob grant group having if ilike in index inner insert intersect into is isnull
    join lateral like limit not nothing notnull null offset on or order outer primary qualify raise references regexp
    returning revoke rlike rollback select set table tablesample then to transaction true uncache union unique update
    using values when where window with xor"""
RESERVED = frozenset(KEYWORDS.split())
# Words after which a bracket does not open a function's arguments.
NOT_FUNCTIONS = RESERVED - {"cast", "if", "raise"} | {"by", "filter", "match", "materialized", "over"}
OPERANDS = frozenset(("END", "NULL", "TRUE", "FALSE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"))
OPERATOR_SPELLINGS = {"<>": "!=", "==": "="}
OPERAND_KINDS = ("name", "string", "number", "blob", "variable")
SIGNS = ("+", "-", "~")
MAX_CTE_COPIES = 1000  # SQLite compiles a CTE anew wherever it is used, so CTEs of CTEs may take for ever


class Piece(NamedTuple):
    """A token to be written, of a kind that `kid.sql.tokens` has, or "name"."""

    kind: str
    text: str


def written_name(name: str) -> str:
    """A name in the canonical form: lower-cased, in backticks where it needs them."""
    name = lower(name)
    bare = re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in RESERVED
    return name if bare else "`" + name.replace("`", "``") + "`"


def keep_needed_aliases(resolution: NameResolution) -> None:
    """Keep a table's alias where its own name would be ambiguous. Raises InputError."""
    beside = [(a, b) for scope in resolution.scopes for a in scope.from_items for b in scope.from_items if a is not b]
    pairs = beside + [(a, b) for _, a, shadowing in resolution.qualifiers for b in shadowing]
    while clashing := [
        from_item for a, b in pairs if a.canonical_name == b.canonical_name != "" for from_item in (a, b)
    ]:
        if all(from_item.keeps_alias for from_item in clashing):
            raise InputError(f"has several tables called {clashing[0].canonical_name}")
        for from_item in clashing:
            from_item.keeps_alias = True


def written_names(analysis: Analysis) -> dict[int, str]:
    """What to write for each name, by position; "" for an alias that is dropped, with its AS. Raises InputError."""
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
            raise InputError(f"has {token.text} in an odd place")
    return names


def bare_aliases(analysis: Analysis) -> set[int]:
    """Positions of the aliases that have no AS before them."""
    after_as = {token.start for word, token in pairwise(analysis.tokens) if upper(word.text) == "AS"}
    nodes = analysis.tree.find_all(exp.Alias, exp.TableAlias)
    aliases = [node.args["alias"] if isinstance(node, exp.Alias) else node.this
               for node in nodes if not isinstance(node.parent, exp.CTE)]  # fmt: skip
    return {position(alias) for alias in aliases if alias is not None} - after_as


def pieces_to_write(analysis: Analysis) -> list[Piece]:
    """The query's tokens in canonical spelling. Raises InputError where sqlglot found other names than SQLite does."""
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
            f"does not parse: sqlglot reads {analysis.resolution.query[min(names) :][:20]} otherwise than SQLite"
        )
    return pieces


def write_pieces(pieces: list[Piece]) -> str:
    """The pieces on one line, with conventional spacing."""
    text = ""
    joined = True  # no blank between the piece before and this one
    operand = False  # the piece before ends an operand, so a sign that follows is binary
    for piece, following in zip(pieces, [*(piece.text for piece in pieces[1:]), ""], strict=True):
        text += piece.text if joined or piece.text in (",", ")", ".") else " " + piece.text
        called = piece.kind == "name" or (piece.kind == "word" and lower(piece.text) not in NOT_FUNCTIONS)
        sign = piece.text == "~" or (piece.text in ("+", "-") and not operand)
        joined = (
            piece.text in ("(", ".")
            or (sign and following not in SIGNS)  # -- would begin a comment; sqlglot reads ~~ as LIKE
            or (called and following == "(")
        )
        operand = piece.kind in OPERAND_KINDS or piece.text in OPERANDS or piece.text == ")"
    return text


def canonical_form(query: str, tables: Mapping[str, Sequence[str]]) -> str:
    """The query in canonical form, made of the tokens that were to be written. Raises InputError."""
    analysis = analyse(query, tables)
    resolution = analysis.resolution
    if resolution.string_positions and resolution.unknown_names:
        resolution.problems.append(
            f"{min(resolution.unknown_names)} is in no known table: strings or names in double quotes?"
        )
    if math.prod(filter(None, resolution.cte_uses.values())) > MAX_CTE_COPIES:
        resolution.problems.append("uses CTEs too often")
    if resolution.problems:
        raise InputError(resolution.problems[0])
    keep_needed_aliases(resolution)
    pieces = pieces_to_write(analysis)
    text = write_pieces(pieces)
    if [token.text for token in sql_tokens(text) if not token.is_blank] != [piece.text for piece in pieces]:
        raise InputError("reads otherwise in canonical form")
    return text


def fold_blanks(query: str) -> str:
    """The query with one blank for blanks and comments between its tokens, and none or semicolons around it."""
    groups = groupby(sql_tokens(query), lambda token: token.is_blank)
    line = "".join(" " if blank else "".join(token.text for token in group) for blank, group in groups)
    return line.strip("; ")


def normalise_sql(query: str, tables: Mapping[str, Sequence[str]]) -> tuple[str, str | None]:
    """Gold SQL in one canonical form, where that has the same meaning.

    One line without closing semicolon; keywords in capitals; names in lower case, in backticks only where they need
    them; table names instead of aliases where that is unambiguous; strings in single quotes. The rest is unchanged.

    The canonical form consists of the same tokens but for these rewrites, its own canonical form is itself, and on the
    schema's empty tables it compiles to the same program. The last is not checked where the query does not compile
    there (functions that SQLite lacks, tables that the schema lacks or that plain empty tables cannot stand for).

    Args:
        tables: the schema: name of a table -> names of its columns.

    Returns:
        The query and None; or, if it cannot be resolved or would change, the query on one line and the reason.
    """
    try:
        source = join_operators(query)
        text = canonical_form(source, tables)
        if text != source:
            if canonical_form(text, tables) != text:
                raise InputError("reads otherwise in canonical form")
            program = compile_query(source, tables)
            if program is not None and compile_query(text, tables) != program:
                raise InputError("compiles to another program in canonical form")
        return text, None
    except InputError as reason:
        return fold_blanks(query), str(reason)
