"""The paper's tables out of runs, their cells computed by hand."""

from helpers.synthetic_runs import write_run, write_score

from kid.report.groups import group_runs
from kid.report.runs import load_runs
from kid.report.sections import paper_tables
from kid.report.tables import Table, embolden_best, runs_table

R, W = True, False


def tables_of(*folders):
    runs, remarks = load_runs(folders)
    return paper_tables(group_runs(runs, remarks))


def scored(folder, right, method="kid", teacher="runs/big-4b/adapter", ts=None, **settings):
    given = settings if method == "sft" else {"teacher": teacher, **settings}
    run = write_run(folder, method, **given)
    write_score(run, right, ts=ts)
    return run


def cells(table):
    return {row[0]: row[1:] for row in table.rows if isinstance(row, list)}


def test_main_table(tmp_path):
    sft = scored(tmp_path / "sft", [R, W, W, W], "sft", ts=[W, W, W, W])
    write_score(sft, [R, R, W, W], "dk", split="dk")
    rkd = scored(tmp_path / "rkd", [R, R, W, W], "rkd", ts=[R, W, W, W], seconds=1.5)
    write_score(rkd, [R, W, W, W], "dk", split="dk")
    kid = scored(tmp_path / "kid", [R, R, R, W], ts=[R, R, W, W], seconds=2.04)
    write_score(kid, [R, W, W, W], "dk", split="dk")
    teacher = write_run(tmp_path / "teacher", student="org/Big-4B", ranks=4)
    write_score(teacher, [R] * 4)
    [table] = tables_of(sft, rkd, kid, teacher)[3]
    assert table.header == ["method", "latency", "Spider-dev EX", "Spider-dev TS", "Spider-DK EX", "Avg.", "\u0394"]
    assert table.rows[1] == "Teacher: big-4b"
    assert cells(table) == {
        "SFT": ["1.0\u00d7", "25.0", "0.0", "50.0", "25.0", "-"],
        "Teacher": ["-¹", "100.0", "-", "-", "-", "-"],  # without TS and DK it has no Avg.
        "RKD": ["1.5\u00d7", "50.0", "25.0", "**25.0**", "33.3", "+8.3"],
        "KID": ["2.0\u00d7", "**75.0**", "**50.0**", "**25.0**", "**50.0**", "+25.0"],
    }
    assert table.numbered_notes() == ["¹ Latency not compared: Spider: ranks 4, SFT's 8."]
    assert "have: Spider-dev EX, Spider-dev TS, Spider-DK EX." in table.caption


def test_the_student_before_training_stands_first_where_a_run_has_scored_it(tmp_path):
    sft, kid = scored(tmp_path / "sft", [R, W], "sft"), scored(tmp_path / "kid", [R, R])
    write_score(kid, [W, W], "step-0/dev")
    [table] = tables_of(sft, kid)[3]
    assert table.rows[0] == ["before training", "-", "0.0", "0.0", "-50.0"]
    assert not table.numbered_notes()


def test_average_is_over_what_all_rows_have(tmp_path):
    sft, kid = scored(tmp_path / "sft", [R, W], "sft"), scored(tmp_path / "kid", [R, R])
    write_score(kid, [W, W], "dk", split="dk")
    [table] = tables_of(sft, kid)[3]
    assert cells(table)["KID"] == ["1.0\u00d7", "100.0", "0.0", "100.0", "+50.0"]
    assert "have: Spider-dev EX. " in table.caption
    [table] = tables_of(kid)[3]
    assert "have: Spider-dev EX, Spider-DK EX. " in table.caption
    assert "There is no SFT run of Tiny-0.5B" in table.caption
    assert cells(table)["KID"] == ["-¹", "100.0", "0.0", "50.0", "-"]


def test_a_cell_that_lacks_seeds_says_so(tmp_path):
    folders = [scored(tmp_path / str(seed), [R] * (seed + 1) + [W] * (3 - seed), seed=seed) for seed in (0, 1)]
    write_score(folders[1], [R, W, W, W], "dk", split="dk")
    [table] = tables_of(*folders)[3]
    # Avg. is the mean of what stands in the row, and has no deviation: the second column has seed 1 alone.
    assert cells(table)["KID"] == ["-¹", "37.5 ± 17.7", "25.0²", "31.2", "-"]
    assert table.notes[1] == "Only 1 of 2 seeds: 1."


def test_average_and_gain_with_fewer_seeds_on_bird(tmp_path):
    def of_ten(right):
        return [R] * right + [W] * (10 - right)

    folders = [scored(tmp_path / f"kid-{seed}", of_ten(4 + seed), seed=seed) for seed in (0, 1, 2)]
    folders += [scored(tmp_path / "sft-0", of_ten(4), "sft", seed=0)]
    for method, seed in (("kid", 0), ("sft", 1)):
        teacher = {"teacher": "runs/big-4b/adapter"} if method == "kid" else {}
        run = write_run(tmp_path / f"{method}-bird", method, seed=seed, benchmark="bird", evidence=True, **teacher)
        write_score(run, of_ten(2), benchmark="bird", evidence=True)
        folders.append(run)
    [table] = tables_of(*folders)[3]
    assert cells(table)["SFT"][1:] == ["40.0¹", "20.0²", "30.0", "-"]
    assert cells(table)["KID"][1:] == ["50.0 ± 10.0", "20.0³", "35.0", "+5.0"]  # of 50 and 20
    assert table.notes == ["Only 1 of 2 seeds: 0.", "Only 1 of 2 seeds: 1.", "Only 1 of 3 seeds: 0."]


def test_scores_of_other_questions_are_left_out_with_a_footnote(tmp_path):
    sft, kid = scored(tmp_path / "sft", [R, W], "sft"), scored(tmp_path / "kid", [R, R, R])
    [table] = tables_of(sft, kid, scored(tmp_path / "rkd", [R, R], "rkd"))[3]
    assert cells(table)["KID"] == ["1.0\u00d7", "-¹", "-", "-"]
    assert cells(table)["RKD"] == ["1.0\u00d7", "100.0", "100.0", "+50.0"]
    assert table.notes == ["Skipped: scored on 3, not 2, questions of Spider-dev."]


def test_sft_with_another_loss_stands_below_sft(tmp_path):
    folders = [scored(tmp_path / "sft", [R, W], "sft"), scored(tmp_path / "b", [R, R], "sft", reduction="token")]
    [table] = tables_of(*folders)[3]
    assert table.rows == [
        ["SFT", "1.0\u00d7", "50.0", "50.0", "-"],
        ["SFT (reduction token)", "1.0\u00d7", "100.0", "100.0", "+50.0"],
    ]
    kid = scored(tmp_path / "kid", [R, R])
    assert [row if isinstance(row, str) else row[0] for row in tables_of(*folders, kid)[3][0].rows] == [
        "SFT", "SFT (reduction token)", "Teacher: big-4b", "KID"
    ]  # fmt: skip


def test_what_a_whole_study_has_changed_stands_in_the_caption(tmp_path):
    folders = [scored(tmp_path / "sft", [R, W], "sft", top_p=0.9)]
    folders += [scored(tmp_path / method, [R, R], method, top_p=0.9) for method in ("gkd-rkl", "kid")]
    [table] = tables_of(*folders)[3]
    assert list(cells(table)) == ["SFT", "GKD-RKL", "KID"]
    assert "All runs to which this applies have top p 0.9." in table.caption


def test_columns_that_sft_alone_has_are_left_out(tmp_path):
    sft, kid = scored(tmp_path / "sft", [R, W], "sft"), scored(tmp_path / "kid", [R, R])
    write_score(sft, [R, W], "dk", split="dk")
    assert "Spider-DK EX" not in tables_of(sft, kid)[3][0].header
    assert "Spider-DK EX" in tables_of(sft)[3][0].header


def test_divergences_by_teacher(tmp_path):
    folders = [
        scored(tmp_path / "a", [R, W], "fkd"),
        scored(tmp_path / "b", [R, R], "gkd-jsd"),
        scored(tmp_path / "c", [R, W], "gkd-jsd", "runs/big-7b", seed=0),
        scored(tmp_path / "d", [R, R], "gkd-jsd", "runs/big-7b", seed=1),
        scored(tmp_path / "kid", [R, R]),
    ]
    [table] = tables_of(*folders)[2]
    assert table.header == ["method", "big-4b", "big-7b"]
    assert table.rows == [["FKD", "50.0", "-"], ["GKD-JSD", "**100.0**", "75.0 ± 35.4"]]


def test_rewriting(tmp_path):
    sft, kid = scored(tmp_path / "sft", [R, W, W, W], "sft"), scored(tmp_path / "kid", [R, R, R, W])
    masked = scored(tmp_path / "masked", [R, R, R, R], rewrite="mask-only")
    rkd = scored(tmp_path / "rkd", [R, R, W, W], "rkd")
    [table] = tables_of(sft, kid, masked, rkd)[5]
    assert table.rows == [
        ["SFT", "25.0"],
        ["vanilla KID", "50.0¹"],
        ["masking only", "**100.0 (+50.0)**"],
        ["rewriting", "75.0 (+25.0)"],
    ]
    assert table.notes == ["RKD, which equals KID without rewriting."]
    vanilla = scored(tmp_path / "vanilla", [R, W, W, W], rewrite="none")
    [table] = tables_of(sft, kid, masked, rkd, vanilla)[5]
    assert table.rows[1] == ["vanilla KID", "25.0"] and not table.notes
    assert tables_of(sft, kid, rkd)[5] == []


def test_nothing_scored_is_no_table(tmp_path):
    folders = [write_run(tmp_path / "sft"), write_run(tmp_path / "kid", "kid", teacher="t")]
    assert not any(tables_of(*folders).values())


def test_runs_table_has_every_number_s_origin(tmp_path):
    run = scored(tmp_path / "kid", [R, W], mask_ratio=0.3, seed=7, benchmark="spider")
    bird = write_run(tmp_path / "bird", benchmark="bird", evidence=False, seconds=None)
    first, second = runs_table(load_runs([run, bird])[0]).rows
    assert first == [
        str(run), "kid, mask ratio 0.3", "Tiny-0.5B", "big-4b", "spider", "8 x NVIDIA H800; 8 ranks", "4", "7", "1",
        "dev 50.0",
    ]  # fmt: skip
    assert second[3:] == ["-", "bird, no evidence", "8 x NVIDIA H800; 8 ranks", "0 so far", "0", "-", "-"]


def test_ties_as_they_are_read_are_all_bold():
    rows = [["1.0", "-"], ["1.0", "2.0"], ["0.9", "-"]]
    embolden_best(rows, [[1.04, None], [0.96, 2.0], [0.9, None]])
    assert rows == [["**1.0**", "-"], ["**1.0**", "2.0"], ["0.9", "-"]]  # a single number is not the best of any


def test_a_note_has_one_mark():
    table = Table("", "", [])
    assert [table.footnote_mark("a"), table.footnote_mark("b"), table.footnote_mark("a")] == ["¹", "²", "¹"]
