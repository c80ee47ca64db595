"""Equivalent forms of a query: annotators write the same query in different styles, and each is consistent."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import sqlglot
from sqlglot import exp


def between_as_comparisons(tree: exp.Expr) -> None:
    """x BETWEEN a AND b -> x >= a AND x <= b"""
    for node in list(tree.find_all(exp.Between)):
        low = exp.GTE(this=node.this.copy(), expression=node.args["low"])
        node.replace(exp.And(this=low, expression=exp.LTE(this=node.this.copy(), expression=node.args["high"])))


def or_as_in(tree: exp.Expr) -> None:
    """c = v OR c = w -> c IN (v, w)"""
    for node in list(tree.find_all(exp.Or)):
        sides = [side for side in (node.left, node.right) if isinstance(side, exp.EQ)]
        if len(sides) == 2 and sides[0].left == sides[1].left:
            node.replace(exp.In(this=sides[0].left, expressions=[side.right for side in sides]))


def not_equal_as_not(tree: exp.Expr) -> None:
    """c != v -> NOT c = v"""
    for node in list(tree.find_all(exp.NEQ)):
        node.replace(exp.Not(this=exp.EQ(this=node.left, expression=node.right)))


def superlative_as_extreme(tree: exp.Expr) -> None:
    """SELECT a FROM t ORDER BY c DESC LIMIT 1 -> SELECT a FROM t WHERE c = (SELECT MAX(c) FROM t)"""
    plain = {"expressions", "from_", "order", "limit", "kind"}
    if not isinstance(tree, exp.Select) or any(value for key, value in tree.args.items() if key not in plain):
        return
    order, limit = tree.args.get("order"), tree.args.get("limit")
    if not order or not limit or limit.expression.name != "1" or len(order.expressions) != 1:
        return
    (ordered,) = order.expressions
    extreme = exp.func("MAX" if ordered.args.get("desc") else "MIN", ordered.this.copy())
    inner = exp.Select(expressions=[extreme], from_=tree.args["from_"].copy())
    tree.set("order", None)
    tree.set("limit", None)
    tree.set("where", exp.Where(this=exp.EQ(this=ordered.this.copy(), expression=exp.Subquery(this=inner))))


def distinct_as_group(tree: exp.Expr) -> None:
    """SELECT DISTINCT c FROM t -> SELECT c FROM t GROUP BY c"""
    for node in tree.find_all(exp.Select):
        simple = not node.args.get("group") and all(isinstance(item, exp.Column) for item in node.expressions)
        if node.args.get("distinct") and simple:
            node.set("distinct", None)
            node.set("group", exp.Group(expressions=[item.copy() for item in node.expressions]))


def joins_swapped(tree: exp.Expr) -> None:
    """FROM t JOIN p ON t.p_id = p.id -> FROM p JOIN t ON p.id = t.p_id"""
    for node in tree.find_all(exp.Select):
        joins = node.args.get("joins") or []
        if len(joins) == 1 and not joins[0].side and isinstance(joins[0].args.get("on"), exp.EQ):
            first, second, on = node.args["from_"].this, joins[0].this, joins[0].args["on"]
            node.args["from_"].set("this", second.copy())
            joins[0].set("this", first.copy())
            joins[0].set("on", exp.EQ(this=on.right.copy(), expression=on.left.copy()))


def tables_numbered(tree: exp.Expr) -> None:
    """FROM t JOIN p ON t.p_id = p.id -> FROM t AS T1 JOIN p AS T2 ON T1.p_id = T2.id"""
    for node in tree.find_all(exp.Select):
        joins = node.args.get("joins") or []
        items = [node.args["from_"].this, *(join.this for join in joins)] if joins else []
        aliases = {item.name: f"T{number}" for number, item in enumerate(items, start=1)}
        for item in items:
            item.set("alias", exp.TableAlias(this=exp.to_identifier(aliases[item.name])))
        for column in node.find_all(exp.Column) if joins else ():
            if column.find_ancestor(exp.Select) is node and column.table in aliases:
                column.set("table", exp.to_identifier(aliases[column.table]))


STYLES: dict[str, Callable[[exp.Expr], None]] = {
    style.__name__: style
    for style in (
        between_as_comparisons, or_as_in, not_equal_as_not, superlative_as_extreme, distinct_as_group, joins_swapped,
        tables_numbered,
    )
}  # fmt: skip


def in_style(query: str, styles: Iterable[str]) -> str:
    """A query in an annotator's style.

    Args:
        query: any query that sqlglot can parse.
        styles: keys of `STYLES`; styles that do not apply to the query are skipped.

    Returns:
        The rewritten query, or `query` itself if no style applies. Ties or NULLs can make the rows differ; the caller
        must check.
    """
    tree = sqlglot.parse_one(query, read="sqlite")
    before = tree.copy()
    for style in styles:
        STYLES[style](tree)
    return query if tree == before else tree.sql("sqlite")
