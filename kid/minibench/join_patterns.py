"""Question patterns with joins or several SELECTs, in the notation of `kid.minibench.patterns`."""

JOINS = """
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
"""

SEVERAL_SELECTS = """
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
