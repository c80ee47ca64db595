"""eval/audit.py from the command line, and eval/score.py with the file that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.databases import make_database

ROOT = Path(__file__).parents[3]
GOLD = [
    "SELECT name FROM singer",
    "SELECT x FROM singer",
    "SELECT count(*) FROM singer",
    "SELECT name FROM singer LIMIT 1",
]


def run(script: str, *flags: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "eval" / script, *flags]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)


def write_questions(folder: Path, golds: list[str]) -> None:
    items = [{"db_id": "concert", "question": "Which singers?", "query": query} for query in golds]
    (folder / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))


def test_from_the_audit_to_a_score_without_the_questions_found(tmp_path):
    make_database(tmp_path / "database" / "concert" / "concert.sqlite")
    write_questions(tmp_path, GOLD)
    (tmp_path / "preds.sql").write_text("SELECT name FROM singer\n\nSELECT 1\nSELECT 'Joe'\n")
    data = ("--benchmark", "jsonl", "--data", tmp_path)
    exclude, audit, scores = (tmp_path / name for name in ("new/exclude.json", "audit.json", "scores.json"))
    done = run("audit.py", *data, "--json", audit, "--exclude", exclude, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert (
        "does-not-run: the gold SQL fails; correct it or exclude it\n  dev 1 (concert): no such column: x\n"
        in done.stdout
    )
    assert f"{exclude} excludes 2 questions" in done.stdout
    assert "not checked: duplicates, which need train and another split" in done.stdout
    record = json.loads(audit.read_text())
    assert record["splits"] == {"dev": 4} and [(f["kind"], f["index"]) for f in record["findings"]] == [
        ("does-not-run", 1),
        ("unordered-limit", 3),
    ]

    score = ("score.py", *data, "--predictions", tmp_path / "preds.sql", "--exclude", exclude, "--json", scores)
    done = run(*score)
    assert done.returncode == 0, done.stderr
    assert f"2 questions excluded by --exclude {exclude}: 1 does-not-run, 1 unordered-limit" in done.stdout
    record = json.loads(scores.read_text())
    assert (record["n"], record["ex"]) == (2, 50.0)
    assert record["excluded"] == {"1": ["does-not-run"], "3": ["unordered-limit"]}
    assert [(line["index"], line["ex"]) for line in record["verdicts"]] == [(0, True), (2, False)]

    write_questions(tmp_path, [*GOLD[:3], "SELECT name FROM singer LIMIT 2"])
    done = run(*score)
    assert done.returncode == 2 and "question 3 of dev differs; run eval/audit.py on these questions" in done.stderr


def test_questions_in_another_language_are_counted_in_a_line_for_each_split(tmp_path):
    make_database(tmp_path / "database" / "concert" / "concert.sqlite")
    golds = [f"SELECT name FROM singer WHERE age > {n}" for n in range(25)]
    for split in ("train", "dev"):
        items = [{"db_id": "concert", "question": f"Wer {split} {n}?", "query": gold} for n, gold in enumerate(golds)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    done = run("audit.py", "--benchmark", "jsonl", "--data", tmp_path, "--workers", 1)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "25 questions" in line]
    said = "25 of 25 questions share no word with their schema; such as question 0 (concert)"
    assert lines == [f"  train: {said}", f"  dev: {said}"]


def test_gold_given_as_rows_is_not_looked_at_and_votes_are_left_out_with_their_question(tmp_path):
    """Of two questions the first has SQL and the second rows; the audit excludes the first, and its samples go too."""
    make_database(tmp_path / "database" / "concert" / "concert.sqlite")
    (tmp_path / "names.csv").write_text("name\nJoe\n")
    items = [{"query": "SELECT x FROM singer"}, {"gold_rows": "names.csv"}]
    items = [{"db_id": "concert", "question": "Which singers?", **item} for item in items]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    data, exclude, scores = (
        ("--benchmark", "jsonl", "--data", tmp_path),
        tmp_path / "out.json",
        tmp_path / "scores.json",
    )
    done = run("audit.py", *data, "--exclude", exclude, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "not checked: dev, 1 question (1): gold rows (concert)" in done.stdout
    assert f"{exclude} excludes 1 question;" in done.stdout
    (tmp_path / "preds.sql").write_text("SELECT 1\nSELECT 'Jim'\n")
    for index, name in enumerate(("Jim", "Joe")):
        line = {"index": index, "samples": [{"sql": f"SELECT '{name}'", "log_probability": -1.0}]}
        with (tmp_path / "preds.sql.samples.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    flags = ("--predictions", tmp_path / "preds.sql", "--exclude", exclude, "--vote", "majority", "--json", scores)
    done = run("score.py", *data, *flags)
    assert done.returncode == 0, done.stderr
    record = json.loads(scores.read_text())
    assert (record["n"], record["ex"]) == (1, 0.0) and record["samples"]["ex"]["voted"] == 100.0


@pytest.mark.slow
def test_bad_flags_are_one_line(tmp_path):
    data = ("--benchmark", "jsonl", "--data", tmp_path)
    for flags, message in (
        (("--exclude-kinds", "clock"), "--exclude-kinds requires --exclude FILE"),
        (("--questions", "f.jsonl"), "--questions is the file of one split; name it with --splits"),
        (("--timeout", "0"), "--timeout 0.0 is out of range"),
        ((), "has none of dev.jsonl, train.jsonl"),
    ):
        done = run("audit.py", *data, *flags)
        assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1
