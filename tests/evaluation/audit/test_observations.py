"""Which gold queries leave something to chance is decided by running them; each expectation is worked out by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from helpers.planted_faults import SHOP

from kid.data.questions import Question
from kid.evaluation.audit.observations import observe

TABLES = {"item": ["id", "name", "kind", "price", "made"], "gift": ["id", "name"]}
# Prices: 3, 9.5, 3, NULL, 20. Kinds: china (cup, pot), steel (fork, knife), iron (pan).
CASES = {
    "SELECT name FROM item ORDER BY price DESC LIMIT 1": set(),
    "SELECT name FROM item ORDER BY price DESC LIMIT 3": {"tied-limit"},  # 20, 9.5, one of two at 3
    "SELECT name FROM item ORDER BY price DESC LIMIT 4": {"tied-order"},  # both at 3, in any order
    "SELECT price FROM item ORDER BY price DESC LIMIT 3": set(),  # whichever it is, it costs 3
    "SELECT name FROM item ORDER BY price LIMIT 1": {"null-order"},
    "SELECT name FROM item ORDER BY price LIMIT 5": {"tied-order"},  # all of them, NULL first or last
    "SELECT name FROM item WHERE price > 5 ORDER BY price LIMIT 1": set(),
    "SELECT kind FROM item GROUP BY kind ORDER BY count(*) DESC LIMIT 1": {"tied-limit"},  # china and steel have 2
    "SELECT kind FROM item GROUP BY kind ORDER BY count(*) LIMIT 1": set(),
    "SELECT name FROM item LIMIT 5": set(),  # there are no more
    "SELECT count(*) FROM item LIMIT 1": set(),
    "SELECT count(*) FROM (SELECT name FROM item LIMIT 2)": set(),
    "SELECT max(price) FROM (SELECT price FROM item LIMIT 2)": {"unordered-limit"},
    "SELECT kind, price FROM item WHERE price < 4 GROUP BY kind": set(),  # one price in each
    "SELECT id, name, count(*) FROM item GROUP BY id": set(),
    "SELECT name FROM item GROUP BY kind HAVING count(*) = 1": set(),
    "SELECT name FROM item GROUP BY kind HAVING count(*) > 1": {"bare-column"},
    "SELECT name FROM item WHERE price = (SELECT price FROM item ORDER BY kind LIMIT 1)": {"tied-limit"},
    # Aggregated within another function, and grouped by position.
    "SELECT max(abs(price) - 1) FROM item": set(),
    "SELECT kind, sum(abs(price)) FROM item GROUP BY kind": set(),
    "SELECT upper(kind), sum(price) FROM item GROUP BY 1": set(),
    "SELECT name, kind FROM item GROUP BY 2 HAVING count(*) > 1": {"bare-column"},
}
UNDECIDED = {
    "SELECT name, max(price) FROM item": "a column occurs beside a single MIN or MAX",
    "SELECT name, rank() OVER (ORDER BY price) FROM item": "it has a window function, which ties can change",
}


def observations(tmp_path, queries, benchmark):
    database = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(SHOP)
    questions = [Question(index, "shop", "?", query) for index, query in enumerate(queries)]
    found = observe(questions, {"shop": database}, {"shop": TABLES}, benchmark, workers=1, seconds=10)
    return {query: found["shop", query] for query in queries}


def test_what_results_leave_to_chance(tmp_path):
    found = observations(tmp_path, [*CASES, *UNDECIDED], "spider")
    assert {query: set(found[query].choices) for query in CASES} == CASES
    assert {query: found[query].undecided for query in UNDECIDED} == UNDECIDED
    assert all(found[query].undecided is None and found[query].error is None for query in CASES)


def test_results_without_a_value_are_seen(tmp_path):
    """(rows, whether all their values are NULL) of each query."""
    expected = {
        "SELECT sum(price) FROM item WHERE kind = 'gold'": (1, True),
        "SELECT price FROM item WHERE price IS NULL": (1, True),
        "SELECT count(*), max(price) FROM item WHERE kind = 'gold'": (1, False),
        "SELECT price FROM item": (5, False),
        "SELECT name FROM item WHERE kind = 'gold'": (0, False),
    }
    found = observations(tmp_path, list(expected), "spider")
    assert {query: (seen.rows, seen.only_null) for query, seen in found.items()} == expected


def test_birds_rule_compares_no_order(tmp_path):
    ordered, cut = list(CASES)[2], list(CASES)[1]
    found = observations(tmp_path, [ordered, cut], "bird")
    assert (found[ordered].choices, found[cut].choices) == (frozenset(), {"tied-limit"})
