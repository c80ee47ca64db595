"""What two splits have in common, by hand."""

from __future__ import annotations

import pytest

from kid.data.questions import Question
from kid.evaluation.audit import duplicates
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


BOOKS = "Show the title and price of every book in the library after 1990"
CHINESE = "在图书馆里有多少本书是由作者王小明在北京的出版社出版并且价格超过一百元而且页数多于三百页的"


@pytest.mark.parametrize(
    ("train", "old", "new", "condition", "near"),
    [
        # Another value, number or column of one template.
        (
            "Which of the books in the library has Lina Hofmann written",
            "Hofmann",
            "Hofman",
            "name = 'Lina Hofmann'",
            False,
        ),
        (
            "Welche Bücher der Bibliothek hat die Autorin Müller geschrieben",
            "Müller",
            "Möller",
            "name = 'Müller'",
            False,
        ),
        (BOOKS, "1990", "1991", "year > 1990", False),
        (BOOKS, "price", "prize", "year > 1990", False),
        (CHINESE, "王", "李", "name = '王小明'", False),
        # Another spelling, and a word more.
        (BOOKS, "title", "titles", "year > 1990", True),
        (BOOKS, "price", "the price", "year > 1990", True),
    ],
)
def test_questions_of_one_template_are_not_near_but_other_spellings_are(train, old, new, condition, near, monkeypatch):
    known = [Question(0, "a", train, f"SELECT * FROM book WHERE {condition}")]
    other = [Question(0, "a", train.replace(old, new), "SELECT 1")]

    def kinds() -> list[str]:
        return [duplicate.kind for duplicate in find_duplicates(other, known, lambda question: "", "test")]

    assert kinds() == (["near-question"] if near else [])
    monkeypatch.setattr(duplicates, "ask_different_things", lambda *_: False)
    assert kinds() == ["near-question"]  # by the letters alone they are alike


def test_a_near_question_is_found_behind_those_of_another_value():
    template = "Which books in the library of the town were written in {} by the author and {}?"
    known = [Question(n, "a", template.format(n, "sold"), "SELECT 1") for n in range(1900, 1950)]
    known.append(Question(7, "a", template.format(1999, "solid"), "SELECT 1"))
    (found,) = find_duplicates([Question(0, "a", template.format(1999, "sold"), "SELECT 2")], known, str, "test")
    assert (found.kind, found.other.index) == ("near-question", 7)


def test_words_leave_case_accents_and_punctuation_out():
    assert question_words(Question(0, "a", "  Où est-ce?  «ICI»", "")) == "ou est ce ici"
    assert question_words(Question(0, "", "", "SELECT 1", prompt="Of all, WHO?")) == "of all who"


def test_nothing_is_like_no_question():
    assert list(find_duplicates(TRAIN, TRAIN[3:], lambda question: question.query, "test")) == []
