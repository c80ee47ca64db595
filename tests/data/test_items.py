"""JSON lists and JSONL: what is read of each, and what is said of files that are something else."""

import json

import pytest

from kid.data.faults import Damage
from kid.data.items import read_items
from kid.errors import InputError

ITEMS = [{"db_id": "d", "question": f"How many {n}?"} for n in range(3)]
LINES = [json.dumps(item) for item in ITEMS]


@pytest.fixture
def read(tmp_path):
    """read(name, content) -> the items and their positions, and the lines on damage."""

    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        damage = Damage("skip")
        items = read_items(path, damage)
        return items, [line.replace(f"{path}, ", "") for line in damage.lines()]

    return make


@pytest.mark.parametrize("name", ["dev.jsonl", "DEV.JSONL"])
@pytest.mark.parametrize(
    "content",
    [
        "\n".join(LINES),
        "\r\n".join(LINES) + "\r\n",
        "\ufeff" + "\n".join(LINES),
        "\n".join(f"\ufeff{line}" for line in LINES),  # put together of several files
        "\n".join(f"  {line}\t " for line in LINES),
    ],
)
def test_lines_of_objects(read, name, content):
    assert read(name, content) == (list(enumerate(ITEMS)), [])


def test_blank_lines_count(read):
    assert read("dev.jsonl", f"\n{LINES[0]}\n \n\r\n{LINES[1]}\n\n") == ([(1, ITEMS[0]), (4, ITEMS[1])], [])


def test_lines_of_something_else_are_named(read):
    content = "\n".join([LINES[0], "5", '"text"', "[1]", "null", "true", LINES[1] + ",", LINES[2]])
    items, lines = read("dev.jsonl", content)
    assert items == [(0, ITEMS[0]), (7, ITEMS[2])]
    assert lines == [
        "not valid JSON: line 7",
        "not an object but a number: line 2",
        "not an object but a string: line 3",
        "not an object but an array: line 4",
        "not an object but null: line 5",
        "not an object but a boolean: line 6",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(ITEMS), "line 1 is not an object but an array, and neither is any other line: "),
        (json.dumps(ITEMS, indent=1), "line 1 is not an object: the file is an array over several lines, but "),
        (
            "\ufeff\n" + json.dumps(ITEMS, indent=1),
            "line 2 is not an object: the file is an array over several lines, but ",
        ),
        (json.dumps(ITEMS, indent=1)[:-9], "line 1 is not an object: the file is an array over several lines, but "),
        ("[" + ",\n".join(LINES) + "]", "line 1 is not an object: the file is an array over several lines, but "),
        (json.dumps(ITEMS[0], indent=1), "line 1 is not an object: the file is an object over several lines, but "),
        (",\n".join(LINES) + ",", "line 1 is not an object (Extra data: "),
        ("\n5\n6", "line 2 is not an object but a number, and neither is any other line: "),
        ("question,query\nHow many?,SELECT 1", "line 1 is not an object (Expecting value: "),
    ],
)
def test_a_jsonl_file_without_an_object_says_what_it_is(read, content, message):
    with pytest.raises(InputError) as caught:
        read("dev.jsonl", content)
    assert f"dev.jsonl, {message}" in str(caught.value)
    assert str(caught.value).endswith('a .jsonl file has one JSON object per line, {"db_id": ..., ...}')


@pytest.mark.parametrize(
    "content", [json.dumps(ITEMS), "\ufeff\r\n" + json.dumps(ITEMS, indent=2).replace("\n", "\r\n")]
)
def test_a_list_of_objects(read, content):
    assert read("dev.json", content) == (list(enumerate(ITEMS)), [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "\n".join(LINES),
            "dev.json, line 2: the file has one object per line, like a .jsonl file; expected one JSON",
        ),
        ("\n\r\n" + "\r\n".join(LINES), "dev.json, line 4: the file has one object per line"),
        (",\n".join(LINES), "dev.json, line 1 is not valid JSON (Extra data); expected one JSON list"),
        (LINES[0], "dev.json is an object; expected one JSON list of objects"),
        ("7", "dev.json is a number; expected"),
        ("", "dev.json, line 1 is not valid JSON (Expecting value); expected"),
        (json.dumps(ITEMS).encode("utf-16"), "dev.json is not UTF-8 text ("),
    ],
)
def test_a_file_that_is_no_list_says_what_it_is(read, content, message):
    with pytest.raises(InputError) as caught:
        read("dev.json", content)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("end", "why"),
    [(",\n]", "there is a comma before the closing ]"), (", {", "it may be truncated"), ("", "it may be truncated")],
)
def test_a_damaged_list_gives_its_complete_items(read, end, why):
    items, (line,) = read("dev.json", "[" + ",\n".join(LINES) + end)
    assert items == list(enumerate(ITEMS))
    assert line.startswith("not valid JSON: line ") and line.endswith(f", after 3 complete items: {why}")


def test_items_of_a_list_that_are_no_objects_are_named(read):
    items, lines = read("dev.json", json.dumps([ITEMS[0], [ITEMS[1]], 4.5]))
    assert items == [(0, ITEMS[0])] and lines == [
        "not an object but an array: item 1",
        "not an object but a number: item 2",
    ]
