"""The failure section's counts, by hand, and its examples."""

import json

import pytest
from synthetic_runs import write_run, write_score

from kid.errors import InputError
from kid.evaluation.report.examples import (
    beside_gold,
    chosen_run,
    failure_blocks,
    hardness_table,
    read_predictions,
    read_questions,
)
from kid.evaluation.report.rows import group_runs
from kid.evaluation.report.runs import load_runs

R, W = True, False
DEV = ("spider", "dev", None)


def one_run(folder, right, **settings):
    run = write_run(folder, "kid", teacher="runs/big/adapter", **settings)
    write_score(run, right, predictions=True)
    return run


def test_counts_by_class_and_hardness(tmp_path):
    # Indices are easy, medium, hard, extra, easy, medium; see write_score for what differs in each.
    folder = one_run(tmp_path / "run", [W, R, W, W, W, R])
    [run], _ = load_runs([folder])
    table = hardness_table(run, run.scores[DEV])
    assert table.header == ["class", "easy", "medium", "hard", "extra", "all"]
    assert table.rows == [
        ["questions", "2", "2", "1", "1", "6"],
        ["EX in percent", "0.0", "100.0", "0.0", "0.0", "33.3"],
        "Number of misses",
        ["time-out", "1", "0", "0", "0", "1"],  # 0
        ["tables", "0", "0", "0", "1", "1"],  # 3
        ["columns", "1", "0", "0", "1", "2"],  # 3 and 4
        ["joins", "0", "0", "1", "0", "1"],  # 2
        ["conditions", "1", "0", "0", "0", "1"],  # 4
        ["misses", "2", "0", "1", "1", "4"],
    ]


def test_a_score_without_classes_is_said(tmp_path):
    folder = one_run(tmp_path / "run", [W, R])
    path = folder / "scores" / "dev.json"
    content = json.loads(path.read_text())
    content["verdicts"] = [
        {key: verdict[key] for key in ("index", "ex", "ts", "error")} for verdict in content["verdicts"]
    ]
    path.write_text(json.dumps({key: content[key] for key in ("benchmark", "split", "n", "ex", "ts", "verdicts")}))
    [run], _ = load_runs([folder])
    table = hardness_table(run, run.scores[DEV])
    assert table.rows == [["questions", "2"], ["EX in percent", "50.0"], "Number of misses", ["misses", "1"]]
    assert table.caption.endswith("an older one, score the predictions again.")


def test_examples_of_each_class(tmp_path):
    folder = one_run(tmp_path / "run", [W, R, W, W, W, R])
    [run], _ = load_runs([folder])
    score = run.scores[DEV]
    examples = failure_blocks(score, None, read_predictions(score, []))
    # Those with the fewest other classes first, each miss once: 3 is shown under tables, 4 under columns.
    assert [(name, [one.title for one in found]) for name, found in examples] == [
        ("time-out", ["Question 0"]),
        ("tables", ["Question 3"]),
        ("columns", ["Question 4"]),
        ("joins", ["Question 2"]),
    ]
    assert examples[3][1][0].text == "prediction -- SELECT 2 FROM run"


def test_the_run_looked_at_is_the_best_kid_else_the_first(tmp_path):
    sft = write_run(tmp_path / "sft")
    write_score(sft, [R, R, R, R])
    runs, _ = load_runs([write_run(tmp_path / "unscored"), sft])
    assert chosen_run(runs)[0].folder == sft
    kid = [one_run(tmp_path / f"kid-{n}", [R] * n + [W] * (4 - n), seed=n) for n in (1, 3, 2)]
    runs, _ = load_runs([sft, *kid])
    assert chosen_run(runs)[0].folder.name == "kid-3"
    assert chosen_run([]) is None


def test_ten_predictions_beside_gold_sft_and_teacher(tmp_path):
    items = [{"db_id": "zoo", "question": f"How many {n}?", "query": f"SELECT {n}"} for n in range(25)]
    (tmp_path / "dev.json").write_text(json.dumps(items))
    sft, teacher = write_run(tmp_path / "sft"), write_run(tmp_path / "big", student="org/Big")
    for folder in (sft, teacher):
        write_score(folder, [R] * 25, predictions=True)
    runs, remarks = load_runs([sft, teacher, one_run(tmp_path / "kid", [W] * 25)])
    questions = read_questions(DEV, 25, tmp_path)
    examples = beside_gold(runs[2], runs[2].scores[DEV], group_runs(runs, remarks), questions, remarks)
    assert len(examples) == 10 and [examples[1].title, examples[9].title] == ["How many 2? (zoo)", "How many 22? (zoo)"]
    assert examples[1].text.splitlines() == [
        "gold       SELECT 2",
        "teacher ok SELECT 2 FROM big",
        "SFT     ok SELECT 2 FROM sft",
        "KID     -- SELECT 2 FROM kid",
    ]


def test_predictions_of_another_length_or_none_are_said(tmp_path):
    folder = one_run(tmp_path / "run", [R, W])
    [run], remarks = load_runs([folder])
    path = folder / "predictions" / "dev.sql"
    path.write_text("SELECT 1\n")
    assert read_predictions(run.scores[DEV], remarks) is None and "1 lines" in remarks[-1]
    path.unlink()
    assert read_predictions(run.scores[DEV], remarks) is None and "cannot be read" in remarks[-1]
    assert beside_gold(run, run.scores[DEV], [], None, remarks) == []


def test_questions_of_another_benchmark_are_refused(tmp_path):
    (tmp_path / "dev.json").write_text(json.dumps([{"db_id": "zoo", "question": "?", "query": "SELECT 1"}]))
    with pytest.raises(InputError, match="has 1 questions of spider dev, but 2 were scored"):
        read_questions(DEV, 2, tmp_path)
