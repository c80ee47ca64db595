"""The long runs of the pages (`make demo`, `make real`, the ablations) from their first to their last command.

With few questions and tiny models; flags appended to the documented ones make them short.
"""

import json
import shutil
import sys
from dataclasses import replace
from functools import partial

import ablations
import demo
import pytest
import real
from helpers.documented import link_project, write_few_questions
from helpers.forked_jobs import forked_jobs
from helpers.launcher import ROOT
from helpers.pages import made, of_pages, of_results
from parts import ablation_settings, real_jobs, running
from parts.real_jobs import CPU, SIZES, SPLITS

from kid.minibench import build
from kid.minibench.tiny_models import MODELS, write_tiny_model
from kid.models.pretrained import load_tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture
def few_questions(monkeypatch):
    """Builds minibench with 12 questions in dev and 8 in valid, two on each database."""
    for split, databases in (("DEV", 6), ("VALID", 4)):
        monkeypatch.setattr(build, f"{split}_DATABASES", databases)
        monkeypatch.setattr(build, f"{split}_PER_DATABASE", 2)


def test_the_demo(few_questions, tmp_path, monkeypatch, capsys, forks):
    monkeypatch.setattr(demo, "run_jobs", forked_jobs(forks))
    monkeypatch.setattr(demo, "STUDENT", demo.STUDENT.replace("--epochs 8", "--epochs 2"))
    output, (first, seeds) = tmp_path / "demo", [made(words)[1:] for words in of_pages("demo")]
    small = ["--labels", "32", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", [*first, *small])
    demo.main()
    printed = capsys.readouterr().out
    for name in ("student base", "teacher", "sft-seed0", "rkd-seed0", "kid-seed0"):
        found = json.loads((output / "scores" / f"{name.replace(' ', '-')}.json").read_text())
        assert len((found.get("best") or found)["right"]) == 12 and f"] {name}: EX " in printed
        assert name in ("student base", "teacher") or len(found["valid"]) == 2  # epochs
    report = (output / "report.md").read_text()
    assert "With 32 labels, 20 % of them wrong: " in report and report.count("```sql") == 20
    assert list(output.glob("*.png"))
    monkeypatch.setattr(sys, "argv", [*seeds, "--seeds", "0", "1", *small])
    before = {log: log.stat().st_mtime_ns for log in (output / "logs").iterdir()}
    demo.main()
    assert before == {log: log.stat().st_mtime_ns for log in before}  # what is there is not trained again
    assert "] kid-seed1: EX " in capsys.readouterr().out


def test_the_ablations(few_questions, tmp_path, monkeypatch, capsys, forks):
    few = replace(ablation_settings.SETTINGS["imperfect"], labels=16, epochs=1)
    monkeypatch.setitem(ablation_settings.SETTINGS, "imperfect", few)
    run_jobs = forked_jobs(forks)
    monkeypatch.setattr(running, "run_jobs", run_jobs)
    monkeypatch.setattr(ablations, "play", partial(ablations.play, run=run_jobs))
    base = tmp_path / "bases" / few.base  # which takes an hour to train
    base.parent.mkdir()
    base.symlink_to(MODELS / "student")
    page, _ = of_results("bench/ablations.py")
    small = ["--seeds", "0", "--runs", "f-distill", "kid-hard", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["ablations.py", *page, *small])
    ablations.main()
    printed, bars = capsys.readouterr()
    found = {line["name"]: line for line in map(json.loads, (tmp_path / "imperfect" / "results.jsonl").open())}
    assert {name.rsplit("-lr", 1)[0] for name in found} == {"student base", "teacher", "f-distill", "kid", "kid-hard"}
    assert len(found) == 2 + 2 * len(ablation_settings.RATES) + 1
    assert "| f-distill |" in printed and "imperfect: seeds: 100%" in bars


def test_the_run_on_spider(minibench, tmp_path, monkeypatch, capsys, forks):
    """In a checkout of its own, whose docs/ it writes; with the size for two cores, as the page's needs a GPU."""
    link_project(tmp_path)
    write_few_questions(minibench, tmp_path)
    page = tmp_path / "docs" / "results.md"
    page.parent.mkdir()
    shutil.copy(ROOT / "docs" / "results.md", page)
    tokenizer = load_tokenizer(MODELS / "student", "--student")
    small = replace(
        CPU, questions=(8, 2), heal="--epochs 1", student="--epochs 1 --save-steps 1", curve=(1,),
        training=CPU.training.replace("--batch-size 8", "--batch-size 4"),
        exposure="--questions-limit 2 --samples 1 --max-completion-length 8",
        decoding="--max-completion-length 8 --batch-size 2",
    )  # fmt: skip
    monkeypatch.setitem(SIZES, "cpu", small)
    monkeypatch.setattr(real_jobs, "LAYERS", "0,3")
    monkeypatch.chdir(tmp_path)
    for module in (real, real_jobs):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    run_jobs, names = forked_jobs(forks, tmp_path), []

    def run(jobs, workers, watch):
        if jobs.pop("smollm2", None):  # its download and conversion are in test_smollm2.py
            sizes = {"hidden": 16, "layers": 4, "heads": 2, "seed": 0, "family": "llama"}
            write_tiny_model(tmp_path / "runs" / "real" / "smollm2", tokenizer, **sizes)
        names.extend(jobs)
        run_jobs(jobs, workers, watch)

    monkeypatch.setattr(real, "play", partial(real.play, run=run))
    [words] = of_pages("real")
    monkeypatch.setattr(sys, "argv", [*made(words)[1:], "--size", "cpu", "--seeds", "0", "--methods", "f-distill,kid"])
    real.main()
    output = tmp_path / "runs" / "real"
    for student in ("f-distill-seed0", "kid-seed0"):
        scores = output / "students" / student / "scores"
        assert {path.stem for path in scores.glob("*.json")} == {*SPLITS, "exposure_bias"}
        assert json.loads((scores / "step-1" / "dev.json").read_text())
        assert (page.parent / "results" / "real" / "students" / student / "scores" / "dev.json").is_file()
    report = (output / "report" / "report.md").read_text()
    assert "f-distill" in report and "kid" in report
    written = page.read_text()
    assert "--methods f-distill,kid" in written and "## What the ablations say" in written
    assert "8/8] report" in capsys.readouterr().out
    names.clear()
    real.main()
    assert names == ["report"]
