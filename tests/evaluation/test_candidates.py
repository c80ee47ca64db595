from __future__ import annotations

import pytest
from helpers.databases import make_virtual_tables
from helpers.hostile import ENDLESS

from kid.errors import RunError
from kid.evaluation.candidates import choose_accepted, query_table
from kid.evaluation.execution import run_jobs

RUNS, OTHER = "SELECT name FROM singer", "SELECT age FROM singer"


@pytest.mark.parametrize(
    ("candidates", "place"),
    [
        ([RUNS, OTHER], 0),
        (["SELECT x FROM singer", RUNS, OTHER], 1),
        (["", "DROP TABLE singer", RUNS], 2),
        ([f"{ENDLESS} SELECT count(*) FROM n", RUNS], 0),  # nothing is run
        (["SELECT 1; SELECT 2", RUNS], 0),
        (["SELECT 1; nothing that runs", RUNS], 0),
        (["; -- none\n SELECT x", ";;SELECT 1 -- ;", RUNS], 1),
        (["DELETE FROM singer; SELECT 1", RUNS], 1),
        ([r"SELECT 'a\'; SELECT ';'", RUNS], 0),
        (["PRAGMA table_info(singer)", "-- a query\n/* it is */ values (1)"], 1),
        (["SELECTED", " with a as (select 1) select * from a", RUNS], 1),
        (["QUERY PLAN SELECT 1", "SELECT x FROM singer", "nothing"], 0),
        ([], 0),
    ],
)
def test_the_first_that_is_accepted(database, candidates, place):
    done = []
    chosen = choose_accepted([candidates, [RUNS]], [database] * 2, 2, lambda: done.append(1))
    assert chosen == [place, 0] and len(done) == 2


def test_no_question():
    assert choose_accepted([], []) == []


def test_table_has_names(database):
    (outcome,) = run_jobs(query_table, [(database, "SELECT name AS who, count(*) FROM singer WHERE id = 1", 5)])
    assert outcome.value == (["who", "count(*)"], [("Joe", 1)])


def test_what_follows_the_query_is_not_run(database):
    (outcome,) = run_jobs(query_table, [(database, "SELECT ';' AS x; DROP TABLE singer", 5)])
    assert outcome.value == (["x"], [(";",)])


def test_a_virtual_table_is_a_table(tmp_path):
    """For beams and for the rows that are shown."""
    path = make_virtual_tables(tmp_path / "virtual.sqlite")
    sql = "SELECT head FROM note WHERE note MATCH 'leaves'"
    assert choose_accepted([["SELECT x FROM note", sql]], [path]) == [1]
    (outcome,) = run_jobs(query_table, [(path, sql, 5)])
    assert outcome.value == (["head"], [("tea",)])


def test_a_database_that_is_gone_ends_the_run(tmp_path):
    with pytest.raises(RunError, match=r"gone\.sqlite cannot be read \(unable to open database file\); fix that"):
        choose_accepted([[RUNS, OTHER]], [tmp_path / "gone.sqlite"])


def test_of_a_long_result_only_the_first_rows_are_fetched(database):
    (outcome,) = run_jobs(query_table, [(database, f"{ENDLESS} SELECT x FROM n", 3)])
    assert outcome.value == (["x"], [(1,), (2,), (3,)])
