"""The commands that fill what is missing."""

import argparse
import runpy
import shlex
import sys

import pytest
from helpers.launcher import ROOT
from helpers.synthetic_runs import write_run, write_score

from kid.report.groups import group_runs
from kid.report.missing import missing_cells, missing_results, to_resume
from kid.report.runs import load_runs

R, W = True, False


def commands(*folders):
    runs, remarks = load_runs(folders)
    return missing_cells(runs, group_runs(runs, remarks))


def test_a_run_lacks_its_dev_and_what_others_of_its_benchmark_have(tmp_path):
    sft, kid = write_run(tmp_path / "sft"), write_run(tmp_path / "kid", "kid", teacher="t", lora_rank=0)
    bird = write_run(tmp_path / "bird", benchmark="bird", evidence=False, data="b", max_prompt_length=2048)
    write_score(sft, [R, W])
    write_score(sft, [R, W], "dk", split="dk")
    write_score(kid, [R, W], "dk", split="dk")
    first, second = commands(sft, kid, bird)
    assert first == (
        f"python eval/predict.py --model {kid}/model --benchmark spider --data data/spider --split dev "
        f"--output {kid}/predictions/dev.sql && "
        f"python eval/score.py --benchmark spider --data data/spider --split dev "
        f"--predictions {kid}/predictions/dev.sql --json {kid}/scores/dev.json"
    )
    assert second == (
        f"python eval/predict.py --model {bird}/adapter --benchmark bird --data b --split dev --evidence no "
        f"--max-prompt-length 2048 --output {bird}/predictions/dev.sql && "
        f"python eval/score.py --benchmark bird --data b --split dev --evidence no "
        f"--predictions {bird}/predictions/dev.sql --json {bird}/scores/dev.json"
    )
    write_score(bird, [R], benchmark="bird", evidence=False)
    write_score(kid, [R, W])
    assert commands(sft, kid, bird) == []


def test_predictions_that_are_there_are_not_made_again(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "predictions").mkdir()
    (run / "predictions" / "dev.sql").write_text("SELECT 1\n")
    [command] = commands(run)
    assert command.startswith("python eval/score.py") and "predict.py" not in command


def test_a_test_suite_that_others_were_scored_with(tmp_path):
    folders = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate(("a", "b"))]
    write_score(folders[0], [R, W], ts=[R, W])
    write_score(folders[1], [R, W], "my dev")
    [command] = commands(*folders)
    assert shlex.split(command)[-6:] == [
        *("--test-suite", "TEST_SUITE"),
        *("--predictions", f"{folders[1]}/predictions/my dev.sql", "--json", f"{folders[1]}/scores/my dev.json"),
    ]


def test_mismatch_that_others_were_measured_for(tmp_path):
    measured = write_run(tmp_path / "a", "fkd", teacher="runs/big/adapter", exposure={"prompts": 20})
    kid = write_run(tmp_path / "b", "kid", teacher="runs/big/adapter")
    write_score(measured, [R])
    write_score(kid, [R])
    assert commands(measured, kid) == [
        f"python eval/exposure_bias.py --student {kid}/adapter --teacher runs/big/adapter --benchmark spider "
        f"--data data/spider --split dev --json {kid}/scores/exposure_bias.json"
    ]


@pytest.fixture
def parsed(monkeypatch):
    """parsed(command) -> {script: its arguments as its own parser reads them}, of a line of commands."""
    monkeypatch.syspath_prepend(ROOT / "eval")

    def parse(command):
        found = {}
        for part in command.split(" && "):
            python, script, *flags = shlex.split(part)
            assert python == "python"
            monkeypatch.setattr(sys, "argv", [script, *flags])
            module = runpy.run_path(str(ROOT / script), run_name="parsing")
            arguments = (module.get("parse") or module["parse_arguments"])()
            assert isinstance(arguments, argparse.Namespace)
            found[script] = arguments
        return found

    return parse


@pytest.mark.parametrize(
    "databases",
    [
        (),
        ("db a", "db-b"),
    ],
)
def test_commands_are_what_the_scripts_read_with_the_run_s_own_data(tmp_path, parsed, databases):
    own = {"tables": "t.json", "databases": databases, "damaged": "skip", "missing_database": "schema-only"}
    bird = {"benchmark": "bird", "evidence": False, "teacher": "runs/big/adapter", "questions": "train only.json"}
    exposure = {"benchmark": "bird"}
    measured = write_run(tmp_path / "a", "rkd", exposure=exposure, **bird, **own)
    write_score(measured, [R, W], benchmark="bird", evidence=False, ts=[R, W])
    kid = write_run(tmp_path / "b", "kid", max_completion_length=64, schema_filter="none", **bird, **own)
    cells, exposure = commands(measured, kid)
    found = parsed(cells) | parsed(exposure)
    assert list(found) == ["eval/predict.py", "eval/score.py", "eval/exposure_bias.py"]
    for script, arguments in found.items():
        assert (arguments.benchmark, arguments.data, arguments.split) == ("bird", "data/spider", "dev")
        assert (tuple(arguments.databases or ()), arguments.damaged) == (databases, "skip")
        assert arguments.questions is None  # those of training are no dev questions
        if script != "eval/score.py":
            assert (arguments.tables, arguments.missing_database) == ("t.json", "schema-only")
            assert arguments.evidence is False
            assert (arguments.max_completion_length, arguments.schema_filter) == (64, "none")
    assert found["eval/score.py"].evidence == "no" and str(found["eval/score.py"].test_suite) == "TEST_SUITE"
    assert found["eval/score.py"].predictions == found["eval/predict.py"].output


@pytest.mark.parametrize(("method", "script"), [("sft", "train/sft.py"), ("kid", "train/distill.py")])
def test_a_run_without_a_student_yet_is_to_be_resumed(tmp_path, method, script):
    teacher = {"teacher": "t"} if method == "kid" else {}
    run = write_run(tmp_path / "going", method, **teacher)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:2]))
    assert commands(run) == []
    assert to_resume(load_runs([run])[0]) == [
        f"{run} is not finished: resume it, with 8 ranks, as before: deepspeed … {script} --config {run}/config.yaml "
        f"--output {run} --resume"
    ]
    (run / "adapter").mkdir()
    assert len(commands(run)) == 1 and to_resume(load_runs([run])[0]) == []


def test_absent_tables_and_figures_have_what_would_fill_them():
    lines = missing_results([2, 3, 4, 5, 6], [1, 2, 4, 6])
    assert [line.split(":")[0] for line in lines] == ["Table 7", "Figure 5"]
    assert "eval/exposure_bias.py" in lines[0] and "--mask-ratio" in lines[1]
