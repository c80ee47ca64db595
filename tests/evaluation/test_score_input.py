"""Predictions and questions that eval/score.py refuses, or counts as wrong."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from helpers.score_command import PREDICTIONS, score


def test_database_in_use_is_refused(benchmark, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("DELETE FROM singer")
        connection.commit()
        result = score(benchmark)
    assert result.returncode == 2 and "concert.sqlite is in use" in result.stderr


def test_damaged_questions_count_as_wrong_where_asked(benchmark):
    items = json.loads((benchmark / "dev.json").read_text())
    del items[0]["query"]
    (benchmark / "dev.json").write_text(json.dumps(items))
    refused = score(benchmark)
    assert refused.returncode == 2 and "question with no query: " in refused.stderr
    assert "--damaged skip" in refused.stderr
    result = score(benchmark, "--damaged", "skip")
    assert result.returncode == 0 and "counted as wrong: question with no query: " in result.stdout, result.stderr
    verdicts = json.loads((benchmark / "new/dev.json").read_text())["verdicts"]
    assert (verdicts[0]["ex"], verdicts[0]["error"]) == (False, "gold failed: no query") and len(verdicts) == 4


def test_only_newlines_end_a_line(benchmark):
    text = "SELECT 'a\u2028b\x0c' FROM singer\r\n" * 3 + "SELECT 52"
    (benchmark / "preds.sql").write_bytes(text.encode())
    result = score(benchmark)
    assert result.returncode == 0, result.stderr
    verdicts = json.loads((benchmark / "new/dev.json").read_text())["verdicts"]
    assert [verdict["ex"] for verdict in verdicts] == [False, False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"benchmark": "spyder"}, "benchmark 'spyder' is unknown"),
        ({"split": "tset"}, "split 'tset' of benchmark spider is unknown"),
        ({"data": "nowhere"}, "data folder nowhere does not exist"),
        ({"questions": "nothing.json"}, "nothing.json: No such file or directory"),
        ({"predictions": "nothing.sql"}, "cannot read predictions nothing.sql: No such file"),
        ({"predictions": "."}, "cannot read predictions .: Is a directory"),
        ({"databases": "nowhere"}, "no database for 1 of 1 db_ids under nowhere"),
        ({"json": "."}, "--json . is a folder"),
        ({"workers": 0}, "--workers 0 is out of range"),
        ({"workers": "two"}, "argument --workers: invalid int value: 'two'"),
        ({"timeout": "inf"}, "--timeout inf is out of range"),
        ({"surprise": 1}, "unrecognized arguments: --surprise 1"),
    ],
)
def test_bad_input_is_one_line(benchmark, replaced, message):
    assert_refused(benchmark, score(benchmark, **replaced), message)


def test_number_of_predictions_must_fit(benchmark):
    (benchmark / "preds.sql").write_text("".join(PREDICTIONS[:3]))
    assert_refused(benchmark, score(benchmark), "has 3 lines but the split has 4 questions")
    (benchmark / "preds.sql").write_text("")
    assert_refused(benchmark, score(benchmark), "has 0 lines but the split has 4 questions")


def test_bytes_that_are_not_utf8_cost_their_prediction(benchmark):
    """Also where the rest of it is right, and they are shown as U+FFFD; a gold query that fails is said first."""
    (benchmark / "preds.sql").write_bytes(b"SELECT name FROM singer -- \xff\nSELECT '\xe9'\n\xff\nSELECT 52\n")
    result = score(benchmark, failures=benchmark / "new/failures.md")
    assert result.returncode == 0, result.stderr
    assert f"warning: {benchmark}/preds.sql: 3 of 4 predictions count as wrong: line 1 is not UTF-8, " in result.stderr
    verdicts = json.loads((benchmark / "new/dev.json").read_text())["verdicts"]
    errors = ["line 1 is not UTF-8", "line 2 is not UTF-8", "gold failed: no such column: x", None]
    assert [(verdict["ex"], verdict["error"]) for verdict in verdicts] == [(error is None, error) for error in errors]
    assert "does not parse" in verdicts[0]["differs"]
    assert "prediction SELECT '\ufffd'" in (benchmark / "new/failures.md").read_text()


def test_birds_object_of_predictions(benchmark):
    """Scored as its queries are as lines; of another database's questions it is refused."""
    queries = [line.strip().removesuffix("\tconcert") for line in PREDICTIONS]
    values = {place: f"{query}\t----- bird -----\tconcert" for place, query in enumerate(queries)}
    (benchmark / "preds.sql").write_text(json.dumps(values))
    result = score(benchmark)
    assert result.returncode == 0, result.stderr
    verdicts = json.loads((benchmark / "new/dev.json").read_text())["verdicts"]
    assert [verdict["ex"] for verdict in verdicts] == [True, False, False, False]
    assert verdicts[3]["error"] == "empty prediction"
    shutil.rmtree(benchmark / "new")
    (benchmark / "preds.sql").write_text(json.dumps(values).replace("concert", "concerts"))
    assert_refused(benchmark, score(benchmark), "4 of 4 predictions have a different database than their question")


def test_folder_of_json_that_cannot_be(benchmark):
    result = score(benchmark, json=benchmark / "preds.sql" / "dev.json")
    assert_refused(benchmark, result, "cannot create its folder")


def assert_refused(folder: Path, result: subprocess.CompletedProcess, message: str) -> None:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ") and message in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["database", "dev.json", "preds.sql"]


def test_damage_that_only_a_prediction_meets_is_said(benchmark, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE stray AS SELECT 1 AS x")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'stray'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.commit()
    content = bytearray(database.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    database.write_bytes(content)
    (benchmark / "preds.sql").write_text("SELECT x FROM stray\n" + "".join(PREDICTIONS[1:]))
    result = score(benchmark)
    assert result.returncode == 0, result.stderr
    assert "question 0: wrong because the database is damaged; repair the file" in result.stdout


def test_predictions_of_another_split_are_refused(benchmark):
    """Spider's dev and realistic, say, have question files of one layout; only the note tells the predictions apart."""
    note = benchmark / "preds.sql.made.json"
    note.write_text(json.dumps({"benchmark": "spider", "split": "dk"}))
    result = score(benchmark)
    assert result.returncode == 2 and not (benchmark / "new").exists()
    said = (
        "preds.sql are for spider dk according to preds.sql.made.json, not for spider dev; give the benchmark and split"
    )
    assert said in result.stderr and result.stderr.count("\n") == 1
