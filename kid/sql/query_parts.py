"""Two queries taken apart into tables, columns, joins and so on, so that they can be compared part by part.

All SELECTs of a query count together. What cannot change an execution verdict is left out: aliases, letter case,
quoting, the order of conditions, groups and joined tables, DISTINCT, the argument of COUNT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import chain

from sqlglot import exp

from kid.sql.hardness import parse_query
from kid.sql.normalise import lower

# A comparison, and what it is with its sides exchanged.
TURNED = {exp.EQ: exp.EQ, exp.NEQ: exp.NEQ, exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.LTE, exp.LTE: exp.GTE}
Item = tuple[Hashable, tuple[str, ...]]


@dataclass(eq=False)
class QueryBlock:
    """A SELECT, or what stands around SELECTs: a set operation, brackets.

    Once resolved, its columns are called `table.column` in lower case, or `.column` where several tables could have it;
    names that the SELECT list gives have become Vars, nested queries the Var SELECT.
    """

    node: exp.Query
    role: str  # "main", "arm" of a set operation, "nested", "source" in FROM or WITH
    parent: QueryBlock | None
    ctes: dict[str, dict[str, str]]  # name -> columns: name -> what it stands for
    sources: dict[str, str | dict[str, str]] = field(default_factory=dict)  # FROM: name -> table, or columns
    given: set[str] = field(default_factory=set)  # names that the SELECT list gives
    tables: list[str] = field(default_factory=list)
    equal: list[tuple[str, str]] = field(default_factory=list)  # columns that a join equates
    kinds: list[tuple[str, str]] = field(default_factory=list)  # ("LEFT", "NATURAL" ..., table)
    tests: list[exp.Expr] = field(default_factory=list)  # the other conditions


@dataclass
class Parts:
    """A query taken apart; an Item is an expression with `?` for its literals, and these."""

    tables: set[str] = field(default_factory=set)
    selects: Counter = field(default_factory=Counter)  # SELECTs of each role
    columns: Counter = field(default_factory=Counter)  # (role, column) in SELECT lists
    aggregation: list[Item] = field(default_factory=list)  # of (role, what is more than a column in SELECT lists)
    joins: set = field(default_factory=set)  # sets of equal columns, and kinds
    conditions: list[Item] = field(default_factory=list)
    limits: list[Item] = field(default_factory=list)
    grouping: set[str] = field(default_factory=set)
    ordering: set[tuple] = field(default_factory=set)  # (keys and whether they descend, whether there is a limit)
    set_operations: Counter = field(default_factory=Counter)
    selected: list[list[str]] = field(default_factory=list)  # SELECT lists as they are


def resolve(sql: str) -> list[QueryBlock]:
    """The blocks of a query, inner ones first. Raises InputError or RecursionError."""
    blocks: list[QueryBlock] = []
    tree = parse_query(sql)
    spell_alike(tree)
    resolve_query(tree, "main", None, {}, blocks)
    return blocks


def spell_alike(tree: exp.Query) -> None:
    """Give what can be spelt in two ways one: positions in ORDER BY and GROUP BY, sides, signs, `count(1)`, EXISTS."""
    for sign in list(tree.find_all(exp.Neg)):
        if isinstance(sign.this, exp.Literal) and not sign.this.is_string:
            sign.replace(exp.Literal(this=f"-{sign.this.name}", is_string=False))
    for test in list(tree.find_all(*TURNED)):
        if isinstance(test.this, exp.Literal) and not isinstance(test.expression, exp.Literal):
            test.replace(TURNED[type(test)](this=test.expression, expression=test.this))
    for call in tree.find_all(exp.Anonymous):
        if call.name.upper() == "COUNT" and [type(argument) for argument in call.expressions] == [exp.Literal]:
            call.set("expressions", [exp.Star()])
    for exists in tree.find_all(exp.Exists):
        if isinstance(exists.this, exp.Select):
            exists.this.set("expressions", [exp.Star()])
    for select in list(tree.find_all(exp.Select)):
        keys = [key.this for key in clause_items(select, "order")] + clause_items(select, "group")
        for key in keys:
            place = int(key.name) if isinstance(key, exp.Literal) and key.name.isdecimal() else 0
            if 0 < place <= len(select.expressions):
                key.replace(select.expressions[place - 1].unalias().copy())


def resolve_query(
    node: exp.Query, role: str, parent: QueryBlock | None, ctes: dict, blocks: list[QueryBlock]
) -> dict[str, str]:
    """Resolve the names in a query, in place, and add its blocks. Returns its columns: name -> what it stands for."""
    block = QueryBlock(node, role, parent, dict(ctes))
    for cte in node.ctes:
        block.ctes[lower(cte.alias)] = {}  # should it name itself
        block.ctes[lower(cte.alias)] = resolve_query(cte.this, "source", parent, block.ctes, blocks)
    columns: dict[str, str] = {}
    if isinstance(node, exp.Select):
        for item in filter(None, (node.args.get("from_"), *(node.args.get("joins") or ()))):
            add_from_item(item, block, blocks)
        for star in [item for item in node.expressions if isinstance(item, exp.Star)]:
            star.replace(exp.column("*"))
        for item in node.expressions:
            resolve_names(item, block, blocks)
            columns[lower(item.alias_or_name)] = meaning(item.unalias().unnest())
        block.given = {lower(item.alias) for item in node.expressions if isinstance(item, exp.Alias)}
    elif isinstance(node.this, exp.Query):
        if isinstance(node, exp.SetOperation):
            second = "arm" if role == "main" else role
            resolve_query(node.expression, second, parent, block.ctes, blocks)
        columns = resolve_query(node.this, role, parent, block.ctes, blocks)
    for clause in ("where", "group", "having", "order"):
        resolve_names(node.args.get(clause), block, blocks)
    for clause in ("where", "having"):
        add_tests(node.args.get(clause), block)
    blocks.append(block)
    return columns


def meaning(item: exp.Expr) -> str:
    """What a column of a derived table stands for; cut short, since nested tables could double it each time."""
    return item.name if isinstance(item, exp.Column) else "." + item.sql("sqlite")[:100]


def add_from_item(item: exp.Expr, block: QueryBlock, blocks: list[QueryBlock]) -> None:
    """Add an item of FROM to the block: the table or query in it, and what its ON and USING say."""
    source, before = item.this, list(block.sources)
    name = lower(source.alias_or_name)
    if isinstance(source, exp.Table):
        block.sources[name] = block.ctes.get(lower(source.name), lower(source.name))
    elif isinstance(source, exp.Subquery) and isinstance(source.unnest(), exp.Query):
        block.sources[name] = resolve_query(source, "source", block.parent, block.ctes, blocks)
    elif isinstance(source, exp.Subquery):  # a table or joins in brackets
        add_from_item(source, block, blocks)
    table = block.sources.get(name)
    if isinstance(table, str):
        block.tables.append(table)
        kind = " ".join(filter(None, (item.args.get("method"), item.args.get("side"))))
        block.kinds += [(kind, table)] if kind else []
    for join in source.args.get("joins") or ():
        add_from_item(join, block, blocks)
    for column in item.args.get("using") or ():
        sides = [column_name(exp.column(column.name, side), block) for side in (name, *before[-1:])]
        block.equal += [(sides[0], sides[-1])]
    resolve_names(item.args.get("on"), block, blocks)
    add_tests(item.args.get("on"), block)


def resolve_names(node: exp.Expr | None, block: QueryBlock, blocks: list[QueryBlock]) -> None:
    """Give the columns in an expression their full names, and resolve the queries in it."""
    for inner in list(node.walk(prune=lambda node: isinstance(node, exp.Query | exp.Column))) if node else ():
        if isinstance(inner, exp.Query):
            resolve_query(inner, "nested", block, block.ctes, blocks)
            inner.replace(exp.Var(this="SELECT"))
        elif isinstance(inner, exp.Column) and not inner.table and lower(inner.name) in block.given:
            inner.replace(exp.Var(this=lower(inner.name)))
        elif isinstance(inner, exp.Column):
            rename(inner, column_name(inner, block))


def column_name(column: exp.Column, block: QueryBlock | None) -> str:
    """`table.column`, or `.column` where the query alone does not tell which table's."""
    qualifier, name = lower(column.table), lower(column.name) or "*"
    while qualifier and block is not None and qualifier not in block.sources:
        block = block.parent
    if block is None:  # an alias that nothing has
        return f"{qualifier}.{name}"
    sources = [block.sources[qualifier]] if qualifier else list(block.sources.values())
    for columns in sources:
        if isinstance(columns, dict) and name in columns:
            return columns[name]
    return f"{sources[0]}.{name}" if len(sources) == 1 and isinstance(sources[0], str) else f".{name}"


def add_tests(clause: exp.Expr | None, block: QueryBlock) -> None:
    """Sort the conditions that AND connects: two columns that must be equal are a join, wherever that stands."""
    for test in conjuncts(clause.this if isinstance(clause, exp.Where | exp.Having) else clause) if clause else ():
        sides = (test.this, test.expression) if isinstance(test, exp.EQ) else ()
        names = [side.name for side in sides if isinstance(side, exp.Column)]
        if len(names) == 2 and len(block.sources) > 1 and all(table_of(name) in ("", *block.tables) for name in names):
            block.equal.append((names[0], names[1]))
        elif not isinstance(test, exp.Boolean):  # sqlglot's ON TRUE where there was none
            block.tests.append(test)


def conjuncts(node: exp.Expr) -> list[exp.Expr]:
    """What AND connects; BETWEEN is two of them."""
    node = node.unnest()
    if isinstance(node, exp.And):
        return [test for part in node.flatten() for test in conjuncts(part)]
    if isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        return [exp.GTE(this=node.this.copy(), expression=low), exp.LTE(this=node.this.copy(), expression=high)]
    return [node]


def roots(block: QueryBlock) -> list[exp.Expr]:
    """The expressions of a block, without what FROM holds."""
    items = (item.unalias() for item in block.node.expressions)
    return [*items, *block.tests, *clause_items(block.node, "group"), *clause_items(block.node, "order")]


def clause_items(node: exp.Query, name: str) -> list[exp.Expr]:
    clause = node.args.get(name)
    return clause.expressions if clause else []


def columns_of(block: QueryBlock) -> list[exp.Column]:
    return [column for root in roots(block) for column in root.find_all(exp.Column)]


def rename(column: exp.Column, name: str) -> None:
    column.set("table", None)
    column.set("this", exp.to_identifier(name, quoted=False))


def tables_of(blocks: list[QueryBlock]) -> set[str]:
    return {table for block in blocks for table in block.tables}


def table_of(name: str) -> str:
    return name.partition(".")[0]


def give_common_names(gold: list[QueryBlock], predicted: list[QueryBlock]) -> set[str]:
    """Call a column by one name in both queries. Returns the tables that both use.

    Columns that a join equates are one: selecting `song.singer_id` or `singer.id` is the same. (Not where a table is
    joined to itself: there a name does not tell which of the two is meant.) A column of a table that only one query has
    goes without its table, and so do those of its name: that the table is another is a difference of its own.
    """
    blocks = [*gold, *predicted]
    settle_columns(blocks)
    shared = tables_of(gold) & tables_of(predicted)
    pairs = [pair for block in blocks if len(set(block.tables)) == len(block.tables) for pair in block.equal]
    names: dict[str, str] = {}
    for group in connected(pairs):
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


def connected(pairs: list[tuple[str, str]]) -> list[set[str]]:
    """The sets of names that equalities connect."""
    groups: list[set[str]] = []
    for pair in pairs:
        apart = [group for group in groups if group.isdisjoint(pair)]
        groups = [*apart, set(pair).union(*(group for group in groups if not group.isdisjoint(pair)))]
    return groups


def settle_columns(blocks: list[QueryBlock]) -> None:
    """Call a `.column` by the table that it is of elsewhere in either query, where that is one table in sight."""
    known = {column.name for block in blocks for column in columns_of(block)}
    known = known.union(*(pair for block in blocks for pair in block.equal))

    def settled(name: str, block: QueryBlock) -> str:
        possible = {table + name for table in block.tables if name.startswith(".")} & known
        return min(possible) if len(possible) == 1 else name

    for block in blocks:
        for column in columns_of(block):
            rename(column, settled(column.name, block))
        block.equal = [(settled(a, block), settled(b, block)) for a, b in block.equal]


def take_apart(blocks: list[QueryBlock], shared: set[str]) -> Parts:
    """The parts of all blocks of a query together; rewrites their nodes. `shared`: tables of both queries."""
    parts = Parts(tables=tables_of(blocks))
    equal = [pair for block in blocks for pair in block.equal]
    groups = (frozenset(name for name in group if table_of(name) in shared) for group in connected(equal))
    parts.joins.update(group for group in groups if len(group) > 1)
    parts.joins.update(kind for block in blocks for kind in block.kinds if kind[1] in shared)
    for block in blocks:
        node, items = block.node, [item.unalias().unnest() for item in block.node.expressions]
        parts.selected += [list(map(text, items))] if items else []
        for call in chain.from_iterable(root.find_all(exp.Anonymous) for root in roots(block)):
            simplify_call(call)
        meanings = {lower(item.alias): text(item.this) for item in node.expressions if isinstance(item, exp.Alias)}
        for given in chain.from_iterable(root.find_all(exp.Var) for root in roots(block)):
            given.set("this", meanings.get(given.name, given.name))

        if isinstance(node, exp.SetOperation):
            parts.set_operations[node.key + " all" * (not node.args.get("distinct"))] += 1
        parts.conditions += map(without_literals, block.tests)
        parts.grouping.update(map(text, clause_items(node, "group")))
        keys = tuple((text(key.this), bool(key.args.get("desc"))) for key in clause_items(node, "order"))
        limits = [node.args[name].expression for name in ("limit", "offset") if node.args.get(name)]
        parts.ordering |= {(keys, bool(limits))} if keys or limits else set()
        parts.limits += [("LIMIT", without_literals(limit)) for limit in limits]
        parts.selects[block.role] += isinstance(node, exp.Select)
        for item in items:
            take_item(item, block.role, parts)
    return parts


def take_item(item: exp.Expr, role: str, parts: Parts) -> None:
    """Add an item of a SELECT list: its columns, and what is made of them."""
    columns = list(item.find_all(exp.Column))
    parts.columns.update((role, column.name) for column in columns)
    if not isinstance(item, exp.Column):
        for column in columns:
            rename(column, "#")
        head, literals = without_literals(item)
        parts.aggregation.append(((role, head), literals))


def simplify_call(call: exp.Anonymous) -> None:
    """Drop DISTINCT, as the evaluation does; what COUNT counts then only matters where it is NULL."""
    arguments = call.expressions
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        arguments = arguments[0].expressions
    if call.name.upper() == "COUNT" and len(arguments) == 1 and isinstance(arguments[0], exp.Column):
        arguments = [exp.Star()]
    call.set("expressions", arguments)


def without_literals(node: exp.Expr) -> tuple[str, tuple[str, ...]]:
    """An expression with `?` for its literals, and these; what OR and AND connect, and lists, are sorted."""
    node = node.unnest()
    if isinstance(node, exp.And | exp.Or):
        pieces = sorted(without_literals(part) for part in node.flatten())
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
    return text(node), tuple(literals)


def literal_value(literal: exp.Literal) -> str:
    """As SQLite compares it with a column: 5, 5.0 and '5' are one value; LIKE ignores letter case."""
    try:
        return str(float(literal.name))
    except ValueError:
        return lower(literal.name) if isinstance(literal.parent, exp.Like) else literal.name


def text(node: exp.Expr) -> str:
    return node.unnest().sql("sqlite")
