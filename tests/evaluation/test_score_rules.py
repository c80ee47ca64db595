"""eval/score.py on test suites, and by the rules of each benchmark: Spider's, BIRD's, and rows as gold."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers.score_command import GOLD, score


def add_rows(path: Path, copy: Path, rows: str) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute(f"INSERT INTO singer VALUES {rows}")
        connection.commit()


@pytest.mark.slow
def test_suite_tells_luck_from_skill(benchmark, database):
    """Both its layouts: a folder of its own, and more files beside the database."""
    gold = ["SELECT count(*) FROM singer", "SELECT max(age) FROM singer", "SELECT name FROM singer WHERE id = 1"]
    predictions = ["SELECT 4", "SELECT max(age) FROM singer LIMIT 1", "SELECT name FROM singer WHERE id = 2"]
    items = [{"db_id": "concert", "question": "?", "query": query} for query in gold]
    (benchmark / "dev.json").write_text(json.dumps(items))
    (benchmark / "preds.sql").write_text("\n".join(predictions))
    add_rows(database, benchmark / "suite/concert/1.sqlite", "(9, 'Eve', 70, 'US')")
    add_rows(database, benchmark / "suite/concert/2.sqlite", "(9, 'Eve', 10, 'US')")

    def verdicts(*flags: object) -> list[tuple]:
        result = score(benchmark, *flags)
        assert result.returncode == 0, result.stderr
        found = json.loads((benchmark / "new/dev.json").read_text())
        assert (found["ex"], found["ts"]) == (66.67, 33.33) and "33.33" in result.stdout
        easy = found["hardness"]["easy"]
        assert (easy["n"], easy["ex"], easy["ts"], easy["ts_interval"]) == (3, 66.67, 33.33, [6.15, 79.23])
        return [(line["ex"], line["ts"]) for line in found["verdicts"]]

    wanted = [(True, False), (True, True), (False, False)]
    assert verdicts("--test-suite", benchmark / "suite") == wanted
    for file in (benchmark / "suite/concert").iterdir():
        file.rename(database.parent / file.name)
    assert verdicts() == wanted
    (benchmark / "suite/concert").rmdir()
    result = score(benchmark, "--test-suite", benchmark / "suite")
    assert result.returncode == 2 and "has no DB_ID/*.sqlite for 1 of 1 db_ids: concert" in result.stderr
    (benchmark / "suite/suite.json").write_text('{"databases": {"concert": {"databases_kept": 0}}}')
    for file in list(database.parent.glob("[12].sqlite")):
        file.unlink()
    result = score(benchmark, "--test-suite", benchmark / "suite")
    assert result.returncode == 0 and "no database for concert: EX is used as their TS" in result.stdout
    assert json.loads((benchmark / "new/dev.json").read_text())["ts_is_ex"] == ["concert"]


def test_gold_that_fails_on_a_suite_is_listed(benchmark, database):
    (benchmark / "suite/concert").mkdir(parents=True)
    sqlite3.connect(benchmark / "suite/concert/1.sqlite").close()
    result = score(benchmark, "--test-suite", benchmark / "suite")
    assert result.returncode == 0, result.stderr
    assert "on the test suite: 0 time-outs, 0 errors, gold SQL failed for 1" in result.stdout
    assert "question 0 (counted as wrong on the test suite): gold failed: no such table: singer" in result.stdout


def test_error_on_a_suite_only(benchmark, database):
    (benchmark / "dev.json").write_text(json.dumps([{"db_id": "concert", "question": "?", "query": "SELECT 1"}]))
    (benchmark / "preds.sql").write_text("SELECT 1 WHERE (SELECT count(*) FROM singer) < 5 OR json('{')")
    add_rows(database, benchmark / "suite/concert/1.sqlite", "(9, 'Eve', 70, 'US')")
    assert score(benchmark, "--test-suite", benchmark / "suite").returncode == 0
    (line,) = json.loads((benchmark / "new/dev.json").read_text())["verdicts"]
    assert (line["ex"], line["ts"], line["error"]) == (True, False, "test suite: malformed JSON")


def test_bird_by_its_own_rule_and_its_own_words(benchmark, database):
    """Sets of rows, columns in order, several levels of difficulty, evidence as the predictions' note has it."""
    root = benchmark / "dev_databases" / "concert"
    root.mkdir(parents=True)
    database.rename(root / database.name)
    pairs = [
        ("SELECT DISTINCT age FROM singer", "SELECT age FROM singer", "simple", True),
        ("SELECT age FROM singer ORDER BY id", "SELECT age FROM singer ORDER BY id DESC", "simple", True),
        ("SELECT id, age FROM singer", "SELECT age, id FROM singer", "vexing", False),
        ("SELECT count(DISTINCT age) FROM singer", "SELECT count(age) FROM singer", "challenging", False),
    ]
    items = [{"db_id": "concert", "question": "?", "SQL": gold, "difficulty": level} for gold, _, level, _ in pairs]
    (benchmark / "dev.json").write_text(json.dumps(items))
    (benchmark / "preds.sql").write_text("".join(f"{line}\t----- bird -----\tconcert\n" for _, line, _, _ in pairs))
    form = {"prompt": "ddl", "chat_template": "auto"}
    made = {"evidence": True, "settings": {**form, "max_prompt_length": 9}}
    (benchmark / "preds.sql.made.json").write_text(json.dumps(made))
    result = score(benchmark, benchmark="bird")
    assert result.returncode == 0, result.stderr
    found = json.loads((benchmark / "new/dev.json").read_text())
    assert [line["ex"] for line in found["verdicts"]] == [right for *_, right in pairs]
    assert found["form"] == form and "predicted with --prompt ddl --chat-template auto\n" in result.stdout
    assert found["evidence"] is True and list(found["hardness"]) == ["simple", "challenging", "vexing"]
    assert score(benchmark, "--evidence", "no", benchmark="bird").returncode == 0
    assert json.loads((benchmark / "new/dev.json").read_text())["evidence"] is False


def test_mini_dev_with_soft_f1_and_r_ves(benchmark, database):
    """BIRD mini-dev's layout, in the folder that its archive has."""
    root = benchmark / "MINIDEV"
    (root / "dev_databases/concert").mkdir(parents=True)
    database.rename(root / "dev_databases/concert" / database.name)
    slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000) SELECT max(x) FROM n"
    pairs = [(slow, "SELECT 20000", "simple"), ("SELECT age FROM singer", "SELECT age, 1 FROM singer", "moderate"),
             ("SELECT 1", "SELECT x", "moderate"), ("SELECT x", "SELECT 1", "challenging")]  # fmt: skip
    items = [
        {
            "question_id": 1471 + place,
            "db_id": "concert",
            "question": "?",
            "evidence": "",
            "SQL": gold,
            "difficulty": level,
        }
        for place, (gold, _, level) in enumerate(pairs)
    ]
    (root / "mini_dev_sqlite.json").write_text(json.dumps(items))
    (root / "mini_dev_sqlite_gold.sql").write_text("".join(f"{gold}\tconcert\n" for gold, *_ in pairs))
    values = {place: f"{line}\t----- bird -----\tconcert" for place, (_, line, _) in enumerate(pairs)}
    (benchmark / "preds.sql").write_text(json.dumps(values))
    result = score(benchmark, "--metrics", "soft-f1", "r-ves", benchmark="bird", split="mini-dev")
    assert result.returncode == 0, result.stderr
    found = json.loads((benchmark / "new/dev.json").read_text())
    assert [line["ex"] for line in found["verdicts"]] == [True, False, False, False]
    # Of 3 different ages, (52, 1), (32, 1), (None, 1): 3 matched, 3 too many.
    assert [line["soft_f1"] for line in found["verdicts"]] == [1.0, round(2 / 3, 6), 0.0, 0.0]
    assert [line["reward"] for line in found["verdicts"]] == [1.25, 0.0, 0.0, 0.0]  # the gold query takes ms, not us
    assert (found["soft_f1"]["n"], found["soft_f1"]["percent"]) == (4, 41.67)
    assert (found["r_ves"]["n"], found["r_ves"]["score"], found["r_ves"]["runs"]) == (4, 27.95, 100)
    assert list(found["hardness"]) == ["simple", "moderate", "challenging"]
    assert found["hardness"]["moderate"]["soft_f1"] == {"n": 2, "percent": 33.33, "interval": [0.0, 66.67]}
    assert "41.67" in result.stdout and "27.95 from one half of the 100 runs per query" in result.stdout


def test_gold_given_as_rows(benchmark):
    """Beside SQL: what rows lack is said, and what needs SQL of all questions is refused."""
    common = {"db_id": "concert", "question": "?"}
    items = [{**common, "gold_rows": "rows/q.csv", "difficulty": "own"}, {**common, "query": GOLD[0]}]
    items += [{**common, "gold_rows": "rows/q.csv"}, {**common, "query": GOLD[1]}]
    (benchmark / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (benchmark / "rows").mkdir()
    (benchmark / "rows/q_a.csv").write_text("age\n38.67\n")
    (benchmark / "preds.sql").write_text("SELECT avg(age) FROM singer\nSELECT name FROM singer\nSELECT 38\nSELECT 5\n")
    result = score(benchmark, "--metrics", "soft-f1", benchmark="jsonl", failures=benchmark / "new/failures.md")
    assert result.returncode == 0, result.stderr
    assert (
        "2 of 4 questions have gold rows instead of gold SQL: they get no hardness by Spider's rule, no failure class"
        in result.stdout
    )
    found = json.loads((benchmark / "new/dev.json").read_text())
    assert [line["ex"] for line in found["verdicts"]] == [True, True, False, False]
    assert [line["hardness"] for line in found["verdicts"]] == ["own", "easy", None, "easy"]
    assert [bool(line["differs"]) for line in found["verdicts"]] == [False, False, False, True]
    assert [line.get("soft_f1") for line in found["verdicts"]] == [None, 1.0, None, 0.0] and found["soft_f1"]["n"] == 2
    result = score(benchmark, "--test-suite", benchmark, benchmark="jsonl")
    assert (
        result.returncode == 2 and "--test-suite needs gold SQL, but 2 of 4 questions have gold_rows" in result.stderr
    )


@pytest.mark.parametrize("name", ["codes-1b-spider", "testsuite-dev_10", "testsuite-dev_9", "testsuite-dev_5"])
def test_verdicts_are_the_official_ones(real_data, tmp_path, name):
    reference = json.loads((real_data / "eval_reference" / f"{name}.json").read_text())
    predictions = real_data / "eval_reference" / f"{name}.txt"
    result = score(tmp_path, data=real_data / "spider", predictions=predictions)
    assert result.returncode == 0, result.stderr
    scored = json.loads((tmp_path / "new/dev.json").read_text())
    assert [verdict["ex"] for verdict in scored["verdicts"]] == [verdict == 1 for verdict in reference["verdicts"]]
    assert scored["ex"] == reference["ex"]


def test_verdicts_of_bird_are_the_official_ones(real_data, tmp_path):
    reference = json.loads((real_data / "eval_reference" / "codes-1b-bird-superhero.json").read_text())
    questions = json.loads((real_data / "bird" / "dev.json").read_text())
    chosen = [question for question in questions if question["question_id"] in reference["question_ids"]]
    (tmp_path / "superhero.json").write_text(json.dumps(chosen))
    predictions = real_data / "eval_reference" / "codes-1b-bird-superhero.txt"
    given = {"benchmark": "bird", "data": real_data / "bird", "predictions": predictions}
    result = score(tmp_path, **given, questions=tmp_path / "superhero.json")
    assert result.returncode == 0, result.stderr
    scored = json.loads((tmp_path / "new/dev.json").read_text())
    assert [verdict["ex"] for verdict in scored["verdicts"]] == [verdict == 1 for verdict in reference["verdicts"]]
    assert scored["ex"] == reference["ex"]


def test_distinct_is_kept_if_asked_and_the_json_says_so(benchmark):
    items = [{"db_id": "concert", "question": "?", "query": "SELECT DISTINCT age FROM singer"}]
    (benchmark / "dev.json").write_text(json.dumps(items))
    (benchmark / "preds.sql").write_text("SELECT age FROM singer\n")
    for flags, ex in (((), 100.0), (("--keep-distinct",), 0.0)):
        result = score(benchmark, *flags)
        assert result.returncode == 0, result.stderr
        record = json.loads((benchmark / "new/dev.json").read_text())
        assert record["ex"] == ex and record.get("keep_distinct", False) == bool(flags)
    result = score(benchmark, "--keep-distinct", benchmark="bird")
    assert result.returncode == 2 and "BIRD's rule always keeps DISTINCT" in result.stderr


@pytest.mark.slow
def test_the_worst_case_is_said_first_if_it_is_long(benchmark, database):
    said = "usually takes minutes, but up to 2.0 h if every prediction reaches its time limit (4 queries of 3600 s on 2"
    assert said in score(benchmark, workers=2, timeout=3600).stderr
    assert "but up to" not in score(benchmark, workers=2, timeout=1800).stderr
    add_rows(database, benchmark / "suite/concert/1.sqlite", "(9, 'Eve', 70, 'US')")
    add_rows(database, benchmark / "suite/concert/2.sqlite", "(9, 'Eve', 10, 'US')")
    assert (
        "(12 queries of 1800 s" in score(benchmark, "--test-suite", benchmark / "suite", workers=2, timeout=1800).stderr
    )


def test_ts_is_not_lost_by_scoring_without_a_suite(benchmark):
    path = benchmark / "new/dev.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"ts": 12.5}))
    result = score(benchmark)
    assert result.returncode == 2 and json.loads(path.read_text()) == {"ts": 12.5}
    assert "new/dev.json has TS, which would be lost without a test suite; give --test-suite" in result.stderr
    assert score(benchmark, "--overwrite").returncode == 0 and json.loads(path.read_text())["ts"] is None
