"""Resolve the names of tables and columns in sqlglot's tree of a query, by SQLite's rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sqlglot import exp

from kid.errors import InputError
from kid.sql.parsing import lower

ROW_IDS = ("rowid", "oid", "_rowid_")


@dataclass(eq=False)
class FromItem:
    """One item of FROM, in lower case.

    name: its name in the scope. table: the stored table, or None for a query or CTE. columns: None if unknown.
    keeps_alias: whether the canonical form uses `name` instead of the table's name.
    """

    name: str
    table: str | None
    columns: list[str] | None
    keeps_alias: bool

    @property
    def canonical_name(self) -> str:
        return self.name if self.keeps_alias else self.table


@dataclass(eq=False)
class Scope:
    """The names visible in one SELECT: its FROM items, the CTEs, the aliases of its SELECT list, the outer SELECT."""

    parent: Scope | None
    ctes: dict[str, list[str] | None]
    from_items: list[FromItem] = field(default_factory=list)
    output_names: set[str] = field(default_factory=set)


@dataclass
class NameResolution:
    """What the names of a query refer to. Positions are offsets of tokens in the query.

    tables: stored table -> its columns, in lower case.
    column_uses: (item of FROM, column or None for all).
    aliases: (position, item of FROM).
    qualifiers: (position, item of FROM, items that must not have the same name).
    string_positions: positions of strings in double quotes.
    unknown_names: names that could not be resolved.
    problems: reasons not to normalise the query.
    cte_uses: CTE -> how often FROM clauses name it.
    """

    query: str
    tables: dict[str, list[str]]
    scopes: list[Scope] = field(default_factory=list)
    column_uses: list[tuple[FromItem, str | None]] = field(default_factory=list)
    aliases: list[tuple[int, FromItem]] = field(default_factory=list)
    qualifiers: list[tuple[int, FromItem, list[FromItem]]] = field(default_factory=list)
    string_positions: set[int] = field(default_factory=set)
    unknown_names: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    cte_uses: Counter[str] = field(default_factory=Counter)


def position(node: exp.Expr) -> int:
    """The offset of an identifier in the query. Raises InputError if sqlglot does not know it."""
    if "start" not in node.meta:
        raise InputError(f"sqlglot does not know the position of {node.name}")
    return node.meta["start"]


def resolve_query(node: exp.Expr, parent: Scope | None, ctes: dict, resolution: NameResolution) -> Scope:
    """Resolve a SELECT, a set operation, VALUES, or one of these in parentheses. Returns the scope of its ORDER BY."""
    scope = Scope(parent, dict(ctes))
    for cte in node.ctes if isinstance(node, exp.Query) else ():
        name, columns = lower(cte.alias), [lower(column.name) for column in cte.args["alias"].columns]
        scope.ctes[name] = columns or output_columns(cte.this, Scope(None, {}))  # if it refers to itself
        inner = resolve_query(cte.this, parent, scope.ctes, resolution)
        scope.ctes[name] = columns or output_columns(cte.this, inner)
    if isinstance(node, exp.Subquery):
        return resolve_query(node.this, parent, scope.ctes, resolution)
    parts = [node]  # VALUES
    if isinstance(node, exp.SetOperation):
        for arm in (node.this, node.expression):
            if arm.args.get("order") or arm.args.get("limit"):
                resolution.problems.append("ORDER BY or LIMIT before a set operation")
            inner = resolve_query(arm, parent, scope.ctes, resolution)
            names = {from_item.name for from_item in scope.from_items}
            scope.from_items += [from_item for from_item in inner.from_items if from_item.name not in names]
            scope.output_names |= inner.output_names | set(output_columns(arm, inner) or ())
        parts = [node.args.get(key) for key in ("order", "limit", "offset")]
    elif isinstance(node, exp.Select):
        resolution.scopes.append(scope)
        parts = []  # the conditions of joins come first
        for item in filter(None, (node.args.get("from_"), *(node.args.get("joins") or ()))):
            add_from_item(item, scope, parts, resolution)
        for expression in node.expressions:
            if isinstance(expression, exp.Star):
                resolution.column_uses += [(from_item, None) for from_item in scope.from_items]
            resolve_names(expression, scope, resolution)
        # In SQLite, aliases of the SELECT list are visible everywhere except in the list.
        scope.output_names = {lower(item.alias) for item in node.expressions if isinstance(item, exp.Alias)}
        for key, value in node.args.items():
            if key not in ("with_", "from_", "joins", "expressions"):
                parts += value if isinstance(value, list) else [value]
    for part in parts:
        resolve_names(part, scope, resolution)
    return scope


def add_from_item(node: exp.Expr, scope: Scope, conditions: list[exp.Expr], resolution: NameResolution) -> None:
    """Add the tables and queries of an item of FROM to the scope, and its join conditions to `conditions`."""
    if isinstance(node, exp.From | exp.Join):
        conditions += [node.args.get("on"), *(node.args.get("using") or ())]
        return add_from_item(node.this, scope, conditions, resolution)
    alias = node.args.get("alias")
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        name = lower(node.name)
        stored = node.db != "" or name not in scope.ctes
        columns = resolution.tables.get(name) if stored else scope.ctes[name]
        resolution.cte_uses[name] += not stored
        scope.from_items.append(FromItem(lower(node.alias) or name, name if stored else None, columns, not stored))
    elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select | exp.SetOperation):
        columns = output_columns(node.this, resolve_query(node.this, scope.parent, scope.ctes, resolution))
        scope.from_items.append(FromItem(lower(node.alias), None, columns, True))
    elif isinstance(node, exp.Subquery) and alias is None:  # joins in parentheses
        add_from_item(node.this, scope, conditions, resolution)
    else:
        raise InputError("has something other than tables and queries in FROM")
    if alias is not None and alias.this is not None:
        resolution.aliases.append((position(alias.this), scope.from_items[-1]))
    for join in node.args.get("joins") or ():
        add_from_item(join, scope, conditions, resolution)


def output_columns(node: exp.Expr, scope: Scope) -> list[str] | None:
    """Names of a query's result columns in lower case; None if they are unknown."""
    names: list[str] = []
    for item in node.selects if isinstance(node, exp.Query) else ():  # for a set operation, those of its first SELECT
        if isinstance(item, exp.Star | exp.Column) and item.is_star:
            for from_item in scope.from_items:
                if from_item.columns is None:
                    return None
                names += from_item.columns if lower(item.text("table")) in ("", from_item.name) else ()
        elif isinstance(item, exp.Alias | exp.Column):
            names.append(lower(item.alias_or_name))
        else:
            names.append(lower(item.sql("sqlite")).replace(" ", ""))  # SQLite names it by its text
    return names or None


def resolve_names(node: exp.Expr | None, scope: Scope, resolution: NameResolution) -> None:
    """Resolve the columns and nested queries of an expression."""
    stack = [node] if isinstance(node, exp.Expr) else []
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Select | exp.SetOperation):
            resolve_query(node, scope, scope.ctes, resolution)
        elif isinstance(node, exp.Column):
            resolve_column(node, scope, resolution)
        elif isinstance(node, exp.Identifier) and node.arg_key == "using":
            resolution.column_uses += [
                (from_item, lower(node.name)) for from_item in find_from_items("", lower(node.name), scope)[0] or ()
            ]
        else:
            stack += node.iter_expressions(reverse=True)


def resolve_column(node: exp.Column, scope: Scope, resolution: NameResolution) -> None:
    qualifier = node.args.get("table")
    column = "*" if node.is_star else lower(node.name)
    from_items, shadowing = find_from_items(lower(qualifier.name) if qualifier else "", column, scope)
    quoted = qualifier is None and resolution.query[position(node.this)] == '"'
    known = any(column in (*ROW_IDS, "*", *(from_item.columns or ())) for from_item in from_items or ())
    if qualifier is not None and (from_items is None or (len(from_items) > 1 and column != "*")):
        resolution.problems.append(f"{qualifier.name} names {'several tables' if from_items else 'no visible table'}")
    elif qualifier is not None:
        resolution.qualifiers.append((position(qualifier), from_items[0], shadowing))
    elif quoted and not known and from_items != []:
        resolution.string_positions.add(position(node.this))  # SQLite reads it as a string if no column has this name
    if not known and (from_items or (from_items is None and not quoted)):
        resolution.unknown_names.add(column)
    resolution.column_uses += [(from_item, None if column == "*" else column) for from_item in from_items or ()]


def find_from_items(qualifier: str, column: str, scope: Scope | None) -> tuple[list[FromItem] | None, list[FromItem]]:
    """Find the items of FROM that a column comes from, searching the innermost scope first, as SQLite does.

    Returns:
        (items, shadowing). items: several if ambiguous, empty for an alias of the SELECT list, None if nothing has this
        name. shadowing: all items of the inner scopes that were searched before.
    """
    shadowing: list[FromItem] = []
    second_best: tuple[list[FromItem], list[FromItem]] | None = None
    while scope is not None:
        named = [from_item for from_item in scope.from_items if qualifier in ("", from_item.name)]
        matching = named if column == "*" else [from_item for from_item in named if column in (from_item.columns or ())]
        if matching or (not qualifier and column in scope.output_names):
            return matching, shadowing
        uncertain = [
            from_item for from_item in named if from_item.columns is None or (column in ROW_IDS and len(named) == 1)
        ]
        if second_best is None and (uncertain or (named and qualifier)):
            second_best = uncertain or named, list(shadowing)
        shadowing += scope.from_items
        scope = scope.parent
    return second_best or (None, shadowing)
