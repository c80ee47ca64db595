"""The commands of docs/results.md run, made small by appended flags (of a flag given twice the last counts)."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import bit_flips
import fused_divergence
import kills
import pytest
from helpers.documented import write_few_questions
from helpers.launcher import ROOT, run_script
from helpers.pages import RESULTS, commands, of_results

pytestmark = pytest.mark.slow
TESTS = ROOT / "tests"
# CI runs these tests themselves; test_whole_runs.py has the demo and the real run in small.
NOT_RUN = {"make demo", "make real", "python -m pytest tests/losses"}


def test_each_script_of_the_page_is_run_by_a_test():
    page = set()
    for words in commands(RESULTS.read_text(encoding="utf-8")):
        script = next((word for word in words if word.endswith(".py")), None)
        page.add(script or " ".join(words[:2] if words[0] == "make" else words))
    sources = "".join(file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py"))
    assert page - NOT_RUN == {*re.findall(r'of_results\("([\w/.]+)"\)', sources)}
    assert page > NOT_RUN


def run(script: str, *flags: object, folder: Path = ROOT) -> subprocess.CompletedProcess:
    done = run_script(script, *flags, folder=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def numbers(script: str, *flags: object, path: Path) -> dict:
    """Run a script with --json in the folder of this file, and read what it wrote."""
    run(script, *flags, "--json", path, folder=path.parent)
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Path:
    """The files whose damage and whose writing are tested: made once, and copied."""
    folder = tmp_path_factory.mktemp("everything")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KID_CACHE", str(folder / "cache"))
        bit_flips.make_everything(folder)
    return folder


@pytest.fixture
def main_of(everything, tmp_path, monkeypatch):
    """main_of(module, *flags): run a script of bench/ in this process on a copy of `everything`; returns its --json."""

    def run_main(module, *flags: object) -> dict:
        copy = partial(shutil.copytree, everything, dirs_exist_ok=True)
        monkeypatch.setattr(module, "make_everything", copy)
        monkeypatch.setenv("KID_CACHE", "")  # main() sets it
        monkeypatch.setattr(sys, "argv", ["script", *map(str, flags), "--json", str(tmp_path / "found.json")])
        module.main()
        return json.loads((tmp_path / "found.json").read_text())

    return run_main


def test_flipped_bits_are_noticed_in_every_kind_of_file(main_of):
    [page] = of_results("bench/bit_flips.py")
    counts = main_of(bit_flips, *page, "--flips", 140)["counts"]
    assert len(counts) == 7 and not any("wrong" in found for found in counts.values())
    assert all(sum(found.values()) == 20 and found["noticed"] > 10 for found in counts.values())


def test_a_killed_script_gives_the_same_result_again(main_of):
    [page] = of_results("bench/kills.py")
    found = main_of(kills, *page, "--times", 1, "--scripts", "score.py")
    assert found == {"score.py": {"kills": 1, "pairs": 1, "wrong": 0}}


def test_preparing_is_measured_first_and_from_the_cache(tmp_path, minibench, tiny_models, monkeypatch):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    write_few_questions(minibench, tmp_path)
    (tmp_path / "DIR").symlink_to(tiny_models / "student")
    [page] = of_results("bench/prepare_data.py")
    figures = numbers("bench/prepare_data.py", *page, path=tmp_path / "figures.json")
    assert [figures[name]["cached"] for name in ("first time", "from the cache")] == [False, True]
    assert all(found["rows"] == {"train": 16, "dev": 8} for found in figures.values())


def test_a_value_index_is_measured(tmp_path):
    [page] = of_results("bench/value_index.py")
    found = numbers("bench/value_index.py", *page, "--cells", 5000, path=tmp_path / "index.json")
    assert (found["cells"], found["questions"], found["matched_values"]) == (5000, 100, 200)


def test_beams_are_measured_on_a_minibench_of_chosen_size(tmp_path):
    [made], (_, page) = of_results("bench/make_minibench.py"), of_results("bench/predict.py")
    run("bench/make_minibench.py", *made, "--labels", 125, folder=tmp_path)
    assert len(json.loads((tmp_path / "runs" / "minibench" / "train_spider.json").read_text())) == 125
    (tmp_path / "kid").symlink_to(ROOT / "kid")
    found = numbers("bench/predict.py", *page, "--questions", 4, "--rounds", 1, path=tmp_path / "predict.json")
    assert (found["questions"], found["same_outputs"]) == (4, 4)
    assert {way: len(times) for way, times in found["seconds"].items()} == {"transformers generate": 1, "ours": 1}


def test_gold_scores_everything_with_and_without_a_suite(tmp_path, minibench):
    write_few_questions(minibench, tmp_path)
    shutil.copy(tmp_path / "preds.sql", tmp_path / "F")
    [made], scores = of_results("eval/make_test_suite.py"), of_results("eval/score.py")
    run("eval/make_test_suite.py", *made, folder=tmp_path)
    found = [numbers("eval/score.py", *page, path=tmp_path / f"{at}.json") for at, page in enumerate(scores)]
    assert [(one["ex"], one.get("ts")) for one in found] == [(100, None), (100, 100)]


def test_the_real_run_explains_itself():
    [page] = of_results("bench/real.py")
    assert "--size {cpu,gpu}" in run("bench/real.py", *page).stdout


@pytest.mark.parametrize("page", of_results("bench/fused_divergence.py"), ids=" ".join)
def test_the_fused_head_is_measured_beside_others(page, tmp_path, monkeypatch, capsys):
    all_contestants = fused_divergence.contestants

    def not_compiled(device, memory_mb):
        """Each contestant with one of its settings: compiling takes minutes."""
        found = {name: dict([next(iter(ways.items()))]) for name, ways in all_contestants(device, memory_mb).items()}
        return {name: ways for name, ways in found.items() if "compiled" not in name}

    monkeypatch.setattr(fused_divergence, "contestants", not_compiled)
    small = ["--device", "cpu", "--shapes", "512:32/64", "--rows", "64", "96", "--rounds", "2", "--memory-mb", "1"]
    made = {name: tmp_path / f"fused.{name}" for name in ("json", "png")}
    small += ["--json", str(made["json"]), "--plot", str(made["png"])]
    monkeypatch.setattr(sys, "argv", ["fused_divergence.py", *page, *small])
    fused_divergence.main()
    lines = json.loads(made["json"].read_text())["lines"]
    assert [line["rows"] for line in lines] == [64] * 5 + [96] * 5 and made["png"].stat().st_size
    assert all(line["error"] < 1e-5 and line["seconds"] > 0 and line["peak_mb"] > 0 for line in lines)
    assert "512:32/64, 96 rows" in capsys.readouterr().out
