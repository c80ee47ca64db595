"""A report of a user's own runs, from top to bottom: no paper, no empty sections, every abbreviation explained."""

import re

import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report.page import Bullets, Commands, to_markdown
from kid.report.runs import load_runs
from kid.report.sections import report_sections

R, W = True, False


def report(*folders):
    """Title -> the section of that title."""
    runs, remarks = load_runs(folders)
    return {section.title: section for section in report_sections(runs, remarks, None)}


@pytest.fixture
def own(tmp_path):
    """SFT and KID from one teacher on a user's own questions."""
    given = {"benchmark": "jsonl", "data": "mydata"}
    folders = [
        write_run(tmp_path / "sft", **given),
        write_run(tmp_path / "kid", "kid", teacher="runs/teacher/model", seconds=2.0, **given),
    ]
    for folder, right in zip(folders, ([R, W, W], [R, R, W]), strict=True):
        write_score(folder, right, benchmark="jsonl", predictions=True)
    return folders


def titles(section):
    return [block if isinstance(block, str) else block.title for block in section.blocks]


def test_two_runs_of_one_s_own(own):
    sections = report(*own)
    assert list(sections) == ["Overview", "Tables", "Figures", "Significance", "Failures", "3 predictions", "Runs"]
    assert titles(sections["Tables"]) == ["Tiny-0.5B by method and benchmark"]
    assert titles(sections["Figures"]) == [
        "Performance and latency",
        "Training loss over steps",
        "Latency by teacher is not drawn: no student has several teachers. The table of runs has seconds per step.",
    ]
    text = to_markdown("Report", list(sections.values()))
    assert not re.search(r"\b(Table|Figure) \d|\bpaper|CodeGen|recipe|BIRD", text)
    assert "the only KID run with a score on JSONL-dev" in text


def test_abbreviations_are_explained_where_they_are_used(own):
    [said, explained] = report(*own)["Overview"].blocks
    assert said == "Written by `eval/report.py` from 2 runs, 2 of them scored; seeds: 0."
    assert isinstance(explained, Bullets)
    assert [line.split(":")[0] for line in explained.lines] == [
        "EX", "JSONL-dev", "SFT", "KID", "Latency", "A dash"
    ]  # fmt: skip
    assert "JSONL-dev: dev.jsonl in mydata." in explained.lines
    assert "SFT: fine-tuning without a teacher, on gold SQL." in explained.lines


def test_what_is_explained_follows_from_the_runs(tmp_path):
    folders = [write_run(tmp_path / "sft"), write_run(tmp_path / "other", "imitkd", teacher="t", seed=1)]
    write_score(folders[0], [R, W], ts=[R, W])
    explained = report(*folders)["Overview"].blocks[1].lines
    assert [line.split(":")[0] for line in explained] == ["EX", "TS", "SFT", "ImitKD", "Latency", "±", "A dash"]
    assert "ImitKD: forward KL divergence to the teacher, on gold SQL or the student's own outputs." in explained
    alone = report(write_run(tmp_path / "alone"))["Overview"].blocks[1].lines
    assert [line.split(":")[0] for line in alone] == ["SFT", "A dash"]


def test_nothing_scored_yet(tmp_path):
    sections = report(write_run(tmp_path / "sft"), write_run(tmp_path / "kid", "kid", teacher="t"))
    assert list(sections) == ["Overview", "Figures", "Runs", "Missing"]


def test_missing_has_a_comment_and_a_command_for_each(own):
    (own[1] / "scores" / "dev.json").unlink()
    (own[1] / "predictions" / "dev.sql").unlink()
    [intro, commands] = report(*own)["Missing"].blocks
    assert commands == Commands(
        [f"# {own[1]}: no predictions on JSONL-dev", f"python eval/evaluate.py {own[1]} --splits dev"]
    )
    assert "TEST_SUITE" not in intro
    write_score(own[0], [R, W, W], benchmark="jsonl", ts=[R, W, W])
    [intro, _] = report(*own)["Missing"].blocks
    assert "`TEST_SUITE`" in intro


def test_a_folder_s_name_is_no_command(tmp_path):
    run = write_run(tmp_path / "run\ntouch pwned")
    [_, commands] = report(run)["Missing"].blocks
    comment, command = commands.lines
    assert "\n" not in comment and command.startswith("python eval/evaluate.py '")


def test_a_study_of_the_paper_has_its_numbers(tmp_path):
    folders = []
    for number, student in enumerate(("Qwen/Qwen1.5-0.5B", "Salesforce/codegen-350M-multi")):
        folders += [
            write_run(tmp_path / f"sft-{number}", student=student),
            write_run(tmp_path / f"kid-{number}", "kid", student, teacher="runs/big-4b/adapter"),
        ]
    for folder in folders:
        write_score(folder, [R, W])
    sections = report(*folders)
    assert titles(sections["Tables"]) == [
        "Table 3: Qwen1.5-0.5B by method and benchmark",
        "Table 4: codegen-350M-multi by method and benchmark",
    ]
    figures = ["Figure 1: Performance and latency", "Training loss over steps"]
    assert titles(sections["Figures"])[:-1] == figures
    absent = [line.split(":")[0] for line in sections["Missing"].blocks[1].lines]
    assert absent == ["Table 2", "Table 5", "Table 6", "Table 7", "Figure 2", "Figure 4", "Figure 5", "Figure 6"]
