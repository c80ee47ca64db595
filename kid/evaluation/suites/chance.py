"""Nondeterminism of queries: the order of ties, and the row of a group that a bare column is taken from.

If the result depends on it, another correct query may have a different result, so the database proves nothing about a
prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlglot import exp

from kid.evaluation.suites.neighbours import AGGREGATES, EXTREMES, tables_in_scope, to_sql

# The columns of each table; names are lower-cased.
ColumnNames = Mapping[str, Collection[str]]


def extreme_queries(tree: exp.Query, columns: ColumnNames) -> tuple[str, str] | None:
    """Return the query with every such choice resolved to the smallest, and to the largest, values that it outputs.

    If both have the same result, so has every other choice. Breaking ties by the output columns is enough: rows that
    are equal in all of them are interchangeable.

    Returns:
        Two queries; None if the query is deterministic.
    """
    smallest, largest = tree.copy(), tree.copy()
    for copy, descending in ((smallest, False), (largest, True)):
        for select in list(copy.find_all(exp.Select)):
            aggregate_bare_columns(select, "MAX" if descending else "MIN")
        for query in list(copy.find_all(exp.Query)):
            if query.args.get("order") or query.args.get("limit"):
                break_ties(query, columns, descending)
    queries = to_sql(smallest), to_sql(largest)
    return None if queries[0] == queries[1] else queries


def break_ties(query: exp.Query, columns: ColumnNames, descending: bool) -> None:
    """Order rows that ORDER BY leaves tied by the output columns."""
    order = query.args.get("order") or exp.Order(expressions=[])
    for position in range(1, count_output_columns(query, columns) + 1):
        term = exp.Ordered(this=exp.Literal.number(position), desc=descending, nulls_first=not descending)
        order.append("expressions", term)
    query.set("order", order)


def count_output_columns(query: exp.Query, columns: ColumnNames) -> int:
    """Count the columns that a query outputs."""
    count = 0
    for item in query.selects:
        if isinstance(item, exp.Star | exp.Column) and item.is_star:
            qualifier = item.text("table").lower()
            shown = [table for name, table in tables_in_scope(item).items() if qualifier in ("", name)]
            count += sum(len(columns.get(table, ())) for table in shown)
        else:
            count += 1
    return count


def takes_row_of_extreme(select: exp.Select) -> bool:
    """Whether bare columns come from the row that has the SELECT list's single MIN or MAX, as SQLite documents."""
    aggregates = aggregates_of(select)
    return len(aggregates) == 1 and aggregates[0] in EXTREMES


def aggregates_of(select: exp.Select) -> list[str]:
    calls = [node for part in select.expressions for node in part.find_all(exp.Anonymous)]
    return [node.name.upper() for node in calls if node.name.upper() in AGGREGATES]


def bare_columns(select: exp.Select) -> list[exp.Column]:
    """Find the columns of a SELECT with groups or aggregates that are neither grouped by nor aggregated."""
    group = select.args.get("group")
    if not group and not aggregates_of(select):
        return []
    # Aliases of the SELECT list are not columns of a group's rows.
    not_bare = {node.name.lower() for node in (group.expressions if group else ())}
    not_bare |= {item.alias.lower() for item in select.expressions if isinstance(item, exp.Alias)}
    having, order = select.args.get("having"), select.args.get("order")
    # What a position in GROUP BY stands for is grouped by: GROUP BY 1.
    positions = [int(node.name) for node in (group.expressions if group else ()) if node.is_int]
    ungrouped = [item for place, item in enumerate(select.expressions, 1) if place not in positions]
    found = []
    for part in filter(None, (*ungrouped, having, order)):
        for node in part.find_all(exp.Column):
            own = node.find_ancestor(exp.Select) is select
            if own and not is_aggregated(node) and not node.is_star and node.name.lower() not in not_bare:
                found.append(node)
    return found


def is_aggregated(column: exp.Column) -> bool:
    """Whether a column is inside an aggregate of its SELECT, also within another function, as in SUM(ABS(x))."""
    inside = column.find_ancestor(exp.Anonymous, exp.Select)
    while isinstance(inside, exp.Anonymous):
        if inside.name.upper() in AGGREGATES:
            return True
        inside = inside.find_ancestor(exp.Anonymous, exp.Select)
    return False


def aggregate_bare_columns(select: exp.Select, extreme: str) -> None:
    """Wrap columns that are neither grouped by nor aggregated in `extreme`: "MIN" or "MAX"."""
    for node in [] if takes_row_of_extreme(select) else bare_columns(select):
        wrapped = exp.Anonymous(this=extreme, expressions=[node.copy()])
        # The column keeps its name, because an outer query may refer to it.
        node.replace(exp.alias_(wrapped, node.name, quoted=True) if node.parent is select else wrapped)
