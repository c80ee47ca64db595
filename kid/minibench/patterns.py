"""The embedded benchmark's questions as data: SQL templates, the slots they have, and how people ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Kind of slot -> the columns that it may be, by `vocabulary.Attribute.kind`.
COLUMN_KINDS = {
    "any": ("label", "category", "integer", "real", "year", "date"),
    "label": ("label",),
    "category": ("category",),
    "named": ("label", "category"),
    "measure": ("integer", "real"),
    "bounded": ("integer", "real", "year"),
    "ranked": ("integer", "real", "year", "date"),
    "date": ("date",),
    "gaps": ("category", "integer", "real", "year", "date"),  # and only columns that hold NULL
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

# What a question is put together from: `name: slots`, then the ways to say it. A way that begins with ~ leaves the
# column's name out, for the realistic split: {c~} is the column's participle ("aged"), {d~c} its word for the largest
# or smallest ("oldest"), and {a~} may stand where the column only labels the row and needs no word at all.
PHRASE_NOTATION = """
list: a t
    Show the {as} of {ts}
    What are the {as} of {ts}
    List the {a} of every {t}
    Give the {as} of all {ts}
    ~List the {ts}{a~}
    ~Which {ts} are there{a~}
get: a t
    What is the {a} of the {t}
    Show the {a} of the {t}
    Find the {a} of the {t}
    ~Which is the {t}{a~}
how_many: t
    How many {ts} are there
    Count the {ts}
    What is the number of {ts}
aggregate: f d t
    What is the {f} {d} of {ts}
    Show the {f} {d} of the {ts}
    Compute the {f} {d} over all {ts}
eq: c v
    whose {c} is {v}
    with {c} {v}
    where the {c} is {v}
    ~{c~} {v}
not: c v
    whose {c} is not {v}
    with {c} other than {v}
    ~not {c~} {v}
cmp: c o v
    whose {c} is {o} {v}
    with {c} {o} {v}
    where the {c} is {o} {v}
    ~{c~} {o} {v}
between: c v w
    whose {c} is between {v} and {w}
    with {c} from {v} to {w}
    ~{c~} between {v} and {w}
top: a t c d
    What is the {a} of the {t} with the {d} {c}
    Show the {a} of the {t} that has the {d} {c}
    Which {t} has the {d} {c}, by its {a}
    ~What is the {a} of the {d~c} {t}
    ~Which is the {d~c} {t}{a~}
parent_eq: p c v
    whose {p} has {c} {v}
    of the {ps} with {c} {v}
    where the {c} of the {p} is {v}
    ~of {ps} {c~} {v}
parent_cmp: p c o v
    whose {p} has a {c} {o} {v}
    of the {ps} with {c} {o} {v}
    where the {c} of the {p} is {o} {v}
    ~of {ps} {c~} {o} {v}
"""

# A pattern is a line `name: slots` and, below it, the gold query and questions that all ask for exactly this query.
# The first slot names the tables by their keys: `t` any one, `t>p` a child and its parent, `t>p>g` and its parent's
# parent, `p<t>q` a child with two parents, `t>p<u` two children of one parent. In SQL {pk} is the primary key of p and
# {tp} the key in t that points to it; {t+p}, {t+p+g} and {p+t+q} are joins. The other slots read `owner.slot:kind` and
# are drawn left to right: a column of a table (COLUMN_KINDS), a value of a column (value, inner, low, high, initial,
# year), or a word of WORDS. In a question {c} is the slot's natural name and {cs} its plural, [eq c v] a phrase.
# Two kinds of check ensure that a question needs its whole query:
#   untied QUERY  its first column must have no ties, or chance would decide which row comes first
#   unlike QUERY  its rows must differ from the gold's, or a simpler query would answer the question
PATTERN_NOTATION = """
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
join_equal: t>p t.a:any p.c:named c.v:value
    SELECT {t}.{a} FROM {t+p} WHERE {p}.{c} = {v}
    [list a t] [parent_eq p c v]
    unlike SELECT {a} FROM {t}
join_compare: t>p t.a:any p.c:bounded c.o:compare c.v:inner
    SELECT {t}.{a} FROM {t+p} WHERE {p}.{c} {o} {v}
    [list a t] [parent_cmp p c o v]
    unlike SELECT {a} FROM {t}
join_project: t>p t.a:any p.b:any
    SELECT {t}.{a}, {p}.{b} FROM {t+p}
    Show the {a} of every {t} and the {b} of the {p}
    List the {as} of all {ts} with the {bs} of their {ps}
    For each {t}, give the {a} and the {b} of the {p}
join_both: t>p t.a:any t.d:bounded d.o:compare d.w:inner p.c:category c.v:value
    SELECT {t}.{a} FROM {t+p} WHERE {t}.{d} {o} {w} AND {p}.{c} = {v}
    [list a t] [cmp d o w] and [parent_eq p c v]
    unlike SELECT {a} FROM {t} WHERE {d} {o} {w}
    unlike SELECT {t}.{a} FROM {t+p} WHERE {p}.{c} = {v}
join_count: t>p p.c:named c.v:value
    SELECT COUNT(*) FROM {t+p} WHERE {p}.{c} = {v}
    [how_many t] [parent_eq p c v]
join_aggregate: t>p t.d:measure d.f:aggregate p.c:category c.v:value
    SELECT {f}({t}.{d}) FROM {t+p} WHERE {p}.{c} = {v}
    [aggregate f d t] [parent_eq p c v]
    unlike SELECT {f}({d}) FROM {t}
join_distinct: t>p p.a:any t.c:category c.v:value
    SELECT DISTINCT {p}.{a} FROM {t+p} WHERE {t}.{c} = {v}
    What are the different {as} of {ps} that have {ts} [eq c v]
    List, without repeats, the {as} of the {ps} of {ts} [eq c v]
join_order: t>p t.a:any p.c:named c.v:value t.b:ranked b.d:order
    SELECT {t}.{a} FROM {t+p} WHERE {p}.{c} = {v} ORDER BY {t}.{b} {d}
    [list a t] [parent_eq p c v], in {d} order of {b}
    untied SELECT {b} FROM {t}
join_limit: t>p p.a:any t.c:ranked c.d:superlative
    SELECT {p}.{a} FROM {t+p} ORDER BY {t}.{c} {d} LIMIT 1
    What is the {a} of the {p} of the {t} with the {d} {c}
    Show the {a} of the {p} whose {t} has the {d} {c}
    untied SELECT {c} FROM {t} ORDER BY {c} {d} LIMIT 2
join_limit_equal: t>p t.a:any p.c:category c.v:value t.b:ranked b.d:superlative
    SELECT {t}.{a} FROM {t+p} WHERE {p}.{c} = {v} ORDER BY {t}.{b} {d} LIMIT 1
    Among the {ts} [parent_eq p c v], what is the {a} of the one with the {d} {b}
    Of the {ts} [parent_eq p c v], give the {a} of the one with the {d} {b}
    untied SELECT {t}.{b} FROM {t+p} WHERE {p}.{c} = {v} ORDER BY {t}.{b} {d} LIMIT 2
    unlike SELECT {a} FROM {t} ORDER BY {b} {d} LIMIT 1
join_group: t>p p.a:label
    SELECT {p}.{a}, COUNT(*) FROM {t+p} GROUP BY {p}.{pk}
    For each {p} with {ts}, show the {a} and the number of {ts}
    List the {a} of every {p} that has {ts}, together with the number of {ts}
join_group_all: t>p p.a:label
    SELECT {p}.{a}, COUNT({t}.{tk}) FROM {p} LEFT JOIN {t} ON {p}.{pk} = {t}.{tp} GROUP BY {p}.{pk}
    For every {p}, also those without {ts}, show the {a} and the number of {ts}
    List the {a} and the number of {ts} of all {ps}, even if they have none
    unlike SELECT {p}.{a}, COUNT(*) FROM {t+p} GROUP BY {p}.{pk}
join_group_aggregate: t>p p.a:label t.d:measure d.f:aggregate
    SELECT {p}.{a}, {f}({t}.{d}) FROM {t+p} GROUP BY {p}.{pk}
    For each {p}, show the {a} and the {f} {d} of its {ts}
    List the {a} of every {p} with the {f} {d} of its {ts}
join_group_where: t>p p.a:label t.c:category c.v:value
    SELECT {p}.{a}, COUNT(*) FROM {t+p} WHERE {t}.{c} = {v} GROUP BY {p}.{pk}
    For each {p}, show the {a} and the number of its {ts} [eq c v]
    List the {a} of the {ps} with the number of their {ts} [eq c v]
    unlike SELECT {p}.{a}, COUNT(*) FROM {t+p} GROUP BY {p}.{pk}
join_group_category: t>p p.c:category t.d:measure d.f:aggregate
    SELECT {p}.{c}, {f}({t}.{d}) FROM {t+p} GROUP BY {p}.{c}
    For each {c} of {ps}, give the {c} and the {f} {d} of their {ts}
    Show every {c} of the {ps} with the {f} {d} of the {ts}
join_having: t>p p.a:any t.n:count
    SELECT {p}.{a} FROM {t+p} GROUP BY {p}.{pk} HAVING COUNT(*) > {n}
    [list a p] with more than {n} {ts}
    [list a p] that have more than {n} {ts}
    unlike SELECT {p}.{a} FROM {t+p} GROUP BY {p}.{pk}
join_having_where: t>p p.a:any t.c:category c.v:value t.n:count
    SELECT {p}.{a} FROM {t+p} WHERE {t}.{c} = {v} GROUP BY {p}.{pk} HAVING COUNT(*) >= {n}
    [list a p] with at least {n} {ts} [eq c v]
    [list a p] that have {n} or more {ts} [eq c v]
    unlike SELECT {p}.{a} FROM {t+p} GROUP BY {p}.{pk} HAVING COUNT(*) >= {n}
join_having_average: t>p p.a:any t.d:measure d.o:compare d.v:inner
    SELECT {p}.{a} FROM {t+p} GROUP BY {p}.{pk} HAVING AVG({t}.{d}) {o} {v}
    [list a p] whose {ts} have an average {d} {o} {v}
    [list a p] with {ts} of an average {d} {o} {v}
    unlike SELECT {p}.{a} FROM {t+p} GROUP BY {p}.{pk}
join_most: t>p p.a:any t.d:frequency
    SELECT {p}.{a} FROM {t+p} GROUP BY {p}.{pk} ORDER BY COUNT(*) {d} LIMIT 1
    [get a p] with the {d} {ts}
    [get a p] that has the {d} {ts}, if it has any
    untied SELECT COUNT(*) FROM {t} GROUP BY {tp} ORDER BY COUNT(*) {d} LIMIT 2
join_most_where: t>p p.a:any t.c:category c.v:value
    SELECT {p}.{a} FROM {t+p} WHERE {t}.{c} = {v} GROUP BY {p}.{pk} ORDER BY COUNT(*) DESC LIMIT 1
    [get a p] with the most {ts} [eq c v]
    untied SELECT COUNT(*) FROM {t} WHERE {c} = {v} GROUP BY {tp} ORDER BY COUNT(*) DESC LIMIT 2
chain_equal: t>p>g t.a:any g.c:named c.v:value
    SELECT {t}.{a} FROM {t+p+g} WHERE {g}.{c} = {v}
    [list a t] whose {p} belongs to the {g} [eq c v]
    [list a t] of the {ps} of {gs} [eq c v]
    unlike SELECT {a} FROM {t}
chain_project: t>p>g t.a:any g.b:any
    SELECT {t}.{a}, {g}.{b} FROM {t+p+g}
    Show the {a} of every {t} and the {b} of the {g} of its {p}
    For each {t}, give the {a} and the {b} of the {g} that its {p} belongs to
chain_count: t>p>g g.c:named c.v:value
    SELECT COUNT(*) FROM {t+p+g} WHERE {g}.{c} = {v}
    [how_many t] whose {p} belongs to the {g} [eq c v]
    [how_many t] of the {ps} of {gs} [eq c v]
chain_aggregate: t>p>g t.d:measure d.f:aggregate g.c:category c.v:value
    SELECT {f}({t}.{d}) FROM {t+p+g} WHERE {g}.{c} = {v}
    [aggregate f d t] of the {ps} of {gs} [eq c v]
    unlike SELECT {f}({d}) FROM {t}
chain_group: t>p>g g.a:label
    SELECT {g}.{a}, COUNT(*) FROM {t+p+g} GROUP BY {g}.{gk}
    For each {g}, show the {a} and the number of {ts} of its {ps}
    List the {a} of every {g} with the number of {ts} that its {ps} have
chain_having: t>p>g g.a:any t.n:count
    SELECT {g}.{a} FROM {t+p+g} GROUP BY {g}.{gk} HAVING COUNT(*) > {n}
    [list a g] whose {ps} have more than {n} {ts} in all
    unlike SELECT {g}.{a} FROM {t+p+g} GROUP BY {g}.{gk}
chain_most: t>p>g g.a:any
    SELECT {g}.{a} FROM {t+p+g} GROUP BY {g}.{gk} ORDER BY COUNT(*) DESC LIMIT 1
    [get a g] whose {ps} have the most {ts} in all
    untied SELECT COUNT(*) FROM {t+p+g} GROUP BY {g}.{gk} ORDER BY COUNT(*) DESC LIMIT 2
chain_two_conditions: t>p>g g.a:any t.c:category c.v:value p.d:bounded d.o:compare d.w:inner
    SELECT DISTINCT {g}.{a} FROM {t+p+g} WHERE {t}.{c} = {v} AND {p}.{d} {o} {w}
    What are the different {as} of {gs} that have {ps} [cmp d o w] with {ts} [eq c v]
    List, without repeats, the {as} of the {gs} with {ps} [cmp d o w] that have {ts} [eq c v]
    unlike SELECT DISTINCT {g}.{a} FROM {t+p+g} WHERE {t}.{c} = {v}
chain_in: t>p>g g.a:any t.c:category c.v:value
    SELECT {a} FROM {g} WHERE {gk} IN (SELECT {pg} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t} WHERE {c} = {v}))
    [list a g] that have a {p} with at least one {t} [eq c v]
    unlike SELECT {a} FROM {g} WHERE {gk} IN (SELECT {pg} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t}))
chain_not_in: t>p>g g.a:any t.c:category c.v:value
    SELECT {a} FROM {g} WHERE {gk} NOT IN (SELECT {pg} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t} WHERE {c} = {v}))
    [list a g] none of whose {ps} has a {t} [eq c v]
    unlike SELECT {a} FROM {g} WHERE {gk} NOT IN (SELECT {pg} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t}))
bridge_project: p<t>q p.a:any q.b:any
    SELECT {p}.{a}, {q}.{b} FROM {p+t+q}
    For each {t}, show the {a} of its {p} and the {b} of its {q}
    List, for all {ts}, the {as} of the {ps} with the {bs} of the {qs}
bridge_equal: p<t>q p.a:any q.c:named c.v:value
    SELECT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {v}
    For each {t} with a {q} [eq c v], show the {a} of its {p}
    [list a p] for all {ts} with the {q} [eq c v]
bridge_distinct: p<t>q p.a:any q.c:category c.v:value t.d:bounded d.o:compare d.w:inner
    SELECT DISTINCT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {v} AND {t}.{d} {o} {w}
    What are the different {as} of {ps} that have {ts} [cmp d o w] with a {q} [eq c v]
    List, without repeats, the {as} of {ps} with {ts} [cmp d o w] for {qs} [eq c v]
    unlike SELECT DISTINCT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {v}
    unlike SELECT DISTINCT {p}.{a} FROM {t+p} WHERE {t}.{d} {o} {w}
bridge_group: p<t>q p.a:label q.c:category c.v:value
    SELECT {p}.{a}, COUNT(*) FROM {p+t+q} WHERE {q}.{c} = {v} GROUP BY {p}.{pk}
    For each {p}, show the {a} and the number of its {ts} with a {q} [eq c v]
    List the {a} of the {ps} with the number of their {ts} for {qs} [eq c v]
bridge_having: p<t>q p.a:any q.c:category c.v:value t.n:count
    SELECT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {v} GROUP BY {p}.{pk} HAVING COUNT(*) >= {n}
    [list a p] with at least {n} {ts} for {qs} [eq c v]
    unlike SELECT {p}.{a} FROM {t+p} GROUP BY {p}.{pk} HAVING COUNT(*) >= {n}
bridge_intersect: p<t>q p.a:label q.c:category c.v:value c.w:value
    SELECT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {v} INTERSECT SELECT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {w}
    What are the {as} of {ps} that have both {ts} with a {q} [eq c v] and {ts} with one [eq c w]
    unlike SELECT DISTINCT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {v}
bridge_except: p<t>q p.a:label q.c:category c.v:value
    SELECT {a} FROM {p} EXCEPT SELECT {p}.{a} FROM {p+t+q} WHERE {q}.{c} = {v}
    [list a p] except those that have {ts} with a {q} [eq c v]
    What are the {as} of {ps} that never had a {t} with a {q} [eq c v]
    unlike SELECT {a} FROM {p} EXCEPT SELECT {p}.{a} FROM {p+t+q}
siblings_both: t>p<u p.a:any
    SELECT {a} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t}) AND {pk} IN (SELECT {up} FROM {u})
    [list a p] that have both {ts} and {us}
    [list a p] with at least one {t} and at least one {u}
    unlike SELECT {a} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t})
    unlike SELECT {a} FROM {p} WHERE {pk} IN (SELECT {up} FROM {u})
siblings_one: t>p<u p.a:any
    SELECT {a} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t}) AND {pk} NOT IN (SELECT {up} FROM {u})
    [list a p] that have {ts} but no {us}
    [list a p] with at least one {t} and without any {u}
    unlike SELECT {a} FROM {p} WHERE {pk} NOT IN (SELECT {up} FROM {u})
siblings_union: t>p<u t.c:category c.v:value u.d:category d.w:value
    SELECT {tp} FROM {t} WHERE {c} = {v} UNION SELECT {up} FROM {u} WHERE {d} = {w}
    Show the ids of {ps} that have {ts} [eq c v] or {us} [eq d w]
    unlike SELECT DISTINCT {tp} FROM {t} WHERE {c} = {v}
    unlike SELECT DISTINCT {up} FROM {u} WHERE {d} = {w}
nested_average: t t.a:any t.c:measure c.o:compare
    SELECT {a} FROM {t} WHERE {c} {o} (SELECT AVG({c}) FROM {t})
    [list a t] whose {c} is {o} the average {c}
    [list a t] with {c} {o} the average of all {ts}
nested_average_of: t t.a:any t.d:category d.v:value t.c:measure c.o:compare
    SELECT {a} FROM {t} WHERE {c} {o} (SELECT AVG({c}) FROM {t} WHERE {d} = {v})
    [list a t] whose {c} is {o} the average {c} of {ts} [eq d v]
    unlike SELECT {a} FROM {t} WHERE {c} {o} (SELECT AVG({c}) FROM {t})
nested_extreme: t t.a:any t.c:ranked c.f:extreme
    SELECT {a} FROM {t} WHERE {c} = (SELECT {f}({c}) FROM {t})
    [list a t] whose {c} equals the {f} {c}
    [list a t] that share the {f} {c}
nested_above_all: t t.a:any t.d:category d.v:value t.c:measure
    SELECT {a} FROM {t} WHERE {c} > (SELECT MAX({c}) FROM {t} WHERE {d} = {v})
    [list a t] whose {c} is higher than that of all {ts} [eq d v]
    [list a t] with a higher {c} than any {t} [eq d v]
nested_join: t>p t.a:any p.c:category c.v:value t.d:measure d.o:compare
    SELECT {t}.{a} FROM {t+p} WHERE {p}.{c} = {v} AND {t}.{d} {o} (SELECT AVG({d}) FROM {t})
    [list a t] [parent_eq p c v] and whose {d} is {o} the average {d} of all {ts}
    unlike SELECT {t}.{a} FROM {t+p} WHERE {p}.{c} = {v}
nested_two: t>p t.a:any p.c:category c.v:value t.d:measure d.o:compare
    SELECT {a} FROM {t} WHERE {d} {o} (SELECT AVG({d}) FROM {t} WHERE {tp} IN (SELECT {pk} FROM {p} WHERE {c} = {v}))
    [list a t] whose {d} is {o} the average {d} of {ts} [parent_eq p c v]
    unlike SELECT {a} FROM {t} WHERE {d} {o} (SELECT AVG({d}) FROM {t})
nested_in: t>p p.a:any t.c:category c.v:value
    SELECT {a} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t} WHERE {c} = {v})
    [list a p] that have at least one {t} [eq c v]
    [list a p] having any {t} [eq c v]
    unlike SELECT {a} FROM {p} WHERE {pk} IN (SELECT {tp} FROM {t})
nested_not_in: t>p p.a:any
    SELECT {a} FROM {p} WHERE {pk} NOT IN (SELECT {tp} FROM {t})
    [list a p] that have no {ts}
    [list a p] without any {t}
nested_not_in_equal: t>p p.a:any t.c:category c.v:value
    SELECT {a} FROM {p} WHERE {pk} NOT IN (SELECT {tp} FROM {t} WHERE {c} = {v})
    [list a p] that have no {t} [eq c v]
    [list a p] without any {t} [eq c v]
    unlike SELECT {a} FROM {p} WHERE {pk} NOT IN (SELECT {tp} FROM {t})
count_not_in: t>p
    SELECT COUNT(*) FROM {p} WHERE {pk} NOT IN (SELECT {tp} FROM {t})
    [how_many p] that have no {ts}
    [how_many p] without any {t}
average_count: t>p
    SELECT AVG(n) FROM (SELECT COUNT(*) AS n FROM {t} GROUP BY {tp})
    What is the average number of {ts} per {p}, among {ps} with {ts}
    How many {ts} does a {p} with {ts} have on average
intersect_equal: t>p t.c:category c.v:value c.w:value
    SELECT {tp} FROM {t} WHERE {c} = {v} INTERSECT SELECT {tp} FROM {t} WHERE {c} = {w}
    Show the ids of {ps} that have both {ts} [eq c v] and {ts} [eq c w]
    unlike SELECT DISTINCT {tp} FROM {t} WHERE {c} = {v}
    unlike SELECT DISTINCT {tp} FROM {t} WHERE {c} = {w}
intersect_join: t>p p.a:label t.c:category c.v:value c.w:value
    SELECT {p}.{a} FROM {t+p} WHERE {t}.{c} = {v} INTERSECT SELECT {p}.{a} FROM {t+p} WHERE {t}.{c} = {w}
    What are the {as} of {ps} that have both {ts} [eq c v] and {ts} [eq c w]
    unlike SELECT DISTINCT {p}.{a} FROM {t+p} WHERE {t}.{c} = {v}
    unlike SELECT DISTINCT {p}.{a} FROM {t+p} WHERE {t}.{c} = {w}
intersect_compare: t t.c:category t.d:bounded d.o:above d.v:inner d.m:below d.w:inner
    SELECT {c} FROM {t} WHERE {d} {o} {v} INTERSECT SELECT {c} FROM {t} WHERE {d} {m} {w}
    Which {cs} have both {ts} [cmp d o v] and {ts} [cmp d m w]
    Show the {cs} shared by {ts} [cmp d o v] and {ts} [cmp d m w]
    unlike SELECT DISTINCT {c} FROM {t} WHERE {d} {o} {v}
    unlike SELECT DISTINCT {c} FROM {t} WHERE {d} {m} {w}
union_tables: t>p t.a:named p.b:named
    SELECT {a} FROM {t} UNION SELECT {b} FROM {p}
    Show the {as} of {ts} together with the {bs} of {ps} in one list
    List all {as} of {ts} and all {bs} of {ps} in one column
except_compare: t t.c:category t.d:bounded d.o:compare d.v:inner
    SELECT {c} FROM {t} EXCEPT SELECT {c} FROM {t} WHERE {d} {o} {v}
    Which {cs} have {ts} but no {t} [cmp d o v]
    Show the {cs} of {ts} except those of {ts} [cmp d o v]
    unlike SELECT DISTINCT {c} FROM {t}
except_equal: t>p t.c:category c.v:value
    SELECT {pk} FROM {p} EXCEPT SELECT {tp} FROM {t} WHERE {c} = {v}
    Show the ids of {ps} that have no {t} [eq c v]
    What are the ids of {ps} except those with {ts} [eq c v]
    unlike SELECT {pk} FROM {p} EXCEPT SELECT {tp} FROM {t}
except_join: t>p p.a:label t.c:category c.v:value
    SELECT {a} FROM {p} EXCEPT SELECT {p}.{a} FROM {t+p} WHERE {t}.{c} = {v}
    [list a p] except those that have {ts} [eq c v]
    unlike SELECT {a} FROM {p} EXCEPT SELECT {p}.{a} FROM {t+p}
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

    @property
    def is_simple(self) -> bool:
        """Whether one SELECT on one table answers it; the student base of the demo has seen no others."""
        return self.sql.count("SELECT") == 1 and self.slots.split()[0] == "t"


def split_blocks(text: str) -> list[tuple[str, str, list[str]]]:
    """(name, slots, indented lines below) of each entry of a notation."""
    blocks: list[tuple[str, str, list[str]]] = []
    for line in text.strip().splitlines():
        if line.startswith(" "):
            blocks[-1][2].append(line.strip())
        else:
            name, slots = line.split(": ")
            blocks.append((name, slots, []))
    return blocks


def parse_patterns(text: str) -> tuple[Pattern, ...]:
    """All patterns in `text`, which is in the notation above, in order."""
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
    """The patterns as often as they have a turn: twice on three tables, for which not every database has room."""
    return [pattern for pattern in patterns for _ in range(1 + (len(pattern.slots.split()[0]) == 5))]


PATTERNS = parse_patterns(PATTERN_NOTATION)
PHRASES = {name: (slots.split(), lines) for name, slots, lines in split_blocks(PHRASE_NOTATION)}
