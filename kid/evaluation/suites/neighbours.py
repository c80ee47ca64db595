"""Neighbour queries: wrong queries close to a gold query, which a test suite must distinguish from it.

After Zhong et al. (2020), "Semantic Evaluation for Text-to-SQL with Distilled Test Suites": each neighbour is the gold
query with one edit to its syntax tree. Neighbours that are equivalent to the gold query cannot be distinguished by any
database.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from sqlglot import ParseError, TokenError, exp
from sqlglot.dialects.sqlite import SQLite

from kid.data.schema import Schema
from kid.sql.comparison import normalize_query
from kid.sql.normalise import normalise_sql
from kid.sql.parsing import PlainParser, lower

# The operators that each operator is replaced by.
COMPARISONS = {
    exp.EQ: (exp.NEQ, exp.GT, exp.LT),
    exp.NEQ: (exp.EQ,),
    exp.GT: (exp.GTE, exp.LT, exp.EQ),
    exp.GTE: (exp.GT, exp.LTE, exp.EQ),
    exp.LT: (exp.LTE, exp.GT, exp.EQ),
    exp.LTE: (exp.LT, exp.GTE, exp.EQ),
}
PREDICATES = (*COMPARISONS, exp.Between, exp.In, exp.Like, exp.Is)
# Other predicates that compare columns with constants.
CONSTANT_PREDICATES = (exp.NullSafeEQ, exp.NullSafeNEQ, exp.Glob)
# Functions whose results are like values of their first argument, and functions that make a date of a constant.
NUMBER_CALLS = frozenset(("ABS", "AVG", "CEIL", "FLOOR", "MAX", "MIN", "ROUND", "SUM", "TOTAL"))
TEXT_CALLS = frozenset(("COALESCE", "DATE", "DATETIME", "IFNULL", "LOWER", "LTRIM", "NULLIF", "RTRIM", "TIME"))
TRANSPARENT_CALLS = NUMBER_CALLS | TEXT_CALLS | {"TRIM", "UPPER"}
DATE_CALLS = frozenset(("DATE", "DATETIME", "TIME", "JULIANDAY"))
EXTREMES = ("MIN", "MAX")
AGGREGATES = (*EXTREMES, "AVG", "SUM", "COUNT")
SET_OPERATIONS = (exp.Union, exp.Intersect, exp.Except)
# An edit: its kind, and the node's replacement; None removes the node.
Edit = tuple[str, exp.Expr | None]


class ColumnValues(Protocol):
    """The properties of a column used here: whether it is numeric, some values, and their format as text, if any."""

    @property
    def numeric(self) -> bool: ...
    @property
    def values(self) -> tuple: ...
    @property
    def format(self) -> object | None: ...


# A database's tables, each a mapping from column to its values; names are lower-cased.
Columns = Mapping[str, Mapping[str, ColumnValues]]


def parse_with_schema(query: str, schema: Schema) -> exp.Query | None:
    """Parse a query as the metric runs it, distinguishing strings from names by the schema; None if sqlglot cannot."""
    sql = normalise_sql(normalize_query(query), schema.columns_by_table)[0]
    try:
        trees = PlainParser(dialect=SQLite).parse(SQLite().tokenize(sql), sql)
    except (ParseError, TokenError, RecursionError):
        return None
    return trees[0] if len(trees) == 1 and isinstance(trees[0], exp.Query) else None


def to_sql(tree: exp.Expr) -> str:
    return tree.sql("sqlite")


def make_neighbours(tree: exp.Query, columns: Columns, count: int, generator: random.Random) -> list[str]:
    """Return up to `count` distinct queries, each one edit away from the tree, spread evenly over kinds of edits."""
    by_kind: dict[str, list[tuple[int, exp.Expr | None]]] = {}
    for index, node in enumerate(tree.walk()):
        for kind, replacement in edits(node, columns, generator):
            by_kind.setdefault(kind, []).append((index, replacement))
    for found in by_kind.values():
        generator.shuffle(found)
    # Sorted by position within the kind: the first edit of each kind, then the second of each, and so on.
    order = sorted((position, kind) for kind, found in by_kind.items() for position in range(len(found)))
    neighbours = {to_sql(tree): None}
    for position, kind in order:
        if len(neighbours) > count:
            break
        neighbours.setdefault(to_sql(apply_edit(tree, *by_kind[kind][position])))
    return list(neighbours)[1:]


def apply_edit(tree: exp.Query, index: int, replacement: exp.Expr | None) -> exp.Expr:
    """Return a copy of the tree with the node at position `index` of the walk replaced, or removed (None)."""
    copy = tree.copy()
    node = next(node for position, node in enumerate(copy.walk()) if position == index)
    if node is copy:
        return replacement
    if replacement is None:
        node.pop()
    else:
        node.replace(replacement.copy())
    return copy


def edits(node: exp.Expr, columns: Columns, generator: random.Random) -> Iterator[Edit]:
    """Yield every edit of one node; the edits are mistakes that people and models make."""
    for kind, edit in EDITS.items():
        if isinstance(node, kind):
            yield from edit(node, columns, generator)


def edit_comparison(node: exp.Binary, *_) -> Iterator[Edit]:
    # Join conditions stay: most edits of one give a cross join, which any database distinguishes.
    if not (isinstance(node, exp.EQ) and isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Column)):
        for other in COMPARISONS[type(node)]:
            yield "operator", other(this=node.this.copy(), expression=node.expression.copy())


def edit_between(node: exp.Between, *_) -> Iterator[Edit]:
    value, low, high = node.this, node.args["low"], node.args["high"]
    above, below = exp.GT(this=value.copy(), expression=low.copy()), exp.LT(this=value.copy(), expression=high.copy())
    yield "bounds", exp.Paren(this=exp.And(this=above, expression=below))
    yield "bounds", exp.GTE(this=value.copy(), expression=low.copy())
    yield "bounds", exp.LTE(this=value.copy(), expression=high.copy())


def edit_predicate(node: exp.Expr, *_) -> Iterator[Edit]:
    if not isinstance(node.parent, exp.Not):
        yield "negation", exp.Not(this=exp.Paren(this=node.copy()))


def edit_not(node: exp.Not, *_) -> Iterator[Edit]:
    yield "negation", node.this.copy()


def edit_connector(node: exp.Connector, *_) -> Iterator[Edit]:
    yield "condition dropped", node.this.copy()
    yield "condition dropped", node.expression.copy()
    other = exp.Or if isinstance(node, exp.And) else exp.And
    sides = [
        exp.Paren(this=side.copy()) if isinstance(side, exp.Connector) else side.copy()
        for side in node.iter_expressions()
    ]
    yield "and/or", exp.Paren(this=other(this=sides[0], expression=sides[1]))


def edit_clause(node: exp.Expr, *_) -> Iterator[Edit]:
    yield f"{type(node).__name__.lower()} dropped", None


def edit_limit(node: exp.Limit, *_) -> Iterator[Edit]:
    yield "limit", None
    if isinstance(node.expression, exp.Literal) and node.expression.name.isdigit():
        for number in {int(node.expression.name) + 1, max(1, int(node.expression.name) - 1)}:
            yield "limit", exp.Limit(expression=exp.Literal.number(number))


def edit_ordered(node: exp.Ordered, *_) -> Iterator[Edit]:
    descending = not node.args.get("desc")
    # In SQLite, NULL is the smallest value: without nulls_first, sqlglot would write NULLS FIRST or LAST.
    yield "direction", exp.Ordered(this=node.this.copy(), desc=descending or None, nulls_first=not descending)
    if len(node.parent.expressions) > 1:
        yield "direction", None


def edit_join(node: exp.Join, *_) -> Iterator[Edit]:
    if node.args.get("on") or node.args.get("using"):
        other = node.copy()
        other.set("side", None if node.side else "LEFT")
        yield "join", other


def edit_set_operation(node: exp.SetOperation, *_) -> Iterator[Edit]:
    for other in SET_OPERATIONS:
        if not isinstance(node, other):
            yield "set operation", other(**{**node.copy().args, "distinct": True})
    if isinstance(node, exp.Union):
        yield "set operation", exp.Union(**{**node.copy().args, "distinct": not node.args.get("distinct")})
    for arm in (node.this, node.expression):
        yield "set operation", arm.copy()


def edit_call(node: exp.Anonymous, *_) -> Iterator[Edit]:
    name = node.name.upper()
    if name in AGGREGATES and len(node.expressions) == 1 and not isinstance(node.expressions[0], exp.Star):
        for other in AGGREGATES:
            if other != name:
                yield "aggregate", exp.Anonymous(this=other, expressions=[node.expressions[0].copy()])
        if name == "COUNT":
            yield "aggregate", exp.Anonymous(this=name, expressions=[exp.Star()])


def edit_literal(node: exp.Literal, columns: Columns, generator: random.Random) -> Iterator[Edit]:
    if not node.find_ancestor(*PREDICATES) or isinstance(node.parent, exp.Limit | exp.Offset):
        return
    if not node.is_string:
        number = float(node.name) if re.search("[.eE]", node.name) else int(node.name, 0)
        for other in (number - 1, number + 1):
            yield "literal", exp.Literal.number(other) if other >= 0 else exp.Neg(this=exp.Literal.number(-other))
        return
    if isinstance(node.parent, exp.Like):
        core = node.name.strip("%")
        for pattern in (core, f"{core}%", f"%{core}", f"%{core}%"):
            if pattern != node.name:
                yield "literal", exp.Literal.string(pattern)
    predicate = node.find_ancestor(*PREDICATES)
    for table, column in compared_columns(predicate, columns):
        others = [str(value) for value in columns[table][column].values if str(value) != node.name]
        for text in generator.sample(others, min(2, len(others))):
            yield "literal", exp.Literal.string(text)


def edit_column(node: exp.Column, columns: Columns, _generator: random.Random) -> Iterator[Edit]:
    scope = tables_in_scope(node)
    own = resolve_column(node, columns)
    if own is None:
        return
    numeric = columns[own[0]][own[1]].numeric
    for name, table in scope.items():
        for column, values in columns.get(table, {}).items():
            if values.numeric == numeric and (table, column) != own:
                identifiers = (exp.to_identifier(part, quoted=True) for part in (column, name))
                yield "column", exp.Column(**dict(zip(("this", "table"), identifiers, strict=True)))


EDITS: dict[type | tuple[type, ...], Callable[..., Iterator[Edit]]] = {
    tuple(COMPARISONS): edit_comparison,
    exp.Between: edit_between,
    (exp.Between, exp.In, exp.Like, exp.Is): edit_predicate,
    exp.Not: edit_not,
    exp.Connector: edit_connector,
    (exp.Where, exp.Having, exp.Group, exp.Order): edit_clause,
    exp.Limit: edit_limit,
    exp.Ordered: edit_ordered,
    exp.Join: edit_join,
    exp.SetOperation: edit_set_operation,
    exp.Anonymous: edit_call,
    exp.Literal: edit_literal,
    exp.Column: edit_column,
}


def tables_in_scope(node: exp.Expr) -> dict[str, str]:
    """Return name or alias -> stored table, both lower-cased, in FROM of the nearest enclosing SELECT."""
    select = node.find_ancestor(exp.Select)
    items = [select.args.get("from_"), *(select.args.get("joins") or ())] if select else []
    tables = [item.this for item in items if item and isinstance(item.this, exp.Table)]
    return {lower(table.alias_or_name): lower(table.name) for table in tables}


def resolve_column(node: exp.Column, columns: Columns) -> tuple[str, str] | None:
    """Return the (table, column), lower-cased, that a name refers to: in the innermost SELECT that has the column."""
    name, qualifier = lower(node.name), lower(node.text("table"))
    select = node.find_ancestor(exp.Select)
    while select is not None:
        for alias, table in tables_in_scope(select.expressions[0] if select.expressions else select).items():
            if qualifier in ("", alias) and name in columns.get(table, {}):
                return table, name
        select = select.find_ancestor(exp.Select)
    return None


def compared_columns(predicate: exp.Expr, columns: Columns) -> list[tuple[str, str]]:
    """Return the stored columns in a predicate, without those in its subqueries."""
    found = [
        resolve_column(node, columns)
        for node in predicate.walk(prune=lambda node: isinstance(node, exp.Select))
        if isinstance(node, exp.Column)
    ]
    return list(dict.fromkeys(filter(None, found)))


def find_constants(tree: exp.Query, columns: Columns) -> list[tuple[str, str, str]]:
    """Find (table, column, literal as text) for each literal that a column is compared with; LIKE patterns keep `%`.

    Other arguments of functions are not constants of the column: neither '%Y' nor '05' in strftime('%Y', day) = '05'
    needs to be a value of `day`. But for a column with a format, values that contain such a literal are useful, so the
    constant of this example is '%05%'.
    """
    found = []
    for predicate in tree.find_all(*PREDICATES, *CONSTANT_PREDICATES):
        sides = [predicate.this, *(predicate.args.get(key) for key in ("expression", "low", "high"))]
        sides = [side for side in (*sides, *predicate.expressions) if isinstance(side, exp.Expr)]
        literals = [text for side in sides if (text := constant_text(side)) is not None]
        if isinstance(predicate, exp.Glob):
            literals = [text.translate({ord("*"): "%", ord("?"): "_"}) for text in literals]
        for side in sides if literals else ():
            column = resolve_column(direct, columns) if (direct := direct_column(side)) is not None else None
            if column is not None:
                found += [(*column, text) for text in literals]
                continue
            hints = [column for column in compared_columns(side, columns) if has_format(column, columns)]
            found += [(*column, f"%{text.strip('%')}%") for column in hints for text in literals]
            if is_arithmetic(side):
                others = [column for column in compared_columns(side, columns) if column not in hints]
                found += [(*column, text) for column in others for text in literals]
    return list(dict.fromkeys(found))


def has_format(column: tuple[str, str], columns: Columns) -> bool:
    return columns[column[0]][column[1]].format is not None


def constant_text(node: exp.Expr) -> str | None:
    """Return the text of a literal with its sign, also inside date('2020-01-01') and the like; None for other nodes."""
    if isinstance(node, exp.Literal):
        return node.name
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        return f"-{node.this.name}"
    if isinstance(node, exp.Paren | exp.Collate | exp.Cast):
        return constant_text(node.this)
    if isinstance(node, exp.Anonymous) and node.name.upper() in DATE_CALLS and len(node.expressions) == 1:
        return constant_text(node.expressions[0])
    return None


def direct_column(node: exp.Expr) -> exp.Column | None:
    """Return the column that a side of a comparison is, possibly inside functions that keep the kind of its values."""
    while not isinstance(node, exp.Column):
        if isinstance(node, exp.Anonymous) and node.name.upper() in TRANSPARENT_CALLS and node.expressions:
            node = node.expressions[0]
        elif isinstance(node, exp.Paren | exp.Collate | exp.Cast | exp.Distinct | exp.Neg):
            node = node.this
        else:
            return None
    return node


def is_arithmetic(node: exp.Expr) -> bool:
    """Whether an expression consists only of columns, numbers and arithmetic."""
    known = (exp.Column, exp.Identifier, exp.Literal, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
    return all(
        isinstance(part, known) or (isinstance(part, exp.Anonymous) and part.name.upper() in TRANSPARENT_CALLS)
        for part in node.walk()
    )


def ordering_columns(tree: exp.Query, columns: Columns) -> list[tuple[str, str]]:
    """Return the stored columns that rows are ordered by directly, not through an aggregate or expression."""
    terms = [node.this for node in tree.find_all(exp.Ordered)]
    found = [resolve_column(term, columns) for term in terms if isinstance(term, exp.Column)]
    return list(dict.fromkeys(filter(None, found)))
