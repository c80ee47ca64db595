"""Predictions against gold rows in CSV files, by the rule of Spider 2.0's evaluate.py, which reads both with pandas."""

from __future__ import annotations

import csv
import io
import math
import random

import pytest

from kid.data.gold_rows import GoldRows
from kid.data.questions import Question
from kid.evaluation.execution_accuracy import score_predictions
from kid.evaluation.row_match import columns_match, columns_of_rows, gold_columns
from kid.evaluation.worker import Limits, QueryError


def official(pandas, predicted, gold, chosen, ignore_order):
    """compare_pandas_table of two CSV texts."""

    def equal(one, other):
        if ignore_order:
            one, other = (
                sorted(v, key=lambda x: (x is None, str(x), isinstance(x, (int, float)))) for v in (one, other)
            )
        return len(one) == len(other) and all(map(equal_values, one, other))

    def equal_values(a, b):
        if pandas.isna(a) and pandas.isna(b):
            return True
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            return math.isclose(float(a), float(b), abs_tol=1e-2)
        return a == b

    predicted, gold = (pandas.read_csv(io.StringIO(text)) for text in (predicted, gold))
    gold = gold.iloc[:, chosen] if chosen else gold
    gold, predicted = (table.transpose().values.tolist() for table in (gold, predicted))
    return all(any(equal(wanted, found) for found in predicted) for wanted in gold)


def csv_text(rows, width):
    file = io.StringIO()
    csv.writer(file).writerows([[f"c{place}" for place in range(width)], *rows])
    return file.getvalue()


def random_rows(rng, count, width):
    """Columns of numbers, of text, or of both; none of the numbers is close to another, apart from 2 and 2.004."""
    numbers, mixed = [1, 2, 2.004, 30.0, None], [1, "a", 2.5, None]
    kinds = [rng.choice([numbers, ["a", "b", "NA", "", "1"], mixed, ["7", "08", 7, None], ["True", "false"]])
             for _ in range(width)]  # fmt: skip
    return [tuple(rng.choice(kind) for kind in kinds) for _ in range(count)]


def test_verdicts_are_the_official_ones_on_random_tables(tmp_path):
    pandas, rng, right = pytest.importorskip("pandas"), random.Random(0), 0
    for number in range(200):
        width, count = rng.randint(1, 3), rng.randint(0, 4)
        gold = random_rows(rng, count, width)
        predicted, places = list(gold), list(range(width))
        ignore_order, chosen = rng.random() < 0.5, rng.choice([[], [0], [width - 1]])
        if rng.random() < 0.5:
            rng.shuffle(predicted)
        if rng.random() < 0.5:  # columns in another order, and one too many
            places = [*rng.sample(places, width), 0]
        if predicted and rng.random() < 0.3:
            predicted[0] = random_rows(rng, 1, width)[0]
        if predicted and rng.random() < 0.1:
            predicted = predicted[1:]
        predicted = [tuple(row[place] for place in places) for row in predicted]
        texts = csv_text(predicted, len(places)), csv_text(gold, width)
        (tmp_path / "gold.csv").write_text(texts[1], newline="")
        found = columns_match(
            gold_columns(tmp_path / "gold.csv", chosen), columns_of_rows(predicted, len(places)), ignore_order
        )
        assert found == official(pandas, *texts, chosen, ignore_order), (number, texts, chosen, ignore_order)
        right += found
    assert 50 < right < 150


def test_numbers_of_any_order_are_sorted_by_size():
    """The official code sorts their text: 9.999, 50 and 10.0, 50 then differ."""
    gold, predicted = columns_of_rows([(9.999,), (50,)], 1), columns_of_rows([(50,), (10.0,)], 1)
    assert columns_match(gold, predicted, True) and not columns_match(gold, predicted, False)


@pytest.fixture
def gold(tmp_path):
    (tmp_path / "a.csv").write_text('name,age\nJoe,52\nAnn,32\nBob,32\nJo,\n"Extra, not counted",1\n')
    (tmp_path / "b.csv").write_text("country\nUS\nUS\nNL\nFR\n")
    (tmp_path / "c.csv").write_text("average\n38.67\n")
    return lambda name, *columns, ignore_order=False: GoldRows((str(tmp_path / name),), (columns,), ignore_order)


def verdicts(database, *pairs):
    """Of (gold rows, prediction)."""
    questions = [Question(place, "concert", "?", "", gold_rows=rows) for place, (rows, _) in enumerate(pairs)]
    return score_predictions(
        questions, [text for _, text in pairs], {"concert": [database]}, 2, Limits(seconds=10), "jsonl"
    )


def test_predictions_are_run_as_they_stand_and_errors_of_the_gold_are_not_theirs(database, gold, tmp_path):
    (tmp_path / "uneven.csv").write_text("x,y\n1,2\n3\n")
    (tmp_path / "empty.csv").write_text("")
    several = GoldRows((str(tmp_path / "b.csv"), str(tmp_path / "c.csv")), ((), ()))
    cases = [
        (gold("b.csv", ignore_order=True), "SELECT country FROM singer; SELECT 2", True),
        (gold("b.csv"), "SELECT country FROM singer ORDER BY country = 'US' DESC, country DESC", True),
        (gold("b.csv"), "SELECT country FROM singer", False),
        (gold("b.csv", ignore_order=True), "SELECT DISTINCT country FROM singer", False),  # DISTINCT stands
        (gold("c.csv"), "SELECT 'any other column', avg(age) FROM singer", True),  # 38.666...
        (gold("c.csv"), "SELECT 38.681", False),
        (gold("a.csv", 0, 1), "SELECT name, age FROM singer", False),
        (several, "SELECT 38.6667", True),
        (gold("b.csv"), "SELECT 38.6667", False),
        (gold("b.csv"), "SELECT x FROM singer", "no such column: x"),
        (gold("b.csv"), " ", "empty prediction"),
        (gold("b.csv"), "DROP TABLE singer", "not authorized"),
        (gold("b.csv", 1), "SELECT 1", f"gold failed: {tmp_path}/b.csv has 1 columns, but column 1 is to be compared"),
        (gold("uneven.csv"), "SELECT 1", f"gold failed: {tmp_path}/uneven.csv has a row of 1 cells under 2 names"),
        (gold("empty.csv"), "SELECT 1", f"gold failed: {tmp_path}/empty.csv has no header"),
    ]
    found = verdicts(database, *[case[:2] for case in cases])
    assert [verdict.error or verdict.correct for verdict in found] == [wanted for *_, wanted in cases]
    with pytest.raises(QueryError, match=r"b\.csv cannot be read"):
        (tmp_path / "b.csv").write_bytes(b"\xff\xfe")
        gold_columns(tmp_path / "b.csv", ())
