"""eval/score.py end to end: its JSON, votes, failure page and gold cache."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest
from helpers.score_command import GOLD, PREDICTIONS, SCRIPT, score

from kid.evaluation.gold_cache import write_results


def test_end_to_end(benchmark):
    result = score(benchmark)
    assert result.returncode == 0, result.stderr
    figures = {"n": 4, "ex": 25.0, "ex_interval": [4.56, 69.94], "ts": None, "ts_interval": None}
    common = {"db_id": "concert", "ts": None, "hardness": "easy"}
    record = json.loads((benchmark / "new/dev.json").read_text())
    assert len(record["questions_sha256"]) == 64
    assert record == {
        "benchmark": "spider",
        "split": "dev",
        "evidence": None,
        "predictions_sha256": hashlib.sha256("".join(PREDICTIONS).encode()).hexdigest(),
        "questions_sha256": record["questions_sha256"],
        **figures,
        "hardness": {"easy": figures},
        "databases": {"concert": figures},
        "verdicts": [
            {"index": index, "ex": index == 0, "error": error, "differs": differs, **common}
            for index, (error, differs) in enumerate(
                [
                    (None, []),
                    ("no such table: nobody", ["does not run", "tables"]),
                    ("gold failed: no such column: x", ["tables", "columns", "aggregation"]),
                    ("empty prediction", ["does not parse"]),
                ]
            )
        ],
    }
    assert [path.name for path in (benchmark / "new").iterdir()] == ["dev.json"]
    assert "25.00" in result.stdout and "question 2 (counted as wrong)" in result.stdout


def test_votes_and_pass_at_k_stand_beside_the_greedy_score(benchmark):
    """Greedy: question 0. The vote takes rows that two of three share: right in 0 and 3, though 3 has an ORDER BY."""
    gold = [*GOLD[:3], "SELECT age FROM singer WHERE age > 40 ORDER BY age"]
    (benchmark / "dev.json").write_text(
        json.dumps([{"db_id": "concert", "question": "?", "query": query} for query in gold])
    )
    samples = [
        ["SELECT name FROM singer", "SELECT name FROM singer ORDER BY id", "SELECT id FROM singer"],
        ["SELECT count(*) FROM nobody", "SELECT 5", "SELECT 5"],
        ["SELECT 1", "SELECT 1", "SELECT 1"],
        ["SELECT 1", "SELECT age FROM singer WHERE age = 52", "SELECT max(age) FROM singer"],
    ]
    (benchmark / "preds.sql.samples.jsonl").write_text(
        "".join(
            json.dumps(
                {"index": index, "samples": [{"sql": sql, "log_probability": -at} for at, sql in enumerate(own)]}
            )
            + "\n"
            for index, own in enumerate(samples)
        )
    )
    result = score(benchmark, vote="majority")
    assert result.returncode == 0, result.stderr
    found = json.loads((benchmark / "new/dev.json").read_text())
    assert found["ex"] == 25.0 and found["samples"] == {
        "k": 3,
        "vote": "majority",
        # (2 + 0 + 0 + 2) of 3 samples each; any two of them hold a right one
        "ex": {"greedy": 25.0, "voted": 50.0, "pass_at": {"1": 33.33, "2": 50.0, "3": 50.0}, "oracle": 50.0},
        "ts": None,
        "timeouts": 0,
        "errors": 1,
        "without_votes": 0,
        "without_samples": 0,
        "verdicts": [
            {"index": 0, "voted": 0, "votes": 2, "ex": "110"},
            {"index": 1, "voted": 1, "votes": 2, "ex": "000"},
            {"index": 2, "voted": 0, "votes": 3, "ex": "000"},
            {"index": 3, "voted": 1, "votes": 2, "ex": "011"},
        ],
    }
    assert "EX % with 3 samples per question" in result.stdout
    assert "1 of 12 samples did not vote (0 time-outs, 1 errors)" in result.stdout


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


def test_misses_by_class_with_examples(benchmark):
    result = score(benchmark, failures=benchmark / "new/failures.md")
    assert result.returncode == 0, result.stderr
    page = (benchmark / "new/failures.md").read_text()
    assert "| misses | 3 | 3 |" in page and "## does not run" in page
    assert "prediction SELECT count(*) FROM nobody" in page and "Error: no such table: nobody" in page


@pytest.mark.slow
def test_gold_results_are_computed_once(benchmark, tmp_path):
    """A gold result is kept for as long as its database stays the same."""
    database, cache = benchmark / "database/concert/concert.sqlite", tmp_path / "cache"
    command = [
        sys.executable,
        SCRIPT,
        "--benchmark",
        "spider",
        "--data",
        benchmark,
        "--json",
        benchmark / "dev.json.out",
    ]
    command += ["--predictions", benchmark / "preds.sql"]

    def verdicts() -> list[bool]:
        environment = {**os.environ, "KID_CACHE": str(cache)}
        subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True)
        return [line["ex"] for line in json.loads((benchmark / "dev.json.out").read_text())["verdicts"]]

    assert verdicts() == [True, False, False, False]
    kept = sorted((cache / "gold").iterdir())
    assert len(kept) == 3  # of the four, one does not run
    for file in kept:
        write_results(file, [([("another result",)], 0.1)])
    assert verdicts() == [False] * 4  # they are read
    for file in kept:
        content = bytearray(file.read_bytes())
        content[content.index(b"another")] ^= 1
        file.write_bytes(content)
    assert verdicts() == [True, False, False, False]  # and no bit of them may be another
    kept[0].write_bytes(b"torn")
    os.utime(database, ns=(1, 1))
    assert verdicts() == [True, False, False, False]


def test_help_has_an_example():
    result = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "examples:\n  python eval/score.py --benchmark spider" in result.stdout


def test_a_gold_query_that_depends_on_chance_is_said_and_not_kept(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    items = [{"db_id": "concert", "question": "?", "query": query} for query in ("SELECT date('now')", *GOLD[1:])]
    (benchmark / "dev.json").write_text(json.dumps(items))
    result = score(benchmark)
    assert result.returncode == 0 and "question 0: the gold query uses the clock or random numbers" in result.stdout
    assert len(list((tmp_path / "cache" / "gold").iterdir())) == 2
