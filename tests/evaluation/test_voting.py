"""Votes counted by hand, on the database of singers: ages 52, 32, 32, NULL."""

import pytest
from helpers.hostile import ENDLESS

from kid.evaluation.execution_accuracy import Patience
from kid.evaluation.samples_file import SampledQuery
from kid.evaluation.voting import Vote, majority, majority_votes, shared_results
from kid.evaluation.worker import Limits

BROKEN = "SELECT x FROM singer"


@pytest.mark.parametrize(
    ("results", "log_probabilities", "wanted"),
    [
        ([0, 1, 1, None], [-1, -3, -2, -0.5], (2, 2)),  # of those that share it the most probable
        ([0, 1, 1, 0], [-4, -2, -3, -1], (3, 2)),  # two against two: the one with the most probable sample
        ([0, 1, 2], [-3, -1, -2], (1, 1)),
        ([0, 1], [-1, -1], (0, 1)),  # equally probable: the first
        ([None, None, None], [-3, -1, -2], (1, 0)),
        ([None, 5], [-1, -90], (1, 1)),  # what fails does not vote, however probable
        ([None], [-1], (0, 0)),
    ],
)
def test_the_majority(results, log_probabilities, wanted):
    assert majority(results, log_probabilities) == wanted


def vote(database, queries: list[str], benchmark="spider", seconds=5.0, **options) -> Vote:
    """The vote over these, the first the most probable."""
    samples = [SampledQuery(query, -place) for place, query in enumerate(queries)]
    return majority_votes({7: samples}, {7: database}, benchmark, 1, Limits(seconds=seconds), **options)[7]


SAME = [  # (query, query, whether they have the same result by Spider's rule, and by BIRD's)
    # Rows in any order, whatever the sample orders by.
    ("SELECT age FROM singer ORDER BY age", "SELECT age FROM singer ORDER BY age DESC", True, True),
    ("SELECT id, age FROM singer", "SELECT age, id FROM singer", True, False),  # columns
    ("SELECT DISTINCT age FROM singer", "SELECT age FROM singer", True, True),  # Spider's rule removes it
    ("SELECT 32 UNION ALL SELECT 32", "SELECT 32", False, True),  # duplicates: a bag, a set
    ("SELECT age FROM singer", "SELECT age * 1.0 FROM singer", True, True),  # 52 equals 52.0
    ("SELECT 52", "SELECT '52'", False, False),
    ("SELECT 0.1 + 0.2", "SELECT 0.3", False, False),  # floats exactly
    ("SELECT NULL", "SELECT max(age) FROM singer WHERE id = 4", True, True),  # NULL equals NULL
    ("SELECT NULL", "SELECT 0", False, False),
    ("SELECT id FROM singer WHERE id = 9", "SELECT id, age FROM singer WHERE 0", True, True),  # no rows
]


@pytest.mark.parametrize(("benchmark", "column"), [("spider", 2), ("bird", 3)])
def test_which_results_are_the_same(database, benchmark, column):
    """Two queries, and the most probable one, which votes with neither of them: it wins where they differ."""
    other = SampledQuery("SELECT country, country, country FROM singer", -1.0)
    samples = {
        place: [other, SampledQuery(case[0], -2.0), SampledQuery(case[1], -3.0)] for place, case in enumerate(SAME)
    }
    found = majority_votes(samples, dict.fromkeys(samples, database), benchmark, 1)
    wanted = {place: Vote(1, 2, ()) if case[column] else Vote(0, 1, ()) for place, case in enumerate(SAME)}
    assert found == wanted


def test_distinct_counts_where_it_is_kept(database):
    queries = ["SELECT 1", "SELECT DISTINCT age FROM singer", "SELECT age FROM singer"]
    assert vote(database, queries) == Vote(1, 2, ())
    assert vote(database, queries, keep_distinct=True) == Vote(0, 1, ())


def test_failures_and_time_outs_do_not_vote(database):
    endless = f"{ENDLESS} SELECT count(*) FROM n"
    # The third cannot be interrupted: its worker ends, and the others are run by another one.
    stuck = "SELECT instr(zeroblob(200000000), zeroblob(100000000) || x'01')"
    queries = [BROKEN, endless, stuck, "", "DROP TABLE singer", "SELECT 1", BROKEN]
    found = vote(database, queries, seconds=0.1)
    assert (found.number, found.votes) == (5, 1)
    broken, slow, killed, empty, refused, again = found.failures
    assert broken == again == "no such column: x" and slow == killed == "timeout"
    assert empty == "empty prediction" and refused == "not authorized"


def test_where_all_fail_the_most_probable_is_taken(database):
    samples = [SampledQuery(BROKEN, -2.0), SampledQuery("SELEC", -1.0), SampledQuery(BROKEN, -3.0)]
    found = majority_votes({0: samples}, {0: database}, "spider", 1)[0]
    assert (found.number, found.votes, len(found.failures)) == (1, 0, 3)


def test_copies_vote_and_are_run_once(database):
    class Counting:
        """The sandbox of a job, in this process."""

        def __init__(self):
            self.run = []

        def begin_stage(self, *_):
            pass

        def rows(self, _, sql):
            self.run.append(sql)
            return [(1,)] if "1" in sql else [(2,)]

    sandbox = Counting()
    queries = ["SELECT 1", "SELECT 2", "SELECT 1 + 0", "SELECT 4"]
    found = shared_results(sandbox, database, queries, "spider", False, Patience(1.0), {3: "timeout"})
    assert found == [0, 1, 0, "timeout"] and sandbox.run == queries[:3]  # the last one was given up
    assert vote(database, ["SELECT 2", "SELECT 1", "SELECT 1"]) == Vote(1, 2, ())


def test_questions_vote_apart(database):
    one, two = SampledQuery("SELECT 1", -2.0), SampledQuery("SELECT 2", -1.0)
    found = majority_votes({3: [one, one, two], 5: [one, two]}, {3: database, 5: database}, "spider", 2)
    assert found == {3: Vote(0, 2, ()), 5: Vote(1, 1, ())}
    assert majority_votes({}, {}, "spider") == {}
