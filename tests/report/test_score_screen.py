"""The page of eval/score.py --failures is Markdown of questions, queries and errors that nobody has checked."""

import pytest
from helpers.markdown import BREAKOUTS, kinds, seen

from kid.data.questions import Question
from kid.report.score_screen import failures_page
from kid.terminal import printable


def page(question: str, db_id: str, gold: str, prediction: str, error: str, hardness: str) -> str:
    verdict = {"index": 0, "ex": False, "ts": None, "error": error, "hardness": hardness, "differs": ["does not run"]}
    return failures_page([verdict], [Question(0, db_id, question, gold)], [prediction])


def test_an_ordinary_page():
    text = page("How many?", "db", "SELECT a", "SELECT b", "no such column: b", "easy")
    shown = "**How many?** (db, question 0)\n\n```sql\ngold       SELECT a\nprediction SELECT b\n```\n\n"
    assert f"## does not run\n\n{shown}Error: no such column: b\n" in text


@pytest.mark.parametrize("text", BREAKOUTS)
def test_nothing_leaves_its_place(text):
    ordinary = page("q", "db", "SELECT a", "SELECT b", "e", "easy")
    hostile = page(text, text, text, text, text, text)
    assert kinds(hostile) == kinds(ordinary)
    assert f"prediction {printable(text)}" in seen(hostile)
    assert not {*"\x1b\x07\x9b\u202e\u2066\ufeff"} & {*hostile}
