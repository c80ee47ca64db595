"""pass@k against counting all choices, and a table computed by hand."""

import json
from itertools import combinations

import pytest

from kid.data.questions import Question
from kid.errors import InputError
from kid.evaluation.execution_accuracy import Verdict
from kid.evaluation.provenance import provenance_path
from kid.evaluation.sample_scores import figures, ks_to_report, load_samples, pass_at, score_samples
from kid.evaluation.samples_file import SampledQuery, samples_line, samples_path
from kid.evaluation.voting import Vote


@pytest.mark.parametrize("n", [1, 2, 5])
def test_pass_at_k_is_the_share_of_choices_with_a_correct_sample(n):
    for correct in range(n + 1):
        for k in range(1, n + 1):
            choices = list(combinations([True] * correct + [False] * (n - correct), k))
            assert pass_at(n, correct, k) == pytest.approx(sum(map(any, choices)) / len(choices))


def test_pass_at_k_by_hand():
    assert pass_at(5, 2, 2) == pytest.approx(1 - 3 / 10)  # 3 of the 10 pairs have neither
    assert pass_at(200, 1, 100) == pytest.approx(0.5)
    assert pass_at(8, 0, 8) == 0 and pass_at(8, 1, 8) == 1


def test_reported_ks():
    assert [ks_to_report(n) for n in (1, 2, 3, 4, 10)] == [[1], [1, 2], [1, 2, 3], [1, 2, 4], [1, 2, 4, 8, 10]]


def test_figures_by_hand():
    """Four questions, one without samples. pass@1: (1/3 + 1 + 0 + 0) / 4; pass@2: (2/3 + 1 + 0 + 0) / 4."""
    right = [[False, True, False], [True, True, True], [False, False, False], []]
    votes = {0: Vote(0, 2, ()), 1: Vote(2, 3, ()), 2: Vote(1, 1, ("timeout",))}
    assert figures([True, True, False, True], votes, right, 3) == {
        "greedy": 75.0,
        "voted": 25.0,
        "pass_at": {"1": 33.33, "2": 41.67, "3": 50.0},
        "oracle": 50.0,
    }


def test_each_different_sample_is_scored_once_and_the_greedy_one_not_again():
    questions = [
        Question(10, "a", "?", "A", ""),
        Question(11, "a", "?", "B", ""),
        Question(12, "", "?", "C", fault="?"),
    ]
    samples = [[SampledQuery(sql, -1.0) for sql in own] for own in (["A", "X", "A"], ["X", "B", "B!"], ["C", "C", "C"])]
    votes = {0: Vote(0, 2, ()), 1: Vote(0, 1, ("timeout", "no such column: x"))}
    ex = [Verdict(10, False), Verdict(11, True), Verdict(12, False, "gold failed: ?")]
    calls = []

    def score(asked, queries, databases, title):
        """A query is right if it begins with the gold one, on the suite if it is the gold one."""
        assert [question.index for question in asked] == list(range(len(asked)))
        calls.append(
            (title, databases, [(question.query, query) for question, query in zip(asked, queries, strict=True)])
        )
        return [
            Verdict(
                q.index, query == q.query if title.startswith("TS") else query.startswith(q.query), f"{title} {query}"
            )
            for q, query in zip(asked, queries, strict=True)
        ]

    predictions = ["X", "B", "C"]
    record, verdicts = score_samples(
        questions, samples, votes, predictions, ex, {11: Verdict(11, True)}, {"a": ["db"]}, {"a": ["suite"]}, score
    )
    assert calls == [
        ("EX of samples", {"a": ["db"]}, [("A", "A"), ("B", "X"), ("B", "B!")]),
        ("TS of samples", {"a": ["suite"]}, [("A", "A"), ("B", "B!")]),
    ]
    assert [(verdict.index, verdict.error[-1]) for verdict in verdicts] == [
        (10, "A"), (11, "X"), (11, "!"), (10, "A"), (11, "!")
    ]  # fmt: skip
    at_ex = {"1": 44.44, "2": 66.67, "3": 66.67}  # (2/3 + 2/3 + 0) / 3; two of three right: each pair has one
    at_ts = {"1": 33.33, "2": 55.56, "3": 66.67}  # (2/3 + 1/3) / 3; (1 + 2/3) / 3
    assert record == {
        "k": 3,
        "vote": "majority",
        "ex": {"greedy": 33.33, "voted": 33.33, "pass_at": at_ex, "oracle": 66.67},
        "ts": {"greedy": 33.33, "voted": 33.33, "pass_at": at_ts, "oracle": 66.67},
        "timeouts": 1,
        "errors": 1,
        "without_votes": 0,
        "without_samples": 1,
        "verdicts": [
            {"index": 10, "voted": 0, "votes": 2, "ex": "101", "ts": "101"},
            {"index": 11, "voted": 0, "votes": 1, "ex": "011", "ts": "010"},
        ],
    }
    record, _ = score_samples(questions, samples, votes, predictions, ex, None, {"a": ["db"]}, None, score)
    assert record["ts"] is None and record["verdicts"][0] == {"index": 10, "voted": 0, "votes": 2, "ex": "101"}


def test_samples_of_older_predictions_are_refused(tmp_path):
    predictions = tmp_path / "dev.sql"
    samples_path(predictions).write_text(samples_line(0, [SampledQuery("SELECT 1", -1.0)] * 2))
    assert len(load_samples(predictions, 1)[0]) == 2  # nothing says how they were made
    for made, said in (({"samples": 4}, "with 4"), ({"beams": 1}, "with none")):
        provenance_path(predictions).write_text(json.dumps(made))
        with pytest.raises(InputError, match=f"has 2 samples per question, but .* {said}; run eval/predict.py"):
            load_samples(predictions, 1)
    provenance_path(predictions).write_text('{"samples": 2}')
    assert load_samples(predictions, 1)
