"""Choices that a query leaves to chance: the order of ties, the row of a group, the position of NULL.

For each kind of choice, two queries are built that differ only in this choice; all others are made in the same way. If
their results differ, the result of the gold query depends on the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import ParseError, TokenError, exp
from sqlglot.dialects.sqlite import SQLite

from kid.evaluation.audit.kinds import BARE, NULLS, TIES, UNORDERED
from kid.evaluation.suites.chance import (
    ColumnNames,
    aggregate_bare_columns,
    bare_columns,
    break_ties,
    takes_row_of_extreme,
)
from kid.evaluation.suites.neighbours import to_sql
from kid.sql.normalise import normalise_sql
from kid.sql.parsing import PlainParser, lower


def parse_gold(query: str, tables: Mapping[str, Sequence[str]]) -> exp.Query | None:
    """Parse a query, distinguishing strings from names by the schema; None if sqlglot cannot parse it."""
    sql = normalise_sql(query, tables)[0]
    try:
        trees = PlainParser(dialect=SQLite).parse(SQLite().tokenize(sql), sql)
    except (ParseError, TokenError, RecursionError):
        return None
    return trees[0] if len(trees) == 1 and isinstance(trees[0], exp.Query) else None


def resolved_query(tree: exp.Query, columns: ColumnNames, other: str = "") -> str:
    """Return the query with every choice made: the smallest rows of ties, the smallest values of a group, NULL first.

    Args:
        other: the kind of choice that is made in the opposite way.
    """
    copy = tree.copy()
    for select in list(copy.find_all(exp.Select)):
        aggregate_bare_columns(select, "MAX" if other == BARE else "MIN")
    for query in list(copy.find_all(exp.Query)):
        order, limit = query.args.get("order"), query.args.get("limit")
        for key in order.expressions if order and limit and other == NULLS else ():
            if not key.args.get(
                "desc"
            ):  # only ascending keys put NULL first, so that the "smallest" may be a missing value
                key.set("nulls_first", False)
        if order or limit:
            break_ties(query, columns, descending=other == (TIES if order else UNORDERED))
    return to_sql(copy)


def choice_queries(tree: exp.Query, tables: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, str]]:
    """Return (the query with every choice made, kind -> the same query with this choice made in the opposite way).

    Has only the kinds that occur in the query.

    Args:
        tables: the schema: name of a table -> names of its columns.
    """
    columns = {lower(table): names for table, names in tables.items()}
    first = resolved_query(tree, columns)
    others = {kind: resolved_query(tree, columns, kind) for kind in (TIES, UNORDERED, BARE, NULLS)}
    return first, {kind: query for kind, query in others.items() if query != first}


def has_rows_of_extreme(tree: exp.Query) -> bool:
    """Whether a bare column occurs beside a single MIN or MAX: if several rows have this value, SQLite uses any."""
    return any(takes_row_of_extreme(select) and bare_columns(select) for select in tree.find_all(exp.Select))
