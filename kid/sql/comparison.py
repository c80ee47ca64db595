"""Decide whether two query results are equal: Spider's execution match (taoyds/test-suite-sql-eval), and BIRD's.

Verdicts agree with the official code (for Spider: without plugged values), quirks included, because published figures
were made with it. Only literals, comments and ends of statements are recognised as in SQLite. The official code uses
sqlparse, which misreads a literal that ends in a backslash: the query then fails or changes its meaning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from kid.sql.tokens import SqlToken, first_statement

Row = tuple
CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


@lru_cache(maxsize=16)  # called for every database of a test suite
def normalize_query(sql: str, keep_distinct: bool = False) -> str:
    """The query that is executed in place of a gold or predicted query.

    Joins operators that a space has split and replaces MySQL's expression for the current year by 2020 (both also in
    string literals, like the official code). Drops every statement after the first and, unless `keep_distinct`, every
    DISTINCT except that of IS [NOT] DISTINCT FROM.
    """
    for broken in ("> =", "< =", "! ="):
        sql = sql.replace(broken, broken.replace(" ", ""))
    tokens = first_statement(sql)
    if not keep_distinct:
        tokens = without_distinct(tokens)
    return CURRENT_YEAR.sub("2020", "".join(token.text for token in tokens))


def first_query(sql: str) -> str:
    """The first statement without the blanks and comments around it: the query that BIRD's rule executes."""
    return "".join(token.text for token in first_statement(sql))


def without_distinct(tokens: Sequence[SqlToken]) -> list[SqlToken]:
    """Drop DISTINCT in SELECT lists and aggregates; keep it in IS [NOT] DISTINCT FROM, which is a comparison."""
    kept: list[SqlToken] = []
    before = ("", "")  # the two preceding tokens, in lower case
    for token in tokens:
        text = token.text.lower()
        if token.kind != "word" or text != "distinct" or before[1] == "is" or before == ("is", "not"):
            kept.append(token)
        if not token.is_blank:
            before = (before[1], text)
    return kept


def order_matters(gold: str) -> bool:
    """Whether rows must be in the order of the gold result: any ORDER BY in `gold`, which is normalised, counts."""
    return "order by" in gold.lower()


def bird_results_equal(gold: Sequence[Row], predicted: Sequence[Row]) -> bool:
    """BIRD's rule: equal as sets of rows. The order and duplicates of rows are ignored; the order of columns counts."""
    return set(gold) == set(predicted)


def results_equal(gold: Sequence[Row], predicted: Sequence[Row], ordered: bool) -> bool:
    """Whether the two results are the same under some permutation of the columns.

    Values are compared with Python's `==`: 1 equals 1.0 but not '1', and NULL equals NULL.

    Args:
        gold: rows of the gold query, all of one width.
        predicted: rows of the predicted query, all of one width.
        ordered: compare rows as lists; otherwise as multisets.
    """
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    if not _same_unordered_rows(gold, predicted, ordered):
        return False
    gold_columns, predicted_columns = list(zip(*gold, strict=True)), list(zip(*predicted, strict=True))
    if ordered:
        # Lists of rows are equal under a permutation exactly if their columns are equal as multisets.
        return Counter(gold_columns) == Counter(predicted_columns)
    # Columns with many distinct values first: they distinguish rows early, so wrong branches end early.
    gold_columns.sort(key=lambda column: len(set(column)), reverse=True)
    return _columns_match(gold_columns, Counter(predicted_columns), [0] * len(gold), [0] * len(gold))


def _same_unordered_rows(gold: Sequence[Row], predicted: Sequence[Row], ordered: bool) -> bool:
    """The first test of the official code: whether rows agree after sorting the values of each row by their text.

    It is cheap, but it also changes verdicts: as text, 100 sorts before 10 but 10.0 before 100, so (10, 100) and
    (10.0, 100) differ here although they are equal. It is kept so that verdicts agree with the official ones.
    """
    sorted_gold, sorted_predicted = (
        [tuple(sorted(row, key=lambda value: str(value) + str(type(value)))) for row in rows]
        for rows in (gold, predicted)
    )
    return sorted_gold == sorted_predicted if ordered else set(sorted_gold) == set(sorted_predicted)


def _columns_match(
    gold_columns: list[tuple], remaining: Counter, gold_prefix: list[int], predicted_prefix: list[int]
) -> bool:
    """Whether the predicted columns can be permuted to match `gold_columns` so that the multisets of rows are equal.

    A row's prefix id identifies its values in the columns matched so far. The search follows a choice only if the two
    multisets of prefix ids are equal. Equal columns share a key of the counter, so each is tried once.

    Args:
        gold_columns: columns that are still to be matched, each [rows].
        remaining: the unused predicted columns and how often each occurs.
        gold_prefix: prefix ids [rows] of the gold rows, with the same numbering as `predicted_prefix` [rows].
    """
    if not gold_columns:
        return True
    ids: dict[tuple, int] = {}
    next_gold = [ids.setdefault(key, len(ids)) for key in zip(gold_prefix, gold_columns[0], strict=True)]
    gold_bag = Counter(next_gold)
    for column in list(remaining):
        next_predicted = [ids.get(key, -1) for key in zip(predicted_prefix, column, strict=True)]
        if Counter(next_predicted) != gold_bag:
            continue
        rest = remaining - Counter([column])
        if _columns_match(gold_columns[1:], rest, next_gold, next_predicted):
            return True
    return False
