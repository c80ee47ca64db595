"""The latency benchmark runs, and its tables and pictures say what was measured."""

import io
import json
import sys
from pathlib import Path

import pytest
import step_latency
from helpers.pages import of_results
from parts.latency_contest import SFT, STATES, STORED, WAYS
from parts.latency_models import PAIRS, SHAPES, Lengths, made_up_samples
from parts.latency_report import draw_growth, draw_methods, of_methods, show
from rich.console import Console
from step_latency import DEFAULT_METHODS, GROWTH, PEERS, grown, parse_arguments

from kid.errors import InputError


def measured(page: list[str], folder: Path, forks) -> tuple[list[dict], str]:
    """Run a command of docs/results.md with small models and batches, on the CPU. Returns the measurements and the
    output."""
    small = ["--schema-tokens", "12", "--question-tokens", "4", "--output-tokens", "3", "--batch-size", "2"]
    small += ["--rounds", "1", "--device", "cpu"]
    files = ["--json", folder / "l.json", "--plot", folder / "l.png"]
    done = forks.run(0, "tests/helpers/small_latency.py", *page, *small, *files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "l.png").stat().st_size > 1000
    return json.loads((folder / "l.json").read_text())["lines"], done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", of_results("bench/step_latency.py"), ids=" ".join)
def test_the_documented_commands_measure_what_they_name(page, tmp_path, forks, monkeypatch):
    lines, output = measured(page, tmp_path, forks)
    monkeypatch.setattr(sys, "argv", ["step_latency.py", *page])
    named = parse_arguments()
    methods, ways = named.methods or DEFAULT_METHODS, named.ways or WAYS
    possible = {"sft": {*WAYS} - {*STORED, *STATES}, "rkd": {*WAYS}}
    expected = {(method, way) for method in methods for way in ways if way in possible.get(method, {*WAYS} - {*STATES})}
    if named.peers:
        expected |= {(peer, "") for peer in ([SFT] if named.growth else PEERS)}
    assert {(line["method"], line["way"]) for line in lines} == expected
    assert all(line["seconds"] > 0 and bool(line["parts"]) == bool(line["way"]) for line in lines)
    assert "schema shared" in output
    axes = GROWTH if named.growth else ["batch"]
    assert {(line["pair"], line["axis"]) for line in lines} == {(pair, axis) for pair in named.pair for axis in axes}


@pytest.mark.slow
def test_a_line_has_its_parts_its_memory_and_its_ratio(tmp_path, forks):
    flags = ["--methods", "sft", "gkd-rkl", "--ways", "schema shared", "schemas stored", "--no-peers"]
    sft, shared, stored = measured(flags, tmp_path, forks)[0]
    assert [line["method"] for line in (sft, shared, stored)] == ["sft", "gkd-rkl", "gkd-rkl"]
    assert sft["own_ratio"] == 1 and shared["own_ratio"] > 0
    assert "own_ratio" not in stored  # of sft with different schemas, which was not run
    assert (shared["way"], shared["source"]) == ("schema shared", "on-policy")
    assert shared["peak_mb"] > 0 and shared["parts"]["decode"] > 0
    assert sum(shared["parts"].values()) <= shared["spread"][1] * 1.05


def test_a_missing_peer_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["step_latency.py"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed: trl; pip install -r requirements-bench.txt"):
        step_latency.main()


def lines_of(**more) -> list[dict]:
    usual = {"pair": "tiny", "axis": "batch", "value": 4, "spread": [1.0, 1.0], "ratio_spread": [0.9, 1.1], **more}
    measured = [
        (SFT, "", "gold", 2.0, {}),
        ("imitkd", "plain", "gold", 3.0, {"a": 1.0}),
        ("imitkd", "plain", "on-policy", 5.0, {"b": 4.0}),
    ]
    names = ("method", "way", "source", "seconds", "parts")
    lines = [{**usual, **dict(zip(names, line, strict=True)), "ratio": line[3] / 2} for line in measured]
    return [*lines, {**usual, "method": "kid", "way": "plain", "source": "imperfect", "failed": "out of memory"}]


def test_a_mixture_costs_the_mean_of_its_sources(tmp_path):
    sft, imitkd, kid = of_methods(lines_of())
    assert (imitkd["seconds"], imitkd["ratio"], imitkd["source"]) == (4.0, 2.0, "gold / on-policy")
    assert imitkd["parts"] == {"a": 0.5, "b": 2.0} and kid["failed"] == "out of memory" and sft["ratio"] == 1.0
    out = io.StringIO()
    show(lines_of(), Console(file=out, width=160))
    assert "2.00" in out.getvalue() and "out of memory" in out.getvalue()
    draw_methods(lines_of(), tmp_path / "m.png")
    draw_growth(lines_of(value=2) + lines_of(value=4), tmp_path / "g.png")
    assert (tmp_path / "m.png").exists() and (tmp_path / "g.png").exists()


def test_growth_changes_one_thing():
    shapes = tuple(SHAPES[name] for name in PAIRS["tiny"])
    for axis, values in GROWTH.items():
        for value in values:
            lengths, (student, teacher) = grown(axis, value, Lengths(), shapes)
            assert student == shapes[0] and (teacher != shapes[1]) == (axis == "teacher layers" and value != 8)
            samples = made_up_samples(lengths, 100, 0)
            assert len(samples) == lengths.batch
            schemas = {tuple(sample.prompt_ids[: lengths.schema]) for sample in samples}
            assert len(schemas) == lengths.batch // lengths.per_schema
            if axis == "prompt tokens":
                assert len(samples[0].prompt_ids) == value


@pytest.mark.parametrize("pair", PAIRS)
def test_every_pair_has_shapes_of_one_tokenizer(pair):
    student, teacher = (SHAPES[name] for name in PAIRS[pair])
    assert student[0] == teacher[0] and abs(student[1] - teacher[1]) < 200
