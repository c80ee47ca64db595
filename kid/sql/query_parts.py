"""Split two queries into tables, columns, joins and other parts, so that they can be compared part by part.

The parts of all SELECTs of a query are taken together. Differences that cannot change an execution verdict are ignored:
aliases, letter case, quoting, the order of conditions, groups and joined tables, DISTINCT, the argument of COUNT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import chain

from sqlglot import exp

from kid.sql.hardness import parse_query
from kid.sql.literals import separate_literals, sql_text
from kid.sql.parsing import lower

# Comparison operator -> the equivalent operator after exchanging its sides.
MIRRORED = {exp.EQ: exp.EQ, exp.NEQ: exp.NEQ, exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.LTE, exp.LTE: exp.GTE}
# An expression with its literals replaced by `?`, and the literals.
MaskedExpression = tuple[Hashable, tuple[Hashable, ...]]


@dataclass(eq=False)
class QueryBlock:
    """A SELECT, or a node around SELECTs: a set operation or parentheses.

    After resolution its columns are named `table.column` in lower case, or `.column` if several tables could have it;
    aliases of the SELECT list are replaced by Vars, and nested queries by the Var SELECT.
    """

    node: exp.Query
    role: str  # "main", "arm" (of a set operation), "nested" or "derived" (in FROM or WITH)
    parent: QueryBlock | None
    ctes: dict[str, dict[str, str]]  # name -> columns: name -> its definition
    from_items: dict[str, str | dict[str, str]] = field(default_factory=dict)  # name -> table, or columns of a query
    select_aliases: set[str] = field(default_factory=set)  # defined in the SELECT list
    tables: list[str] = field(default_factory=list)
    equal_columns: list[tuple[str, str]] = field(default_factory=list)  # pairs of columns that are equal by a join
    join_kinds: list[tuple[str, str]] = field(default_factory=list)  # ("LEFT", "NATURAL" ..., table)
    conditions: list[exp.Expr] = field(default_factory=list)  # the other conditions


@dataclass
class QueryParts:
    """The parts of all blocks of a query, taken together."""

    tables: set[str] = field(default_factory=set)
    selects: Counter = field(default_factory=Counter)  # number of SELECTs by role
    columns: Counter = field(default_factory=Counter)  # (role, column) in SELECT lists
    # ((role, item of a SELECT list that is not just a column), literals in the item)
    aggregation: list[tuple[tuple[str, str], tuple[str, ...]]] = field(default_factory=list)
    joins: set = field(default_factory=set)  # sets of equal columns, and kinds of join
    conditions: list[MaskedExpression] = field(default_factory=list)
    limits: list[MaskedExpression] = field(default_factory=list)
    grouping: set[str] = field(default_factory=set)
    ordering: set[tuple] = field(default_factory=set)  # (keys and whether they descend, whether there is a limit)
    set_operations: Counter = field(default_factory=Counter)
    selected: list[list[str]] = field(default_factory=list)  # SELECT lists as written


def resolve(sql: str) -> list[QueryBlock]:
    """Parse a query and resolve its names: its blocks, inner ones first. Raises InputError or RecursionError."""
    blocks: list[QueryBlock] = []
    tree = parse_query(sql)
    unify_spellings(tree)
    resolve_query(tree, "main", None, {}, blocks)
    return blocks


def unify_spellings(tree: exp.Query) -> None:
    """Unify spellings: numbers in ORDER BY and GROUP BY, the sides of comparisons, signs, `count(1)`, EXISTS."""
    for sign in list(tree.find_all(exp.Neg)):
        if isinstance(sign.this, exp.Literal) and not sign.this.is_string:
            sign.replace(exp.Literal(this=f"-{sign.this.name}", is_string=False))
    for test in list(tree.find_all(*MIRRORED)):
        if isinstance(test.this, exp.Literal) and not isinstance(test.expression, exp.Literal):
            test.replace(MIRRORED[type(test)](this=test.expression, expression=test.this))
    for call in tree.find_all(exp.Anonymous):
        if call.name.upper() == "COUNT" and [type(argument) for argument in call.expressions] == [exp.Literal]:
            call.set("expressions", [exp.Star()])
    for exists in tree.find_all(exp.Exists):
        if isinstance(exists.this, exp.Select):
            exists.this.set("expressions", [exp.Star()])
    for select in list(tree.find_all(exp.Select)):
        keys = [key.this for key in clause_items(select, "order")] + clause_items(select, "group")
        for key in keys:
            position = int(key.name) if isinstance(key, exp.Literal) and key.name.isdecimal() else 0
            if 0 < position <= len(select.expressions):
                key.replace(select.expressions[position - 1].unalias().copy())


def resolve_query(
    node: exp.Query, role: str, parent: QueryBlock | None, ctes: dict, blocks: list[QueryBlock]
) -> dict[str, str]:
    """Resolve the names of a query in place and add its blocks to `blocks`. Returns its columns: name -> definition."""
    block = QueryBlock(node, role, parent, dict(ctes))
    for cte in node.ctes:
        block.ctes[lower(cte.alias)] = {}  # in case it refers to itself
        block.ctes[lower(cte.alias)] = resolve_query(cte.this, "derived", parent, block.ctes, blocks)
    columns: dict[str, str] = {}
    if isinstance(node, exp.Select):
        for item in filter(None, (node.args.get("from_"), *(node.args.get("joins") or ()))):
            add_from_item(item, block, blocks)
        for star in [item for item in node.expressions if isinstance(item, exp.Star)]:
            star.replace(exp.column("*"))
        for item in node.expressions:
            resolve_names(item, block, blocks)
            columns[lower(item.alias_or_name)] = column_definition(item.unalias().unnest())
        block.select_aliases = {lower(item.alias) for item in node.expressions if isinstance(item, exp.Alias)}
    elif isinstance(node.this, exp.Query):
        if isinstance(node, exp.SetOperation):
            second = "arm" if role == "main" else role
            resolve_query(node.expression, second, parent, block.ctes, blocks)
        columns = resolve_query(node.this, role, parent, block.ctes, blocks)
    for clause in ("where", "group", "having", "order"):
        resolve_names(node.args.get(clause), block, blocks)
    for clause in ("where", "having"):
        add_conditions(node.args.get(clause), block)
    blocks.append(block)
    return columns


def column_definition(item: exp.Expr) -> str:
    """The definition of a derived table's column, truncated because each level of nesting can double its length."""
    return item.name if isinstance(item, exp.Column) else "." + item.sql("sqlite")[:100]


def add_from_item(item: exp.Expr, block: QueryBlock, blocks: list[QueryBlock]) -> None:
    """Add an item of FROM to the block: its table or query, and the conditions in ON and USING."""
    relation, before = item.this, list(block.from_items)
    name = lower(relation.alias_or_name)
    if isinstance(relation, exp.Table):
        block.from_items[name] = block.ctes.get(lower(relation.name), lower(relation.name))
    elif isinstance(relation, exp.Subquery) and isinstance(relation.unnest(), exp.Query):
        block.from_items[name] = resolve_query(relation, "derived", block.parent, block.ctes, blocks)
    elif isinstance(relation, exp.Subquery):  # a table or joins in parentheses
        add_from_item(relation, block, blocks)
    table = block.from_items.get(name)
    if isinstance(table, str):
        block.tables.append(table)
        kind = " ".join(filter(None, (item.args.get("method"), item.args.get("side"))))
        block.join_kinds += [(kind, table)] if kind else []
    for join in relation.args.get("joins") or ():
        add_from_item(join, block, blocks)
    for column in item.args.get("using") or ():
        sides = [column_name(exp.column(column.name, side), block) for side in (name, *before[-1:])]
        block.equal_columns += [(sides[0], sides[-1])]
    resolve_names(item.args.get("on"), block, blocks)
    add_conditions(item.args.get("on"), block)


def resolve_names(node: exp.Expr | None, block: QueryBlock, blocks: list[QueryBlock]) -> None:
    """Replace the columns of an expression by their full names, and resolve its nested queries."""
    for inner in list(node.walk(prune=lambda node: isinstance(node, exp.Query | exp.Column))) if node else ():
        if isinstance(inner, exp.Query):
            resolve_query(inner, "nested", block, block.ctes, blocks)
            inner.replace(exp.Var(this="SELECT"))
        elif isinstance(inner, exp.Column) and not inner.table and lower(inner.name) in block.select_aliases:
            inner.replace(exp.Var(this=lower(inner.name)))
        elif isinstance(inner, exp.Column):
            rename(inner, column_name(inner, block))


def column_name(column: exp.Column, block: QueryBlock | None) -> str:
    """`table.column`, or `.column` if the query alone does not determine the table."""
    qualifier, name = lower(column.table), lower(column.name) or "*"
    while qualifier and block is not None and qualifier not in block.from_items:
        block = block.parent
    if block is None:  # an undefined alias
        return f"{qualifier}.{name}"
    candidates = [block.from_items[qualifier]] if qualifier else list(block.from_items.values())
    for columns in candidates:
        if isinstance(columns, dict) and name in columns:
            return columns[name]
    return f"{candidates[0]}.{name}" if len(candidates) == 1 and isinstance(candidates[0], str) else f".{name}"


def add_conditions(clause: exp.Expr | None, block: QueryBlock) -> None:
    """Add the conditions joined by AND. An equality of two columns is a join condition in any clause."""
    for test in conjuncts(clause.this if isinstance(clause, exp.Where | exp.Having) else clause) if clause else ():
        sides = (test.this, test.expression) if isinstance(test, exp.EQ) else ()
        names = [side.name for side in sides if isinstance(side, exp.Column)]
        if (
            len(names) == 2
            and len(block.from_items) > 1
            and all(table_of(name) in ("", *block.tables) for name in names)
        ):
            block.equal_columns.append((names[0], names[1]))
        elif not isinstance(test, exp.Boolean):  # sqlglot adds ON TRUE where there was no ON
            block.conditions.append(test)


def conjuncts(node: exp.Expr) -> list[exp.Expr]:
    """The conditions joined by AND; a BETWEEN counts as two."""
    node = node.unnest()
    if isinstance(node, exp.And):
        return [test for part in node.flatten() for test in conjuncts(part)]
    if isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        return [exp.GTE(this=node.this.copy(), expression=low), exp.LTE(this=node.this.copy(), expression=high)]
    return [node]


def block_expressions(block: QueryBlock) -> list[exp.Expr]:
    """The expressions of a block, except those of FROM."""
    items = (item.unalias() for item in block.node.expressions)
    return [*items, *block.conditions, *clause_items(block.node, "group"), *clause_items(block.node, "order")]


def clause_items(node: exp.Query, name: str) -> list[exp.Expr]:
    clause = node.args.get(name)
    return clause.expressions if clause else []


def columns_of(block: QueryBlock) -> list[exp.Column]:
    return [column for root in block_expressions(block) for column in root.find_all(exp.Column)]


def rename(column: exp.Column, name: str) -> None:
    column.set("table", None)
    column.set("this", exp.to_identifier(name, quoted=False))


def tables_of(blocks: list[QueryBlock]) -> set[str]:
    return {table for block in blocks for table in block.tables}


def table_of(name: str) -> str:
    return name.partition(".")[0]


def unify_column_names(gold: list[QueryBlock], predicted: list[QueryBlock]) -> set[str]:
    """Give each column the same name in both queries. Returns the tables that both use.

    Columns that are equal by a join get one name: it makes no difference whether `song.singer_id` or `singer.id` is
    selected. (This excludes self-joins, where a name does not determine which of the two tables is meant.) If only one
    query uses a column's table, the column and all columns of the same name lose their table: the difference in tables
    is counted separately.
    """
    blocks = [*gold, *predicted]
    qualify_columns(blocks)
    shared = tables_of(gold) & tables_of(predicted)
    pairs = [pair for block in blocks if len(set(block.tables)) == len(block.tables) for pair in block.equal_columns]
    names: dict[str, str] = {}
    for group in connected_groups(pairs):
        names |= dict.fromkeys(group, min(group, key=lambda name: (table_of(name) not in shared, name)))
    columns = [column for block in blocks for column in columns_of(block)]
    for column in columns:
        rename(column, names.get(column.name, column.name))
    loose = {column.name.partition(".")[2] for column in columns if table_of(column.name) not in shared}
    for column in columns:
        bare = column.name.partition(".")[2]
        if bare in loose:
            rename(column, "." + bare)
    return shared


def connected_groups(pairs: list[tuple[str, str]]) -> list[set[str]]:
    """The connected components of names under the given equalities."""
    groups: list[set[str]] = []
    for pair in pairs:
        separate = [group for group in groups if group.isdisjoint(pair)]
        groups = [*separate, set(pair).union(*(group for group in groups if not group.isdisjoint(pair)))]
    return groups


def qualify_columns(blocks: list[QueryBlock]) -> None:
    """Complete `.column` to `table.column` if the two queries use it with exactly one of the block's tables."""
    known = {column.name for block in blocks for column in columns_of(block)}
    known = known.union(*(pair for block in blocks for pair in block.equal_columns))

    def qualified(name: str, block: QueryBlock) -> str:
        possible = {table + name for table in block.tables if name.startswith(".")} & known
        return min(possible) if len(possible) == 1 else name

    for block in blocks:
        for column in columns_of(block):
            rename(column, qualified(column.name, block))
        block.equal_columns = [(qualified(a, block), qualified(b, block)) for a, b in block.equal_columns]


def extract_parts(blocks: list[QueryBlock], shared: set[str]) -> QueryParts:
    """The parts of a query's blocks; modifies their nodes. shared: tables that both queries use."""
    parts = QueryParts(tables=tables_of(blocks))
    equal = [pair for block in blocks for pair in block.equal_columns]
    groups = (frozenset(name for name in group if table_of(name) in shared) for group in connected_groups(equal))
    parts.joins.update(group for group in groups if len(group) > 1)
    parts.joins.update(kind for block in blocks for kind in block.join_kinds if kind[1] in shared)
    for block in blocks:
        node, items = block.node, [item.unalias().unnest() for item in block.node.expressions]
        parts.selected += [list(map(sql_text, items))] if items else []
        for call in chain.from_iterable(root.find_all(exp.Anonymous) for root in block_expressions(block)):
            simplify_call(call)
        definitions = {
            lower(item.alias): sql_text(item.this) for item in node.expressions if isinstance(item, exp.Alias)
        }
        for alias in chain.from_iterable(root.find_all(exp.Var) for root in block_expressions(block)):
            alias.set("this", definitions.get(alias.name, alias.name))

        if isinstance(node, exp.SetOperation):
            parts.set_operations[node.key + " all" * (not node.args.get("distinct"))] += 1
        parts.conditions += map(separate_literals, block.conditions)
        parts.grouping.update(map(sql_text, clause_items(node, "group")))
        keys = tuple((sql_text(key.this), bool(key.args.get("desc"))) for key in clause_items(node, "order"))
        limits = [node.args[name].expression for name in ("limit", "offset") if node.args.get(name)]
        parts.ordering |= {(keys, bool(limits))} if keys or limits else set()
        parts.limits += [("LIMIT", separate_literals(limit)) for limit in limits]
        parts.selects[block.role] += isinstance(node, exp.Select)
        for item in items:
            add_select_item(item, block.role, parts)
    return parts


def add_select_item(item: exp.Expr, role: str, parts: QueryParts) -> None:
    """Add an item of a SELECT list to `parts`: its columns, and the expression over them."""
    columns = list(item.find_all(exp.Column))
    parts.columns.update((role, column.name) for column in columns)
    if not isinstance(item, exp.Column):
        for column in columns:
            rename(column, "#")
        head, literals = separate_literals(item)
        parts.aggregation.append(((role, head), literals))


def simplify_call(call: exp.Anonymous) -> None:
    """Drop DISTINCT, as the evaluation does, and the argument of COUNT, which then only matters where it is NULL."""
    arguments = call.expressions
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        arguments = arguments[0].expressions
    if call.name.upper() == "COUNT" and len(arguments) == 1 and isinstance(arguments[0], exp.Column):
        arguments = [exp.Star()]
    call.set("expressions", arguments)
