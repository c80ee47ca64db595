"""Label errors like those of annotators, for any SQL: another column, a missing condition, a swapped comparison, ...

Each kind of error changes one thing in a query's tree. `draw_wrong_label` keeps a change only if it affects the result:
the query runs, and its rows differ from the gold rows on the database and on most of its refilled copies.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from kid.sql.comparison import Row, results_equal

ATTEMPTS = 12  # draws of a kind and a change for one query
SIMILAR = 3  # a "like question" error takes one of this many most similar queries

Exchanges = dict[type[exp.Expr], type[exp.Expr]]  # type of node -> type of its replacement
OPPOSITES: Exchanges = {exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.GT, exp.LTE: exp.LT, exp.NEQ: exp.EQ}
AGGREGATES: Exchanges = {exp.Max: exp.Min, exp.Min: exp.Max, exp.Avg: exp.Sum, exp.Sum: exp.Avg}

Schema = Mapping[str, Mapping[str, str]]  # table -> column -> type ("" if unknown)


def own_nodes(select: exp.Select, kind: type[exp.Expr]) -> list:
    """The nodes of a type in a SELECT, except those of nested queries."""
    return [node for node in select.find_all(kind) if node.find_ancestor(exp.Select) is select]


def tables_of(select: exp.Select) -> dict[str, str]:
    """Name in the scope -> stored table, for the FROM of one SELECT."""
    joins = select.args.get("joins") or []
    items = [select.args["from_"].this if select.args.get("from_") else None, *(join.this for join in joins)]
    return {item.alias_or_name: item.name for item in items if isinstance(item, exp.Table)}


def source(column: exp.Column, select: exp.Select, schema: Schema) -> str | None:
    """The stored table that a column comes from; None if that is not obvious."""
    tables = tables_of(select)
    if column.table:
        return tables.get(column.table)
    holders = [table for table in tables.values() if column.name in schema.get(table, ())]
    return holders[0] if len(holders) == 1 else None


def wrong_column(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """Replace a column of a SELECT, everywhere except in joins, by another column of the same table and type."""
    select = rng.choice(list(tree.find_all(exp.Select)))
    columns = [column for column in own_nodes(select, exp.Column) if not column.find_ancestor(exp.Join)]
    if not columns:
        return False
    chosen = rng.choice(columns)
    types = schema.get(source(chosen, select, schema) or "", {})
    others = [name for name in types if name != chosen.name and types[name] == types.get(chosen.name)]
    if not others:
        return False
    name, replaced = rng.choice(others), (chosen.name, chosen.table)
    for column in columns:
        if (column.name, column.table) == replaced:
            column.set("this", exp.to_identifier(name))
    return True


def lost_condition(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """Drop one condition of WHERE or HAVING, or the whole clause if it has only one."""
    places = list(tree.find_all(exp.And, exp.Or, exp.Where, exp.Having))
    if not places:
        return False
    place = rng.choice(places)
    if isinstance(place, exp.And | exp.Or):
        place.replace(rng.choice((place.left, place.right)))
    else:
        place.pop()
    return True


def wrong_comparison(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """Reverse a comparison outside of joins, or a sort order."""
    places = [node for node in tree.find_all(*OPPOSITES) if not node.find_ancestor(exp.Join)]
    places += list(tree.find_all(exp.Ordered))
    if not places:
        return False
    place = rng.choice(places)
    if isinstance(place, exp.Ordered):
        place.set("nulls_first", bool(place.args.get("desc")))  # SQLite's default order, which is not written
        place.set("desc", not place.args.get("desc"))
    else:
        place.replace(OPPOSITES[type(place)](this=place.this, expression=place.expression))
    return True


def wrong_aggregate(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """Exchange MAX and MIN, or AVG and SUM, or replace COUNT(DISTINCT x) by COUNT(x)."""
    distinct = [node.this for node in tree.find_all(exp.Count) if isinstance(node.this, exp.Distinct)]
    places = [*tree.find_all(*AGGREGATES), *distinct]
    if not places:
        return False
    place = rng.choice(places)
    place.replace(place.expressions[0] if isinstance(place, exp.Distinct) else AGGREGATES[type(place)](this=place.this))
    return True


def wrong_join_key(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """Join on another column of one of the tables, one that looks like a key if there is any."""
    places = [
        column
        for join in tree.find_all(exp.Join)
        if join.args.get("on")
        for column in join.args["on"].find_all(exp.Column)
    ]
    if not places:
        return False
    place = rng.choice(places)
    table = source(place, place.find_ancestor(exp.Select), schema)
    others = [name for name in schema.get(table or "", ()) if name != place.name]
    keys = [name for name in others if name.lower().endswith("id")]
    if not others:
        return False
    place.set("this", exp.to_identifier(rng.choice(keys or others)))
    return True


def lost_distinct(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """Drop DISTINCT from a SELECT. (Spider's metric ignores DISTINCT, so EX counts this label as correct.)"""
    places = [select for select in tree.find_all(exp.Select) if select.args.get("distinct")]
    if places:
        rng.choice(places).set("distinct", None)
    return bool(places)


LIKE_QUESTION = "like question"
# Kind -> (weight, the change). "like question" has no change, because it takes another question's SQL. If a kind does
# not apply to a query, another one is drawn, so kinds that rarely apply are rarer than their weight.
KINDS: dict[str, tuple[int, Callable[[exp.Expr, Schema, random.Random], bool] | None]] = {
    "column": (30, wrong_column),
    "condition": (20, lost_condition),
    "comparison": (15, wrong_comparison),
    LIKE_QUESTION: (15, None),
    "aggregate": (20, wrong_aggregate),
    "join key": (10, wrong_join_key),
    "distinct": (20, lost_distinct),
}


def like_query(gold: str, others: Sequence[str], rng: random.Random) -> str | None:
    """One of the queries among `others` that are most similar to `gold`; None if there is no other query."""
    candidates = sorted({other for other in others if other != gold})
    candidates.sort(key=lambda other: -difflib.SequenceMatcher(None, gold.split(), other.split()).ratio())
    return rng.choice(candidates[:SIMILAR]) if candidates else None


def draw_wrong_label(
    gold: str,
    schema: Schema,
    others: Sequence[str],
    run: Callable[[str], Sequence[Sequence[Row]] | None],
    rng: random.Random,
) -> tuple[str, str] | None:
    """Draw a wrong query to replace a question's gold query.

    Args:
        gold: any query that sqlglot can parse.
        schema: table -> column -> type, with names spelled as in the query.
        others: gold queries of other questions on the same database.
        run: returns a query's rows on the database and on three refilled copies, or None if it fails on one.
        rng: source of all random choices.

    Returns:
        (the wrong query, its kind: a key of `KINDS`); None if no draw succeeded.
    """
    gold_rows = run(gold)
    if gold_rows is None:
        return None
    ordered = "order by" in gold.lower()
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    for _ in range(ATTEMPTS):
        kind = rng.choices(names, weights)[0]
        if kind == LIKE_QUESTION:
            wrong = like_query(gold, others, rng)
        else:
            tree = sqlglot.parse_one(gold, read="sqlite")
            wrong = tree.sql("sqlite") if KINDS[kind][1](tree, schema, rng) else None
        rows = run(wrong) if wrong else None
        if rows is None:
            continue
        differs = [not results_equal(a, b, ordered) for a, b in zip(gold_rows, rows, strict=True)]
        if differs[0] and sum(differs[1:]) >= 2:
            return wrong, kind
    return None
