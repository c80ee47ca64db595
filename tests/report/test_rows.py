"""A row's average and its latency, by hand."""

import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report.groups import group_runs
from kid.report.rows import average, common_metrics, relative_latency
from kid.report.runs import load_runs

R, W = True, False


def grouped(*folders):
    runs, remarks = load_runs(folders)
    return group_runs(runs, remarks)


def distilled(folder, method="kid", teacher="runs/big-4b/adapter", **settings):
    return write_run(folder, method, teacher=teacher, **settings)


def of_ten(right):
    return [R] * right + [W] * (10 - right)


def test_the_average_is_that_of_the_cells(tmp_path):
    folders = [distilled(tmp_path / str(seed), seed=seed) for seed in (0, 1, 2)]
    for seed, folder in enumerate(folders):
        write_score(folder, of_ten(4 + seed))
        write_score(folder, of_ten(2), "dk", split="dk")
    [group] = grouped(*folders)
    row = group.methods["big-4b"][0]
    # By seed 30, 35 and 40: the mean of 50 and 20, and a deviation of 5.
    assert average(row, common_metrics([row])) == pytest.approx((35.0, 5.0))
    assert average(row, []) is None
    bird = distilled(tmp_path / "bird", seed=0, benchmark="bird", evidence=True)
    write_score(bird, of_ten(8), benchmark="bird", evidence=True)
    [group] = grouped(*folders, bird)
    row = group.methods["big-4b"][0]
    # BIRD has seed 0 alone: the mean is still that of the three cells 50, 80, 20; there is no deviation.
    assert average(row, common_metrics([row])) == (pytest.approx(50.0), None)


def test_latency_is_a_ratio_over_the_runs_that_can_be_compared(tmp_path):
    sft = write_run(tmp_path / "sft", seconds=2.0)
    bird = write_run(tmp_path / "sft-bird", benchmark="bird", seconds=1.0)
    kid = distilled(tmp_path / "kid", seconds=4.0)
    [group] = grouped(sft, bird, kid, distilled(tmp_path / "kid-bird", benchmark="bird", seconds=3.0))
    assert relative_latency(group.methods["big-4b"][0], group.sft) == (2.5, [])  # of 4/2 and 3/1
    assert relative_latency(group.sft, group.sft) == (1.0, [])


def test_latency_is_over_the_mean_of_the_baseline_s_seeds(tmp_path):
    baselines = [write_run(tmp_path / f"sft-{seed}", seed=seed, seconds=1.0 + seed) for seed in (0, 1, 2)]
    students = [distilled(tmp_path / f"kid-{seed}", seed=seed, seconds=3.0 + 2 * seed) for seed in (0, 1)]
    [group] = grouped(*baselines, *students)
    assert relative_latency(group.methods["big-4b"][0], group.sft) == (2.0, [])  # of 3 and 5 over (1 + 2 + 3) / 3
    # A baseline under other conditions does not count towards the mean.
    other = write_run(tmp_path / "sft-3", seed=3, seconds=100.0, ranks=4)
    [group] = grouped(*baselines, other, *students)
    assert relative_latency(group.methods["big-4b"][0], group.sft) == (2.0, [])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ranks": 4}, "Spider: ranks 4, SFT's 8"),
        ({"gpus": 0}, "Spider: hardware x86_64, 2 cores, SFT's 8 x NVIDIA H800"),
        ({"batch_size": 32, "gpus": 4, "ranks": 4}, "batch size 32, SFT's 16"),
        ({"batching": "schema"}, "Spider: batching schema, SFT's random"),
        ({"micro_batch_size": 1}, "Spider: micro batch size 1, SFT's 2"),
        ({"lora_rank": 0}, "Spider: lora rank 0, SFT's 64"),
        ({"prefix": False}, "Spider: prefix no, SFT's yes"),
        ({"deepspeed": "ds_configs/cpu.json"}, "Spider: deepspeed cpu.json, SFT's student_zero3.json"),
        ({"seconds": None}, "Spider: no steps in metrics.jsonl"),
        ({"benchmark": "jsonl"}, "JSONL: no SFT run to compare with"),
    ],
)
def test_latency_that_cannot_be_compared_says_why(tmp_path, settings, reason):
    [group] = grouped(write_run(tmp_path / "sft"), distilled(tmp_path / "kid", **settings))
    latency, reasons = relative_latency(group.methods["big-4b"][0], group.sft)
    assert latency is None and len(reasons) == 1 and reason in reasons[0]


def test_unknown_hardware_is_not_compared(tmp_path):
    folders = [write_run(tmp_path / "sft"), distilled(tmp_path / "kid")]
    for folder in folders:
        (folder / "environment.json").unlink()
    [group] = grouped(*folders)
    assert relative_latency(group.methods["big-4b"][0], group.sft) == (None, ["Spider: hardware unknown"])
