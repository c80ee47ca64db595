"""Runs put together: rows over benchmarks and seeds, teachers, what is left out of a comparison."""

import json
from math import inf

import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report.groups import group_runs, model_size, teachers_by_table
from kid.report.rows import average, common_metrics
from kid.report.runs import load_runs
from kid.report.text import format_mean

R, W = True, False
DEV = ("spider", "dev", None)


def grouped(*folders):
    runs, remarks = load_runs(folders)
    return group_runs(runs, remarks), remarks


def distilled(folder, method="kid", teacher="runs/big-4b/adapter", **settings):
    return write_run(folder, method, teacher=teacher, **settings)


def scored(folder, right, **settings):
    write_score(folder, right, **settings)
    return folder


def test_a_row_spans_benchmarks_and_seeds(tmp_path):
    folders = [distilled(tmp_path / f"kid-{seed}", seed=seed) for seed in (0, 1)]
    write_score(folders[0], [R, W])
    write_score(folders[1], [R, R])
    bird = distilled(tmp_path / "bird", benchmark="bird", teacher="runs/bird-with-evidence/big-4b/adapter")
    write_score(bird, [R, W, W, W], benchmark="bird", evidence=True)
    [group], remarks = grouped(*folders, bird)
    [row] = group.methods["big-4b"]
    assert remarks == [] and len(row.runs) == 3 and group.sft is None
    assert row.values((DEV, "ex")) == [50.0, 100.0] and row.values((("bird", "dev", True), "ex")) == [25.0]
    assert format_mean(row.values((DEV, "ex"))) == "75.0 ± 35.4"  # 50 / sqrt(2)
    assert average(row, common_metrics([row])) == (50.0, None)  # of 75 and 25, as the cells have them


def test_sft_serves_every_teacher_and_teachers_have_their_row(tmp_path):
    sft = write_run(tmp_path / "sft")
    big = write_run(tmp_path / "big-4b", student="org/Big-Base")
    huge = write_run(tmp_path / "elsewhere", student="org/huge-7b")
    near = distilled(tmp_path / "kid", teacher=str(tmp_path / "big-4b" / "adapter"))
    far = distilled(tmp_path / "from-huge", teacher="runs/huge-7b/adapter")
    groups, _ = grouped(sft, big, huge, far, near)
    assert [group.student for group in groups] == ["Tiny-0.5B"]
    assert groups[0].sft.runs[0].folder == sft
    # The one by its place, the other by the name of its base.
    teachers = {name: [run.folder for run in row.runs] for name, row in groups[0].teachers.items()}
    assert teachers == {"big-4b": [big], "huge-7b": [huge]}


def test_directories_of_one_name_are_told_apart_by_their_place(tmp_path):
    sft = scored(write_run(tmp_path / "qwen-0.5b" / "sft"), [R] * 4 + [W] * 6)
    folders = [sft]
    for size, right in (("7b", 8), ("4b", 7)):
        teacher = write_run(tmp_path / f"qwen-{size}" / "sft", student=f"org/Qwen-{size}")
        kid = distilled(tmp_path / "qwen-0.5b" / f"kid-{size}", teacher=str(teacher / "adapter"))
        folders += [scored(teacher, [R] * right + [W] * (10 - right)), scored(kid, [R] * 5 + [W] * 5)]
    [group], remarks = grouped(*folders)
    assert remarks == [] and list(group.methods) == ["qwen-4b/sft", "qwen-7b/sft"]
    assert [row.values((DEV, "ex")) for row in group.teachers.values()] == [[70.0], [80.0]]
    assert group.sft.values((DEV, "ex")) == [40.0]


def test_a_group_s_own_sft_is_never_its_teacher(tmp_path):
    sft = write_run(tmp_path / "sft")
    [group], _ = grouped(sft, distilled(tmp_path / "kid", teacher=str(sft / "adapter")))
    assert group.sft.runs[0].folder == sft and group.teachers == {}


def test_a_base_s_name_that_several_runs_have_names_no_teacher(tmp_path):
    folders = [write_run(tmp_path / org, student=f"{org}/Big-4b") for org in ("a", "b")]
    groups, _ = grouped(distilled(tmp_path / "kid"), *folders)
    assert groups[0].teachers == {} and len(groups) == 3  # and what serves nobody has tables of its own


def test_students_of_one_name_have_tables_of_their_own(tmp_path):
    folders = [write_run(tmp_path / "x", student="orgA/Base"), distilled(tmp_path / "y", student="orgB/Base")]
    groups, remarks = grouped(*folders)
    assert [(group.student, bool(group.sft)) for group in groups] == [("orgA/Base", True), ("orgB/Base", False)]
    assert remarks == ["orgA/Base and orgB/Base are different models by their paths, so each has its own tables"]


def test_sft_runs_alone_are_a_group(tmp_path):
    groups, _ = grouped(write_run(tmp_path / "sft"), write_run(tmp_path / "token", reduction="token"))
    assert [(group.student, group.methods) for group in groups] == [("Tiny-0.5B", {})]
    assert [row.label for row in groups[0].rows()] == ["SFT", "SFT (reduction token)"]


def test_jsonl_of_other_files_is_another_benchmark(tmp_path):
    folders = [write_run(tmp_path / "sft", benchmark="jsonl", data="data/A")]
    folders += [distilled(tmp_path / name, benchmark="jsonl", data=f"data/{name}") for name in "AB"]
    groups, remarks = grouped(*folders)
    found = {group.student: [run.folder.name for row in group.rows() for run in row.runs] for group in groups}
    assert remarks == [] and found == {"Tiny-0.5B on data/A": ["sft", "A"], "Tiny-0.5B on data/B": ["B"]}
    [group], _ = grouped(*folders[:2])
    assert group.student == "Tiny-0.5B"


@pytest.mark.parametrize("right", [[R] * 3, [R] * 2], ids=["other number", "other indices"])
def test_scores_of_other_questions_are_left_out(tmp_path, right):
    sft, kid = scored(write_run(tmp_path / "sft"), [R, W]), scored(distilled(tmp_path / "kid"), right)
    path = kid / "scores" / "dev.json"
    content = json.loads(path.read_text())
    content["verdicts"][0]["index"] = 7
    path.write_text(json.dumps(content))
    [group], remarks = grouped(sft, kid)
    [row] = group.methods["big-4b"]
    assert row.values((DEV, "ex")) == [] and group.sft.values((DEV, "ex")) == [50.0]
    how_many = "3 and 2" if len(right) == 3 else "2, but different ones"
    assert remarks == [
        f"{path} was skipped in tables and figures: its questions of Spider-dev differ from those of "
        f"{sft}/scores/dev.json ({how_many})"
    ]


def test_the_same_seed_twice_is_left_out_with_its_reason(tmp_path):
    folders = [distilled(tmp_path / "a"), distilled(tmp_path / "b", lr=1e-3), distilled(tmp_path / "c", seed=1, lr=1.0)]
    [group], remarks = grouped(*folders)
    assert [run.folder.name for run in group.methods["big-4b"][0].runs] == ["a", "c"]
    assert len(remarks) == 2
    assert "b was skipped in the tables" in remarks[0] and remarks[0].endswith("it differs in lr (0.0002 and 0.001)")
    assert "are averaged, but differ in lr (0.0002 and 1.0)" in remarks[1]


def test_other_settings_and_data_than_the_baseline_are_said(tmp_path):
    _, remarks = grouped(write_run(tmp_path / "sft"), distilled(tmp_path / "kid", lora_rank=8, data="mine"))
    assert len(remarks) == 1
    assert "differ not only in the method but in lora_rank (64 and 8), data ('data/spider' and 'mine')" in remarks[0]


def test_what_a_whole_study_has_changed_is_said_once(tmp_path):
    folders = [write_run(tmp_path / "sft", kd_weight=0.5), distilled(tmp_path / "kid", kd_weight=0.5)]
    [group], remarks = grouped(*folders)
    assert [row.label for row in group.rows()] == ["SFT", "KID"]
    assert remarks == ["Tiny-0.5B: all runs to which this applies have kd weight 0.5"]


def test_ablations_stay_out_of_the_main_rows_beside_kid_itself(tmp_path):
    changed = distilled(tmp_path / "changed", mask_ratio=0.4)
    [group], _ = grouped(changed)
    assert [row.label for row in group.main_rows("big-4b")] == ["KID (mask ratio 0.4)"]
    other = distilled(tmp_path / "both", mask_ratio=0.4, rewrite="mask-only")
    jsd = distilled(tmp_path / "jsd", "gkd-jsd")
    [group], _ = grouped(changed, distilled(tmp_path / "kid"), other, jsd)
    assert [row.label for row in group.main_rows("big-4b")] == ["KID", "KID (rewrite mask-only, mask ratio 0.4)"]


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
    assert list(teachers_by_table(group)) == [number]


@pytest.mark.parametrize(
    ("model", "size"),
    [("qwen1.5-0.5b", 0.5), ("codegen-350M-multi", 0.35), ("llama2-7b/sft", 7), ("big", inf), ("v2bis", inf)],
)
def test_sizes_in_names(model, size):
    assert model_size(model) == size
