from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from contextlib import closing

import pytest

from kid.data.questions import Question
from kid.errors import InputError, RunError
from kid.evaluation import execution_accuracy
from kid.evaluation.execution_accuracy import (
    Verdict,
    gold_failures,
    percent_correct,
    score_predictions,
    worst_case_seconds,
)
from kid.evaluation.worker import Limits

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def score(database, *pairs, databases=None, limits=None):
    questions = [Question(i, "concert", "?", gold) for i, (gold, _) in enumerate(pairs)]
    predictions = [prediction for _, prediction in pairs]
    return score_predictions(questions, predictions, {"concert": databases or [database]}, 2, limits)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gold", "prediction", "correct"),
    [
        ("SELECT name, age FROM singer", "SELECT age, name FROM singer ORDER BY id DESC", True),
        ("SELECT name FROM singer ORDER BY id", "SELECT name FROM singer ORDER BY id DESC", False),
        ("SELECT DISTINCT country FROM singer", "SELECT country FROM singer", True),
        ("SELECT count(DISTINCT country) FROM singer", "SELECT count(country) FROM singer", True),
        ("SELECT id FROM singer WHERE age >= 50", "SELECT id FROM singer WHERE age > = 50", True),
        ("SELECT 1 FROM singer WHERE id = 99", "SELECT name, age FROM singer WHERE id = 98", True),
        ("SELECT 1", "SELECT 1.0", True),
        ("SELECT 1", "SELECT '1'", False),
        ("SELECT NULL", "SELECT age FROM singer WHERE id = 4", True),
        ("SELECT name FROM singer WHERE id = 4", "SELECT 'Jo'", True),
        ("SELECT 2020", "SELECT YEAR(CURDATE())", True),
        ("SELECT 1; DROP TABLE singer", "SELECT 1; SELECT 2", True),
        (
            "SELECT id FROM singer WHERE age IS DISTINCT FROM 32",
            "SELECT id FROM singer WHERE age = 52 OR age IS NULL",
            True,
        ),
        ("SELECT id FROM singer WHERE age IS NOT DISTINCT FROM NULL", "SELECT 4", True),
        ("SELECT count(DISTINCT age) FROM singer WHERE age IS NOT distinct FROM 32", "SELECT 2", True),
        (r"SELECT id FROM singer WHERE name = 'Joe\' OR country = 'a; b' OR id = 2", "SELECT 2", True),
        (r"SELECT id FROM singer WHERE name LIKE '%e' ESCAPE '\' OR name = 'so distinct'", "SELECT 1", True),
    ],
)
def test_verdict(database, gold, prediction, correct):
    assert score(database, (gold, prediction)) == [Verdict(0, correct)]


def test_errors_are_wrong_and_said(database):
    count = "SELECT count(*) FROM singer"
    verdicts = score(
        database,
        (count, "SELECT count(*) FROM singers"),
        (count, ENDLESS),
        (count, ""),
        ("SELECT x FROM singer", count),
        (ENDLESS, count),
        ("SELECT x FROM singer", " "),
        ("SELECT 1 FROM singer WHERE id = 99", "DELETE FROM singer"),
        (count, "SELECT 4"),
        limits=Limits(seconds=1),
    )
    assert verdicts == [
        Verdict(0, False, "no such table: singers"),
        Verdict(1, False, "timeout"),
        Verdict(2, False, "empty prediction"),
        Verdict(3, False, "gold failed: no such column: x"),
        Verdict(4, False, "gold failed: timeout"),
        Verdict(5, False, "gold failed: no such column: x"),
        Verdict(6, False, "not authorized"),
        Verdict(7, True),
    ]
    assert [verdict.index for verdict in gold_failures(verdicts)] == [3, 4, 5]
    assert percent_correct(verdicts) == 12.5


def test_distinct_counts_where_it_is_kept(database):
    pairs = [
        ("SELECT DISTINCT age FROM singer", "SELECT age FROM singer"),
        ("SELECT count(DISTINCT age) FROM singer", "SELECT 2"),
    ]
    questions = [Question(place, "concert", "?", gold) for place, (gold, _) in enumerate(pairs)]
    predictions = [prediction for _, prediction in pairs]

    def correct(keep: bool, benchmark: str = "spider") -> list[bool]:
        found = score_predictions(
            questions, predictions, {"concert": [database]}, 1, benchmark=benchmark, keep_distinct=keep
        )
        return [verdict.correct for verdict in found]

    # With a cache that the other rule has filled.
    assert [correct(keep) for keep in (False, True, False)] == [[True, False], [False, True], [True, False]]
    assert correct(False, "bird") == [True, True]  # BIRD's own rule: sets of rows
    with pytest.raises(InputError, match="BIRD's rule always keeps DISTINCT"):
        correct(True, "bird")


def test_a_database_that_is_gone_makes_no_prediction_wrong(database):
    """Whether the rows of the gold query are kept or not."""
    database.unlink()
    for gold in ("SELECT 1", "SELECT date('now')"):
        with pytest.raises(
            RunError, match=r"concert\.sqlite cannot be read \(.+\); fix that and run the command again"
        ):
            score(database, (gold, "SELECT 1"))


def test_the_worst_case_is_all_time_outs(database, monkeypatch):
    monkeypatch.setattr(execution_accuracy, "PATIENT_TIMEOUTS", 3)
    monkeypatch.setattr(execution_accuracy, "LESS_PATIENT_SHARE", 0.1)
    questions = [Question(place, "ab"[place > 1], "?", "SELECT 1") for place in range(12)]
    questions.append(Question(12, "c", "?", "SELECT 1", fault="no query"))
    files = {"a": [database], "b": [database] * 3}
    # On `a` 2 predictions of 10 s; on each file of `b`, 3 and the other worker's one have 10 s, the other 6 have 1 s.
    assert worst_case_seconds(questions, files, 10, 2) == (32, (20 + 3 * (40 + 6)) / 2)


def test_results_must_agree_on_every_database(database):
    other = database.with_name("other.sqlite")
    shutil.copy(database, other)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("INSERT INTO singer VALUES (5, 'Eve', 20, 'US')")
        connection.commit()
    pair = ("SELECT count(*) FROM singer", "SELECT 4")
    assert score(database, pair)[0].correct
    assert not score(database, pair, databases=[database, other])[0].correct
    same = ("SELECT count(*) FROM singer", "SELECT count(id) FROM singer")
    assert score(database, same, databases=[database, other])[0].correct


def test_bird_counts_the_time_of_gold_and_prediction_together(database):
    """Also where the gold's is known from before, and more than the limit of now."""
    slow = f"{ENDLESS.split(' SELECT count')[0]} SELECT max(x) FROM (SELECT x FROM n LIMIT 600000)"
    (question,) = [Question(0, "concert", "?", slow)]

    def verdict(prediction: str, seconds: float) -> Verdict:
        limits = Limits(seconds=seconds)
        return score_predictions([question], [prediction], {"concert": [database]}, 1, limits, "bird")[0]

    assert verdict("SELECT 600000", 30) == Verdict(0, True)
    assert verdict("SELECT 600000", 0.01) == Verdict(0, False, "gold failed: timeout")
    assert verdict("SELECT 600000", 30) == Verdict(0, True)


@pytest.mark.slow
def test_gold_results_of_a_suite_are_in_memory_one_at_a_time(database):
    """Eight times 40 MB do not fit into the limit, nor into what is kept."""
    copies = [database.with_name(f"{place}.sqlite") for place in range(8)]
    for copy in copies:
        shutil.copy(database, copy)
    big = "SELECT zeroblob(10000000) FROM singer"
    limits = Limits(seconds=20, memory=350 << 20)
    assert score(database, (big, big), databases=copies, limits=limits) == [Verdict(0, True)]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_goes_to_stderr_of_a_terminal_only(database, capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    score(database, ("SELECT 1", "SELECT 1"))
    out, err = capsys.readouterr()
    assert out == "" and ("scoring: 100%" in err) == terminal


def test_repeated_time_outs_on_a_database_shorten_the_next_ones_and_are_said(database, capsys, monkeypatch):
    """Twelve queries that never end; and one that takes a while, after them and alone."""
    monkeypatch.setattr(execution_accuracy, "PATIENT_TIMEOUTS", 3)
    monkeypatch.setattr(execution_accuracy, "LESS_PATIENT_SHARE", 0.1)
    count = "SELECT count(*) FROM singer"
    started = time.monotonic()
    verdicts = score(database, *[(count, ENDLESS)] * 12, (count, "SELECT 4"), limits=Limits(seconds=1))
    assert [verdict.error for verdict in verdicts] == ["timeout"] * 12 + [None]
    assert time.monotonic() - started < 6
    said = " ".join(capsys.readouterr().err.split())
    assert "note: 3 predictions on database concert timed out; the limit is now 0.1 s each, or 10 times" in said


def test_a_gold_query_that_takes_long_itself_keeps_time_for_its_predictions(database):
    slow = f"{ENDLESS.split(' SELECT count')[0]} SELECT max(x) FROM (SELECT x FROM n LIMIT 600000)"
    patience = execution_accuracy.Patience(0.001)
    job = ("spider", (database,), slow, slow, database.parent / "cache", patience)
    (outcome,) = execution_accuracy.run_jobs(execution_accuracy.match_on_databases, [job], 1, Limits(seconds=30))
    assert outcome.value is True
