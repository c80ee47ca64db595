"""Parse a query with sqlglot in the way SQLite does, and find the tables and columns that it uses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlglot import ParseError, TokenError, exp
from sqlglot.dialects.sqlite import SQLite

from kid.errors import InputError
from kid.sql.parsing import PlainParser, join_operators, lower, plain_text, upper
from kid.sql.resolution import NameResolution, resolve_query
from kid.sql.tokens import SqlToken, sql_tokens, unquoted

# Kinds of tokens that sqlglot must read as one token too. Others may differ: it reads .5 as two, and GROUP BY as one.
SINGLE_TOKEN_KINDS = ("string", "quoted", "blob", "variable")
WORDS = re.compile(r"\w+")


@dataclass
class Analysis:
    """A parsed query: its tokens without blanks, sqlglot's tree, and what its names refer to."""

    tokens: list[SqlToken]
    tree: exp.Query
    resolution: NameResolution


def analyse(query: str, tables: Mapping[str, Sequence[str]]) -> Analysis:
    """Parse a query and resolve its names. Raises InputError if it cannot be parsed or is not a single query."""
    all_tokens = list(sql_tokens(query))
    while all_tokens and (all_tokens[-1].is_blank or all_tokens[-1].kind == "semicolon"):
        all_tokens.pop()
    text, tokens = plain_text(all_tokens), [token for token in all_tokens if not token.is_blank]
    for token in tokens:
        if token.kind == "illegal":
            raise InputError(f"does not parse: {token.text[:20]} is not a token in SQLite")
    try:
        glot_tokens = SQLite().tokenize(text)
        trees = PlainParser(dialect=SQLite).parse(glot_tokens, text)
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise InputError("is not a single query")
        names = {lower(table): list(map(lower, columns)) for table, columns in tables.items()}
        resolution = NameResolution(text, names)
        resolve_query(trees[0], None, {}, resolution)
    except (ParseError, TokenError, RecursionError) as error:
        raise InputError(f"does not parse: {str(error).splitlines()[0].split('. Line')[0]}") from None
    lengths = {token.start: token.end + 1 - token.start for token in glot_tokens}
    for token in tokens:
        length = lengths.get(token.start)
        split = token.kind == "word" and length is not None and length < len(token.text)
        if split or (token.kind in SINGLE_TOKEN_KINDS and length != len(token.text)):
            raise InputError(f"does not parse: sqlglot reads {token.text[:20]} differently from SQLite")
    return Analysis(tokens, trees[0], resolution)


def gold_schema_items(query: str, tables: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Tables and columns that a query uses, with the names of the schema: table -> columns.

    A column without a qualifier counts for every visible table that has it. `*` counts as all columns, except in
    COUNT(*). A table without used columns has an empty set. If names cannot be resolved, every table and column counts
    whose name occurs in the query.
    """
    try:
        resolution = analyse(join_operators(query), tables).resolution
    except InputError:
        return items_by_name(query, tables)
    used: dict[str, set[str | None]] = {
        from_item.table: set()
        for scope in resolution.scopes
        for from_item in scope.from_items
        if from_item.table in resolution.tables
    }
    for from_item, column in resolution.column_uses:
        if from_item.table in used:
            used[from_item.table].add(column)
    items = {
        table: {column for column in columns if {None, lower(column)} & used[lower(table)]}
        for table, columns in tables.items()
        if lower(table) in used
    }
    if resolution.problems or resolution.unknown_names:
        for table, columns in items_by_name(query, tables).items():
            items.setdefault(table, set()).update(columns)
    return items


def items_by_name(query: str, tables: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """The tables whose names are tokens of the query, quoted or not, and the columns of these whose names are too.

    A `*` counts as all columns, except as multiplication or in COUNT(*).
    """
    tokens = [token for token in sql_tokens(query) if not token.is_blank]
    names = {lower(unquoted(token.text)) for token in tokens if token.kind in ("word", "quoted", "string")}
    for token in tokens:  # an unclosed quote hides the tokens after it
        names |= {lower(word) for word in WORDS.findall(token.text)} if token.kind == "illegal" else set()
    before_stars = {upper(before.text) for before, token in pairwise(tokens) if token.text == "*"}
    all_columns = not before_stars.isdisjoint(("SELECT", "DISTINCT", "ALL", ",", "."))
    return {
        table: {column for column in columns if all_columns or lower(column) in names}
        for table, columns in tables.items()
        if lower(table) in names
    }
