from __future__ import annotations

from kid.report.score_tables import DATABASES, noise_line, score_tables

BASE = {"n": 4, "ex": 75.0, "ex_interval": [30.06, 95.44], "ts": None, "ts_interval": None}
F1 = {"soft_f1": {"n": 3, "percent": 80.0, "interval": [60.04, 100.0]}}
VES = {"n": 3, "score": 70.5, "interval": None, "runs": 100, "halves": [71.0, 70.25], "rewards_that_differ": 2}


def test_without_levels_and_with_one_database_all_questions_are_shown():
    record = {**BASE, "hardness": {}, "databases": {"a": BASE}}
    assert score_tables(record) == [
        ("by hardness", ["hardness", "n", "EX %", "95 % interval"], [["all", "4", "75.00", "30.1 to 95.4"]])
    ]
    assert noise_line(record) is None


def test_columns_of_what_there_is():
    easy = {**BASE, "ts": 50.0, "ts_interval": [15.0, 85.0], **F1}
    record = {
        **easy,
        "r_ves": VES,
        "hardness": {"easy": easy, "extra": {**easy, "soft_f1": F1["soft_f1"]}},
        "databases": {},
    }
    levels, metrics = score_tables(record)
    assert levels[1] == ["hardness", "n", "EX %", "95 % interval", "TS %", "TS interval", "soft F1 %", "R-VES"]
    assert levels[2][0] == ["easy", "4", "75.00", "30.1 to 95.4", "50.00", "15.0 to 85.0", "80.00", "-"]
    assert levels[2][2][0] == "all" and levels[2][2][-1] == "70.50"
    assert metrics[2] == [["soft F1 %", "3", "80.00", "60.0 to 100.0"], ["R-VES", "3", "70.50", "-"]]
    assert noise_line(record) == (
        "noise of R-VES: 71.00 from one half of the 100 runs per query, 70.25 from the other; 2 of 3 rewards differ"
    )


def test_only_the_worst_databases_are_shown():
    record = {**BASE, "hardness": {}, "databases": {f"db{place}": BASE for place in range(DATABASES + 1)}}
    title, _, rows = score_tables(record)[1]
    assert title == "by database (the 10 worst of 11, all are in the JSON)" and [row[0] for row in rows][-1] == "db9"
    del record["databases"]["db10"]
    assert score_tables(record)[1][0] == "by database" and len(score_tables(record)[1][2]) == DATABASES
