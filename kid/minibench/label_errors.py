"""Wrong labels as people make them, for any SQL: another column, a lost condition, a swapped comparison, and so on.

Each kind takes a query's tree and changes one thing in it. `draw_wrong_label` keeps a change only if it shows: the
query runs, and its rows differ from the gold's on the database and on most refilled ones.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from kid.sql.comparison import Row, results_equal

ATTEMPTS = 12  # draws of a kind and a change for one query
SIMILAR = 3  # most similar queries, of which one is taken for the gold of a like question

Exchanges = dict[type[exp.Expr], type[exp.Expr]]  # kind of node -> what takes its place
OPPOSITES: Exchanges = {exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.GT, exp.LTE: exp.LT, exp.NEQ: exp.EQ}
AGGREGATES: Exchanges = {exp.Max: exp.Min, exp.Min: exp.Max, exp.Avg: exp.Sum, exp.Sum: exp.Avg}

Schema = Mapping[str, Mapping[str, str]]  # table -> its columns -> their types ("" where unknown)


def own_nodes(select: exp.Select, kind: type[exp.Expr]) -> list:
    """The nodes of a kind in a SELECT that are not in a query inside it."""
    return [node for node in select.find_all(kind) if node.find_ancestor(exp.Select) is select]


def tables_of(select: exp.Select) -> dict[str, str]:
    """Name in the scope -> stored table, of one SELECT's FROM."""
    joins = select.args.get("joins") or []
    items = [select.args["from_"].this if select.args.get("from_") else None, *(join.this for join in joins)]
    return {item.alias_or_name: item.name for item in items if isinstance(item, exp.Table)}


def source(column: exp.Column, select: exp.Select, schema: Schema) -> str | None:
    """The stored table that a column comes from; None if it is not plain to see."""
    tables = tables_of(select)
    if column.table:
        return tables.get(column.table)
    holders = [table for table in tables.values() if column.name in schema.get(table, ())]
    return holders[0] if len(holders) == 1 else None


def wrong_column(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """Another column of the same table and type, wherever a SELECT names it outside its joins."""
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
    """One condition of WHERE or HAVING is gone, or the whole clause where it has only one."""
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
    """The opposite comparison outside joins, or the opposite order."""
    places = [node for node in tree.find_all(*OPPOSITES) if not node.find_ancestor(exp.Join)]
    places += list(tree.find_all(exp.Ordered))
    if not places:
        return False
    place = rng.choice(places)
    if isinstance(place, exp.Ordered):
        place.set("nulls_first", bool(place.args.get("desc")))  # SQLite's own order, which is not written
        place.set("desc", not place.args.get("desc"))
    else:
        place.replace(OPPOSITES[type(place)](this=place.this, expression=place.expression))
    return True


def wrong_aggregate(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """MAX for MIN, AVG for SUM, COUNT(x) for COUNT(DISTINCT x), or the other way round."""
    distinct = [node.this for node in tree.find_all(exp.Count) if isinstance(node.this, exp.Distinct)]
    places = [*tree.find_all(*AGGREGATES), *distinct]
    if not places:
        return False
    place = rng.choice(places)
    place.replace(place.expressions[0] if isinstance(place, exp.Distinct) else AGGREGATES[type(place)](this=place.this))
    return True


def wrong_join_key(tree: exp.Expr, schema: Schema, rng: random.Random) -> bool:
    """A join on another column of one of its tables, one that looks like a key where there is any."""
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
    """DISTINCT is gone from a SELECT. (Spider's metric drops every DISTINCT, so by EX this label is right.)"""
    places = [select for select in tree.find_all(exp.Select) if select.args.get("distinct")]
    if places:
        rng.choice(places).set("distinct", None)
    return bool(places)


LIKE_QUESTION = "like question"
# Kind -> (weight, the change); a like question's SQL is no change of this one's tree. A kind that a query has no place
# for is drawn again, so that the rarer its place, the fewer of its kind there are.
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
    """One of the most similar queries among `others`; None if there is none but this one."""
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
    """A wrong query in place of a question's gold.

    Args:
        gold: any query that sqlglot reads.
        schema: table -> column -> type, names spelled as the query spells them.
        others: gold queries of other questions on the same database.
        run: gives a query's rows on the database and on three refilled ones, or None where it fails.
        rng: makes every draw.

    Returns:
        (the wrong query, its kind: a key of `KINDS`); None if no draw gave one.
    """
    right = run(gold)
    if right is None:
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
        differs = [not results_equal(a, b, ordered) for a, b in zip(right, rows, strict=True)]
        if differs[0] and sum(differs[1:]) >= 2:
            return wrong, kind
    return None
