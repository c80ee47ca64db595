"""What a query leaves to chance: the order of ties, and which row of a group a bare column comes from.

On such a database another right query may give another result, so it proves nothing about a prediction.
"""

from __future__ import annotations

from sqlglot import exp

from kid.evaluation.suites.neighbours import AGGREGATES, EXTREMES, Columns, tables_in_sight, write_query


def both_extremes(tree: exp.Query, columns: Columns) -> tuple[str, str] | None:
    """The query with every such choice made for the smallest and for the largest values that it shows.

    Where both give one result, so does every other choice. Ties need only be broken by the columns shown: rows that
    agree in all of them can change places unseen.

    Returns:
        Two queries; None if the query leaves nothing open.
    """
    smallest, largest = tree.copy(), tree.copy()
    for copy, descending in ((smallest, False), (largest, True)):
        for select in list(copy.find_all(exp.Select)):
            settle_bare_columns(select, "MAX" if descending else "MIN")
        for query in list(copy.find_all(exp.Query)):
            if query.args.get("order") or query.args.get("limit"):
                break_ties(query, columns, descending)
    queries = write_query(smallest), write_query(largest)
    return None if queries[0] == queries[1] else queries


def break_ties(query: exp.Query, columns: Columns, descending: bool) -> None:
    """Let rows that ORDER BY leaves tied come in the order of the columns shown."""
    order = query.args.get("order") or exp.Order(expressions=[])
    for place in range(1, width(query, columns) + 1):
        term = exp.Ordered(this=exp.Literal.number(place), desc=descending, nulls_first=not descending)
        order.append("expressions", term)
    query.set("order", order)


def width(query: exp.Query, columns: Columns) -> int:
    """Number of columns that a query shows."""
    count = 0
    for item in query.selects:
        if isinstance(item, exp.Star | exp.Column) and item.is_star:
            qualifier = item.text("table").lower()
            shown = [table for name, table in tables_in_sight(item).items() if qualifier in ("", name)]
            count += sum(len(columns.get(table, ())) for table in shown)
        else:
            count += 1
    return count


def settle_bare_columns(select: exp.Select, extreme: str) -> None:
    """Take the smallest or largest value of a group for a column that is neither grouped by nor aggregated."""
    calls = [node for part in select.expressions for node in part.find_all(exp.Anonymous)]
    aggregates = [node.name.upper() for node in calls if node.name.upper() in AGGREGATES]
    group = select.args.get("group")
    if not group and not aggregates:
        return
    # SQLite takes bare columns from the row with the minimum or maximum, where there is one of the two.
    if len(aggregates) == 1 and aggregates[0] in EXTREMES:
        return
    # Names that the SELECT list gives are not columns of a group's rows.
    settled = {node.name.lower() for node in (group.expressions if group else ())}
    settled |= {item.alias.lower() for item in select.expressions if isinstance(item, exp.Alias)}
    having, order = select.args.get("having"), select.args.get("order")
    for part in filter(None, (*select.expressions, having, order)):
        for node in list(part.find_all(exp.Column)):
            inside = node.find_ancestor(exp.Anonymous, exp.Select)
            aggregated = isinstance(inside, exp.Anonymous) and inside.name.upper() in AGGREGATES
            own = node.find_ancestor(exp.Select) is select
            if own and not aggregated and not node.is_star and node.name.lower() not in settled:
                wrapped = exp.Anonymous(this=extreme, expressions=[node.copy()])
                # The column keeps its name, by which a query around it may call it.
                node.replace(exp.alias_(wrapped, node.name, quoted=True) if node.parent is select else wrapped)
