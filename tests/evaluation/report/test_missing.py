"""The commands that fill what is missing."""

import shlex

from synthetic_runs import write_run, write_score

from kid.evaluation.report.missing import absent, missing_cells
from kid.evaluation.report.rows import group_runs
from kid.evaluation.report.runs import load_runs

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
    measured = write_run(tmp_path / "a", "fkd", teacher="runs/big/adapter", exposure={"ex_acc_err_16": 1.0})
    kid = write_run(tmp_path / "b", "kid", teacher="runs/big/adapter")
    write_score(measured, [R])
    write_score(kid, [R])
    assert commands(measured, kid) == [
        f"python eval/exposure_bias.py --student {kid}/adapter --teacher runs/big/adapter --benchmark spider "
        f"--data data/spider --split dev --json {kid}/scores/exposure_bias.json"
    ]


def test_absent_tables_and_figures_have_what_would_fill_them():
    lines = absent([2, 3, 4, 5, 6], [1, 2, 4, 6])
    assert [line.split(":")[0] for line in lines] == ["Table 7", "Figure 5"]
    assert "eval/exposure_bias.py" in lines[0] and "--mask-ratio" in lines[1]
