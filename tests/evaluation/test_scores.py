from __future__ import annotations

import pytest
from scipy.stats import binomtest

from kid.evaluation.scores import summaries_by_database, summary, wilson_interval


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 20), (1, 4), (7, 10), (98, 129), (1034, 1034)])
def test_interval_is_scipys(right, n):
    interval = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson_interval(right, n) == pytest.approx([100 * interval.low, 100 * interval.high], abs=0.0051)


def lines(db_id, *right):
    return [{"db_id": db_id, "ex": ex, "ts": None} for ex in right]


def test_databases_are_ordered_from_the_worst():
    right = {"a": [True, True], "b": [False], "c": [True, False], "d": [False, False], "e": [False], "": [False]}
    found = summaries_by_database([line for db_id, verdicts in right.items() for line in lines(db_id, *verdicts)])
    assert list(found) == ["d", "b", "e", "c", "a"]  # of equals that with more questions, then by name
    assert found["c"] == summary(lines("c", True, False))
    assert found["c"] == {"n": 2, "ex": 50.0, "ex_interval": [9.45, 90.55], "ts": None, "ts_interval": None}


def test_ts_counts_every_question():
    found = summary([{"ex": True, "ts": True}, {"ex": True, "ts": False}, {"ex": False, "ts": False}])
    assert (found["ex"], found["ts"], found["ts_interval"]) == (66.67, 33.33, [6.15, 79.23])
