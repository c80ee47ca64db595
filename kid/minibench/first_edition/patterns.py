"""The embedded benchmark's questions as data: SQL templates, the slots they have, and how people ask for them."""

from __future__ import annotations

from dataclasses import dataclass

# Kind of slot -> the columns that it may be, by the kinds of `domains.Column`.
COLUMN_KINDS = {
    "any": ("label", "category", "integer", "real", "year", "date"),
    "label": ("label",),
    "category": ("category",),
    "named": ("label", "category"),
    "measure": ("integer", "real"),
    "bounded": ("integer", "real", "year"),
    "ranked": ("integer", "real", "year", "date"),
}

# Kind of slot -> SQL -> the words for it.
WORDS = {
    "compare": {">": ("above", "over", "greater than"), "<": ("below", "under", "less than")},
    "above": {">": ("above", "over", "greater than")},
    "below": {"<": ("below", "under", "less than")},
    "extreme": {"MAX": ("highest", "maximum"), "MIN": ("lowest", "minimum")},
    "superlative": {"DESC": ("highest",), "ASC": ("lowest",)},
    "aggregate": {"AVG": ("average", "mean"), "SUM": ("total",)},
    "order": {"ASC": ("ascending", "increasing"), "DESC": ("descending", "decreasing")},
    "frequency": {"DESC": ("most",), "ASC": ("fewest",)},
    "count": {"2": ("2",), "3": ("3",), "4": ("4",), "5": ("5",)},
}
# The same for columns that hold years and days.
TIME_WORDS = {
    "compare": {">": ("after", "later than"), "<": ("before", "earlier than")},
    "above": {">": ("after", "later than")},
    "below": {"<": ("before", "earlier than")},
    "extreme": {"MAX": ("latest",), "MIN": ("earliest",)},
    "superlative": {"DESC": ("latest",), "ASC": ("earliest",)},
}

JOIN = "FROM {t} JOIN {p} ON {t}.{p}_id = {p}.id"

# A pattern is a line `name: slots` and, below it, the gold query and questions that all ask for exactly this query.
# The first slot names the tables: `t` (any one) or `t>p` (a child and the parent its key points to). The others read
# `owner.slot:kind` and are drawn left to right: a column of a table (kinds above), a value of a column (value, inner,
# low, high, initial), or a word of WORDS. In a question {c} is the slot's natural name and {cs} its plural; in SQL {c}
# is the identifier or literal. Two kinds of check ensure that a question needs its whole query:
#   untied QUERY  its first column must have no ties, or chance would decide which row comes first
#   unlike QUERY  its rows must differ from the gold's, or a simpler query would answer the question
PATTERN_NOTATION = """
project_one: t t.a:any
    SELECT {a} FROM {t}
    Show the {a} of every {t}.
    List the {as} of all {ts}.
    What are the {as} of all the {ts}?
    Give the {a} of each {t} in the database.
project_two: t t.a:any t.b:any
    SELECT {a}, {b} FROM {t}
    Show the {a} and the {b} of every {t}.
    List the {as} and {bs} of all {ts}.
    What are the {a} and the {b} of each {t}?
filter_equal: t t.a:any t.c:category c.v:value
    SELECT {a} FROM {t} WHERE {c} = {v}
    What are the {as} of {ts} whose {c} is {v}?
    Show the {a} of every {t} with {c} {v}.
    Find the {as} of all {ts} that have {c} {v}.
    List the {as} of {ts} where the {c} is {v}.
filter_label: t t.a:any t.c:label c.v:value
    SELECT {a} FROM {t} WHERE {c} = {v}
    What is the {a} of the {t} with {c} {v}?
    Show the {a} of the {t} whose {c} is {v}.
    Find the {t} with {c} {v} and give the {a}.
filter_not: t t.a:any t.c:category c.v:value
    SELECT {a} FROM {t} WHERE {c} != {v}
    What are the {as} of {ts} whose {c} is not {v}?
    Show the {a} of every {t} with {c} other than {v}.
    List the {as} of {ts} where the {c} is not {v}.
filter_compare: t t.a:any t.c:bounded c.o:compare c.v:inner
    SELECT {a} FROM {t} WHERE {c} {o} {v}
    What are the {as} of {ts} whose {c} is {o} {v}?
    Show the {a} of every {t} with {c} {o} {v}.
    List the {as} of {ts} where the {c} is {o} {v}.
filter_between: t t.a:any t.c:bounded c.v:low c.w:high
    SELECT {a} FROM {t} WHERE {c} BETWEEN {v} AND {w}
    What are the {as} of {ts} whose {c} is between {v} and {w}?
    Show the {a} of every {t} with {c} between {v} and {w}.
    List the {as} of {ts} with {c} from {v} to {w}.
filter_like: t t.c:label t.a:any c.l:initial
    SELECT {a} FROM {t} WHERE {c} LIKE {l}
    What are the {as} of {ts} whose {c} starts with {l}?
    Show the {a} of every {t} with a {c} beginning with {l}.
    List the {as} of {ts} where the {c} begins with the letter {l}.
filter_and: t t.a:any t.c:category c.v:value t.d:bounded d.o:compare d.w:inner
    SELECT {a} FROM {t} WHERE {c} = {v} AND {d} {o} {w}
    What are the {as} of {ts} with {c} {v} and {d} {o} {w}?
    Show the {a} of every {t} whose {c} is {v} and whose {d} is {o} {w}.
    List the {as} of {ts} that have {c} {v} and {d} {o} {w}.
    unlike SELECT {a} FROM {t} WHERE {c} = {v}
    unlike SELECT {a} FROM {t} WHERE {d} {o} {w}
filter_or: t t.a:any t.c:category c.v:value c.w:value
    SELECT {a} FROM {t} WHERE {c} = {v} OR {c} = {w}
    What are the {as} of {ts} whose {c} is {v} or {w}?
    Show the {a} of every {t} with {c} {v} or {w}.
    List the {as} of {ts} where the {c} is either {v} or {w}.
count_all: t
    SELECT COUNT(*) FROM {t}
    How many {ts} are there?
    Count all the {ts} in the database.
    What is the number of {ts}?
    How many {ts} does the database have?
count_equal: t t.c:category c.v:value
    SELECT COUNT(*) FROM {t} WHERE {c} = {v}
    How many {ts} have {c} {v}?
    Count the {ts} whose {c} is {v}.
    What is the number of {ts} with {c} {v}?
count_compare: t t.c:bounded c.o:compare c.v:inner
    SELECT COUNT(*) FROM {t} WHERE {c} {o} {v}
    How many {ts} have {c} {o} {v}?
    Count the {ts} whose {c} is {o} {v}.
    What is the number of {ts} with {c} {o} {v}?
aggregate_all: t t.c:measure c.f:aggregate
    SELECT {f}({c}) FROM {t}
    What is the {f} {c} of all {ts}?
    Show the {f} {c} of the {ts}.
    Compute the {f} {c} over all {ts}.
aggregate_equal: t t.c:category c.v:value t.d:measure d.f:aggregate
    SELECT {f}({d}) FROM {t} WHERE {c} = {v}
    What is the {f} {d} of {ts} whose {c} is {v}?
    Show the {f} {d} of all {ts} with {c} {v}.
    Compute the {f} {d} over {ts} that have {c} {v}.
extreme_all: t t.c:ranked c.f:extreme
    SELECT {f}({c}) FROM {t}
    What is the {f} {c} of all {ts}?
    Show the {f} {c} of any {t}.
    Find the {f} {c} among the {ts}.
distinct: t t.c:category
    SELECT DISTINCT {c} FROM {t}
    What are the different {cs} of the {ts}?
    List all distinct {cs} of {ts}.
    Show, without repeats, the {cs} of {ts}.
    Which different {cs} do the {ts} have?
distinct_compare: t t.c:category t.d:bounded d.o:compare d.v:inner
    SELECT DISTINCT {c} FROM {t} WHERE {d} {o} {v}
    What are the different {cs} of {ts} whose {d} is {o} {v}?
    List all distinct {cs} of {ts} with {d} {o} {v}.
    Show, without repeats, the {cs} of {ts} with {d} {o} {v}.
    unlike SELECT DISTINCT {c} FROM {t}
distinct_count: t t.c:category
    SELECT COUNT(DISTINCT {c}) FROM {t}
    How many different {cs} do the {ts} have?
    Count the distinct {cs} of {ts}.
    What is the number of different {cs} among the {ts}?
order_plain: t t.a:any t.c:ranked c.d:order
    SELECT {a} FROM {t} ORDER BY {c} {d}
    Show the {as} of all {ts} sorted by {c} in {d} order.
    List the {a} of every {t} in {d} order of {c}.
    What are the {as} of the {ts}, ordered by {d} {c}?
    untied SELECT {c} FROM {t}
limit_one: t t.a:any t.c:ranked c.d:superlative
    SELECT {a} FROM {t} ORDER BY {c} {d} LIMIT 1
    What is the {a} of the {t} with the {d} {c}?
    Show the {a} of the {t} that has the {d} {c}.
    Which {t} has the {d} {c}? Give the {a}.
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT 2
limit_many: t t.a:any t.c:ranked c.d:superlative t.n:count
    SELECT {a} FROM {t} ORDER BY {c} {d} LIMIT {n}
    What are the {as} of the {n} {ts} with the {d} {c}?
    Show the {as} of the {n} {ts} that have the {d} {cs}.
    Which {n} {ts} have the {d} {c}? Give their {as}.
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT {n} + 1
limit_equal: t t.c:category c.v:value t.a:any t.b:ranked b.d:superlative
    SELECT {a} FROM {t} WHERE {c} = {v} ORDER BY {b} {d} LIMIT 1
    Among the {ts} with {c} {v}, what is the {a} of the one with the {d} {b}?
    Show the {a} of the {t} with the {d} {b} among those with {c} {v}.
    Of all {ts} with {c} {v}, give the {a} of the one with the {d} {b}.
    untied SELECT {b} FROM {t} WHERE {c} = {v} ORDER BY {b} {d} LIMIT 2
    unlike SELECT {a} FROM {t} ORDER BY {b} {d} LIMIT 1
group_count: t t.c:category
    SELECT {c}, COUNT(*) FROM {t} GROUP BY {c}
    Show each {c} and the number of {ts}.
    For each {c}, give the {c} and the number of {ts}.
    List every {c} together with its number of {ts}.
    How many {ts} are there for each {c}? Show the {c} first.
group_aggregate: t t.c:category t.d:measure d.f:aggregate
    SELECT {c}, {f}({d}) FROM {t} GROUP BY {c}
    Show each {c} and the {f} {d} of its {ts}.
    For each {c}, give the {c} and the {f} {d} of the {ts}.
    List every {c} together with the {f} {d} of its {ts}.
group_most: t t.c:category t.d:frequency
    SELECT {c} FROM {t} GROUP BY {c} ORDER BY COUNT(*) {d} LIMIT 1
    Which {c} has the {d} {ts}?
    Show the {c} that has the {d} {ts}.
    What is the {c} with the {d} {ts}?
    untied SELECT COUNT(*) FROM {t} GROUP BY {c} ORDER BY COUNT(*) {d} LIMIT 2
having_more: t t.c:category t.n:count
    SELECT {c} FROM {t} GROUP BY {c} HAVING COUNT(*) > {n}
    Which {cs} have more than {n} {ts}?
    Show the {cs} with more than {n} {ts}.
    List each {c} shared by more than {n} {ts}.
    unlike SELECT {c} FROM {t} GROUP BY {c}
having_least: t t.c:category t.n:count
    SELECT {c} FROM {t} GROUP BY {c} HAVING COUNT(*) >= {n}
    Which {cs} have at least {n} {ts}?
    Show the {cs} with {n} or more {ts}.
    List each {c} shared by at least {n} {ts}.
    unlike SELECT {c} FROM {t} GROUP BY {c}
having_average: t t.c:category t.d:measure d.o:compare d.v:inner
    SELECT {c} FROM {t} GROUP BY {c} HAVING AVG({d}) {o} {v}
    Which {cs} have {ts} with an average {d} {o} {v}?
    Show the {cs} whose {ts} have an average {d} {o} {v}.
    List each {c} where the average {d} of the {ts} is {o} {v}.
    unlike SELECT {c} FROM {t} GROUP BY {c}
join_equal: t>p t.a:any p.c:named c.v:value
    SELECT {t}.{a} {join} WHERE {p}.{c} = {v}
    What are the {as} of {ts} whose {p} has {c} {v}?
    Show the {a} of every {t} of the {ps} with {c} {v}.
    List the {as} of {ts} where the {c} of the {p} is {v}.
    unlike SELECT {a} FROM {t}
join_project: t>p t.a:any p.b:any
    SELECT {t}.{a}, {p}.{b} {join}
    Show the {a} of every {t} and the {b} of the {p}.
    List the {as} of all {ts} with the {bs} of their {ps}.
    For each {t}, give the {a} and the {b} of the {p}.
join_count: t>p p.c:named c.v:value
    SELECT COUNT(*) {join} WHERE {p}.{c} = {v}
    How many {ts} are there whose {p} has {c} {v}?
    Count the {ts} of the {ps} with {c} {v}.
    What is the number of {ts} where the {c} of the {p} is {v}?
join_aggregate: t>p t.d:measure d.f:aggregate p.c:category c.v:value
    SELECT {f}({t}.{d}) {join} WHERE {p}.{c} = {v}
    What is the {f} {d} of {ts} whose {p} has {c} {v}?
    Show the {f} {d} of the {ts} of {ps} with {c} {v}.
    Compute the {f} {d} over {ts} where the {c} of the {p} is {v}.
join_distinct: t>p p.a:any t.c:category c.v:value
    SELECT DISTINCT {p}.{a} {join} WHERE {t}.{c} = {v}
    What are the different {as} of {ps} that have {ts} with {c} {v}?
    List the distinct {as} of the {ps} of {ts} with {c} {v}.
    Show, without repeats, the {as} of the {ps} of {ts} whose {c} is {v}.
join_limit: t>p p.a:any t.c:ranked c.d:superlative
    SELECT {p}.{a} {join} ORDER BY {t}.{c} {d} LIMIT 1
    What is the {a} of the {p} of the {t} with the {d} {c}?
    Show the {a} of the {p} whose {t} has the {d} {c}.
    Which {p} has the {t} with the {d} {c}? Give the {a} of the {p}.
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT 2
join_group: t>p p.a:named
    SELECT {p}.{a}, COUNT(*) {join} GROUP BY {p}.{a}
    Among {ps} with {ts}, show each {a} and the number of {ts}.
    For each {a} of {ps} with {ts}, give the {a} and the number of {ts}.
    List every {a} of {ps} that have {ts}, together with the number of {ts}.
join_having: t>p p.a:any t.n:count
    SELECT {p}.{a} {join} GROUP BY {p}.id HAVING COUNT(*) > {n}
    What are the {as} of {ps} with more than {n} {ts}?
    Show the {a} of every {p} that has more than {n} {ts}.
    List the {as} of {ps} having over {n} {ts}.
    unlike SELECT {p}.{a} {join} GROUP BY {p}.id
join_most: t>p p.a:any
    SELECT {p}.{a} {join} GROUP BY {p}.id ORDER BY COUNT(*) DESC LIMIT 1
    What is the {a} of the {p} with the most {ts}?
    Show the {a} of the {p} that has the most {ts}.
    Which {p} has the most {ts}? Give the {a}.
    untied SELECT COUNT(*) FROM {t} GROUP BY {p}_id ORDER BY COUNT(*) DESC LIMIT 2
nested_average: t t.a:any t.c:measure c.o:compare
    SELECT {a} FROM {t} WHERE {c} {o} (SELECT AVG({c}) FROM {t})
    What are the {as} of {ts} whose {c} is {o} the average {c}?
    Show the {a} of every {t} with {c} {o} the average.
    List the {as} of {ts} with {c} {o} the average of all {ts}.
nested_in: t>p p.a:any t.c:category c.v:value
    SELECT {a} FROM {p} WHERE id IN (SELECT {p}_id FROM {t} WHERE {c} = {v})
    What are the {as} of {ps} that have at least one {t} with {c} {v}?
    Show the {a} of every {p} that has some {t} whose {c} is {v}.
    List the {as} of {ps} having any {t} with {c} {v}.
    unlike SELECT {a} FROM {p} WHERE id IN (SELECT {p}_id FROM {t})
nested_not_in: t>p p.a:any
    SELECT {a} FROM {p} WHERE id NOT IN (SELECT {p}_id FROM {t})
    What are the {as} of {ps} that have no {ts}?
    Show the {a} of every {p} without any {t}.
    List the {as} of {ps} that do not have any {ts}.
nested_not_in_equal: t>p p.a:any t.c:category c.v:value
    SELECT {a} FROM {p} WHERE id NOT IN (SELECT {p}_id FROM {t} WHERE {c} = {v})
    What are the {as} of {ps} that have no {t} with {c} {v}?
    Show the {a} of every {p} without any {t} whose {c} is {v}.
    List the {as} of {ps} that do not have any {t} with {c} {v}.
    unlike SELECT {a} FROM {p} WHERE id NOT IN (SELECT {p}_id FROM {t})
intersect_equal: t>p t.c:category c.v:value c.w:value
    SELECT {p}_id FROM {t} WHERE {c} = {v} INTERSECT SELECT {p}_id FROM {t} WHERE {c} = {w}
    Show the ids of {ps} that have both {ts} with {c} {v} and {ts} with {c} {w}.
    Which {p} ids occur both for {ts} with {c} {v} and for {ts} with {c} {w}?
    List the {p} ids shared by {ts} with {c} {v} and {ts} with {c} {w}.
    unlike SELECT DISTINCT {p}_id FROM {t} WHERE {c} = {v}
    unlike SELECT DISTINCT {p}_id FROM {t} WHERE {c} = {w}
intersect_compare: t t.c:category t.d:bounded d.o:above d.v:inner d.u:below d.w:inner
    SELECT {c} FROM {t} WHERE {d} {o} {v} INTERSECT SELECT {c} FROM {t} WHERE {d} {u} {w}
    Which {cs} have both {ts} with {d} {o} {v} and {ts} with {d} {u} {w}?
    Show the {cs} shared by {ts} with {d} {o} {v} and {ts} with {d} {u} {w}.
    List the {cs} that occur both for {ts} with {d} {o} {v} and for {ts} with {d} {u} {w}.
    unlike SELECT DISTINCT {c} FROM {t} WHERE {d} {o} {v}
    unlike SELECT DISTINCT {c} FROM {t} WHERE {d} {u} {w}
union_tables: t>p t.a:named p.b:named
    SELECT {a} FROM {t} UNION SELECT {b} FROM {p}
    Show the {as} of {ts} together with the {bs} of {ps} in one list.
    List all {as} of {ts} and all {bs} of {ps} in one column.
    Combine the {as} of {ts} and the {bs} of {ps} into one list.
except_compare: t t.c:category t.d:bounded d.o:compare d.v:inner
    SELECT {c} FROM {t} EXCEPT SELECT {c} FROM {t} WHERE {d} {o} {v}
    Which {cs} have {ts} but no {t} with {d} {o} {v}?
    Show the {cs} of {ts} except those of {ts} with {d} {o} {v}.
    List the {cs} of {ts} that never occur for {ts} with {d} {o} {v}.
    unlike SELECT DISTINCT {c} FROM {t}
except_equal: t>p t.c:category c.v:value
    SELECT id FROM {p} EXCEPT SELECT {p}_id FROM {t} WHERE {c} = {v}
    Show the ids of {ps} that have no {t} with {c} {v}.
    List the {p} ids that never occur for {ts} with {c} {v}.
    What are the ids of {ps} except those with {ts} whose {c} is {v}?
    unlike SELECT id FROM {p} EXCEPT SELECT {p}_id FROM {t}
"""


@dataclass(frozen=True)
class Pattern:
    """A kind of question: the fields of the notation above."""

    name: str
    slots: str
    sql: str
    questions: tuple[str, ...]
    untied: tuple[str, ...]
    unlike: tuple[str, ...]


def parse_patterns(text: str) -> tuple[Pattern, ...]:
    """All patterns in `text`, which is in the notation above, in order."""
    blocks: list[list[str]] = []
    for line in text.replace("{join}", JOIN).strip().splitlines():
        if line.startswith(" "):
            blocks[-1].append(line.strip())
        else:
            blocks.append([line])
    patterns = []
    for header, sql, *lines in blocks:
        name, slots = header.split(": ")
        checks = {
            word: tuple(line.removeprefix(word + " ") for line in lines if line.startswith(word + " "))
            for word in ("untied", "unlike")
        }
        questions = tuple(line for line in lines if not line.startswith(("untied ", "unlike ")))
        patterns.append(Pattern(name, slots, sql, questions, **checks))
    return tuple(patterns)


PATTERNS = parse_patterns(PATTERN_NOTATION)
