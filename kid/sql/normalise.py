"""Gold SQL in one canonical form, and the tables and columns that it uses.

sqlglot's tree says what every name stands for. The text is then written again from the query's own tokens, not by
sqlglot's generator: that one renames functions, changes the types in casts and respells numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import ParseError, TokenError, exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.parsers.sqlite import SQLiteParser
from sqlglot.tokens import Token, TokenType

from kid.data.schema import Schema
from kid.errors import InputError

# Words that SQLite, or sqlglot when it reads the result again, does not take as a bare name everywhere.
KEYWORDS = """add all alter and any as autoincrement between case cast check collate commit constraint create cross
    current_date current_time current_timestamp default deferrable delete describe distinct drop else escape except
    exists false fetch for foreign from glob grant group having if ilike in index inner insert intersect into is isnull
    join lateral like limit not nothing notnull null offset on or order outer primary qualify raise references regexp
    returning revoke rlike rollback select set table tablesample then to transaction true uncache union unique update
    using values when where window with xor"""
RESERVED = frozenset(KEYWORDS.split())
# Words after which a bracket opens something else than a function's arguments.
NOT_CALLED = RESERVED - {"cast", "if", "raise"} | {"by", "filter", "match", "materialized", "over"}
OPERANDS = frozenset(("END", "NULL", "TRUE", "FALSE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"))
ROW_IDS = ("rowid", "oid", "_rowid_")
SPELLINGS = {"<>": "!=", "==": "="}
FOLD = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
SPECIAL = re.compile(
    r"""(?s)'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]"""
    r"|(?P<blank>(?:\s|--[^\n]*|/\*.*?\*/)+)|(?P<operator>[<>!])\s+="
)


class PlainParser(SQLiteParser):
    """Takes functions as they stand, not a name in some of them as a unit, and `list < 1` for no type `list<...>`."""

    FUNCTIONS, NESTED_TYPE_TOKENS, STRUCT_TYPE_TOKENS = {}, frozenset(), frozenset()


@dataclass(eq=False)
class Source:
    """One item of FROM, lower-cased: its name in the scope, the stored table if it is one, its columns if known."""

    name: str
    table: str | None
    columns: list[str] | None
    keeps_name: bool

    @property
    def written(self) -> str:
        return self.name if self.keeps_name else self.table


@dataclass(eq=False)
class Scope:
    """What one SELECT sees: its FROM, the names that its SELECT list gives, and the SELECT around it."""

    parent: Scope | None
    ctes: dict[str, list[str] | None]
    sources: list[Source] = field(default_factory=list)
    outputs: set[str] = field(default_factory=set)


@dataclass
class Findings:
    """What the names of a query stand for; positions are offsets of tokens in it.

    `uses` are (source, column or None for all); `aliases` (position, source); `qualifiers` (position, source, sources
    that must not share its name); `strings` where strings in double quotes are; `strangers` names of nothing known.
    """

    query: str
    tables: dict[str, list[str]]
    scopes: list[Scope] = field(default_factory=list)
    uses: list[tuple[Source, str | None]] = field(default_factory=list)
    aliases: list[tuple[int, Source]] = field(default_factory=list)
    qualifiers: list[tuple[int, Source, list[Source]]] = field(default_factory=list)
    strings: set[int] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def lower(name: str) -> str:
    """As SQLite compares names: only ASCII letters have a lower case."""
    return name.translate(FOLD)


def written_name(name: str) -> str:
    """A name as the canonical form has it: lower-cased, in backticks where it cannot stand bare."""
    name = lower(name)
    bare = re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in RESERVED
    return name if bare else "`" + name.replace("`", "``") + "`"


def position(node: exp.Expr) -> int:
    if "start" not in node.meta:
        raise InputError(f"sqlglot does not say where {node.name} stands")
    return node.meta["start"]


def analyse(query: str, schema: Schema) -> tuple[list[Token], exp.Query, Findings]:
    """Mend Spider's `> =` and its like, parse, and find out what the names stand for. Raises InputError."""
    query = SPECIAL.sub(lambda match: match["operator"] + "=" if match["operator"] else match[0], query)
    try:
        tokens = SQLite().tokenize(query)
        trees = PlainParser(dialect=SQLite).parse(tokens, query)
    except (ParseError, TokenError, RecursionError) as error:
        raise InputError(f"does not parse: {str(error).splitlines()[0].split('. Line')[0]}") from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise InputError("is not a single query")
    found = Findings(query, {lower(table.name): [lower(c.name) for c in table.columns] for table in schema.tables})
    resolve_query(trees[0], None, {}, found)
    return tokens, trees[0], found


def resolve_query(node: exp.Expr, parent: Scope | None, ctes: dict, found: Findings) -> Scope:
    """Resolve a SELECT, a set operation, VALUES, or one in brackets. Returns the scope that its ORDER BY sees."""
    scope = Scope(parent, dict(ctes))
    for cte in node.ctes if isinstance(node, exp.Query) else ():
        name, columns = lower(cte.alias), [lower(column.name) for column in cte.args["alias"].columns]
        scope.ctes[name] = columns or output_columns(cte.this, Scope(None, {}))  # if it names itself
        inner = resolve_query(cte.this, parent, scope.ctes, found)
        scope.ctes[name] = columns or output_columns(cte.this, inner)
    if isinstance(node, exp.Subquery):
        return resolve_query(node.this, parent, scope.ctes, found)
    parts = [node]  # VALUES
    if isinstance(node, exp.SetOperation):
        for arm in (node.this, node.expression):
            if arm.args.get("order") or arm.args.get("limit"):
                found.problems.append("ORDER BY or LIMIT before a set operation")
            inner = resolve_query(arm, parent, scope.ctes, found)
            names = {source.name for source in scope.sources}
            scope.sources += [source for source in inner.sources if source.name not in names]
            scope.outputs |= inner.outputs | set(output_columns(arm, inner) or ())
        parts = [node.args.get(key) for key in ("order", "limit", "offset")]
    elif isinstance(node, exp.Select):
        found.scopes.append(scope)
        parts = []  # the conditions of joins come first
        for item in filter(None, (node.args.get("from_"), *(node.args.get("joins") or ()))):
            add_source(item, scope, parts, found)
        for expression in node.expressions:
            if isinstance(expression, exp.Star):
                found.uses += [(source, None) for source in scope.sources]
            resolve_names(expression, scope, found)
        # SQLite knows the names that the SELECT list gives everywhere but in the list.
        scope.outputs = {lower(item.alias) for item in node.expressions if isinstance(item, exp.Alias)}
        for key, value in node.args.items():
            if key not in ("with_", "from_", "joins", "expressions"):
                parts += value if isinstance(value, list) else [value]
    for part in parts:
        resolve_names(part, scope, found)
    return scope


def add_source(node: exp.Expr, scope: Scope, conditions: list[exp.Expr], found: Findings) -> None:
    """Add what an item of FROM holds to the scope, and collect the conditions of its joins."""
    if isinstance(node, exp.From | exp.Join):
        conditions += [node.args.get("on"), *(node.args.get("using") or ())]
        return add_source(node.this, scope, conditions, found)
    alias = node.args.get("alias")
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        name = lower(node.name)
        stored = node.db != "" or name not in scope.ctes
        columns = found.tables.get(name) if stored else scope.ctes[name]
        scope.sources.append(Source(lower(node.alias) or name, name if stored else None, columns, not stored))
    elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select | exp.SetOperation):
        columns = output_columns(node.this, resolve_query(node.this, scope.parent, scope.ctes, found))
        scope.sources.append(Source(lower(node.alias), None, columns, True))
    elif isinstance(node, exp.Subquery) and alias is None:  # joins in brackets
        add_source(node.this, scope, conditions, found)
    else:
        raise InputError("has something else than tables and queries in FROM")
    if alias is not None and alias.this is not None:
        found.aliases.append((position(alias.this), scope.sources[-1]))
    for join in node.args.get("joins") or ():
        add_source(join, scope, conditions, found)


def output_columns(node: exp.Expr, scope: Scope) -> list[str] | None:
    """Lower-cased names of a query's result columns; None if they cannot be known."""
    names: list[str] = []
    for item in node.selects if isinstance(node, exp.Query) else ():  # of a set operation: its first SELECT's
        if isinstance(item, exp.Star | exp.Column) and item.is_star:
            for source in scope.sources:
                if source.columns is None:
                    return None
                names += source.columns if lower(item.text("table")) in ("", source.name) else ()
        elif isinstance(item, exp.Alias | exp.Column):
            names.append(lower(item.alias_or_name))
        else:
            names.append(lower(item.sql("sqlite")).replace(" ", ""))  # SQLite names it as it is written
    return names or None


def resolve_names(node: exp.Expr | None, scope: Scope, found: Findings) -> None:
    """Resolve the columns of an expression and the queries in it."""
    stack = [node] if isinstance(node, exp.Expr) else []
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Select | exp.SetOperation):
            resolve_query(node, scope, scope.ctes, found)
        elif isinstance(node, exp.Column):
            resolve_column(node, scope, found)
        elif isinstance(node, exp.Identifier) and node.arg_key == "using":
            found.uses += [(source, lower(node.name)) for source in look_up("", lower(node.name), scope)[0] or ()]
        else:
            stack += node.iter_expressions(reverse=True)


def resolve_column(node: exp.Column, scope: Scope, found: Findings) -> None:
    qualifier = node.args.get("table")
    column = "*" if node.is_star else lower(node.name)
    sources, passed = look_up(lower(qualifier.name) if qualifier else "", column, scope)
    quoted = qualifier is None and found.query[position(node.this)] == '"'
    known = any(column in (*ROW_IDS, "*", *(source.columns or ())) for source in sources or ())
    if qualifier is not None and (sources is None or (len(sources) > 1 and column != "*")):
        found.problems.append(f"{qualifier.name} names {'several tables' if sources else 'no table in sight'}")
    elif qualifier is not None:
        found.qualifiers.append((position(qualifier), sources[0], passed))
    elif quoted and not known and sources != []:
        found.strings.add(position(node.this))  # SQLite reads it as a string if no column has this name
    if not known and (sources or (sources is None and not quoted)):
        found.strangers.add(column)
    found.uses += [(source, None if column == "*" else column) for source in sources or ()]


def look_up(qualifier: str, column: str, scope: Scope | None) -> tuple[list[Source] | None, list[Source]]:
    """Where a column comes from, as SQLite looks for it: innermost scope first.

    Returns:
        The sources: several if ambiguous, none for a name that the SELECT list gives, None if nothing has this name.
        And all sources of the scopes passed on the way.
    """
    passed: list[Source] = []
    second_best: tuple[list[Source], list[Source]] | None = None
    while scope is not None:
        named = [source for source in scope.sources if qualifier in ("", source.name)]
        having = named if column == "*" else [source for source in named if column in (source.columns or ())]
        if having or (not qualifier and column in scope.outputs):
            return having, passed
        unsure = [source for source in named if source.columns is None or (column in ROW_IDS and len(named) == 1)]
        if second_best is None and (unsure or (named and qualifier)):
            second_best = unsure or named, list(passed)
        passed += scope.sources
        scope = scope.parent
    return second_best or (None, passed)


def keep_needed_aliases(found: Findings) -> None:
    """Let a table keep its alias where the table's own name would mean another one too. Raises InputError."""
    beside = [(a, b) for scope in found.scopes for a in scope.sources for b in scope.sources if a is not b]
    pairs = beside + [(a, b) for _, a, passed in found.qualifiers for b in passed]
    while clashing := [source for a, b in pairs if a.written == b.written != "" for source in (a, b)]:
        if all(source.keeps_name for source in clashing):
            raise InputError(f"has several tables called {clashing[0].written}")
        for source in clashing:
            source.keeps_name = True


def written_names(tree: exp.Query, tokens: list[Token], found: Findings) -> dict[int, str]:
    """What to write for each name, by position; nothing for an alias that goes. Raises InputError."""
    names = {position(node): node.name.upper() if isinstance(node.parent, exp.Func) else written_name(node.name)
             for node in tree.find_all(exp.Identifier)}  # fmt: skip
    word_as = {token.start: word.start for word, token in pairwise(tokens) if word.token_type == TokenType.ALIAS}
    for node in tree.find_all(exp.Alias, exp.TableAlias):
        alias = node.args["alias"] if isinstance(node, exp.Alias) else node.this
        if alias is not None and not isinstance(node.parent, exp.CTE) and position(alias) not in word_as:
            names[position(alias)] = "AS " + written_name(alias.name)
    for start, source in found.aliases:
        if not source.keeps_name:
            names[start] = names[word_as.get(start, start)] = ""
    names.update((start, written_name(source.written)) for start, source, _ in found.qualifiers)
    for word, token in pairwise(tokens):
        if token.start in found.strings:
            names[token.start] = "'" + token.text.replace("'", "''") + "'"
        elif token.token_type == TokenType.STRING and word.token_type == TokenType.DOT:
            names[token.start] = written_name(token.text)
        elif token.token_type == TokenType.IDENTIFIER and token.start not in names:
            raise InputError(f"has {token.text} in an odd place")
    return names


def write(tokens: list[Token], names: dict[int, str], query: str) -> str:
    """The tokens in their order, with blanks as people set them."""
    tokens = [token for token in tokens if token.token_type != TokenType.SEMICOLON and names.get(token.start) != ""]
    text = ""
    joined = True  # nothing between the token before and this one
    operand = False  # the token before ends an operand: a sign that follows has one on each side
    for index, token in enumerate(tokens):
        source = query[token.start : token.end + 1]
        following = tokens[index + 1].token_type if index + 1 < len(tokens) else None
        is_word = token.start not in names and source[0].isalpha() and source[-1] != "'"
        piece = " ".join(source.upper().split()) if is_word else names.get(token.start, SPELLINGS.get(source, source))
        dot = piece == "." and following != TokenType.NUMBER
        text += piece if joined or dot or piece in (",", ")") else " " + piece
        called = token.start in names or (is_word and " " not in piece and lower(piece) not in NOT_CALLED)
        sign = piece in ("+", "-") and not operand
        joined = sign or piece in ("(", ".", "~") or (following == TokenType.L_PAREN and called)
        operand = token.start in names or piece in OPERANDS or piece[-1] in "')." or piece[0].isdigit()
    return text


def normalise_sql(query: str, schema: Schema) -> tuple[str, str | None]:
    """Gold SQL in one canonical form.

    One line without closing semicolon; keywords in capitals; names in lower case, in backticks only where they need
    them; tables called by their names where that is clear; strings in single quotes. The rest stays as it is.

    Returns:
        The query and None; or, where it cannot be understood, the query on one line and the reason.
    """
    try:
        tokens, tree, found = analyse(query, schema)
        if found.strings and found.strangers:
            found.problems.append(f"{min(found.strangers)} is in no known table: strings or names in double quotes?")
        if found.problems:
            raise InputError(found.problems[0])
        keep_needed_aliases(found)
        return write(tokens, written_names(tree, tokens, found), found.query), None
    except InputError as reason:
        line = SPECIAL.sub(lambda match: " " if match["blank"] else match[0], query)
        return line.strip().rstrip("; "), str(reason)


def gold_schema_items(query: str, schema: Schema) -> dict[str, set[str]]:
    """Tables and columns that a query uses, called as in the schema; empty if it cannot be understood.

    A bare column that several tables in sight have counts for all of them. `*` counts for all columns, but not in
    COUNT(*). A table of which no column is used has an empty set.
    """
    try:
        found = analyse(query, schema)[2]
    except InputError:
        return {}
    used = {source.table: set() for scope in found.scopes for source in scope.sources if source.table in found.tables}
    for source, column in found.uses:
        if source.table in used:
            used[source.table].add(column)
    return {
        table.name: {c.name for c in table.columns if {None, lower(c.name)} & used[lower(table.name)]}
        for table in schema.tables
        if lower(table.name) in used
    }
