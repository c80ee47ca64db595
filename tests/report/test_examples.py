"""The failure section's counts, by hand, and its examples."""

import json

import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report.examples import (
    ChosenRun,
    choose_run,
    compared_runs,
    failure_blocks,
    hardness_table,
    scored_predictions,
    spaced_examples,
)
from kid.report.groups import group_runs
from kid.report.runs import load_runs

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
    assert table.caption.endswith("from an older version: score the predictions again.")


def test_examples_of_each_class(tmp_path):
    folder = one_run(tmp_path / "run", [W, R, W, W, W, R])
    [run], _ = load_runs([folder])
    score = run.scores[DEV]
    examples = failure_blocks(ChosenRun(run, score, ""), scored_predictions(score, []))
    # Those with the fewest other classes first, each miss once: 3 is shown under tables, 4 under columns.
    assert [(name, [one.title for one in found]) for name, found in examples] == [
        ("time-out", ["Question 0"]),
        ("tables", ["Question 3"]),
        ("columns", ["Question 4"]),
        ("joins", ["Question 2"]),
    ]
    assert examples[3][1][0].text == "prediction -- SELECT 2 FROM run"


def write_questions(folder, n, name="dev.json", fields=("question", "query")):
    """A benchmark's folder with n questions, and nothing else."""
    folder.mkdir(exist_ok=True)
    items = [{"db_id": "zoo", fields[0]: f"How many {number}?", fields[1]: f"SELECT {number}"} for number in range(n)]
    (folder / name).write_text(json.dumps(items))
    return folder


def test_the_run_looked_at_is_the_best_kid_else_the_first(tmp_path):
    sft = write_run(tmp_path / "sft")
    write_score(sft, [R, R, R, R])
    runs, _ = load_runs([write_run(tmp_path / "unscored"), sft])
    choice = choose_run(runs, None, [])
    assert choice.run.folder == sft and choice.reason == "the first run that has a score on Spider-dev"
    kid = [one_run(tmp_path / f"kid-{n}", [R] * n + [W] * (4 - n), seed=n) for n in (1, 3, 2)]
    choice = choose_run(load_runs([sft, *kid])[0], None, [])
    assert choice.run.folder.name == "kid-3"
    assert choice.reason == "the KID run with the highest EX on Spider-dev, of 3 with a score there"
    assert choose_run([], None, []) is None


def test_the_run_looked_at_is_one_that_the_data_have(tmp_path):
    spider = one_run(tmp_path / "spider", [R, W, R])
    bird = write_run(tmp_path / "bird", "kid", teacher="t", benchmark="bird", evidence=True)
    write_score(bird, [R, W], benchmark="bird", evidence=True, predictions=True)
    runs, remarks = load_runs([spider, bird])
    data = write_questions(tmp_path / "birds", 2, fields=("question", "SQL"))
    choice = choose_run(runs, data, remarks)
    assert choice.run.folder == bird and [one.query for one in choice.questions] == ["SELECT 0", "SELECT 1"]
    assert choice.reason.endswith("for which --data has the questions") and remarks == []
    # Of other questions there are no gold queries, and the run is the one it would have been.
    choice = choose_run(runs, write_questions(tmp_path / "few", 1), remarks)
    assert choice.run.folder == spider and choice.questions is None
    assert len(remarks) == 1 and "it has 1 questions of spider dev, but 3 were scored" in remarks[0]
    assert "does not have the questions of any score, so gold queries are not shown" in remarks[0]


def test_damaged_questions_are_said_and_keep_their_place(tmp_path):
    data = write_questions(tmp_path / "data", 3)
    items = json.loads((data / "dev.json").read_text())
    items[1]["question"] = "half \ud83d"
    (data / "dev.json").write_text(json.dumps(items))
    runs, remarks = load_runs([one_run(tmp_path / "run", [R, W, W])])
    choice = choose_run(runs, data, remarks)
    assert [one.query for one in choice.questions] == ["SELECT 0", "SELECT 1", "SELECT 2"]
    assert remarks == [f"--data {data}: question with no question: {data}/dev.json, item 1"]
    examples = spaced_examples(choice, compared_runs(choice, []), remarks)
    assert [one.title for one in examples][::2] == ["How many 0? (zoo)", "How many 2? (zoo)"]


def test_ten_predictions_beside_gold_sft_and_teacher_of_the_same_seed(tmp_path):
    data = write_questions(tmp_path / "data", 25)
    teacher = write_run(tmp_path / "big", student="org/Big")
    folders = [teacher, *(write_run(tmp_path / f"sft-{seed}", seed=seed) for seed in (0, 1))]
    for folder in folders:
        write_score(folder, [R] * 25, predictions=True)
    folders.append(write_run(tmp_path / "kid", "kid", teacher=str(teacher / "adapter"), seed=1))
    write_score(folders[-1], [W] * 25, predictions=True)
    runs, remarks = load_runs(folders)
    choice = choose_run(runs, data, remarks)
    shown = compared_runs(choice, group_runs(runs, remarks))
    assert {label: run.folder.name for label, run in shown.items()} == {"teacher": "big", "SFT": "sft-1", "KID": "kid"}
    examples = spaced_examples(choice, shown, remarks)
    assert len(examples) == 10 and [examples[1].title, examples[9].title] == ["How many 2? (zoo)", "How many 22? (zoo)"]
    assert examples[1].text.splitlines() == [
        "gold       SELECT 2",
        "teacher ok SELECT 2 FROM big",
        "SFT     ok SELECT 2 FROM sft-1",
        "KID     -- SELECT 2 FROM kid",
    ]
    assert remarks == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_text("SELECT 1\n"), "has 1 lines but"),
        (lambda path: path.write_bytes(b"\xff\xfe\n\0\n\0"), "are UTF-16"),
        (lambda path: path.unlink(), "cannot read predictions"),
    ],
)
def test_predictions_that_are_not_at_hand_are_said(tmp_path, change, reason):
    folder = one_run(tmp_path / "run", [R, W])
    runs, remarks = load_runs([folder])
    change(folder / "predictions" / "dev.sql")
    choice = choose_run(runs, None, remarks)
    assert scored_predictions(choice.score, remarks) is None and len(remarks) == 1
    assert remarks[0].startswith(f"the predictions of {folder}/scores/dev.json are not shown: ")
    assert reason in remarks[0]
    assert spaced_examples(choice, compared_runs(choice, []), remarks) == []


def test_only_a_line_feed_ends_a_prediction(tmp_path):
    folder = one_run(tmp_path / "run", [R, W])
    (folder / "predictions" / "dev.sql").write_bytes(b"SELECT 'a\rb'\nSELECT 2\n")
    score = load_runs([folder])[0][0].scores[DEV]
    assert scored_predictions(score, []) == ["SELECT 'a\rb'", "SELECT 2"]


def test_bytes_that_are_not_utf8_cost_their_prediction(tmp_path):
    folder = one_run(tmp_path / "run", [R, W])
    (folder / "predictions" / "dev.sql").write_bytes(b"SELECT 1\nSELECT '\xff'\n")
    score = load_runs([folder])[0][0].scores[DEV]
    assert scored_predictions(score, []) == ["SELECT 1", "SELECT '\ufffd'"]


def test_birds_object_is_read_where_there_are_no_lines(tmp_path):
    folder = one_run(tmp_path / "run", [R, W])
    lines = folder / "predictions" / "dev.sql"
    lines.with_suffix(".json").write_text('{"1": "SELECT 2\\t----- bird -----\\tzoo", "0": "SELECT 1"}')
    score = load_runs([folder])[0][0].scores[DEV]
    assert scored_predictions(score, []) == ["SELECT 0 FROM run", "SELECT 1 FROM run"]
    lines.unlink()
    assert scored_predictions(score, []) == ["SELECT 1", "SELECT 2"]
