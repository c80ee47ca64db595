"""The question patterns of minibench as data: SQL templates, their slots, and the wordings of the questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kid.minibench.join_patterns import JOINS, SEVERAL_SELECTS
from kid.minibench.phrases import split_blocks

# A pattern is a line `name: slots`, then the gold query and several questions that ask for exactly this query.
# The first slot names the tables and their foreign keys: `t` is any table, `t>p` a child and its parent, `t>p>g` adds
# the parent's parent, `p<t>q` is a child with two parents, `t>p<u` two children of one parent. In SQL, {pk} is the
# primary key of p and {tp} the key in t that points to it; {t+p}, {t+p+g} and {p+t+q} are joins. The other slots have
# the form `owner.slot:kind` and are drawn from left to right: a column of a table (COLUMN_KINDS), a value of a column
# (value, inner, low, high, initial, year), or a word of WORDS. In a question, {c} is the slot's natural name, {cs} its
# plural, and [eq c v] a phrase. Two kinds of check ensure that a question needs its whole query:
#   untied QUERY  its first column must have no ties, otherwise the first row would be arbitrary
#   unlike QUERY  its rows must differ from the gold rows, otherwise a simpler query would answer the question
ONE_TABLE = """
project_one: t t.a:any
    SELECT {a} FROM {t}
    [list a t]
    [list a t] in the database
project_two: t t.a:any t.b:any
    SELECT {a}, {b} FROM {t}
    Show the {a} and the {b} of every {t}
    List the {as} and {bs} of all {ts}
    What are the {a} and the {b} of each {t}
project_three: t t.a:any t.b:any t.c:any
    SELECT {a}, {b}, {c} FROM {t}
    Show the {a}, the {b} and the {c} of every {t}
    List the {as}, {bs} and {cs} of all {ts}
filter_equal: t t.a:any t.c:category c.v:value
    SELECT {a} FROM {t} WHERE {c} = {v}
    [list a t] [eq c v]
filter_label: t t.a:any t.c:label c.v:value
    SELECT {a} FROM {t} WHERE {c} = {v}
    [get a t] [eq c v]
    Find the {t} [eq c v] and give the {a}
filter_not: t t.a:any t.c:category c.v:value
    SELECT {a} FROM {t} WHERE {c} != {v}
    [list a t] [not c v]
filter_compare: t t.a:any t.c:ranked c.o:compare c.v:inner
    SELECT {a} FROM {t} WHERE {c} {o} {v}
    [list a t] [cmp c o v]
filter_between: t t.a:any t.c:bounded c.v:low c.w:high
    SELECT {a} FROM {t} WHERE {c} BETWEEN {v} AND {w}
    [list a t] [between c v w]
filter_like: t t.c:label t.a:any c.l:initial
    SELECT {a} FROM {t} WHERE {c} LIKE {l}
    [list a t] whose {c} starts with {l}
    [list a t] with a {c} beginning with the letter {l}
filter_year: t t.c:date t.a:any c.y:year
    SELECT {a} FROM {t} WHERE {c} LIKE {y}
    [list a t] whose {c} is in the year {y}
    [list a t] with a {c} in {y}
filter_null: t t.c:gaps t.a:any
    SELECT {a} FROM {t} WHERE {c} IS NULL
    [list a t] whose {c} is not known
    [list a t] without a {c}
filter_and: t t.a:any t.c:category c.v:value t.d:bounded d.o:compare d.w:inner
    SELECT {a} FROM {t} WHERE {c} = {v} AND {d} {o} {w}
    [list a t] [eq c v] and [cmp d o w]
    unlike SELECT {a} FROM {t} WHERE {c} = {v}
    unlike SELECT {a} FROM {t} WHERE {d} {o} {w}
filter_or: t t.a:any t.c:category c.v:value c.w:value
    SELECT {a} FROM {t} WHERE {c} = {v} OR {c} = {w}
    [list a t] [eq c v] or {w}
filter_or_compare: t t.a:any t.c:category c.v:value t.d:bounded d.o:compare d.w:inner
    SELECT {a} FROM {t} WHERE {c} = {v} OR {d} {o} {w}
    [list a t] [eq c v] or [cmp d o w]
    unlike SELECT {a} FROM {t} WHERE {c} = {v}
    unlike SELECT {a} FROM {t} WHERE {d} {o} {w}
count_all: t
    SELECT COUNT(*) FROM {t}
    [how_many t]
    [how_many t] in the database
count_equal: t t.c:category c.v:value
    SELECT COUNT(*) FROM {t} WHERE {c} = {v}
    [how_many t] [eq c v]
count_compare: t t.c:ranked c.o:compare c.v:inner
    SELECT COUNT(*) FROM {t} WHERE {c} {o} {v}
    [how_many t] [cmp c o v]
count_null: t t.c:gaps
    SELECT COUNT(*) FROM {t} WHERE {c} IS NULL
    [how_many t] whose {c} is not known
    [how_many t] without a {c}
count_and: t t.c:category c.v:value t.d:bounded d.o:compare d.w:inner
    SELECT COUNT(*) FROM {t} WHERE {c} = {v} AND {d} {o} {w}
    [how_many t] [eq c v] and [cmp d o w]
    unlike SELECT COUNT(*) FROM {t} WHERE {c} = {v}
    unlike SELECT COUNT(*) FROM {t} WHERE {d} {o} {w}
aggregate_all: t t.d:measure d.f:aggregate
    SELECT {f}({d}) FROM {t}
    [aggregate f d t]
aggregate_equal: t t.c:category c.v:value t.d:measure d.f:aggregate
    SELECT {f}({d}) FROM {t} WHERE {c} = {v}
    [aggregate f d t] [eq c v]
    unlike SELECT {f}({d}) FROM {t}
aggregate_compare: t t.c:bounded c.o:compare c.v:inner t.d:measure d.f:aggregate
    SELECT {f}({d}) FROM {t} WHERE {c} {o} {v}
    [aggregate f d t] [cmp c o v]
    unlike SELECT {f}({d}) FROM {t}
extreme_all: t t.d:ranked d.f:extreme
    SELECT {f}({d}) FROM {t}
    [aggregate f d t]
extreme_two: t t.d:measure
    SELECT MIN({d}), MAX({d}) FROM {t}
    What are the lowest and the highest {d} of {ts}
    Show the minimum and the maximum {d} of the {ts}
extreme_equal: t t.c:category c.v:value t.d:ranked d.f:extreme
    SELECT {f}({d}) FROM {t} WHERE {c} = {v}
    [aggregate f d t] [eq c v]
    unlike SELECT {f}({d}) FROM {t}
distinct: t t.c:category
    SELECT DISTINCT {c} FROM {t}
    Show the different {cs} of {ts}
    What are the distinct {cs} of {ts}
    List, without repeats, the {cs} of all {ts}
distinct_compare: t t.c:category t.d:bounded d.o:compare d.v:inner
    SELECT DISTINCT {c} FROM {t} WHERE {d} {o} {v}
    Show the different {cs} of {ts} [cmp d o v]
    What are the distinct {cs} of {ts} [cmp d o v]
    unlike SELECT DISTINCT {c} FROM {t}
count_distinct: t t.c:category
    SELECT COUNT(DISTINCT {c}) FROM {t}
    How many different {cs} do {ts} have
    Count the distinct {cs} of {ts}
    unlike SELECT COUNT({c}) FROM {t}
order_one: t t.a:any t.c:ranked c.d:order
    SELECT {a} FROM {t} ORDER BY {c} {d}
    [list a t] in {d} order of {c}
    [list a t], sorted by {c} in {d} order
    untied SELECT {c} FROM {t}
order_equal: t t.c:category c.v:value t.a:any t.b:ranked b.d:order
    SELECT {a} FROM {t} WHERE {c} = {v} ORDER BY {b} {d}
    [list a t] [eq c v] in {d} order of {b}
    untied SELECT {b} FROM {t}
    unlike SELECT {a} FROM {t} ORDER BY {b} {d}
superlative: t t.a:any t.c:ranked c.d:superlative
    SELECT {a} FROM {t} ORDER BY {c} {d} LIMIT 1
    [top a t c d]
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT 2
superlative_two: t t.a:any t.b:any t.c:ranked c.d:superlative
    SELECT {a}, {b} FROM {t} ORDER BY {c} {d} LIMIT 1
    What are the {a} and the {b} of the {t} with the {d} {c}
    Show the {a} and {b} of the {t} that has the {d} {c}
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT 2
limit: t t.a:any t.c:ranked c.d:superlative c.n:count
    SELECT {a} FROM {t} ORDER BY {c} {d} LIMIT {n}
    Show the {as} of the {n} {ts} with the {d} {cs}
    Which {n} {ts} have the {d} {cs}, by their {as}
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT {n} + 1
limit_second: t t.a:any t.c:ranked c.d:superlative
    SELECT {a} FROM {t} ORDER BY {c} {d} LIMIT 1 OFFSET 1
    What is the {a} of the {t} with the second {d} {c}
    Show the {a} of the {t} that has the second {d} {c}
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT 3
limit_equal: t t.c:category c.v:value t.a:any t.b:ranked b.d:superlative
    SELECT {a} FROM {t} WHERE {c} = {v} ORDER BY {b} {d} LIMIT 1
    Among the {ts} [eq c v], what is the {a} of the one with the {d} {b}
    Of all {ts} [eq c v], give the {a} of the one with the {d} {b}
    untied SELECT {b} FROM {t} WHERE {c} = {v} ORDER BY {b} {d} LIMIT 2
    unlike SELECT {a} FROM {t} ORDER BY {b} {d} LIMIT 1
group_count: t t.c:category
    SELECT {c}, COUNT(*) FROM {t} GROUP BY {c}
    Show each {c} and the number of {ts}
    For each {c}, give the {c} and the number of {ts}
    List every {c} together with its number of {ts}
group_where: t t.c:category t.d:bounded d.o:compare d.v:inner
    SELECT {c}, COUNT(*) FROM {t} WHERE {d} {o} {v} GROUP BY {c}
    For each {c}, give the {c} and the number of {ts} [cmp d o v]
    List every {c} together with its number of {ts} [cmp d o v]
    unlike SELECT {c}, COUNT(*) FROM {t} GROUP BY {c}
group_order: t t.c:category t.d:order
    SELECT {c}, COUNT(*) FROM {t} GROUP BY {c} ORDER BY COUNT(*) {d}
    Show each {c} and the number of {ts}, in {d} order of the number
    For each {c}, give the {c} and the number of {ts}, sorted by the number in {d} order
    untied SELECT COUNT(*) FROM {t} GROUP BY {c}
group_aggregate: t t.c:category t.d:measure d.f:aggregate
    SELECT {c}, {f}({d}) FROM {t} GROUP BY {c}
    Show each {c} and the {f} {d} of its {ts}
    For each {c}, give the {c} and the {f} {d} of the {ts}
group_extreme: t t.c:category t.d:ranked d.f:extreme
    SELECT {c}, {f}({d}) FROM {t} GROUP BY {c}
    Show each {c} and the {f} {d} of its {ts}
    For each {c}, give the {c} and the {f} {d} of the {ts}
group_most: t t.c:category t.d:frequency
    SELECT {c} FROM {t} GROUP BY {c} ORDER BY COUNT(*) {d} LIMIT 1
    Which {c} has the {d} {ts}
    Show the {c} that has the {d} {ts}
    untied SELECT COUNT(*) FROM {t} GROUP BY {c} ORDER BY COUNT(*) {d} LIMIT 2
having_more: t t.c:category t.n:count
    SELECT {c} FROM {t} GROUP BY {c} HAVING COUNT(*) > {n}
    Which {cs} have more than {n} {ts}
    Show the {cs} with more than {n} {ts}
    unlike SELECT {c} FROM {t} GROUP BY {c}
having_least: t t.c:category t.n:count
    SELECT {c} FROM {t} GROUP BY {c} HAVING COUNT(*) >= {n}
    Which {cs} have at least {n} {ts}
    Show the {cs} with {n} or more {ts}
    unlike SELECT {c} FROM {t} GROUP BY {c}
having_average: t t.c:category t.d:measure d.o:compare d.v:inner
    SELECT {c} FROM {t} GROUP BY {c} HAVING AVG({d}) {o} {v}
    Which {cs} have {ts} with an average {d} {o} {v}
    Show the {cs} whose {ts} have an average {d} {o} {v}
    unlike SELECT {c} FROM {t} GROUP BY {c}
having_where: t t.c:category t.d:bounded d.o:compare d.v:inner t.n:count
    SELECT {c} FROM {t} WHERE {d} {o} {v} GROUP BY {c} HAVING COUNT(*) >= {n}
    Which {cs} have at least {n} {ts} [cmp d o v]
    Show the {cs} with {n} or more {ts} [cmp d o v]
    unlike SELECT {c} FROM {t} GROUP BY {c} HAVING COUNT(*) >= {n}
"""


@dataclass(frozen=True)
class Pattern:
    """A kind of question, with the fields of the notation above."""

    name: str
    slots: str
    sql: str
    questions: tuple[str, ...]
    untied: tuple[str, ...]
    unlike: tuple[str, ...]

    @property
    def is_simple(self) -> bool:
        """Whether one SELECT on one table answers it; the demo's student was pretrained on such questions only."""
        return self.sql.count("SELECT") == 1 and self.slots.split()[0] == "t"


def parse_patterns(text: str) -> tuple[Pattern, ...]:
    """Parse the patterns of `text`, which is in the notation above."""
    patterns = []
    for name, slots, (sql, *lines) in split_blocks(text):
        checks = {
            word: tuple(line.removeprefix(word + " ") for line in lines if line.startswith(word + " "))
            for word in ("untied", "unlike")
        }
        questions = tuple(line for line in lines if not line.startswith(("untied ", "unlike ")))
        patterns.append(Pattern(name, slots, sql, questions, **checks))
    return tuple(patterns)


def pattern_turns(patterns: Sequence[Pattern]) -> list[Pattern]:
    """The patterns in one cycle: those on three tables twice, because not every database has tables for them."""
    return [pattern for pattern in patterns for _ in range(1 + (len(pattern.slots.split()[0]) == 5))]


PATTERNS = parse_patterns(ONE_TABLE + JOINS + SEVERAL_SELECTS)
