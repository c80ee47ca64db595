from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kid.evaluation.gold_cache import write_results

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


def test_database_in_use_is_refused(benchmark, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("DELETE FROM singer")
        connection.commit()
        result = score(benchmark)
    assert result.returncode == 2 and "concert.sqlite is in use" in result.stderr


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


def test_help_has_an_example():
    result = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "examples:\n  python eval/score.py --benchmark spider" in result.stdout


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


def test_a_gold_query_that_depends_on_chance_is_said_and_not_kept(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    items = [{"db_id": "concert", "question": "?", "query": query} for query in ("SELECT date('now')", *GOLD[1:])]
    (benchmark / "dev.json").write_text(json.dumps(items))
    result = score(benchmark)
    assert result.returncode == 0 and "question 0: the gold query uses the clock or random numbers" in result.stdout
    assert len(list((tmp_path / "cache" / "gold").iterdir())) == 2


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


def test_ts_is_not_lost_by_scoring_without_a_suite(benchmark):
    path = benchmark / "new/dev.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"ts": 12.5}))
    result = score(benchmark)
    assert result.returncode == 2 and json.loads(path.read_text()) == {"ts": 12.5}
    assert "new/dev.json has TS, which would be lost without a test suite; give --test-suite" in result.stderr
    assert score(benchmark, "--overwrite").returncode == 0 and json.loads(path.read_text())["ts"] is None
