"""What two splits have in common, by hand."""

from __future__ import annotations

from kid.data.questions import Question
from kid.evaluation.audit.duplicates import find_duplicates, question_words

TRAIN = [
    Question(0, "a", "How many singers are from the city of Paris?", "SELECT 1"),
    Question(1, "a", "How many singers are from the city of Paris?", "SELECT 2"),
    Question(2, "b", "Show the name of each concert hall in the database", "SELECT 3"),
    Question(3, "b", "", "", fault="no query"),
]


def test_alike_are_the_same_words_nearly_the_same_and_the_same_sql():
    asked = [
        Question(0, "c", "how many singers are  from the city of PARIS", "SELECT 9"),
        Question(1, "b", "Show the names of each concert hall in the database.", "SELECT 1"),
        Question(2, "b", "In the database, show the name of each concert hall", "select 3"),
        Question(3, "a", "How many singers are from the city of Rome?", "SELECT 3"),
        Question(4, "b", "", "", fault="no query"),
    ]
    found = list(find_duplicates(asked, TRAIN, lambda question: question.query.upper(), "test"))
    assert [(d.kind, d.question.index, d.other.index) for d in found] == [
        ("same-question", 0, 0),
        ("near-question", 1, 2),
        ("near-question", 2, 2),  # the order of words does not count
        ("same-sql", 2, 2),
    ]
    assert [d.similarity for d in found] == [100, 99, 100, 100]


def test_words_leave_case_accents_and_punctuation_out():
    assert question_words(Question(0, "a", "  Où est-ce?  «ICI»", "")) == "ou est ce ici"
    assert question_words(Question(0, "", "", "SELECT 1", prompt="Of all, WHO?")) == "of all who"


def test_nothing_is_like_no_question():
    assert list(find_duplicates(TRAIN, TRAIN[3:], lambda question: question.query, "test")) == []
