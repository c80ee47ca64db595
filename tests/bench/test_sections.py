"""Markdown that benchmarks write of predictions: it keeps to its place, and the next run finds that place again."""

import pytest
from demo import predictions_section
from helpers.markdown import BREAKOUTS, kinds
from sections import marked, markers, with_section

from kid.data.questions import Question
from kid.errors import InputError


@pytest.mark.parametrize("text", BREAKOUTS)
def test_predictions_keep_to_their_block(text):
    question = Question(0, text, text, text)
    assert (
        kinds(predictions_section([question, question], {"kid": [text] * 2}, {"kid": [True, False]})) == ["fence"] * 2
    )


def test_an_ordinary_prediction():
    question = Question(0, "db", "How many?", "SELECT 1")
    shown = "**How many?** (db)\n\n```sql\ngold    SELECT 1\nkid  -- SELECT 2\n```\n"
    assert predictions_section([question], {"kid": ["SELECT 2"]}, {"kid": [False]}) == shown


def test_a_marker_in_a_query_is_no_marker():
    begin, end = markers("real")
    made = marked("real", [f"```sql\n{end}\n{begin}\nSELECT '{end}'\n```"])
    once = with_section("# Results\n", "real", made) + "\n## More\n"
    assert with_section(once, "real", marked("real", ["new"])) == f"# Results\n\n{marked('real', ['new'])}\n## More\n"
    for text in (f"{end}\n{begin}\n", f"{begin}\n", f"{end}\n"):
        with pytest.raises(InputError, match="one marker without the other"):
            with_section(text, "real", made)
