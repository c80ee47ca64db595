"""Random SELECTs over SQLite's grammar, on a small database of odd names; most of them compile."""

from __future__ import annotations

import random
import re
import sqlite3
from functools import cache

from kid.sql.tokens import sql_tokens

DATABASE = """
CREATE TABLE Item (id INTEGER PRIMARY KEY, Name TEXT COLLATE NOCASE, price REAL, "select" INT, Größe TEXT,
                   "a""b" TEXT, [x y] BLOB, note TEXT);
CREATE TABLE "Order" (id INT, item_id INT REFERENCES Item(id), "group" TEXT, qty INT, day TEXT,
                      PRIMARY KEY (id, item_id)) WITHOUT ROWID;
CREATE TABLE 学生 (id INT, Name TEXT, score NUMERIC, json TEXT, "count(*)" INT);
CREATE TABLE "it's" (id INT, "--" TEXT, "from" TEXT, `b``c` REAL);
CREATE INDEX by_day ON "Order" (day);
CREATE VIEW cheap AS SELECT id, Name, price FROM Item WHERE price < 6;
INSERT INTO Item VALUES (1, 'Ann', 2.5, 3, 'É', 'x--y', x'00ff', 'a  b'), (2, 'bob', -7, NULL, 'é', 'Name', NULL, ''),
                        (3, 'ANN', 1e3, -1, '', 'it''s', x'', NULL), (4, NULL, 5, 2, 'Größe', '%', 'text', '2');
INSERT INTO "Order" VALUES (1, 1, 'x', 3, '2020-01-31'), (2, 1, 'y', -4, '2021-12-01'), (2, 3, NULL, 0, '');
INSERT INTO 学生 VALUES (1, '张三', 1, '{"k": [1, 2]}', 5), (2, 'ann', '2', '[1]', NULL), (3, NULL, 2.5, NULL, -5);
INSERT INTO "it's" VALUES (1, '-', 'item', 1.5), (-2, NULL, 'id', NULL);
"""
TABLES = {
    "Item": ["id", "Name", "price", "select", "Größe", 'a"b', "x y", "note"],
    "Order": ["id", "item_id", "group", "qty", "day"],
    "学生": ["id", "Name", "score", "json", "count(*)"],
    "it's": ["id", "--", "from", "b`c"],
    "cheap": ["id", "Name", "price"],
}
KEYWORDS = ("from", "select", "group", "order", "end")
ALIASES = ("t", "T1", "a b", "Item", "order", "名", "É", "key", "left", "x;y", "--", "a'b", 'a"b', "id", "name", "end")
BLANKS = ("", "", " ", " ", " ", "  ", "\n", "\t", "\r\n", " -- it's; a\n", "/* x; 'y */", " /**/ ", '/*"*/', "\n\f")
LITERALS = ("0", "1", "2", "3.5", ".5", "1.", "1e2", "1.5E-1", "0x1F", "9223372036854775808", "NULL", "TRUE", "''",
            "'Ann'", "'it''s'", "'--'", "'a  b'", "'/*'", "'\\'", "'x;y'", "'\"Name\"'", "'%a_'", "'2020-01-31'", "'é'",
            "'1'", "x'00FF'", "X''", '"Ann"', '"no ""name"""', '"it\'s"', '"2020-01-31"')  # fmt: skip
BINARY = ("||", "*", "/", "%", "+", "-", "<<", ">>", "&", "|", "<", "<=", ">", ">=", "=", "==", "<>", "!=", "IS",
          "IS NOT", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "LIKE", "NOT LIKE", "GLOB", "NOT GLOB", "AND", "OR",
          "->", "->>")  # fmt: skip
FUNCTIONS = (("abs", 1), ("length", 1), ("Lower", 1), ("coalesce", 2), ("substr", 3), ("iif", 3), ("nullif", 2),
             ("max", 2), ("typeof", 1), ("hex", 1), ("round", 2), ("instr", 2), ("replace", 3), ("strftime", 2),
             ("date", 1), ("like", 2), ("quote", 1), ("char", 2), ("printf", 2), ("json_array", 2))  # fmt: skip
FRAMES = ("", "", "ROWS UNBOUNDED PRECEDING", "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
          "ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING",
          "GROUPS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE TIES")  # fmt: skip
EXPRESSIONS = ("unary", "unary", "binary", "binary", "binary", "brackets", "call", "cast", "case", "between", "in",
               "like", "null", "collate", "query", "exists", "not", "row")  # fmt: skip
JOINS = (",", "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "CROSS JOIN", "NATURAL JOIN", "NATURAL LEFT JOIN")
JOINS += ("RIGHT JOIN", "FULL OUTER JOIN") if sqlite3.sqlite_version_info >= (3, 39) else ()
AGGREGATES = ("count", "SUM", "avg", "min", "max", "total", "group_concat")
WINDOW_FUNCTIONS = ("row_number", "rank", "Dense_Rank", "percent_rank")
# Columns that an expression may use: qualifier (None: not needed) and name.
Columns = list[tuple[str | None, str]]


def make_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", cached_statements=0)
    connection.executescript(DATABASE)
    connection.text_factory = bytes
    return connection


@cache
def read_apart(token: str, following: str) -> bool:
    """Whether SQLite reads two tokens that stand side by side as these two."""
    return [found.text for found in sql_tokens(token + following)] == [token, following]


class QueryMaker:
    """Makes queries as lists of tokens, in which words that belong together are one; `depth` bounds the nesting."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.ctes: dict[str, list[str]] = {}

    def query(self) -> str:
        self.ctes = {}
        return self.render(self.select_statement(depth=self.random.randint(1, 3)))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def render(self, tokens: list[str]) -> str:
        """The tokens with blanks and comments between them, and nothing where they are read apart even so."""
        words = [word for token in tokens for word in (token.split() if token.replace(" ", "").isalpha() else [token])]
        plain, text = self.chance(0.3), ""
        for before, word in zip(["", *words], words, strict=False):
            blank = " " if plain else self.random.choice(BLANKS)
            blank = blank or " " * (before != "" and not read_apart(before, word))
            text += blank + (self.random.choice((word, word.lower())) if word.isupper() else word)
        return text + self.random.choice(("", "", ";", " ; ", " -- end", "/* end */"))

    def name(self, name: str, alias: bool = False) -> str:
        """A name in any of the ways to write it."""
        if name.isascii() and self.chance(0.4):
            name = self.random.choice((name.lower(), name.upper(), name.title()))
        forms = ['"' + name.replace('"', '""') + '"', "`" + name.replace("`", "``") + "`"]
        forms += [f"[{name}]"] if "]" not in name else []
        forms += ["'" + name.replace("'", "''") + "'"] if alias else []
        bare = re.fullmatch(r"[^\W\d]\w*", name) and name.lower() not in KEYWORDS
        return name if bare and self.chance(0.8) else self.random.choice(forms)

    def column(self, columns: Columns) -> list[str]:
        if not columns:
            return [self.random.choice(LITERALS)]
        qualifier, name = self.random.choice(columns)
        names = [other for _, other in columns]
        if qualifier and (names.count(name) > 1 or self.chance(0.5)):
            return [self.name(qualifier), ".", self.name(name)]
        return [self.name(name)]

    def expression(self, columns: Columns, depth: int) -> list[str]:
        if depth <= 0 or self.chance(0.15):
            return self.column(columns) if self.chance(0.65) else [self.random.choice(LITERALS)]

        def inner() -> list[str]:
            return self.expression(columns, depth - 1)

        kind = self.random.choice(EXPRESSIONS)
        if kind == "unary":
            signs = [self.random.choice(("-", "+", "~")) for _ in range(self.random.randint(1, 3))]
            return [*signs, *(self.column(columns) if self.chance(0.6) else inner())]
        if kind == "binary":
            return [*inner(), self.random.choice(BINARY), *inner()]
        if kind == "brackets":
            return ["(", *inner(), ")"]
        if kind == "not":
            return ["NOT"] * self.random.randint(1, 2) + inner()
        if kind == "call":
            name, arity = self.random.choice(FUNCTIONS)
            return [name, "(", *self.commas([inner() for _ in range(arity)]), ")"]
        if kind == "cast":
            kinds = (
                ["INT"],
                ["Text"],
                ["REAL"],
                ["blob"],
                ["numeric", "(", "5", ",", "2", ")"],
                ["varchar", "(", "9", ")"],
            )
            return ["CAST", "(", *inner(), "AS", *self.random.choice(kinds), ")"]
        if kind == "case":
            start = ["CASE", *(inner() if self.chance(0.5) else []), "WHEN", *inner(), "THEN", *inner()]
            return [*start, *(["ELSE", *inner()] if self.chance(0.5) else []), "END"]
        negation = ["NOT"] if self.chance(0.4) else []
        if kind == "between":
            return [*inner(), *negation, "BETWEEN", *inner(), "AND", *inner()]
        if kind == "in":
            within = self.commas([inner() for _ in range(self.random.randint(1, 3))])
            if self.chance(0.4):
                within = self.one_column_query(columns, depth - 1)
            return [*inner(), *negation, "IN", "(", *within, ")"]
        if kind == "like":
            return [*inner(), *negation, "LIKE", *inner(), "ESCAPE", self.random.choice(("'\\'", "'_'", "'!'"))]
        if kind == "null":
            return [*inner(), self.random.choice(("ISNULL", "NOTNULL", "NOT NULL", "IS NULL", "IS NOT NULL"))]
        if kind == "collate":
            return [*inner(), "COLLATE", self.random.choice(("nocase", "BINARY", '"RTRIM"'))]
        if kind == "row":
            pair = [self.column(columns) for _ in range(4)]
            right = ["(", *self.commas(pair[2:]), ")"]
            return ["(", *self.commas(pair[:2]), ")", self.random.choice(("=", "<", "IS")), *right]
        query = self.one_column_query(columns, depth - 1)
        return [*(["EXISTS"] if kind == "exists" else []), "(", *query, ")"]

    def one_column_query(self, columns: Columns, depth: int) -> list[str]:
        if self.chance(0.1):
            return ["VALUES", "(", *self.expression(columns, depth), ")"]
        return self.select_core(columns, depth, items=1)[0]

    def commas(self, parts: list[list[str]]) -> list[str]:
        return [token for part in parts for token in (",", *part)][1:]

    def aggregate(self, columns: Columns, depth: int) -> list[str]:
        name = self.random.choice(AGGREGATES)
        if self.chance(0.3):
            call = ["count", "(", "*", ")"]
        else:
            distinct = ["DISTINCT"] if self.chance(0.3) else []
            call = [name, "(", *distinct, *self.expression(columns, depth - 1), ")"]
        return call + (["FILTER", "(", "WHERE", *self.expression(columns, depth - 1), ")"] if self.chance(0.25) else [])

    def window(self, columns: Columns, depth: int) -> list[str]:
        call = self.aggregate(columns, depth)
        if self.chance(0.4) or "DISTINCT" in call:
            call = [self.random.choice(WINDOW_FUNCTIONS), "(", ")"]
        partition = ["PARTITION BY", *self.expression(columns, 1)] if self.chance(0.5) else []
        return [*call, "OVER", "(", *partition, *self.order_by([], columns), *self.random.choice(FRAMES).split(), ")"]

    def order_by(self, outputs: list[str], columns: Columns) -> list[str]:
        terms = []
        for _ in range(self.random.randint(1, 2)):
            by_output = outputs and self.chance(0.5)
            term = [self.name(self.random.choice(outputs))] if by_output else self.expression(columns, 1)
            term += self.random.choice(([], [], ["ASC"], ["DESC"], ["DESC", "NULLS LAST"], ["NULLS FIRST"]))
            terms.append(term)
        return ["ORDER BY", *self.commas(terms)]

    def from_clause(self, depth: int) -> tuple[list[str], Columns]:
        tokens, columns, used = ["FROM"], [], []
        for number in range(self.random.choice((1, 1, 1, 2, 2, 3))):
            item, qualifier, names = self.from_item(depth, used)
            used.append(qualifier.lower())
            condition: list[str] = []
            if number:
                join = self.random.choice(JOINS)
                tokens.append(join)
                shared = [name for name in names if sum(name == other for _, other in columns) == 1]
                if "NATURAL" not in join and join != "," and shared and self.chance(0.3):
                    condition = ["USING", "(", self.name(self.random.choice(shared)), ")"]
                elif "NATURAL" not in join and (join != ",") and self.chance(0.8):
                    left, right = self.random.choice(columns), self.random.choice(names)
                    condition = ["ON", self.name(left[0]), ".", self.name(left[1]), "="]
                    condition += [self.name(qualifier), ".", self.name(right)]
            columns += [(qualifier, name) for name in names]
            tokens += item + condition
        return tokens, columns

    def from_item(self, depth: int, used: list[str]) -> tuple[list[str], str, list[str]]:
        """(tokens, name in the scope, columns) of a table, a CTE or a query."""
        free = [alias for alias in ALIASES if alias.lower() not in used]
        alias = self.random.choice(free)
        word = ["AS"] if self.chance(0.5) else []
        written = [*word, self.name(alias, alias=bool(word))]
        if depth > 0 and self.chance(0.2):
            query, names = self.select_core([], depth - 1, named=True)
            return ["(", *query, ")", *written], alias, names
        known = TABLES | self.ctes
        table = self.random.choice(list(known))
        schema = ["main", "."] if table not in self.ctes and self.chance(0.1) else []
        if table.lower() not in used and self.chance(0.5):
            return [*schema, self.name(table)], table, known[table]
        return [*schema, self.name(table), *written], alias, known[table]

    def select_core(
        self, outer: Columns, depth: int, items: int = 0, named: bool = False
    ) -> tuple[list[str], list[str]]:
        """A SELECT without ORDER BY and LIMIT, and the names of its columns; `named`: all of them have one."""
        if self.chance(0.05) and not items:
            return ["VALUES", "(", *self.expression([], 1), ",", "2", ")"], ["column1", "column2"]
        clause, own = self.from_clause(depth) if self.chance(0.93) else ([], [])
        visible = own + ([(q, n) for q, n in outer if n not in {name for _, name in own}] if self.chance(0.6) else [])
        grouped = self.chance(0.25)
        tokens, names, parts = ["SELECT"], [], []
        tokens += self.random.choice(([], [], [], ["DISTINCT"], ["ALL"]))
        for _ in range(items or self.random.choice((1, 1, 2, 3))):
            if own and not items and self.chance(0.1):
                parts.append(["*"])
                names += [name for _, name in own]
                continue
            kind = self.random.random()
            if kind < 0.12 and own:
                part = self.window(visible, depth)
            elif kind < (0.6 if grouped else 0.2) and own:
                part = self.aggregate(visible, depth)
            else:
                part = self.expression(visible, depth)
            if named or self.chance(0.5):
                alias = self.random.choice([alias for alias in ALIASES if alias not in names])
                word = ["AS"] if self.chance(0.6) else []
                part = [*part, *word, self.name(alias, alias=bool(word))]
                names.append(alias)
            parts.append(part)
        tokens += self.commas(parts) + clause
        if self.chance(0.5):
            tokens += ["WHERE", *self.expression(visible, depth)]
        if grouped and own:
            tokens += ["GROUP BY", *self.commas([self.column(own) for _ in range(self.random.randint(1, 2))])]
            if self.chance(0.4):
                tokens += ["HAVING", *self.aggregate(own, 1), ">", "0"]
        return tokens, names

    def select_statement(self, depth: int) -> list[str]:
        tokens: list[str] = []
        if self.chance(0.2):
            tokens += self.with_clause(depth)
        compound = self.random.randint(1, 2) if self.chance(0.15) else 0  # the number of its columns
        arm, outputs = self.select_core([], depth, compound)
        tokens += arm
        if compound:
            operator = self.random.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT"))
            tokens += [operator, *self.select_core([], depth, compound)[0]]
        if self.chance(0.4):
            if compound:
                tokens += ["ORDER BY", "1", *self.random.choice(([], ["DESC"], ["COLLATE", "nocase"]))]
            else:
                tokens += self.order_by(outputs, [])
        if self.chance(0.3):
            tokens += self.random.choice(("LIMIT 3", "LIMIT 1 , 2", "LIMIT - - 2 OFFSET 1")).split()
        return tokens

    def with_clause(self, depth: int) -> list[str]:
        if self.chance(0.3):
            self.ctes["n"] = ["i"]
            name = self.name("i")
            return f"WITH RECURSIVE n ( i ) AS ( SELECT 1 UNION ALL SELECT {name} + 1 FROM n WHERE {name} < 5 )".split()
        query, names = self.select_core([], depth - 1, named=True)
        name = self.random.choice(("top", "Item", "x y", "Ö"))
        self.ctes[name] = names
        hint = self.random.choice(([], [], ["MATERIALIZED"], ["NOT MATERIALIZED"]))
        return ["WITH", self.name(name), "AS", *hint, "(", *query, ")"]
