"""Read a query with sqlglot as SQLite reads it, and find the tables and columns that it uses."""

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

# Tokens that sqlglot has to read as one; it takes .5 for two, and GROUP BY for one.
WHOLE = ("string", "quoted", "blob", "variable")
WORDS = re.compile(r"\w+")


@dataclass
class Analysis:
    """A query as it was read: its tokens without blanks, sqlglot's tree, and what the names in it refer to."""

    tokens: list[SqlToken]
    tree: exp.Query
    resolution: NameResolution


def analyse(query: str, tables: Mapping[str, Sequence[str]]) -> Analysis:
    """Parse a query, and resolve the names. Raises InputError."""
    read = list(sql_tokens(query))
    while read and (read[-1].is_blank or read[-1].kind == "semicolon"):
        read.pop()
    text, tokens = plain_text(read), [token for token in read if not token.is_blank]
    for token in tokens:
        if token.kind == "illegal":
            raise InputError(f"does not parse: {token.text[:20]} is no token of SQLite's")
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
        if split or (token.kind in WHOLE and length != len(token.text)):
            raise InputError(f"does not parse: sqlglot reads {token.text[:20]} otherwise than SQLite")
    return Analysis(tokens, trees[0], resolution)


def gold_schema_items(query: str, tables: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Tables and columns that a query uses, named as in the schema.

    A bare column that several visible tables have counts for all of them. `*` counts for all columns, but not in
    COUNT(*). A table of which no column is used has an empty set. Where names cannot be resolved, every table and
    column whose name stands in the query counts.
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
    """The tables whose names are tokens of the text, quoted or not, and those of their columns that are, too.

    A `*` that is neither a product's nor COUNT(*)'s counts for all columns.
    """
    tokens = [token for token in sql_tokens(query) if not token.is_blank]
    names = {lower(unquoted(token.text)) for token in tokens if token.kind in ("word", "quoted", "string")}
    for token in tokens:  # a quote without its end hides what follows
        names |= {lower(word) for word in WORDS.findall(token.text)} if token.kind == "illegal" else set()
    before_stars = {upper(before.text) for before, token in pairwise(tokens) if token.text == "*"}
    everything = not before_stars.isdisjoint(("SELECT", "DISTINCT", "ALL", ",", "."))
    return {
        table: {column for column in columns if everything or lower(column) in names}
        for table, columns in tables.items()
        if lower(table) in names
    }
