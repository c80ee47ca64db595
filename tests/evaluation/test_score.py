from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "eval" / "score.py"
GOLD = ["SELECT name FROM singer", "SELECT count(*) FROM singer", "SELECT x FROM singer", "SELECT max(age) FROM singer"]
PREDICTIONS = ["SELECT name FROM singer\tconcert\n", "SELECT count(*) FROM nobody\n", "SELECT 1\n", "\n"]


@pytest.fixture
def benchmark(database, tmp_path) -> Path:
    """A Spider folder of four questions, and preds.sql beside it."""
    items = [{"db_id": "concert", "question": "?", "query": query} for query in GOLD]
    (tmp_path / "dev.json").write_text(json.dumps(items))
    (tmp_path / "preds.sql").write_text("".join(PREDICTIONS))
    return tmp_path


def score(folder: Path, *flags: object, **replaced: object) -> subprocess.CompletedProcess:
    given = {
        "benchmark": "spider",
        "data": folder,
        "predictions": folder / "preds.sql",
        "json": folder / "new/dev.json",
    }
    command = [sys.executable, SCRIPT, *flags]
    for name, value in (given | replaced).items():
        command += [f"--{name}", value]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)


def test_end_to_end(benchmark):
    result = score(benchmark)
    assert result.returncode == 0, result.stderr
    assert json.loads((benchmark / "new/dev.json").read_text()) == {
        "benchmark": "spider",
        "split": "dev",
        "n": 4,
        "ex": 25.0,
        "ts": None,
        "verdicts": [
            {"index": 0, "ex": True, "ts": None, "error": None},
            {"index": 1, "ex": False, "ts": None, "error": "no such table: nobody"},
            {"index": 2, "ex": False, "ts": None, "error": "gold failed: no such column: x"},
            {"index": 3, "ex": False, "ts": None, "error": "empty prediction"},
        ],
    }
    assert [path.name for path in (benchmark / "new").iterdir()] == ["dev.json"]
    assert "25.00" in result.stdout and "question 2 (counted as wrong)" in result.stdout


def test_questions_and_databases_from_elsewhere(benchmark, tmp_path):
    (benchmark / "dev.json").rename(tmp_path / "other.json")
    (benchmark / "database").rename(tmp_path / "elsewhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    result = score(
        benchmark, "--databases", empty, "--databases", tmp_path / "elsewhere", questions=tmp_path / "other.json"
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((benchmark / "new/dev.json").read_text())["ex"] == 25.0


def test_only_newlines_end_a_line(benchmark):
    text = "SELECT 'a\u2028b\x0c' FROM singer\r\n" * 3 + "SELECT 52"
    (benchmark / "preds.sql").write_bytes(text.encode())
    result = score(benchmark)
    assert result.returncode == 0, result.stderr
    verdicts = json.loads((benchmark / "new/dev.json").read_text())["verdicts"]
    assert [verdict["ex"] for verdict in verdicts] == [False, False, False, True]


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


def test_predictions_must_be_utf8(benchmark):
    (benchmark / "preds.sql").write_bytes(b"SELECT '\xff'\n" * 4)
    assert_refused(benchmark, score(benchmark), "are not UTF-8")


def test_folder_of_json_that_cannot_be(benchmark):
    result = score(benchmark, json=benchmark / "preds.sql" / "dev.json")
    assert_refused(benchmark, result, "cannot create its folder")


def assert_refused(folder: Path, result: subprocess.CompletedProcess, message: str) -> None:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ") and message in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["database", "dev.json", "preds.sql"]


def test_help_has_an_example():
    result = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "example:\n  python eval/score.py --benchmark spider" in result.stdout


@pytest.mark.parametrize("name", ["codes-1b-spider", "testsuite-dev_10"])
def test_verdicts_are_the_official_ones(real_data, tmp_path, name):
    reference = json.loads((real_data / "eval_reference" / f"{name}.json").read_text())
    predictions = real_data / "eval_reference" / f"{name}.txt"
    result = score(tmp_path, data=real_data / "spider", predictions=predictions)
    assert result.returncode == 0, result.stderr
    scored = json.loads((tmp_path / "new/dev.json").read_text())
    assert [verdict["ex"] for verdict in scored["verdicts"]] == [verdict == 1 for verdict in reference["verdicts"]]
    assert scored["ex"] == reference["ex"]
