"""Separate the literals of an SQL expression from the rest, so that each can be compared on its own."""

from __future__ import annotations

from itertools import chain

from sqlglot import exp

from kid.sql.parsing import lower


def separate_literals(node: exp.Expr) -> tuple[str, tuple[str, ...]]:
    """Replace the literals of an expression by `?`: (expression, literals). Sorts operands of AND and OR, and lists."""
    node = node.unnest()
    if isinstance(node, exp.And | exp.Or):
        pieces = sorted(separate_literals(part) for part in node.flatten())
        return f"({f' {node.key} '.join(head for head, _ in pieces)})", tuple(chain(*(found for _, found in pieces)))
    literals: list[str] = []
    for test in list(node.find_all(exp.In)):
        if all(isinstance(value, exp.Literal) for value in test.expressions) and test.expressions:
            literals += sorted(map(literal_value, test.expressions))
            test.set("expressions", [exp.Placeholder()])
    for literal in list(node.find_all(exp.Literal)):
        literals.append(literal_value(literal))
        literal.set("this", "?")
        literal.set("is_string", False)
    return sql_text(node), tuple(literals)


def literal_value(literal: exp.Literal) -> str:
    """A literal as SQLite compares it with a column: 5, 5.0 and '5' are the same; LIKE ignores letter case."""
    try:
        return str(float(literal.name))
    except ValueError:
        return lower(literal.name) if isinstance(literal.parent, exp.Like) else literal.name


def sql_text(node: exp.Expr) -> str:
    return node.unnest().sql("sqlite")
