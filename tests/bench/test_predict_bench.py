"""The benchmark of predictions runs, and its outputs are the same both ways."""

import json
import subprocess

import pytest
from helpers.launcher import run_script
from helpers.small_benchmark import write_small_benchmark
from predict import until_eos

from kid.minibench.tiny_models import MODELS


def run(*flags: object) -> subprocess.CompletedProcess:
    return run_script("bench/predict.py", *flags)


@pytest.mark.slow
def test_both_ways_give_the_same(minibench, tmp_path):
    data = write_small_benchmark(minibench, tmp_path / "data")
    sizes = ["--questions", 6, "--batch-size", 4, "--rounds", 2, "--json", tmp_path / "p.json"]
    done = run("--model", MODELS / "student", "--data", data, *sizes)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "p.json").read_text())
    assert (found["questions"], found["same_outputs"]) == (6, 6) and 0 < found["ended"] <= 6
    assert {way: len(values) for way, values in found["seconds"].items()} == {"transformers generate": 2, "ours": 2}
    assert "6 questions on" in done.stdout and "6 of 6 the same with both" in done.stdout


@pytest.mark.slow
def test_bad_input_is_one_line(minibench):
    done = run("--model", MODELS / "student", "--data", minibench, "--questions", 0)
    assert done.returncode == 2
    assert done.stderr == "error: --questions 0 is out of range; give 1 or more\n"


def test_what_generate_pads_with_is_left_out():
    assert until_eos([5, 6, 1, 1, 1], 1) == [5, 6, 1] and until_eos([5, 6], 1) == [5, 6]
