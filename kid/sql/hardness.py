"""Spider's hardness of a query (easy, medium, hard or extra), by the rule of the official evaluation.

The official rule (`eval_hardness` of taoyds/spider) counts components of a tree that its own parser builds with the
schema. Here they are counted in sqlglot's tree, with the same result, oversights included, because published tables are
split by the official levels.
"""

from __future__ import annotations

from itertools import chain

from sqlglot import ParseError, TokenError, exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.tokens import TokenType

from kid.errors import InputError
from kid.sql.parsing import PlainParser, join_operators, plain_text
from kid.sql.tokens import first_statement

LEVELS = ("easy", "medium", "hard", "extra")
AGGREGATES = frozenset(("AVG", "COUNT", "MAX", "MIN", "SUM"))
CONNECTORS = exp.And | exp.Or
MAX_CHARACTERS = 10_000
QUERY_OPENERS = (TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN)


def parse_query(sql: str) -> exp.Query:
    """Parse the first statement. Operators that a space has split (`> =`) are joined; functions are not interpreted.

    A name in double quotes where a value is expected (`country = "France"`) becomes a string, since without the schema
    only the position distinguishes the two.

    Raises:
        InputError: sqlglot cannot read `sql` as a query, or it is too long or too deeply nested.
    """
    if len(sql) > MAX_CHARACTERS:
        raise InputError(f"has {len(sql)} characters; the limit is {MAX_CHARACTERS}")
    sql = plain_text(first_statement(join_operators(sql)))
    try:
        tokens = SQLite().tokenize(sql)
        tree = (
            PlainParser(dialect=SQLite).parse(tokens, sql)[0]
            if tokens and tokens[0].token_type in QUERY_OPENERS
            else None
        )
    except (ParseError, TokenError, RecursionError) as error:
        raise InputError(f"does not parse: {str(error).splitlines()[0]}") from None
    # sqlglot accepts more than SQLite: a SELECT of nothing, or a name or an expression in place of a query.
    holders = list(tree.find_all(exp.SetOperation, exp.CTE)) if tree else []
    queries = [tree, *(node.this for node in holders), *(node.args.get("expression", tree) for node in holders)]
    if not isinstance(tree, exp.Query) or not all(query and isinstance(query.unnest(), exp.Query) for query in queries):
        raise InputError("is not a query")
    if not all(select.expressions for select in tree.find_all(exp.Select)):
        raise InputError("selects nothing")
    for column in list(tree.find_all(exp.Column)):
        expects_value = isinstance(column.parent, exp.Predicate) and column.arg_key != "this"
        if expects_value and not column.table and sql[column.this.meta.get("start", 0)] == '"':
            column.replace(exp.Literal.string(column.name))
    return tree


def spider_hardness(sql: str) -> str:
    """Spider's hardness of a query.

    Args:
        sql: a gold query. If sqlglot cannot read it, it is "extra", so that it does not affect easier levels.

    Returns:
        One of `LEVELS`.
    """
    try:
        tree = parse_query(sql)
    except InputError:
        return "extra"
    # The first SELECT is the query. The rest of a set operation, with its final ORDER BY, counts as one nested query.
    combined = 0
    while not isinstance(tree, exp.Select):
        combined |= isinstance(tree, exp.SetOperation)
        tree = tree.this
    return hardness_level(*count_components(tree, combined))


def hardness_level(clauses: int, nested: int, others: int) -> str:
    """The hardness by the official thresholds. Two clauses with two others match no level, so they are "extra"."""
    if nested:
        return "hard" if clauses <= 1 and not others and nested == 1 else "extra"
    if clauses <= 1 and not others:
        return "easy"
    if (clauses <= 1 and others <= 2) or (clauses <= 2 and others < 2):
        return "medium"
    return "hard" if (clauses <= 2 and others > 2) or (clauses == 3 and others <= 2) else "extra"


def count_components(select: exp.Select, combined: int) -> tuple[int, int, int]:
    """Count as the official rule does: (component 1, component 2, others)."""
    clauses = {name: select.args.get(name) for name in ("where", "group", "having", "order", "limit", "from_")}
    joins = select.args.get("joins") or []
    groups = clauses["group"].expressions if clauses["group"] else []
    orders = clauses["order"].expressions if clauses["order"] else []
    where, having = condition_nodes(clauses["where"]), condition_nodes(clauses["having"])
    conditions = [*where, *having, *chain.from_iterable(condition_nodes(join.args.get("on")) for join in joins)]

    component1 = sum(clauses[name] is not None for name in ("where", "group", "order", "limit")) + len(joins)
    component1 += sum(isinstance(node, exp.Or | exp.Like) for node in conditions)
    nested = sum(isinstance(node, exp.Query) for node in conditions) + combined

    # The official count ignores aggregates in HAVING, but counts NOT as an aggregate, and in HAVING also AND and OR.
    aggregates = sum(has_aggregate(item) for item in (*select.expressions, *orders))
    aggregates += sum(isinstance(node, exp.Not) or node.args.get("negate", False) for node in (*where, *having))
    aggregates += sum(isinstance(node, CONNECTORS) for node in having)
    several_conditions = any(isinstance(node, CONNECTORS) for node in where)
    others = (aggregates > 1) + (len(select.expressions) > 1) + several_conditions + (len(groups) > 1)
    return component1, nested, others


def condition_nodes(clause: exp.Expr | None) -> list[exp.Expr]:
    """All nodes of a condition, including nested queries but not the nodes inside them."""
    return list(clause.walk(prune=lambda node: isinstance(node, exp.Query))) if clause else []


def has_aggregate(item: exp.Expr) -> bool:
    return any(node.name.upper() in AGGREGATES for node in item.find_all(exp.Anonymous))
