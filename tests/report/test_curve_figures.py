"""EX and loss over steps: which runs have a line, of which steps, and what is said of the others."""

import json

from helpers.synthetic_runs import write_run, write_score

from kid.report.curves import BINS, binned, scored_curve
from kid.report.groups import group_runs
from kid.report.runs import load_runs
from kid.report.sections import FIGURES

R, W = True, False


def drawn(number, folders):
    """Figure 6 or the loss, which has no number in the paper (0)."""
    loaded, remarks = load_runs(folders)
    return FIGURES[number](group_runs(loaded, remarks))


def test_curve_is_a_mean_over_seeds_and_ends_with_the_finished_student(tmp_path):
    folders = []
    for seed, right in enumerate(([R, R], [W, W])):
        folders.append(write_run(tmp_path / str(seed), "kid", teacher="t", seed=seed))
        write_score(folders[-1], right)
        write_score(folders[-1], [R, W], "step-2/dev")
    assert drawn(6, folders).alt == "Tiny-0.5B from t: KID 50.0 after 4 steps"
    # A run still going has no finished student: its curve is a single point, which is no line.
    lines = (folders[0] / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folders[0] / "metrics.jsonl").write_text("".join(lines[:3]))
    assert drawn(6, folders[:1]) is None


def test_curve_has_the_steps_that_all_seeds_have(tmp_path):
    folders = []
    for seed, right in enumerate(([W] * 4 + [R], [R] * 4 + [W])):  # 20 and 80 % throughout
        folders.append(write_run(tmp_path / str(seed), "kid", teacher="t", seed=seed, steps=40))
        write_score(folders[-1], right)
        write_score(folders[-1], right, "step-20/dev")
    for step in (10, 30):
        write_score(folders[0], [W] * 4 + [R], f"step-{step}/dev")
    runs, remarks = load_runs(folders)
    [group] = group_runs(runs, remarks)
    assert scored_curve(group.methods["t"][0], ("spider", "dev", None)) == [(20, 50.0), (40, 50.0)]


def test_ex_measured_while_training_is_drawn_where_most_rows_have_it(tmp_path):
    """Of a row with scored adapters only, and of one that asked other questions, the caption says that they are not."""
    folders = []
    for method, exs, n in (("sft", (10, 20), 50), ("rkd", (30, 40), 50), ("kid", (50, 60), 50), ("fkd", (1, 2), 25)):
        folders.append(write_run(tmp_path / method, method, **({} if method == "sft" else {"teacher": "t"})))
        rows = [json.loads(line) for line in (folders[-1] / "metrics.jsonl").read_text().splitlines()]
        for row, ex in zip(rows[1::2], exs, strict=True):
            row |= {"ex": float(ex), "ex_questions": n}
        (folders[-1] / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folders.append(write_run(tmp_path / "imitkd", "imitkd", teacher="t"))
    write_score(folders[-1], [R, W])
    write_score(folders[-1], [R, R], "step-2/dev")
    figure = drawn(6, folders)
    assert figure.alt.endswith("SFT 20.0 after 4 steps, RKD 40.0 after 4 steps, KID 60.0 after 4 steps")
    assert "EX % on 50 questions of dev, during training" in figure.svg
    assert figure.caption.endswith(
        "Not drawn, because measured on other questions: FKD of Tiny-0.5B from t, ImitKD of Tiny-0.5B from t."
    )


def rewrite_metrics(run, change):
    """Replace each line of a run's metrics by what `change` makes of it."""
    path = run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(row)) + "\n" for row in rows))


def own_run(folder, method="sft", **settings):
    """A run on a user's own questions, with EX measured after steps 2 and 4."""
    run = write_run(folder, method, "models/ours", benchmark="jsonl", data="mydata", **settings)
    rewrite_metrics(run, lambda row: row | ({} if row["step"] % 2 else {"ex": 10.0 * row["step"], "ex_questions": 50}))
    return run


def test_runs_of_one_s_own_have_both_curves(tmp_path):
    runs = [own_run(tmp_path / "sft"), own_run(tmp_path / "kid", "kid", teacher="runs/teacher/model")]
    assert drawn(6, runs).alt == "ours from teacher: SFT 40.0 after 4 steps, KID 40.0 after 4 steps"
    assert drawn(0, runs).alt == "ours from teacher: SFT 0.5 after 4 steps, KID 0.5 after 4 steps"
    # Nothing was distilled yet.
    assert drawn(6, runs[:1]).alt == "ours: SFT 40.0 after 4 steps"
    assert drawn(0, runs[:1]).alt == "ours: SFT 0.5 after 4 steps"


def test_half_a_last_line_costs_its_step_alone(tmp_path):
    run = own_run(tmp_path / "run", steps=6)
    path = run / "metrics.jsonl"
    path.write_text(path.read_text()[:-20])
    assert drawn(6, [run]).alt == "ours: SFT 40.0 after 4 steps"
    assert drawn(0, [run]).alt == "ours: SFT 0.4 after 5 steps"


def test_losses_that_are_no_numbers_are_not_drawn(tmp_path):
    run = write_run(tmp_path / "run")
    rewrite_metrics(run, lambda row: row | {"loss": [2.0, None, float("nan"), 1.0][row["step"] - 1]})
    assert drawn(0, [run]).alt == "Tiny-0.5B: SFT 1 after 4 steps"
    rewrite_metrics(run, lambda row: {key: value for key, value in row.items() if key != "loss"})  # of an older version
    assert drawn(0, [run]) is None


def test_a_line_of_losses_is_of_one_benchmark(tmp_path):
    """SFT and KID have a row each over Spider and BIRD, but one line of the losses where most runs are."""
    folders = []
    for method in ("sft", "kid"):
        given = {} if method == "sft" else {"teacher": "t"}
        folders += [write_run(tmp_path / method, method, **given)]
        folders += [write_run(tmp_path / f"{method}-bird", method, benchmark="bird", **given)]
    rewrite_metrics(folders[1], lambda row: row | {"loss": 9.0})
    rewrite_metrics(folders[2], lambda row: row | {"loss": 7.0})
    assert drawn(0, folders).alt == "Tiny-0.5B from t: SFT 0.5 after 4 steps, KID 7 after 4 steps"


def test_long_trainings_are_drawn_as_means():
    points = [(step, 2.0 * step) for step in range(1, 251)]
    line = binned(points)
    assert len(line) == BINS and line[0] == (1.5, 3.0) and line[-1] == (249.0, 498.0)
    assert binned(points[:3]) == points[:3]
