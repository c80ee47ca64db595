"""The table of checks: what is found in a benchmark with planted faults is exactly what was planted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.databases import make_database
from helpers.planted_faults import PLANTED, write_planted

from kid.errors import InputError
from kid.evaluation.audit.checks import CHECKS, find_all
from kid.evaluation.audit.kinds import KINDS
from kid.evaluation.audit.material import gather, splits_there
from kid.evaluation.audit.record import audit_record, not_looked_at, reasons_to_exclude, was_looked_for


@pytest.fixture(scope="module")
def benchmark(minibench, tmp_path_factory):
    data = tmp_path_factory.mktemp("planted") / "data"
    return data, write_planted(minibench, data)


@pytest.fixture(scope="module")
def material(benchmark):
    return gather("spider", benchmark[0], None, workers=2, seconds=1)


def test_the_findings_are_exactly_those_planted(benchmark, material):
    found: dict = {}
    for finding in find_all(material):
        found.setdefault((finding.split, finding.index, finding.db_id), set()).add(finding.kind)
    damaged = next(place for place, kinds in benchmark[1].items() if kinds == {"damaged"})
    assert material.splits["dev"][damaged[1]].fault == "no query"
    assert found == benchmark[1]
    assert {kind for kinds in found.values() for kind in kinds} == CHECKS.keys()
    assert len(material.splits["train"]) == 12 and len(material.splits["dev"]) == 20 + len(PLANTED) + 4


def test_every_kind_has_a_check():
    assert list(KINDS) == list(CHECKS)


def test_what_could_not_be_looked_at_is_said(material):
    place = next(question.index for question in material.splits["dev"] if question.fault)
    assert not_looked_at(material) == [
        {"what": "damaged questions", "split": "dev", "questions": 1, "indices": [place], "names": ["no query"]}
    ]


def test_questions_to_leave_out_are_those_of_the_kinds_named(benchmark, material):
    findings = find_all(material)
    reasons = reasons_to_exclude(findings, ("clock", "empty", "unused-database"))
    planted = {place[:2]: list(kinds) for place, kinds in benchmark[1].items() if kinds <= {"clock", "empty"}}
    assert len(planted) == 3 and {place: list(kinds) for place, kinds in reasons.items()} == planted
    assert {kinds["empty"] for kinds in reasons.values() if "empty" in kinds} == {
        "returns no rows", "returns nothing but NULL"
    }  # fmt: skip
    record = json.loads(json.dumps(audit_record("spider", material, findings)))
    assert record["counts"]["clock"] == {"dev": 1} and record["counts"]["unused-database"] == {"all": 1}
    assert len(record["findings"]) == len(findings)


@pytest.mark.parametrize(("asked", "found"), [(20, 20), (21, 1)])
def test_questions_in_another_language_are_one_finding(tmp_path, asked, found):
    """Not hundreds, which would say the same; up to twenty questions are named."""
    lines = [{"db_id": "gone", "question": f"Wie viele gibt es {n}?", "query": "SELECT 1"} for n in range(asked)]
    lines += [{"db_id": "gone", "question": f"How many pets {n}?", "query": "SELECT 1"} for n in range(9)]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    schema = {"db_id": "gone", "table_names_original": ["pet"], "column_names_original": [[-1, "*"], [0, "name"]]}
    (tmp_path / "tables.json").write_text(json.dumps([schema]))
    findings = [f for f in find_all(gather("jsonl", tmp_path, ["dev"], workers=1, seconds=5)) if "word" in f.kind]
    assert len(findings) == found
    if found == 1:
        (finding,) = findings
        assert (finding.split, finding.index, finding.db_id) == ("dev", None, "")
        assert finding.detail == "21 of 30 questions share no word with their schema; such as question 0 (gone)"
        assert reasons_to_exclude(findings, ["no-schema-word"]) == {}


def test_absent_databases_and_own_prompts(tmp_path):
    """What has a schema is compiled; what has none, or brings its own prompt, is named."""
    lines = [
        {"db_id": "gone", "question": "How many pets?", "query": "SELECT count(*) FROM pet"},
        {"db_id": "gone", "question": "How many pets have owners?", "query": "SELECT count(*) FROM owner"},
        {"db_id": "unknown", "question": "How many?", "query": "SELECT 1"},
        {"prompt": "How many?", "completion": "SELECT 2"},
    ]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    schema = {"db_id": "gone", "table_names_original": ["pet"], "column_names_original": [[-1, "*"], [0, "name"]]}
    (tmp_path / "tables.json").write_text(json.dumps([schema]))
    material = gather("jsonl", tmp_path, ["dev"], workers=1, seconds=5)
    (finding,) = find_all(material)
    assert (finding.kind, finding.index) == ("does-not-run", 1)
    assert finding.detail.startswith("no such table: owner (compiled on empty tables")
    assert [(line["questions"], line["names"]) for line in not_looked_at(material)] == [
        (2, ["gone"]),
        (1, ["unknown"]),
        (1, ["no database"]),
        (None, []),
        (None, []),
    ]


def test_splits_are_those_whose_files_are_there(tmp_path):
    with pytest.raises(InputError, match=r"has none of dev\.jsonl, train\.jsonl"):
        splits_there("jsonl", tmp_path)
    (tmp_path / "dev.jsonl").write_text("{}")
    assert splits_there("jsonl", tmp_path) == ["dev"]


def test_a_check_that_could_not_look_is_told_from_one_that_found_nothing(material):
    looked = {split: [was_looked_for(material, kind, split) for kind in CHECKS] for split in ("train", "dev")}
    assert all(looked["dev"])
    assert [kind for kind, there in zip(CHECKS, looked["train"], strict=True) if not there] == [
        "same-question",
        "near-question",
        "same-sql",
    ]
    without = replace(material, splits={"dev": material.splits["dev"]}, complete=False, seen={}, databases={})
    assert [kind for kind in CHECKS if was_looked_for(without, kind, "dev")] == [
        "damaged",
        "damaged-file",
        "does-not-run",
        "clock",
        "no-schema-word",
    ]


def test_two_databases_of_one_name_are_refused(tmp_path):
    """Splits with folders of their own may have a database that another split knows by the same name."""
    for split in ("train", "dev"):
        (tmp_path / split).mkdir()
        make_database(tmp_path / split / f"{split}_databases" / "pets" / "pets.sqlite")
        (tmp_path / split / f"{split}.json").write_text('[{"db_id": "pets", "question": "All?", "SQL": "SELECT 1"}]')
        (tmp_path / split / f"{split}_tables.json").write_text("[]")
    with pytest.raises(
        InputError, match="pets: split dev has a different database of this name than the splits before"
    ):
        gather("bird", tmp_path, None, workers=1, seconds=5)
    assert splits_there("bird", tmp_path) == ["train", "dev"]


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ({"table_names_original": ["singer"], "foreign_keys": [[1]]}, "", "has [1] as entry 0 of foreign_keys"),
        ({"table_names_original": ["sinner"]}, "", "no table sinner, although tables.json names it"),
        ({"table_names_original": []}, '{"db_id": "concert", "ques', "not valid JSON: {data}/dev.jsonl, line 2"),
        (5, "", "not an object but a number: {data}/tables.json, item 0"),
    ],
)
def test_damage_of_files_is_found_though_the_audit_goes_on(tmp_path, entry, line, said):
    make_database(tmp_path / "database" / "concert" / "concert.sqlite")
    question = json.dumps({"db_id": "concert", "question": "Which singers?", "query": "SELECT name FROM singer"})
    (tmp_path / "dev.jsonl").write_text(f"{question}\n{line}\n")
    item = entry if isinstance(entry, int) else {"db_id": "concert", **entry}
    (tmp_path / "tables.json").write_text(json.dumps([item]))
    material = gather("jsonl", tmp_path, None, workers=1, seconds=5)
    (finding,) = find_all(material)
    assert finding.kind == "damaged-file" and said.format(data=tmp_path) in finding.detail
    assert material.observation(material.splits["dev"][0]).rows  # the question was checked all the same


def test_words_are_not_compared_with_names_that_could_not_be_read(tmp_path):
    make_database(tmp_path / "database" / "concert" / "concert.sqlite")
    item = {"db_id": "concert", "question": "Wer ist es?", "query": "SELECT name FROM singer"}
    (tmp_path / "dev.jsonl").write_text(json.dumps(item))
    assert [finding.kind for finding in find_all(gather("jsonl", tmp_path, None, 1, 5))] == ["no-schema-word"]
    (tmp_path / "tables.json").write_text('[{"db_id": "concert"}]')
    assert [finding.kind for finding in find_all(gather("jsonl", tmp_path, None, 1, 5))] == ["damaged-file"]
