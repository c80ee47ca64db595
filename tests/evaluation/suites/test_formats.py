from __future__ import annotations

import json
import random

import pytest

from kid.evaluation.suites.database_plans import ColumnPlan, column_kind
from kid.evaluation.suites.dates import DateFormat
from kid.evaluation.suites.formats import find_format
from kid.evaluation.suites.random_databases import constant_values, fill_column, fresh_values
from kid.evaluation.suites.slots import SlotFormat
from kid.evaluation.suites.text_numbers import NumberFormat


def column(values: list, declared: str = "TEXT") -> ColumnPlan:
    found = find_format(values, declared)
    return ColumnPlan("c", column_kind(values, declared, found), False, True, tuple(dict.fromkeys(values)), found)


# Cells, the format found, and texts that are of it or not.
FOUND = [
    (["2019-01-05", "2020-02-29"], DateFormat, ["2021-12-31"],
     ["2020-12-32", "2021-02-29", "2020", "2020-01-01 10:00"]),
    (["2019-01-05 12:30:01", "2020-02-29 00:00:00"], DateFormat, ["2021-12-31 23:59:59"],
     ["2021-12-31", "2021-01-01 24:00:00"]),
    (["2019-01-05 00:00:00", "2020-02-29 00:00:00"], DateFormat, ["2021-12-31 00:00:00"], ["2021-12-31 10:00:00"]),
    (["2019-01-05T12:30:01.250Z", "2020-02-29T07:00:00.000Z"], DateFormat, ["2021-12-31T23:59:59.123Z"],
     ["2021-12-31T23:59:59Z", "2021-12-31T23:59:59.123", "2021-12-31 23:59:59.123Z"]),
    (["12:30", "08:45"], DateFormat, ["23:59"], ["24:00", "8:45", "12:30:00"]),
    (["8:00 PM", "11:30 AM"], DateFormat, ["12:05 AM"], ["13:00 PM", "08:00 PM"]),
    (["2019-01", "2020-12"], DateFormat, ["1999-06"], ["2020-13", "2020"]),
    (["31/01/2020", "05/02/2019"], DateFormat, ["13/12/2020"], ["12/13/2020", "2020-01-01"]),
    (["01/02/2020", "05/02/2019"], DateFormat, ["02/12/2020"], ["13/12/2020", "12/13/2020"]),  # day or month first?
    (["5 May 2010", "16 June 2011"], DateFormat, ["31 July 2012"], ["31 June 2012", "05 May 2010", "5 may 2010 x"]),
    (["Tue, 15 Nov 1994", "Wed, 16 Nov 1994"], DateFormat, ["Thu, 17 Nov 1994"], ["Tue, 17 Nov 1994"]),
    (["01-JAN-20", "15-MAR-21"], DateFormat, ["28-FEB-21"], ["29-FEB-21"]),
    (["2019-01-05", "2020-02-29 10:00:00", "2020-02-28"], DateFormat, ["2021-01-01", "2021-01-01 10:00:00"],
     ["2020-12-32"]),
    ([20200131, 20190228], DateFormat, ["20201231"], ["20201232", "5"]),
    (["201207", "201311"], DateFormat, ["201212"], ["201213"]),
    ([1990, 2004], NumberFormat, ["2021"], ["20", "0007"]),
    (["007", "120"], NumberFormat, ["050"], ["50", "1000", "-01"]),
    (["12.50", "3.75", "8.00"], NumberFormat, ["0.25"], ["3.5", "3", "03.50", "-1.00"]),
    (["-1.5", "2.25"], NumberFormat, ["-2.5", "0.5"], ["2.50", "1", "-0.0"]),
    (['{"a": 1}', '{"a": [1, 2], "b": null}'], SlotFormat, ['{"c": 2}', "[]"], ["{a: 1}", "7", "value 7"]),
    (["ann@x.org", "bob.b@y.co.uk"], SlotFormat, ["zed@x.org"], ["zed", "a b@x.org"]),
    (["https://a.org/x/1", "http://b.com"], SlotFormat, ["http://a.org"], ["a"]),
    (["$1,234.50", "$950.00"], SlotFormat, ["$50.25"], ["dollars"]),
    (["12%", "5.5%", "100%"], SlotFormat, ["50%"], ["x%"]),
    (["A-001", "B-120"], SlotFormat, ["C-050"], ["A-50", "A001", "1-001"]),
    (["2020-Q1", "2021-Q4"], SlotFormat, ["2020-Q2"], ["2020-05", "2020"]),
    (["48.85, 2.35", "51.5, -0.12"], SlotFormat, ["48.85, 0.12"], ["48.85", "x, y"]),
    (["3-1", "10-2"], SlotFormat, ["5-0"], ["5", "5-"]),
    (["00:1a:2b:3c:4d:5e", "00:1A:00:00:00:00"], SlotFormat, ["ff:ff:ff:ff:ff:ff"], ["00:1a"]),
    (["/home/a/x.txt", "/tmp/y.csv"], SlotFormat, ["/tmp/x.csv"], ["value 7"]),
    (["a.org", "b.co.uk"], SlotFormat, ["a.uk"], ["a", "value 7"]),
    (["10.0.0.1", "192.168.1.20"], SlotFormat, ["10.0.0.7"], ["10.0.0"]),
    (["123e4567-e89b-12d3-a456-426614174000", "550e8400-e29b-41d4-a716-446655440000"], SlotFormat,
     ["550e8400-e29b-41d4-a716-446655440001"], ["550e8400"]),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "kind", "valid", "invalid"), FOUND)
def test_all_values_have_the_format_of_the_cells(cells, kind, valid, invalid):
    found = column(cells)
    assert isinstance(found.format, kind)
    assert all(found.format.fits(str(text)) for text in (*cells, *valid)) and not any(map(found.format.fits, invalid))
    generator, stored = random.Random(0), type(cells[0])
    literals = [*valid, *invalid, "%1%", "2%", "%Y", "", "x", "_", "9" * 40, "-3", str(cells[0])]
    values = [value for literal in literals for value in constant_values(literal, found)]
    values += [value for _ in range(50) for value in fresh_values(found, generator)]
    for style in ("distinct", "groups", "ties"):
        values += fill_column(found, style, 30, values, generator)
    assert all(isinstance(value, stored) and found.format.fits(str(value)) for value in values)


@pytest.mark.parametrize(
    "cells",
    [
        ["Joe", "Ann"], ["Joe Smith", "Ann Lee"], ["US", "NL"], [1, 2, 3000], [1.5, 2], ["5", "many", "few"], [b"2020"],
        ["2019-01-05", "", "n/a", "2020-01-05"], ["Sun", "Earth, Wind & Fire"], ["red,blue", "red", "a,b,c"],
    ],
)  # fmt: skip
def test_free_text_and_plain_numbers_have_none(cells):
    assert find_format(cells, "TEXT") is None


@pytest.mark.parametrize(
    ("declared", "text", "invalid"),
    [
        ("DATE", "2020-01-31", "2020-01-32"), ("datetime", "2020-01-31 10:00:00", "2020-01-31"),
        ("TIMESTAMP WITH TIME ZONE", "2020-01-31 10:00:00", "value 7"), ("time(6)", "10:00:00", "25:00:00"),
        ("JSON", "{}", "value 7"), ("YEAR", "2020", "7"),
    ],
)  # fmt: skip
def test_a_column_without_cells_has_the_format_of_its_declared_type(declared, text, invalid):
    found = column([], declared)
    assert found.format.fits(text) and not found.format.fits(invalid)
    values = fill_column(found, "distinct", 5, [], random.Random(0))
    assert values and all(found.format.fits(str(value)) for value in values)
    for other in ("TEXT", "INTEGER", "UPDATED TEXT"):
        assert find_format([], other) is None


def test_a_few_odd_cells_are_data_but_no_other_format():
    days = [f"2020-01-{day:02d}" for day in range(1, 21)]
    for cells in ([*days, "soon", "later"], [*days, *["N/A"] * 30], ["2020-01-05", "2020-01-06", ""]):
        found = column(cells)
        odd = [cell for cell in cells if not cell.startswith("2020")]
        assert isinstance(found.format, DateFormat) and found.well_formed == tuple(c for c in cells if c not in odd)
        # It is there only if a query asks for it.
        assert constant_values(odd[0], found)[0] == odd[0]
        values = fill_column(found, "distinct", 40, constant_values("never", found), random.Random(0))
        assert all(map(found.format.fits, values))
    assert find_format([*days, "soon", "later", "never"], "TEXT") is None


@pytest.mark.parametrize(
    ("literal", "values"),
    [
        ("2020-12-31",
         {"2020-12-31", "2020-12-30", "2021-01-01", "2020-11-30", "2021-01-31", "2019-12-31", "2021-12-31"}),
        ("2020-12-32", {"2020-12-31", "2021-01-01"}),
        ("2020", {"2019-12-31", "2020-01-01"}),
        ("2020-06", {"2020-05-31", "2020-06-01"}),
        ("2020-06-15 12:00:00", {"2020-06-15", "2020-06-16"}),
        ("%Y", set()),
    ],
)  # fmt: skip
def test_values_near_a_constant_are_dates(literal, values):
    assert set(constant_values(literal, column(["2019-01-05", "2020-02-29"]))) == values


def test_values_for_a_pattern_match_it_or_stand_beside_those_that_do():
    found = set(constant_values("2018-03%", column(["2017-01-05", "2020-02-29"])))
    assert {"2018-02-28", "2018-03-01", "2018-03-31", "2018-04-01"} <= found
    found = constant_values("%-03-%", column(["2018-01-05 10:00:00", "2020-02-29 11:12:13"]))
    assert {value[5:7] for value in found} == {"02", "03", "04"}


def test_a_year_9999_and_a_leap_day_do_no_harm():
    found = column(["9999-12-31", "2020-02-29", "0001-01-01"])
    for literal in ("9999-12-31", "2020-02-29", "0001-01-01", "9999-12-32", "%-31", "0000-00-00"):
        assert all(map(found.format.fits, constant_values(literal, found)))
    assert {"2019-02-28", "2021-02-28", "2020-03-29"} <= set(constant_values("2020-02-29", found))


def test_json_gets_numbers_that_queries_ask_for():
    found = column(['{"price": 10, "tags": ["a, b", "}"]}', '{"price": 90, ",": ", ", "tags": [3]}'])
    values = constant_values("%50%", found)
    assert {json.loads(value)["price"] for value in values} >= {49, 50, 51}
    for value in values + [value for seed in range(30) for value in fresh_values(found, random.Random(seed))]:
        item = json.loads(value)
        assert 9 <= item["price"] <= 91 and item.get(",") in (None, ", ", "3")
        assert [type(tag) for tag in item["tags"]] in ([str, str], [int])
