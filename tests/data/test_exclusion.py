"""Files of questions to leave out: only for the questions that they were made for, and counted in training."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.small_benchmark import options

from kid.data.dataset import load_dataset
from kid.data.exclusion import exclusion_record, exclusion_remark, identity, read_exclusion
from kid.data.questions import Question, load_questions
from kid.errors import InputError

QUESTIONS = [Question(index, "pets", f"Question {index}?", f"SELECT {index}") for index in range(3)]
REASONS = {
    ("dev", 0): {"clock": "reads the clock"},
    ("dev", 2): {"clock": "reads the clock", "empty": "returns no rows"},
    ("train", 1): {"does-not-run": "no such table"},
}


@pytest.fixture
def record():
    return exclusion_record("spider", {"train": QUESTIONS, "dev": QUESTIONS}, REASONS)


@pytest.fixture
def path(record, tmp_path):
    (tmp_path / "exclude.json").write_text(json.dumps(record))
    return tmp_path / "exclude.json"


def test_a_split_reads_its_own_questions_with_their_reasons(path):
    left_out = read_exclusion(path, "spider", "dev", QUESTIONS)
    assert left_out == {0: ["clock"], 2: ["clock", "empty"]}
    assert read_exclusion(path, "spider", "train", QUESTIONS) == {1: ["does-not-run"]}
    assert exclusion_remark(path, left_out) == f"2 questions excluded by --exclude {path}: 2 clock, 1 empty"
    assert exclusion_remark(path, {}) == f"--exclude {path} excludes none of these questions"


def test_identity_is_of_database_question_and_gold():
    first = QUESTIONS[0]
    others = [replace(first, db_id="x"), replace(first, question="x"), replace(first, query="x")]
    assert len({identity(question) for question in [first, *others]}) == 4
    assert identity(replace(first, index=7, evidence="x")) == identity(first)


@pytest.mark.parametrize(
    ("benchmark", "split", "questions", "message"),
    [
        ("bird", "dev", QUESTIONS, "is for spider train, dev, not for bird dev; run eval/audit.py on these questions"),
        ("spider", "dk", QUESTIONS, "is for spider train, dev, not for spider dk"),
        ("spider", "dev", QUESTIONS[:2], "is for 3 questions of dev, but it has 2"),
        ("spider", "dev", [*QUESTIONS[:2], replace(QUESTIONS[2], query="SELECT 9")], "question 2 of dev differs"),
    ],
)
def test_a_file_for_other_questions_is_refused(path, benchmark, split, questions, message):
    with pytest.raises(InputError, match=message):
        read_exclusion(path, benchmark, split, questions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, "is not a file of eval/audit.py"),
        ({"questions": [{"split": "dev"}]}, "is not a file of eval/audit.py"),
        ({"splits": 3}, "is not a file of eval/audit.py"),
        ({"questions": None}, "is not a file of eval/audit.py"),
    ],
)
def test_another_file_is_refused(path, record, change, message):
    path.write_text(json.dumps({**record, **change}))
    with pytest.raises(InputError, match=message):
        read_exclusion(path, "spider", "dev", QUESTIONS)


@pytest.mark.parametrize("content", ["", "[]", "3", "[" * 100_000, "\xff"])
def test_what_is_no_json_object_is_refused(path, content):
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="is not a file of eval/audit"):
        read_exclusion(path, "spider", "dev", QUESTIONS)


def test_a_file_that_is_not_there_or_leaves_nothing_is_refused(path, tmp_path):
    with pytest.raises(InputError, match="No such file or directory; create it with"):
        read_exclusion(tmp_path / "gone.json", "spider", "dev", QUESTIONS)
    everything = {("dev", index): {"clock": "x"} for index in range(3)}
    path.write_text(json.dumps(exclusion_record("spider", {"dev": QUESTIONS}, everything)))
    with pytest.raises(InputError, match="leaves no question of dev; name fewer kinds"):
        read_exclusion(path, "spider", "dev", QUESTIONS)


def test_training_leaves_the_questions_out_and_dev_stays(folder, tokenizer, tmp_path):
    questions = load_questions("spider", "train", folder)
    path = tmp_path / "exclude.json"
    reasons = {("train", 1): {"clock": "x"}, ("train", 4): {"clock": "x"}}
    path.write_text(json.dumps(exclusion_record("spider", {"train": questions}, reasons)))
    whole, config = options(folder), options(folder, exclude=str(path))
    before, after = (load_dataset(c, "train", tokenizer) for c in (whole, config))
    assert after.prompt_lengths == [len(sample.prompt_ids) for sample in after.samples]  # of the rows that are left
    assert list(before.indices) == [0, 1, 2, 3, 4, 5] and list(after.indices) == [0, 2, 3, 5]
    assert list(after.samples) == [before.samples[index] for index in after.indices]
    assert f"2 questions excluded by --exclude {path}: 2 clock" in after.remarks
    assert list(load_dataset(config, "dev", tokenizer).indices) == [0, 1, 2, 3, 4, 5]
