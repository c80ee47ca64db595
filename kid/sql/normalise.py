"""Rewrite gold SQL in one canonical form, and find the tables and columns that it uses.

Names are resolved in sqlglot's tree. The text is then written from the query's own tokens, not by sqlglot's generator,
which renames functions, changes the types in casts and respells numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import ParseError, TokenError, exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.tokens import Token, TokenType

from kid.errors import InputError
from kid.sql.parsing import SPECIAL, PlainParser, join_operators, lower

# Words that SQLite, or sqlglot when it reads the result again, does not accept as a bare name everywhere.
KEYWORDS = """add all alter and any as autoincrement between case cast check collate commit constraint create cross
    current_date current_time current_timestamp default deferrable delete describe distinct drop else escape except
    exists false fetch for foreign from glob grant group having if ilike in index inner insert intersect into is isnull
    join lateral like limit not nothing notnull null offset on or order outer primary qualify raise references regexp
    returning revoke rlike rollback select set table tablesample then to transaction true uncache union unique update
    using values when where window with xor"""
RESERVED = frozenset(KEYWORDS.split())
# Words after which a bracket does not open a function's arguments.
NOT_FUNCTIONS = RESERVED - {"cast", "if", "raise"} | {"by", "filter", "match", "materialized", "over"}
OPERANDS = frozenset(("END", "NULL", "TRUE", "FALSE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"))
ROW_IDS = ("rowid", "oid", "_rowid_")
OPERATOR_SPELLINGS = {"<>": "!=", "==": "="}


@dataclass(eq=False)
class FromItem:
    """One item of FROM, lower-cased: its name in the scope, the stored table if it is one, its columns if known.

    keeps_alias: whether it is written under `name` rather than under its table's name.
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
    """What one SELECT sees: its FROM, the CTEs, the names that its SELECT list defines, and the SELECT around it."""

    parent: Scope | None
    ctes: dict[str, list[str] | None]
    from_items: list[FromItem] = field(default_factory=list)
    output_names: set[str] = field(default_factory=set)


@dataclass
class NameResolution:
    """What the names of a query refer to; positions are offsets of tokens in it.

    tables: stored table -> its columns, lower-cased.
    column_uses: (item of FROM, column or None for all).
    aliases: (position, item of FROM).
    qualifiers: (position, item of FROM, items that must not share its name).
    string_positions: of strings in double quotes.
    unknown_names: names that refer to nothing known.
    problems: reasons not to normalise the query.
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


def written_name(name: str) -> str:
    """A name in the canonical form: lower-cased, in backticks where it needs them."""
    name = lower(name)
    bare = re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in RESERVED
    return name if bare else "`" + name.replace("`", "``") + "`"


def position(node: exp.Expr) -> int:
    if "start" not in node.meta:
        raise InputError(f"sqlglot does not say where {node.name} stands")
    return node.meta["start"]


def analyse(query: str, tables: Mapping[str, Sequence[str]]) -> tuple[list[Token], exp.Query, NameResolution]:
    """Correct Spider's `> =` and similar, parse, and resolve the names. Raises InputError."""
    query = join_operators(query)
    try:
        tokens = SQLite().tokenize(query)
        trees = PlainParser(dialect=SQLite).parse(tokens, query)
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise InputError("is not a single query")
        names = {lower(table): list(map(lower, columns)) for table, columns in tables.items()}
        resolution = NameResolution(query, names)
        resolve_query(trees[0], None, {}, resolution)
    except (ParseError, TokenError, RecursionError) as error:
        raise InputError(f"does not parse: {str(error).splitlines()[0].split('. Line')[0]}") from None
    return tokens, trees[0], resolution


def resolve_query(node: exp.Expr, parent: Scope | None, ctes: dict, resolution: NameResolution) -> Scope:
    """Resolve a SELECT, a set operation, VALUES, or one of these in brackets. Returns the scope of its ORDER BY."""
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
        # In SQLite, names defined in the SELECT list are visible everywhere but in the list.
        scope.output_names = {lower(item.alias) for item in node.expressions if isinstance(item, exp.Alias)}
        for key, value in node.args.items():
            if key not in ("with_", "from_", "joins", "expressions"):
                parts += value if isinstance(value, list) else [value]
    for part in parts:
        resolve_names(part, scope, resolution)
    return scope


def add_from_item(node: exp.Expr, scope: Scope, conditions: list[exp.Expr], resolution: NameResolution) -> None:
    """Add the tables and queries of an item of FROM to the scope, and collect the conditions of its joins."""
    if isinstance(node, exp.From | exp.Join):
        conditions += [node.args.get("on"), *(node.args.get("using") or ())]
        return add_from_item(node.this, scope, conditions, resolution)
    alias = node.args.get("alias")
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        name = lower(node.name)
        stored = node.db != "" or name not in scope.ctes
        columns = resolution.tables.get(name) if stored else scope.ctes[name]
        scope.from_items.append(FromItem(lower(node.alias) or name, name if stored else None, columns, not stored))
    elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select | exp.SetOperation):
        columns = output_columns(node.this, resolve_query(node.this, scope.parent, scope.ctes, resolution))
        scope.from_items.append(FromItem(lower(node.alias), None, columns, True))
    elif isinstance(node, exp.Subquery) and alias is None:  # joins in brackets
        add_from_item(node.this, scope, conditions, resolution)
    else:
        raise InputError("has something else than tables and queries in FROM")
    if alias is not None and alias.this is not None:
        resolution.aliases.append((position(alias.this), scope.from_items[-1]))
    for join in node.args.get("joins") or ():
        add_from_item(join, scope, conditions, resolution)


def output_columns(node: exp.Expr, scope: Scope) -> list[str] | None:
    """Lower-cased names of a query's result columns; None if they cannot be known."""
    names: list[str] = []
    for item in node.selects if isinstance(node, exp.Query) else ():  # of a set operation: its first SELECT's
        if isinstance(item, exp.Star | exp.Column) and item.is_star:
            for from_item in scope.from_items:
                if from_item.columns is None:
                    return None
                names += from_item.columns if lower(item.text("table")) in ("", from_item.name) else ()
        elif isinstance(item, exp.Alias | exp.Column):
            names.append(lower(item.alias_or_name))
        else:
            names.append(lower(item.sql("sqlite")).replace(" ", ""))  # SQLite names the column as it is written
    return names or None


def resolve_names(node: exp.Expr | None, scope: Scope, resolution: NameResolution) -> None:
    """Resolve the columns of an expression and the queries in it."""
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
        resolution.problems.append(f"{qualifier.name} names {'several tables' if from_items else 'no table in sight'}")
    elif qualifier is not None:
        resolution.qualifiers.append((position(qualifier), from_items[0], shadowing))
    elif quoted and not known and from_items != []:
        resolution.string_positions.add(position(node.this))  # SQLite reads it as a string if no column has this name
    if not known and (from_items or (from_items is None and not quoted)):
        resolution.unknown_names.add(column)
    resolution.column_uses += [(from_item, None if column == "*" else column) for from_item in from_items or ()]


def find_from_items(qualifier: str, column: str, scope: Scope | None) -> tuple[list[FromItem] | None, list[FromItem]]:
    """The items of FROM that a column comes from, searched as SQLite does: innermost scope first.

    Returns:
        (items, shadowing). Items of FROM: several if ambiguous, none for a name that the SELECT list defines, None if
        nothing has this name. Shadowing: all items of the inner scopes searched before.
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


def keep_needed_aliases(resolution: NameResolution) -> None:
    """Keep a table's alias where its own name would be ambiguous. Raises InputError."""
    beside = [(a, b) for scope in resolution.scopes for a in scope.from_items for b in scope.from_items if a is not b]
    pairs = beside + [(a, b) for _, a, shadowing in resolution.qualifiers for b in shadowing]
    while clashing := [
        from_item for a, b in pairs if a.canonical_name == b.canonical_name != "" for from_item in (a, b)
    ]:
        if all(from_item.keeps_alias for from_item in clashing):
            raise InputError(f"has several tables called {clashing[0].canonical_name}")
        for from_item in clashing:
            from_item.keeps_alias = True


def written_names(tree: exp.Query, tokens: list[Token], resolution: NameResolution) -> dict[int, str]:
    """What to write for each name, by position; "" for an alias that is dropped. Raises InputError."""
    names = {position(node): node.name.upper() if isinstance(node.parent, exp.Func) else written_name(node.name)
             for node in tree.find_all(exp.Identifier)}  # fmt: skip
    word_as = {token.start: word.start for word, token in pairwise(tokens) if word.token_type == TokenType.ALIAS}
    for node in tree.find_all(exp.Alias, exp.TableAlias):
        alias = node.args["alias"] if isinstance(node, exp.Alias) else node.this
        if alias is not None and not isinstance(node.parent, exp.CTE) and position(alias) not in word_as:
            names[position(alias)] = "AS " + written_name(alias.name)
    for start, from_item in resolution.aliases:
        if not from_item.keeps_alias:
            names[start] = names[word_as.get(start, start)] = ""
    names.update((start, written_name(from_item.canonical_name)) for start, from_item, _ in resolution.qualifiers)
    for word, token in pairwise(tokens):
        if token.start in resolution.string_positions:
            names[token.start] = "'" + token.text.replace("'", "''") + "'"
        elif token.token_type == TokenType.STRING and word.token_type == TokenType.DOT:
            names[token.start] = written_name(token.text)
        elif token.token_type == TokenType.IDENTIFIER and token.start not in names:
            raise InputError(f"has {token.text} in an odd place")
    return names


def write_tokens(tokens: list[Token], names: dict[int, str], query: str) -> str:
    """The query's text: its tokens in order, with conventional spacing."""
    tokens = [token for token in tokens if token.token_type != TokenType.SEMICOLON and names.get(token.start) != ""]
    text = ""
    joined = True  # no blank between the token before and this one
    operand = False  # the token before ends an operand, so a sign that follows is binary
    for index, token in enumerate(tokens):
        spelling = query[token.start : token.end + 1]
        following = tokens[index + 1].token_type if index + 1 < len(tokens) else None
        is_word = token.start not in names and spelling[0].isalpha() and spelling[-1] != "'"
        piece = names.get(token.start, OPERATOR_SPELLINGS.get(spelling, spelling))
        if is_word:
            piece = " ".join(spelling.upper().split())
        dot = piece == "." and following != TokenType.NUMBER
        text += piece if joined or dot or piece in (",", ")") else " " + piece
        called = token.start in names or (is_word and " " not in piece and lower(piece) not in NOT_FUNCTIONS)
        sign = piece in ("+", "-") and not operand
        joined = sign or piece in ("(", ".", "~") or (following == TokenType.L_PAREN and called)
        operand = token.start in names or piece in OPERANDS or piece[-1] in "')." or piece[0].isdigit()
    return text


def normalise_sql(query: str, tables: Mapping[str, Sequence[str]]) -> tuple[str, str | None]:
    """Gold SQL in one canonical form.

    One line without closing semicolon; keywords in capitals; names in lower case, in backticks only where they need
    them; table names instead of aliases where that is unambiguous; strings in single quotes. The rest is unchanged.

    Args:
        tables: the schema: name of a table -> names of its columns.

    Returns:
        The query and None; or, if it cannot be resolved, the query on one line and the reason.
    """
    try:
        tokens, tree, resolution = analyse(query, tables)
        if resolution.string_positions and resolution.unknown_names:
            resolution.problems.append(
                f"{min(resolution.unknown_names)} is in no known table: strings or names in double quotes?"
            )
        if resolution.problems:
            raise InputError(resolution.problems[0])
        keep_needed_aliases(resolution)
        return write_tokens(tokens, written_names(tree, tokens, resolution), resolution.query), None
    except InputError as reason:
        line = SPECIAL.sub(lambda match: " " if match["blank"] else match[0], query)
        return line.strip().rstrip("; "), str(reason)


def gold_schema_items(query: str, tables: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Tables and columns that a query uses, named as in the schema; empty if it cannot be resolved.

    A bare column that several visible tables have counts for all of them. `*` counts for all columns, but not in
    COUNT(*). A table of which no column is used has an empty set.
    """
    try:
        resolution = analyse(query, tables)[2]
    except InputError:
        return {}
    used = {
        from_item.table: set()
        for scope in resolution.scopes
        for from_item in scope.from_items
        if from_item.table in resolution.tables
    }
    for from_item, column in resolution.column_uses:
        if from_item.table in used:
            used[from_item.table].add(column)
    return {
        table: {column for column in columns if {None, lower(column)} & used[lower(table)]}
        for table, columns in tables.items()
        if lower(table) in used
    }
