"""Reading run directories: names, pace, scores, and what is said of damaged ones."""

import json

import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.errors import InputError
from kid.report.runs import load_run, load_runs


def read(folder):
    remarks = []
    return load_run(folder, remarks), remarks


def test_a_whole_run(tmp_path):
    folder = write_run(tmp_path / "kid", "kid", teacher="runs/big/adapter", mask_ratio=0.3, seconds=2.0, seed=3)
    write_score(folder, [True, False, True, True], ts=[True, False, True, False])
    write_score(folder, [True] * 4, "dk", split="dk")
    write_score(folder, [False, True], "step-2/dev")
    run, remarks = read(folder)
    assert remarks == []
    assert (run.steps, run.finished, run.seconds, run.ranks, run.hardware) == (4, True, 2.0, 8, "8 x NVIDIA H800")
    dev = run.scores["spider", "dev", None]
    assert (dev.n, dev.ex, dev.ts) == (4, 75.0, 50.0)
    assert dev.predictions == folder / "predictions" / "dev.sql"
    assert run.scores["spider", "dk", None].ex == 100.0
    step = run.curve[2]["spider", "dev", None]
    assert step.ex == 50.0 and step.predictions == folder / "predictions" / "step-2" / "dev.sql"


def test_damage_is_counted_and_said(tmp_path):
    folder = write_run(tmp_path / "torn")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "sec')
    (folder / "environment.json").write_text("{")
    scores = folder / "scores"
    scores.mkdir()
    (scores / "dev.json").write_text('{"benchmark": "spider"')
    (scores / "list.json").write_text("[]")
    (scores / "half.json").write_text(json.dumps({"benchmark": "spider", "split": "dev", "n": 2, "ex": 5.0}))
    (scores / "exposure_bias.json").write_text(json.dumps({"ex_acc_err_16": None}))
    run, remarks = read(folder)
    assert (run.steps, run.scores, run.exposure, run.hardware, run.ranks) == (4, {}, None, "", None)
    said = "\n".join(remarks)
    assert (
        len(remarks) == 7
        and "1 damaged line skipped" in said
        and "half.json was skipped: it does not have the format of" in said
    )
    for name in (
        "environment.json was skipped",
        "dev.json was skipped: it cannot be read",
        "list.json was skipped: it is not a",
    ):
        assert name in said
    assert "no environment.json" in said and "exposure_bias.json was skipped: it does not have the format of" in said


@pytest.mark.parametrize("hardware", [None, [], {"gpus": [["a"]]}, {"gpus": "H100"}])
def test_an_environment_that_names_no_machine_is_said(tmp_path, hardware):
    folder = write_run(tmp_path / "run")
    (folder / "environment.json").write_text(json.dumps({"hardware": hardware, "world_size": 8}))
    run, remarks = read(folder)
    assert (run.hardware, run.ranks) == ("", None)
    assert remarks == [
        f"{folder}: environment.json does not describe the machine, so its hardware is unknown and its latency is "
        "not compared"
    ]


@pytest.mark.parametrize("line", ['{"step": 5, "epoch": "x", "seconds": 1}', '{"step": 5, "seconds": NaN}', "5"])
def test_odd_lines_of_metrics_are_counted(tmp_path, line):
    folder = write_run(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    run, remarks = read(folder)
    assert (run.steps, run.seconds, run.finished) == (4, 1.0, True)
    assert remarks == [f"{folder}/metrics.jsonl: 1 damaged line skipped"]


def test_folders_that_name_no_step_are_said(tmp_path):
    folder = write_run(tmp_path / "run")
    for name in ("step-\u00b2", "step-4x", "step-4"):
        write_score(folder, [True], f"{name}/dev")
    run, remarks = read(folder)
    assert list(run.curve) == [4]
    assert [remark.split(" was skipped")[0] for remark in remarks] == [
        f"{folder}/scores/step-4x", f"{folder}/scores/step-\u00b2"
    ]  # fmt: skip


def test_a_run_still_going(tmp_path):
    folder = write_run(tmp_path / "going", steps=4)
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:2]))
    run, remarks = read(folder)
    assert not run.finished and remarks == [f"{folder}: not finished, 2 steps so far; its numbers are preliminary"]
    (folder / "metrics.jsonl").unlink()
    run, _ = read(folder)
    assert (run.steps, run.seconds, run.finished) == (0, None, False)


def test_half_a_last_line_of_a_finished_run(tmp_path):
    folder = write_run(tmp_path / "torn")
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text()[:-20])
    (folder / "adapter").mkdir()  # exported at the end
    run, remarks = read(folder)
    assert run.finished and run.steps == 3 and run.losses == {1: 2.0, 2: 1.0, 3: 2 / 3}
    assert remarks == [f"{path}: 1 damaged line skipped"]


def test_no_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_runs([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"has no config\.yaml"):
        load_runs([tmp_path])
    (tmp_path / "config.yaml").write_text("method: kidd")
    with pytest.raises(InputError, match="method = 'kidd' is unknown"):
        load_runs([tmp_path])


def test_a_run_given_twice_counts_once(tmp_path):
    folder = write_run(tmp_path / "run")
    runs, remarks = load_runs([folder, tmp_path / "run" / ".." / "run"])
    assert len(runs) == 1 and "given twice" in remarks[0]
