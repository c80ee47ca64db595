"""The commands of README.md and docs/, from the first to the last of a page, on tiny models."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.documented import link_project, run_all, write_few_questions
from helpers.launcher import ROOT
from helpers.pages import RESULTS, commands, python_blocks

OWN_DATA = ROOT / "docs" / "your-own-data.md"
PAGES = [ROOT / "docs" / f"{page}.md" for page in ("data", "evaluation", "planning", "cluster", "models", "methods")]


@pytest.fixture
def place(tmp_path) -> Path:
    link_project(tmp_path)
    return tmp_path


def test_every_page_with_commands_is_run():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = {page for page in pages if commands(page.read_text(encoding="utf-8"))}
    assert found == {ROOT / "README.md", OWN_DATA, RESULTS, *PAGES}  # RESULTS: in tests/bench/


@pytest.mark.launch  # of one rank each
def test_the_page_on_your_own_data_can_be_followed(minibench, place, forks):
    (place / "runs").mkdir()
    (place / "runs" / "minibench").symlink_to(minibench)
    copies, *_ = python_blocks(OWN_DATA)
    code = copies.replace("[:20]", "[:2]")
    subprocess.run([sys.executable, "-c", code], cwd=place, check=True)
    database = next((place / "mydata" / "database").glob("*/*.sqlite")).relative_to(place)
    ran = run_all(OWN_DATA.read_text(encoding="utf-8"), place, database, forks)
    assert ran.count("eval/evaluate.py") == 4 and "train/export.py" in ran and "eval/audit.py" in ran
    assert (place / "runs" / "kid" / "merged" / "kid_export.json").is_file()
    report = (place / "report" / "report.md").read_text()
    assert "before training" in report and "Teacher" in report


@pytest.mark.launch
def test_the_commands_of_the_front_page_and_of_the_pages_on_data_evaluation_and_planning_run(minibench, place, forks):
    write_few_questions(minibench, place)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    database = next((minibench / "database").glob("*/*.sqlite"))
    ran = run_all(text, place, database, forks)
    assert {"train/sft.py", "train/distill.py", "eval/evaluate.py", "eval/ask.py", "eval/report.py"} <= {*ran}
    assert (place / "runs" / "kid" / "best").exists() and (place / "report" / "report.html").is_file()

    # The page on evaluation compares with a run that no page trains.
    rkd = "--student Qwen/Qwen1.5-0.5B --benchmark spider --data spider --batching schema --output runs/rkd"
    rkd = f"deepspeed --num_gpus 1 train/distill.py --method rkd --teacher runs/teacher {rkd}"
    run_all(f"```\n{rkd}\n```", place, database, forks)
    shutil.rmtree(place / "report")
    ran = run_all("\n".join(page.read_text(encoding="utf-8") for page in PAGES), place, database, forks)
    assert (place / "report" / "report.html").is_file() and (place / "exposure_bias.png").is_file()
    assert "train/generate.py" in ran
    for run in ("qwen1.5-0.5b-from-qwen1.5-1.8b/f-distill", "qwen2.5-coder-0.5b-instruct-from-7b"):
        assert (place / "runs" / run / "adapter").is_dir()
    assert (place / "runs" / "kid-best" / "best").exists() and (place / "minibench" / "labels.json").is_file()
    assert ran.count("eval/make_test_suite.py") == 3 and ran.count("train/plan.py") == 5 and "eval/audit.py" in ran
