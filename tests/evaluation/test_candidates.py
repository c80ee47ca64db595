from __future__ import annotations

import pytest
from hostile import ENDLESS

from kid.evaluation.candidates import choose_executable, query_table
from kid.evaluation.execution import run_jobs
from kid.evaluation.worker import Limits

RUNS, OTHER = "SELECT name FROM singer", "SELECT age FROM singer"
KILLS = "SELECT instr(hex(zeroblob(10000000)), hex(zeroblob(5000000)) || '1')"  # only with its process


@pytest.mark.parametrize(
    ("candidates", "place"),
    [
        ([RUNS, OTHER], 0),
        (["SELECT x FROM singer", RUNS, OTHER], 1),
        (["", "DROP TABLE singer", RUNS], 2),
        ([f"{ENDLESS} SELECT count(*) FROM n", RUNS], 1),
        ([KILLS, RUNS], 1),
        (["SELECT x", KILLS, "SELECT y", RUNS], 3),
        (["SELECT x FROM singer", "nothing"], 0),
        ([KILLS], 0),
        ([KILLS, KILLS], 0),
    ],
)
def test_the_first_that_runs(database, candidates, place):
    done = []
    limits = Limits(seconds=0.3)
    chosen = choose_executable([candidates, [RUNS]], [database] * 2, 2, limits, lambda: done.append(1))
    assert chosen == [place, 0] and len(done) == 2


def test_no_question():
    assert choose_executable([], []) == []


def test_table_has_names(database):
    (outcome,) = run_jobs(query_table, [(database, "SELECT name AS who, count(*) FROM singer WHERE id = 1")])
    assert outcome.value == (["who", "count(*)"], [("Joe", 1)])
