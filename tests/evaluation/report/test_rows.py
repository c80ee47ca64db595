"""Runs put together: rows over benchmarks and seeds, averages, latency."""

import pytest
from synthetic_runs import write_run, write_score

from kid.evaluation.report.rows import averages, blocks, common_metrics, group_runs, relative_latency, spread
from kid.evaluation.report.runs import load_runs

DEV, DK = ("spider", "dev", None), ("spider", "dk", None)


def grouped(*folders):
    runs, remarks = load_runs(folders)
    return group_runs(runs, remarks), remarks


def distilled(folder, method="kid", teacher="runs/big-4b/adapter", **settings):
    return write_run(folder, method, teacher=teacher, **settings)


def test_a_row_spans_benchmarks_and_seeds(tmp_path):
    folders = [distilled(tmp_path / f"kid-{seed}", seed=seed) for seed in (0, 1)]
    write_score(folders[0], [True, False])
    write_score(folders[1], [True, True])
    bird = distilled(tmp_path / "bird", benchmark="bird", teacher="runs/bird-with-evidence/big-4b/adapter")
    write_score(bird, [True, False, False, False], benchmark="bird", evidence=True)
    [group], remarks = grouped(*folders, bird)
    [row] = group.methods["big-4b"]
    assert remarks == [] and len(row.runs) == 3 and group.sft is None
    assert row.values((DEV, "ex")) == [50.0, 100.0] and row.values((("bird", "dev", True), "ex")) == [25.0]
    assert spread(row.values((DEV, "ex"))) == "75.0 ± 35.4"  # 50 / sqrt(2)
    # No seed has both columns apart from seed 0: its mean is that of 50 and 25.
    assert averages(row, common_metrics([row])) == [37.5]


def test_sft_serves_every_teacher_and_teachers_have_their_row(tmp_path):
    sft = write_run(tmp_path / "sft")
    big = write_run(tmp_path / "big-4b", student="org/Big-4B")
    huge = write_run(tmp_path / "elsewhere", student="org/huge-7b")
    folders = [distilled(tmp_path / name, teacher=f"runs/{name}/adapter") for name in ("big-4b-kid", "huge-7b")]
    near = distilled(tmp_path / "kid", teacher=str(tmp_path / "big-4b" / "adapter"))
    groups, _ = grouped(sft, big, huge, *folders, near)
    assert [group.student for group in groups] == ["Tiny-0.5B"]
    assert groups[0].sft.runs[0].folder == sft
    assert {name: row.student for name, row in groups[0].teachers.items()} == {
        "huge-7b": "huge-7b",
        "big-4b": "Big-4B",
    }


def test_sft_runs_alone_are_a_group(tmp_path):
    groups, _ = grouped(write_run(tmp_path / "sft"))
    assert [(group.student, group.methods) for group in groups] == [("Tiny-0.5B", {})]


def test_the_same_seed_twice_is_left_out_with_its_reason(tmp_path):
    folders = [distilled(tmp_path / "a"), distilled(tmp_path / "b", lr=1e-3), distilled(tmp_path / "c", seed=1, lr=1.0)]
    [group], remarks = grouped(*folders)
    assert [run.folder.name for run in group.methods["big-4b"][0].runs] == ["a", "c"]
    assert len(remarks) == 2
    assert "b was left out of the tables" in remarks[0] and remarks[0].endswith("it differs in lr (0.0002 and 0.001)")
    assert "are averaged, but differ in lr (0.0002 and 1.0)" in remarks[1]


def test_other_settings_than_the_baseline_are_said(tmp_path):
    _, remarks = grouped(write_run(tmp_path / "sft"), distilled(tmp_path / "kid", lora_rank=8))
    assert len(remarks) == 1 and "differ in lora_rank (64 and 8): not in the method alone" in remarks[0]


def test_ablations_stay_out_of_the_main_rows_beside_kid_itself(tmp_path):
    changed = distilled(tmp_path / "changed", mask_ratio=0.4)
    [group], _ = grouped(changed)
    assert [row.label for row in group.main_rows("big-4b")] == ["KID (mask ratio 0.4)"]
    other = distilled(tmp_path / "both", mask_ratio=0.4, rewrite="none")
    jsd = distilled(tmp_path / "jsd", "gkd-jsd")
    [group], _ = grouped(changed, distilled(tmp_path / "kid"), other, jsd)
    assert [row.label for row in group.main_rows("big-4b")] == ["KID", "KID (rewrite none, mask ratio 0.4)"]


def test_latency_is_a_ratio_over_the_runs_that_can_be_compared(tmp_path):
    sft = write_run(tmp_path / "sft", seconds=2.0)
    bird = write_run(tmp_path / "sft-bird", benchmark="bird", seconds=1.0)
    kid = distilled(tmp_path / "kid", seconds=4.0)
    [group], _ = grouped(sft, bird, kid, distilled(tmp_path / "kid-bird", benchmark="bird", seconds=3.0))
    assert relative_latency(group.methods["big-4b"][0], group.sft) == (2.5, [])  # of 4/2 and 3/1
    assert relative_latency(group.sft, group.sft) == (1.0, [])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ranks": 4}, "Spider: ranks 4, SFT's 8"),
        ({"gpus": 0}, "Spider: hardware x86_64, 2 cores, SFT's 8 x NVIDIA H800"),
        ({"batch_size": 32, "gpus": 4, "ranks": 4}, "batch size 32, SFT's 16"),
        ({"seconds": None}, "Spider: no steps in metrics.jsonl"),
        ({"benchmark": "jsonl"}, "JSONL: no SFT run to compare with"),
    ],
)
def test_latency_that_cannot_be_compared_says_why(tmp_path, settings, reason):
    [group], _ = grouped(write_run(tmp_path / "sft"), distilled(tmp_path / "kid", **settings))
    latency, reasons = relative_latency(group.methods["big-4b"][0], group.sft)
    assert latency is None and len(reasons) == 1 and reason in reasons[0]


def test_unknown_hardware_is_not_compared(tmp_path):
    folders = [write_run(tmp_path / "sft"), distilled(tmp_path / "kid")]
    for folder in folders:
        (folder / "environment.json").unlink()
    [group], _ = grouped(*folders)
    assert relative_latency(group.methods["big-4b"][0], group.sft) == (None, ["Spider: hardware unknown"])


@pytest.mark.parametrize(
    ("student", "teacher", "number"),
    [
        ("org/Tiny-0.5B", "runs/big-4b", 3),
        ("org/codegen-350M", "runs/codegen-2b", 4),
        ("org/TinyLlama-1.1B", "runs/llama2-7b", 4),
        ("org/Tiny-0.5B", "runs/qwen1.5-32b/adapter", 6),
        ("org/Tiny-0.5B", "runs/qwen-132b", 3),
    ],
)
def test_which_table_a_run_belongs_to(tmp_path, student, teacher, number):
    [group], _ = grouped(write_run(tmp_path / "kid", "kid", student, teacher=teacher))
    assert list(blocks(group)) == [number]
