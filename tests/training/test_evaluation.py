"""How ranks share the questions of an evaluation, and what becomes of their verdicts."""

import pytest

from kid.config.run_config import RunConfig
from kid.data.batching import Sample
from kid.data.questions import Question
from kid.errors import InputError
from kid.evaluation.execution_accuracy import GOLD_FAILED, Verdict
from kid.minibench.tiny_models import MODELS
from kid.models.pretrained import load_tokenizer
from kid.training.evaluation import describe_evaluation, evaluation_lines, read_ex_questions, share_of_rank, summary


def test_every_question_has_one_rank_and_a_schema_is_not_split_without_need():
    schemas = [[1, 2], [3, 4], [1, 2], None, [3, 4], [1, 2], [3, 4]]
    samples = [Sample([*ids, 9, 9], [], shared=2) if ids else None for ids in schemas]
    shares = [share_of_rank(samples, rank, 2) for rank in range(2)]
    assert sorted(shares[0] + shares[1]) == list(range(7)) and [len(share) for share in shares] == [3, 4]
    assert {tuple(schemas[place]) for place in shares[0]} in ({(1, 2)}, {(3, 4)})
    assert [share_of_rank(samples[:1], rank, 3) for rank in range(3)] == [[], [], [0]]


def test_counts_of_verdicts():
    verdicts = [
        Verdict(0, True), Verdict(1, False), Verdict(2, False, "no such table: x"), Verdict(3, False, "timeout"),
        Verdict(4, False, GOLD_FAILED + "timeout"), Verdict(5, True), Verdict(6, True), Verdict(7, True),
    ]  # fmt: skip
    assert summary(verdicts) == {"ex": 50.0, "ex_executes": 62.5, "ex_timeouts": 1, "ex_questions": 8}
    row = {"step": 8, "seconds_ex": 3.4, **summary(verdicts)}
    said = "step 8: EX 50.0 % on 8 questions of dev, 62.5 % ran, 1 time-outs, 3 s"
    assert describe_evaluation(RunConfig(), row) == said
    questions = [Question(3, "pets", "How many?", "SELECT 1"), Question(5, "cars", "Which?", "SELECT 2")]
    found = [(0, "SELECT x", verdicts[3]), (1, "SELECT 2", verdicts[5])]
    assert evaluation_lines(questions, found) == [
        {"index": 3, "db_id": "pets", "sql": "SELECT x", "ex": False, "error": "timeout"},
        {"index": 5, "db_id": "cars", "sql": "SELECT 2", "ex": True},
    ]


def test_questions_are_evenly_spaced_over_those_with_a_database(minibench, tmp_path):
    tokenizer = load_tokenizer(MODELS / "student", "--student")
    keys = {"data": str(minibench), "eval_ex_steps": 5, "eval_split": "valid"}
    found = read_ex_questions(RunConfig(eval_questions=3, **keys), tokenizer)
    assert [question.index for question in found.questions] == [0, 133, 266] and all(found.samples)
    assert found.remarks == ["EX is measured on 3 of 400 questions"]
    every = read_ex_questions(RunConfig(eval_questions=1000, **keys), tokenizer)
    assert [question.index for question in every.questions] == list(range(400))
    assert read_ex_questions(RunConfig(data=str(minibench)), tokenizer) is None
    with pytest.raises(InputError, match="--eval-ex-steps: no question of spider valid has a database"):
        read_ex_questions(RunConfig(missing_database="schema-only", databases=(str(tmp_path),), **keys), tokenizer)
