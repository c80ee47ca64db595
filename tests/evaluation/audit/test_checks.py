"""The table of checks: what is found in a benchmark with planted faults is exactly what was planted."""

from __future__ import annotations

import json

import pytest
from helpers.planted_faults import PLANTED, write_planted

from kid.errors import InputError
from kid.evaluation.audit.checks import CHECKS, find_all
from kid.evaluation.audit.material import gather, splits_there
from kid.evaluation.audit.record import audit_record, not_looked_at, reasons_to_exclude


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


def test_what_could_not_be_looked_at_is_said(material):
    assert not_looked_at(material) == [
        {"what": "anything, for they are damaged", "split": "dev", "questions": 1, "names": ["no query"]}
    ]


def test_questions_to_leave_out_are_those_of_the_kinds_named(benchmark, material):
    findings = find_all(material)
    reasons = reasons_to_exclude(findings, ("clock", "empty", "unused-database"))
    places = {kind: place for place, kinds in benchmark[1].items() for kind in kinds}
    assert {place: list(kinds) for place, kinds in reasons.items()} == {
        places["clock"][:2]: ["clock"],
        places["empty"][:2]: ["empty"],
    }
    record = json.loads(json.dumps(audit_record("spider", material, findings)))
    assert record["counts"]["clock"] == {"dev": 1} and record["counts"]["unused-database"] == {"None": 1}
    assert len(record["findings"]) == len(findings)


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
    with pytest.raises(InputError, match=r"holds none of dev\.jsonl, train\.jsonl"):
        splits_there("jsonl", tmp_path)
    (tmp_path / "dev.jsonl").write_text("{}")
    assert splits_there("jsonl", tmp_path) == ["dev"]
