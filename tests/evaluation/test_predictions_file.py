"""Files of predictions: lines, and the JSON of BIRD's evaluator; what does not fit is one clear line."""

from __future__ import annotations

import json

import pytest

from kid.errors import InputError
from kid.evaluation.predictions_file import read_predictions

BIRD = "\t----- bird -----\t"


def read(path, content: bytes | str, expected: int, db_ids=()):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_predictions(path, expected, db_ids)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "preds.sql"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_only_a_line_feed_ends_a_line(path, ending, start):
    queries = [f"SELECT 'a{odd}b'" for odd in ("\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\u00a0", "\u3000")]
    assert read(path, start + "".join(query + ending for query in queries), len(queries)).queries == queries


def test_a_tab_ends_the_query_but_not_in_a_literal_or_a_name(path):
    lines = {
        "SELECT 1\tconcert": "SELECT 1",
        f"SELECT 1 {BIRD}concert": "SELECT 1",
        "SELECT 'a\tb', \"c\td\", [e\tf] /* g\th */, 2 \t zoo\tx": "SELECT 'a\tb', \"c\td\", [e\tf] /* g\th */, 2",
        "SELECT 'it's'\tconcert": "SELECT 'it's'",
        "\tconcert": "",
        "": "",
        " SELECT n\u00a0 ": "SELECT n\u00a0",  # part of the name
    }
    assert read(path, "\n".join(lines), len(lines)).queries == list(lines.values())


def test_bytes_that_are_not_utf8_cost_their_line(path):
    found = read(path, b"SELECT 1\nSELECT '\xff'\nSELECT 3\t\xff\n\xe9\n", 4)
    assert found.queries == ["SELECT 1", "SELECT '\ufffd'", "SELECT 3", "\ufffd"]
    assert found.faults == {1: "line 2 is not UTF-8", 3: "line 4 is not UTF-8"}
    assert found.runnable() == ["SELECT 1", "", "SELECT 3", ""]
    assert found.warning() == "2 of 4 predictions count as wrong: line 2 is not UTF-8, line 4 is not UTF-8"
    many = read(path, b"\xff\n" * 7, 7)
    assert many.warning().startswith("7 of 7 ") and many.warning().endswith("line 5 is not UTF-8, ...")
    assert read(path, "SELECT 'é'\n", 1).warning() is None


@pytest.mark.parametrize("name", ["preds.sql", "predict_dev.json"])
def test_birds_object(tmp_path, name):
    values = {"1": f"SELECT 'b\n\t'{BIRD}shop", "0": f" SELECT 1{BIRD}zoo\n", "2": "SELECT\t3", "3": None, "4": 7}
    found = read(tmp_path / name, json.dumps(values, indent=1), 5, ["zoo", "shop", "shop", "zoo", "zoo"])
    assert found == (["SELECT 1", "SELECT 'b\n\t'", "SELECT\t3", "", ""], {})


def test_bytes_that_are_not_utf8_in_birds_object(path):
    content = f'{{"0": "SELECT \'\xff\'", "1": "SELECT 2{BIRD}z\xff", "2": "\\ud800", "3": "x"}}'.replace("\t", "\\t")
    found = read(path, content.encode("latin-1"), 4, ["zoo"] * 4)
    assert found.faults == {0: "prediction 0 is not UTF-8", 2: "prediction 2 is not UTF-8"}
    assert found.queries == ["SELECT '\ufffd'", "SELECT 2", "\ufffd", "x"]


def test_lines_that_begin_with_a_brace_are_lines(path):
    assert read(path, '{"a": 1\nSELECT 2\n', 2).queries == ['{"a": 1', "SELECT 2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.sql", "SELECT 1\n", "has 1 lines but the split has 3 questions"),
        ("p.sql", "SELECT 1\n" * 3 + "\n", "has 4 lines but"),
        ("p.sql", "SELECT 1\n".encode("utf-16"), "are UTF-16; write them again as UTF-8"),
        ("p.sql", '{"0": "a", "1": "b"}', "keys must be 0 to 2, one for each question of the split; 1 are missing"),
        ("p.sql", '{"0": "", "1": "", "2": "", "03": ""}', "1 are not among them (03)"),
        ("p.sql", '{"1": "", "2": "", "3": ""}', "1 are missing (0) and 1 are not among them (3)"),
        ("p.sql", '{"0": "", "0": "", "1": "", "2": ""}', "it has the key '0' twice"),
        ("p.sql", '{"0": "", "1": ["a"], "2": ""}', "prediction 1 is not text"),
        ("p.sql", '{"0": "a",\n"1": ', "are not a JSON object (Expecting value: line 2"),
        ("p.json", '["a", "b", "c"]', "it is a list"),
        ("p.json", "SELECT 1\n" * 3, "are not a JSON object"),
        ("p.json", "[" * 100_000, "are not a JSON object"),
        (
            "p.json",
            json.dumps({"0": f"a{BIRD}zoo", "1": f"b{BIRD}zoo", "2": f"c{BIRD}shop"}),
            "2 of 3 predictions have a different database than their question (0: 'zoo' for 'shop', 2: 'shop' for ",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(tmp_path, name, content, message):
    with pytest.raises(InputError) as raised:
        read(tmp_path / name, content, 3, ["shop", "zoo", "zoo"])
    assert message in str(raised.value) and str(tmp_path / name) in str(raised.value) and "\n" not in str(raised.value)


def test_a_database_that_is_unknown_is_not_compared(path):
    assert read(path, json.dumps({"0": f"a{BIRD}zoo"}), 1, [""]).queries == ["a"]
