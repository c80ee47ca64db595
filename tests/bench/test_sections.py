"""Markdown that benchmarks write of predictions: it keeps to its place, and the next run finds that place again."""

import pytest
from helpers.markdown import BREAKOUTS, kinds
from parts.demo_report import shown
from parts.sections import marked, markers, with_section

from kid.errors import InputError
from kid.report.text import marked_predictions


def section(text: str, predictions: dict[str, str], right: dict[str, bool]) -> str:
    """A question whose text, database and gold are `text`, with predictions."""
    return "\n".join(shown({"question": text, "db_id": text}, marked_predictions(text, predictions, right)))


@pytest.mark.parametrize("text", BREAKOUTS)
def test_predictions_keep_to_their_block(text):
    both = section(text, {"kid": text}, {"kid": True}) + "\n" + section(text, {"kid": text}, {"kid": False})
    assert kinds(both) == ["fence"] * 2


def test_predictions_stand_beside_gold_and_are_marked():
    found = section("SELECT 1", {"sft": "SELECT 2", "teacher": "SELECT 1"}, {"sft": False, "teacher": True})
    assert found.splitlines() == [
        "**SELECT 1** (SELECT 1)",
        "",
        "```sql",
        "gold       SELECT 1",
        "sft     -- SELECT 2",
        "teacher ok SELECT 1",
        "```",
    ]


def test_long_sql_continues_below_its_beginning():
    gold = "SELECT " + ", ".join(f"column_{number}" for number in range(30))
    lines = marked_predictions(gold, {"sft": "SELECT 'two  blanks'"}, {"sft": False}).splitlines()
    assert len(lines) == 4 and max(map(len, lines)) <= 120
    assert lines[0].startswith("gold    SELECT column_0, ") and lines[1].startswith("        column_")
    assert " ".join(line.strip() for line in lines[:3]) == f"gold    {gold}"
    assert lines[3] == "sft  -- SELECT 'two  blanks'"


def test_a_marker_in_a_query_is_no_marker():
    begin, end = markers("real")
    made = marked("real", [f"```sql\n{end}\n{begin}\nSELECT '{end}'\n```"])
    once = with_section("# Results\n", "real", made) + "\n## More\n"
    assert with_section(once, "real", marked("real", ["new"])) == f"# Results\n\n{marked('real', ['new'])}\n## More\n"
    for text in (f"{end}\n{begin}\n", f"{begin}\n", f"{end}\n"):
        with pytest.raises(InputError, match="one marker without the other"):
            with_section(text, "real", made)
