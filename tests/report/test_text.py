"""Numbers and tables as text."""

import subprocess
import sys

import pytest
from helpers.markdown import BREAKOUTS, kinds, seen

from kid.report.text import (
    code_block,
    escape_markdown,
    format_mean,
    inline_code,
    inline_markdown,
    markdown_table,
    mean_and_deviation,
    one_decimal,
    pluralize,
    signed,
    standard_error,
)
from kid.terminal import printable


def test_markdown_table_escapes_bars():
    assert markdown_table(["m", "n"], [["a|b", 1]]) == "| m | n |\n| --- | ---: |\n| a\\|b | 1 |"
    assert markdown_table(["m", "n"], [["a", 1]], left=2).splitlines()[1] == "| --- | --- |"


def test_deviation_is_that_of_a_sample():
    assert mean_and_deviation([1.0, 3.0]) == (2.0, 2**0.5)
    assert mean_and_deviation([1.0]) == (1.0, None)
    assert [format_mean(values) for values in ([], [1.25], [1.0, 3.0])] == ["-", "1.2", "2.0 ± 1.4"]


@pytest.mark.parametrize(
    ("number", "text", "with_sign"),
    [(-0.04, "0.0", "+0.0"), (0.04, "0.0", "+0.0"), (-0.06, "-0.1", "-0.1"), (3, "3.0", "+3.0")],
)
def test_nothing_is_minus_zero(number, text, with_sign):
    assert (one_decimal(number), signed(number)) == (text, with_sign)


def test_one_is_not_many():
    assert [pluralize(number, "run") for number in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_scripts_that_print_need_no_matplotlib():
    code = "import sys, kid.report.text; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_standard_error_by_hand():
    assert standard_error([(20.0, 100)]) == pytest.approx(4.0)  # sqrt(20 * 80 / 100)
    assert standard_error([(20.0, 100), (50.0, 100)]) == pytest.approx((16 + 25) ** 0.5 / 2)
    assert standard_error([(0.0, 100)]) == 0


def words(text: str) -> str:
    return "".join(printable(text).split())


def test_texts_that_break_out_do_so_where_nothing_is_done():
    assert all(kinds(f"x {text}") or "&" in text or "\x1b" in text for text in BREAKOUTS)


@pytest.mark.parametrize("text", BREAKOUTS)
def test_no_text_breaks_out_of_its_place(text):
    """As Markdown's parser has it, for every place that text is put in."""
    assert kinds(f"**{escape_markdown(text)}** (x)\n\n- {escape_markdown(text)}") == ["list_item_open"]
    assert words(seen(escape_markdown(text))) == words(text)  # nothing is lost
    assert kinds(f"## {inline_markdown(text)}\n\nOf {inline_markdown(text)}") == ["heading_open"]
    assert kinds(f"Of {inline_code(text)}.") == [] and words(seen(inline_code(text))) == words(text)
    block = f"before\n\n{code_block(text, 'sql')}\n\nafter"
    assert kinds(block) == ["fence"] and seen(block) == f"before{printable(text)}\nafter"
    table = f"{markdown_table(['a', text], [[text, 'x'], ['y', inline_code(text)]])}\n\nafter"
    assert kinds(table) == ["tr_open", "th_open", "th_open"] + 2 * ["tr_open", "td_open", "td_open"]
    for made in (escape_markdown(text), inline_markdown(text), inline_code(text), block, table):
        assert not {*"\x1b\x07\x9b\u202e\u2066\ufeff"} & {*made}


def test_what_acts_in_no_place_stays_as_it_is():
    for text in (
        "EX < 5 and [1.0, 2.5] for runs/a_b, p = 0.05 (n = 3)",
        "**bold** and *paper* of `a_b <c>`",
        "-",
        "3.",
    ):
        assert inline_markdown(text) == text
    assert escape_markdown("a & b | c - d, 12 % - --data x") == "a & b | c - d, 12 % - --data x"
    assert inline_code("train.py --a 'b'") == "`train.py --a 'b'`" and inline_code("a`b`") == "`` a`b` ``"
    assert code_block("SELECT 1", "sql") == "```sql\nSELECT 1\n```"
