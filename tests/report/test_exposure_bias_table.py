"""Table 7: what was measured against which teacher, and on how much."""

from helpers.synthetic_runs import write_exposure, write_run, write_score

from kid.report.exposure_bias_table import mismatch_table
from kid.report.groups import group_runs
from kid.report.runs import load_runs

BIG = "runs/big-4b/adapter"


def table_of(*folders):
    runs, remarks = load_runs(folders)
    [group] = group_runs(runs, remarks)
    return mismatch_table(group)


def measured(folder, method="kid", teacher=BIG, right=(True, False), **figures):
    run = write_run(folder, method, **({} if method == "sft" else {"teacher": teacher}))
    write_score(run, list(right))
    write_exposure(run, teacher, **figures)
    return run


def test_rows_by_teacher_with_the_number_of_prompts(tmp_path):
    figures = {"ex_acc_err_16": 12.34, "interval_16": [-0.04, 17.0], "ex_acc_err_full": 20.0}
    folders = [
        measured(tmp_path / "a", "fkd", **figures),
        measured(tmp_path / "b", ex_acc_err_16=-0.04, interval_16=[None, None], ex_acc_err_full=None),
        measured(tmp_path / "c", "kid", "runs/big-7b/model"),
        measured(tmp_path / "d", "sft"),
        write_run(tmp_path / "e", "rkd", teacher=BIG),
    ]
    table = table_of(*folders)
    assert table.header[3] == "prompts" and table.notes == []
    assert table.rows == [
        "Teacher: big-4b",
        ["SFT", "Spider-dev", "0", "100", "1.0", "0.0 to 2.0", "3.0", "50.0"],
        ["FKD", "Spider-dev", "0", "100", "12.3", "0.0 to 17.0", "20.0", "50.0"],
        ["KID", "Spider-dev", "0", "100", "0.0", "-", "-", "50.0"],
        "Teacher: big-7b",
        ["KID", "Spider-dev", "0", "100", "1.0", "0.0 to 2.0", "3.0", "50.0"],
    ]
    assert table_of(folders[-1]) is None


def test_rows_that_are_not_of_one_measurement_say_so(tmp_path):
    folders = [measured(tmp_path / "a", "fkd", prompts=20), measured(tmp_path / "b", samples=8)]
    assert table_of(*folders).notes == [
        "Spider-dev: rows differ in prompts (100 and 20); compare them with care.",
        "Spider-dev: rows differ in samples (4 and 8); compare them with care.",
    ]
