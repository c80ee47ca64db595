"""Numbers and tables as text."""

import subprocess
import sys

import pytest

from kid.report.text import (
    format_mean,
    markdown_table,
    mean_and_deviation,
    one_decimal,
    pluralize,
    signed,
    standard_error,
)


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
