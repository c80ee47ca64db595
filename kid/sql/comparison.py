"""Decide whether two query results are equal: Spider's execution match (taoyds/test-suite-sql-eval), and BIRD's.

Verdicts agree with the official code (for Spider: no plugged values), quirks included, because published figures were
made with it. But what is a literal, a comment or the end of a statement is decided as SQLite decides it. The official
code uses sqlparse, which errs where a literal ends in a backslash: the query then fails or means something else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from kid.sql.tokens import SqlToken, first_statement

Row = tuple
CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


@lru_cache(maxsize=16)  # called again for every database of a test suite
def normalize_query(sql: str, keep_distinct: bool = False) -> str:
    """The query to run in place of `sql`, for gold and prediction alike.

    Operators broken by a space are joined and the MySQL idiom for the current year becomes 2020 (both also in string
    literals, as officially), every statement after the first is dropped, and so is every DISTINCT but that of IS [NOT]
    DISTINCT FROM, unless `keep_distinct`.
    """
    for broken in ("> =", "< =", "! ="):
        sql = sql.replace(broken, broken.replace(" ", ""))
    tokens = first_statement(sql)
    if not keep_distinct:
        tokens = without_distinct(tokens)
    return CURRENT_YEAR.sub("2020", "".join(token.text for token in tokens))


def first_query(sql: str) -> str:
    """The first statement without the blanks and comments around it: what is run by BIRD's rule."""
    return "".join(token.text for token in first_statement(sql))


def without_distinct(tokens: Sequence[SqlToken]) -> list[SqlToken]:
    """The tokens without the DISTINCT of results and aggregates; that of IS [NOT] DISTINCT FROM is a comparison."""
    kept: list[SqlToken] = []
    before = ("", "")  # the two words or signs before, in lower case
    for token in tokens:
        text = token.text.lower()
        if token.kind != "word" or text != "distinct" or before[1] == "is" or before == ("is", "not"):
            kept.append(token)
        if not token.is_blank:
            before = (before[1], text)
    return kept


def order_matters(gold: str) -> bool:
    """Whether rows must be in the order of the gold result. `gold` is normalised; an ORDER BY anywhere in it counts."""
    return "order by" in gold.lower()


def bird_results_equal(gold: Sequence[Row], predicted: Sequence[Row]) -> bool:
    """BIRD's rule: equal as sets of rows. Neither order nor duplicates count; the order of columns does."""
    return set(gold) == set(predicted)


def results_equal(gold: Sequence[Row], predicted: Sequence[Row], ordered: bool) -> bool:
    """Whether one permutation of the columns makes the two results the same.

    Values are compared with Python's `==`: 1 equals 1.0, '1' does not, NULL equals NULL.

    Args:
        gold: rows of the gold query, all of one width.
        predicted: rows of the predicted query, all of one width.
        ordered: compare rows as lists; otherwise as bags.
    """
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    if not _same_unordered_rows(gold, predicted, ordered):
        return False
    gold_columns, predicted_columns = list(zip(*gold, strict=True)), list(zip(*predicted, strict=True))
    if ordered:
        # Lists of rows are equal under a permutation exactly if the columns are the same bag of lists.
        return Counter(gold_columns) == Counter(predicted_columns)
    # Columns with many distinct values first: they tell rows apart early, so wrong branches end early.
    gold_columns.sort(key=lambda column: len(set(column)), reverse=True)
    return _columns_match(gold_columns, Counter(predicted_columns), [0] * len(gold), [0] * len(gold))


def _same_unordered_rows(gold: Sequence[Row], predicted: Sequence[Row], ordered: bool) -> bool:
    """The official first test: whether rows agree once each is sorted by the text of its values.

    It is cheap, and more than a shortcut: text puts 100 before 10 but 10.0 before 100, so (10, 100) and (10.0, 100)
    differ although they are equal. The verdict has to be the official one.
    """
    sorted_gold, sorted_predicted = (
        [tuple(sorted(row, key=lambda value: str(value) + str(type(value)))) for row in rows]
        for rows in (gold, predicted)
    )
    return sorted_gold == sorted_predicted if ordered else set(sorted_gold) == set(sorted_predicted)


def _columns_match(
    gold_columns: list[tuple], remaining: Counter, gold_prefix: list[int], predicted_prefix: list[int]
) -> bool:
    """Whether the prediction's columns can be put in the order of `gold_columns` so that the bags of rows agree.

    A row's prefix id stands for its values in the columns placed so far. A choice is followed only if the two bags of
    prefixes still agree. Equal columns are one key of the counter, so each is tried once.

    Args:
        gold_columns: columns to place, each [rows].
        remaining: the prediction's unused columns and how often each occurs.
        gold_prefix: prefix ids [rows] of the gold, with the same numbering as `predicted_prefix` [rows].
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
