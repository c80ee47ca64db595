"""Each script that docs/results.md names is run by a test with small inputs; here those that no other test runs."""

import json
import subprocess
import sys

import fused_divergence
import pytest
from helpers.launcher import ROOT
from helpers.pages import commands

pytestmark = pytest.mark.slow
# Script or whole command -> the test that runs it with flags of its own; test_documented_commands.py checks the page's.
RUN_BY = {
    "make demo": "tests/bench/test_demo.py",
    "make real": "tests/bench/test_real.py",
    "python -m pytest tests/losses": "tests/losses/test_fused.py",
    "bench/ablations.py": "tests/bench/test_ablations.py",
    "bench/bit_flips.py": "test_flipped_bits_are_noticed_in_every_kind_of_file",
    "bench/fused_divergence.py": "test_the_fused_head_is_measured_beside_others",
    "bench/kills.py": "test_a_killed_script_gives_the_same_result_again",
    "bench/make_minibench.py": "test_a_minibench_of_chosen_size_is_made",
    "bench/predict.py": "tests/bench/test_smollm2.py",
    "bench/prepare_data.py": "test_preparing_is_measured_first_and_from_the_cache",
    "bench/real.py": "tests/bench/test_real.py",
    "bench/smollm2.py": "tests/bench/test_smollm2.py",
    "bench/step_latency.py": "tests/bench/test_step_latency.py",
    "bench/value_index.py": "test_a_value_index_is_measured",
    "eval/make_test_suite.py": "tests/test_documented_runs.py",
    "eval/score.py": "tests/test_documented_runs.py",
    "train/sft.py": "tests/bench/test_smollm2.py",
}


def test_each_script_of_the_page_is_run_by_a_test():
    found = set()
    for words in commands((ROOT / "docs" / "results.md").read_text(encoding="utf-8")):
        script = next((word for word in words if word.endswith(".py")), None)
        found.add(script or " ".join(words[:2] if words[0] == "make" else words))
    assert found == RUN_BY.keys()
    assert all((ROOT / test).is_file() or callable(globals()[test]) for test in RUN_BY.values())


def numbers(script: str, *flags: object, path) -> dict:
    """Run a script with --json, and read what it wrote."""
    command = [sys.executable, f"bench/{script}", *map(str, flags), "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(path.read_text())


def test_flipped_bits_are_noticed_in_every_kind_of_file(tmp_path):
    counts = numbers("bit_flips.py", "--flips", 140, path=tmp_path / "flips.json")["counts"]
    assert len(counts) == 7 and not any("wrong" in found for found in counts.values())
    assert all(sum(found.values()) == 20 and found["noticed"] > 10 for found in counts.values())


def test_a_killed_script_gives_the_same_result_again(tmp_path):
    found = numbers("kills.py", "--times", 1, "--scripts", "score.py", path=tmp_path / "kills.json")
    assert found == {"score.py": {"kills": 1, "pairs": 1, "wrong": 0}}


def test_preparing_is_measured_first_and_from_the_cache(tmp_path, minibench, tiny_models, monkeypatch):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    flags = ("--data", minibench, "--model", tiny_models / "student", "--splits", "dev")
    figures = numbers("prepare_data.py", *flags, path=tmp_path / "figures.json")
    assert [figures[name]["cached"] for name in ("first time", "from the cache")] == [False, True]
    assert all(found["rows"]["dev"] > 0 for found in figures.values())


def test_a_value_index_is_measured(tmp_path):
    found = numbers("value_index.py", "--cells", 5000, path=tmp_path / "index.json")
    assert (found["cells"], found["questions"], found["matched_values"]) == (5000, 100, 200)


def test_a_minibench_of_chosen_size_is_made(tmp_path):
    command = [sys.executable, "bench/make_minibench.py", "--output", str(tmp_path / "made"), "--labels", "125"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(json.loads((tmp_path / "made" / "train_spider.json").read_text())) == 125


def test_the_fused_head_is_measured_beside_others(tmp_path, monkeypatch, capsys):
    def without_peers(device, memory_mb):
        """The libraries of requirements-bench.txt are not installed here; plain torch is."""
        ours, divergence = fused_divergence.kid(memory_mb, True), fused_divergence.kid(memory_mb, False)
        return {
            fused_divergence.OURS: {"": ours},
            fused_divergence.BEST_PEER: {"": divergence},
            "torch rkl + mle": {"": fused_divergence.plain},
        }

    monkeypatch.setattr(fused_divergence, "contestants", without_peers)
    monkeypatch.setattr(fused_divergence, "PEERS", ())
    flags = ["--shapes", "512:32/64", "--rows", "64", "96", "--rounds", "2", "--memory-mb", "1"]
    made = {name: tmp_path / f"fused.{name}" for name in ("json", "png")}
    flags += ["--json", str(made["json"]), "--plot", str(made["png"])]
    monkeypatch.setattr(sys, "argv", ["fused_divergence.py", *flags])
    fused_divergence.main()
    lines = json.loads(made["json"].read_text())["lines"]
    assert [line["rows"] for line in lines] == [64] * 3 + [96] * 3 and made["png"].stat().st_size
    assert all(line["error"] < 1e-5 and line["seconds"] > 0 and line["peak_mb"] > 0 for line in lines)
    assert "512:32/64, 96 rows" in capsys.readouterr().out
