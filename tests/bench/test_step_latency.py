"""The latency benchmark runs, and its tables and pictures say what was measured."""

import io
import json
import subprocess
import sys

import pytest
from helpers.launcher import ROOT
from parts.latency_contest import SFT
from parts.latency_models import PAIRS, SHAPES, Lengths, made_up_samples
from parts.latency_report import draw_growth, draw_methods, of_methods, show
from rich.console import Console
from step_latency import GROWTH, grown

SHORT = ["--schema-tokens", "12", "--question-tokens", "4", "--output-tokens", "3", "--batch-size", "2"]


@pytest.mark.slow
def test_it_runs_without_peers(tmp_path):
    command = ["bench/step_latency.py", "--no-peers", "--rounds", "1"]
    command += ["--methods", "sft", "rkd", "gkd-rkl", "--ways", "schema shared", "shared and stored", "schemas stored"]
    command += ["shared, states stored"]
    files = ["--json", tmp_path / "l.json", "--plot", tmp_path / "l.png"]
    done = subprocess.run(
        [sys.executable, *command, *SHORT, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads((tmp_path / "l.json").read_text())["lines"]
    of_teacher, states = {"schema shared", "shared and stored", "schemas stored"}, {"shared, states stored"}
    ways = {method: {line["way"] for line in lines if line["method"] == method} for method in ("sft", "rkd", "gkd-rkl")}
    assert ways == {"sft": {"schema shared"}, "rkd": of_teacher | states, "gkd-rkl": of_teacher}
    assert all(
        ("own_ratio" in line) == (line["way"] != "schemas stored") for line in lines
    )  # of sft so, none was timed
    assert next(line["own_ratio"] for line in lines if line["method"] == "sft") == 1
    line = next(line for line in lines if (line["method"], line["way"]) == ("gkd-rkl", "schema shared"))
    assert (line["method"], line["source"]) == ("gkd-rkl", "on-policy")
    assert line["seconds"] > 0 and line["peak_mb"] > 0 and line["parts"]["decode"] > 0
    assert sum(line["parts"].values()) <= line["spread"][1] * 1.05
    assert (tmp_path / "l.png").stat().st_size > 1000 and "schema shared" in done.stdout


@pytest.mark.slow
def test_a_missing_peer_is_one_line():
    done = subprocess.run(
        [sys.executable, "bench/step_latency.py", "--data", "somewhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


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
