"""The ablations without their trainings: what is run, what is skipped, what the report says."""

import json
import os
import sys
import time

import ablations as ablations_module
import pytest
from ablations import EXPOSED, RUNS, SPLIT, Ablations
from ablations_report import REPORTS, methods_table, section, table, what_differences_mean, write_report
from demo import Demo
from running import run_jobs
from sections import markers, with_section

from kid.config.methods import METHODS
from kid.errors import InputError


def made_up_results(seeds: tuple[int, ...] = (0, 1, 2)) -> dict:
    """EX of 40, 42, 44 for every run, with the run's place added to each."""
    runs = {
        name: [
            {
                "seed": seed,
                "ex": 40.0 + 2 * seed + place,
                "error_rate": 0.05,
                "masked_error_rate": 0.25,
                "right": "10" * 120,
                "seconds": 1.0 + place / 10,
                "ex_acc_err": 20.0 - place,
            }
            for seed in seeds
        ]
        for place, name in enumerate(RUNS)
    }
    models = {"teacher": {"ex": 83.3, "parameters": 900_000}, "student base": {"ex": 39.5, "parameters": 400_000}}
    return {
        "command": "python bench/ablations.py", "steps": 120, "seeds": list(seeds), "training_questions": 3840,
        "split": SPLIT, "n": 240, "student_flags": "--lr 1",
        "exposure_flags": "--samples 2", "workers": 2, "flags": RUNS, "models": models, "runs": runs,
    }  # fmt: skip


@pytest.fixture
def ablations(tmp_path) -> Ablations:
    """On the folder of a demo that has data and models."""
    demo = Demo(tmp_path / "demo", [])
    for folder in (demo.data, *(demo.scored_models().values())):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"weights")
    questions = [{"question": str(number)} for number in range(200)]
    for name in ("train_spider", SPLIT, "tables"):
        (demo.data / f"{name}.json").write_text(json.dumps(questions))
    return Ablations(tmp_path / "ablations", demo, [0, 1], steps=3)


def test_every_row_of_every_report_is_a_run_and_every_run_is_in_a_report():
    rows = [run for report in REPORTS.values() for run in report.rows.values()]
    assert set(rows) == set(RUNS)
    assert list(REPORTS["methods"].rows) == list(METHODS)


def test_runs_without_score_are_trained_and_scored_and_the_others_are_not(ablations):
    executed = []

    def run(jobs, workers, watch):
        for number, (name, commands) in enumerate(jobs.items(), start=1):
            for log, command in commands:
                executed.append((log.name, command))
            ablations.scores(name).parent.mkdir(exist_ok=True, parents=True)
            ablations.scores(name).write_text(json.dumps({"ex": 40.0, "n": 240}))
            if ablations.lacks_exposure(name):
                ablations.exposure(name).write_text("{}")
            watch({}, number)

    for name in ("teacher", "sft-seed0", "kid-seed0"):
        ablations.scores(name).parent.mkdir(exist_ok=True, parents=True)
        ablations.scores(name).write_text("{}")
    ablations.make_scores(2, run)
    commands = dict(executed)
    assert len(executed) == len(commands) == 3 * (2 * len(RUNS) - 2) + 2 + 2 * len(EXPOSED)  # nothing to train: base
    assert not {"teacher.predict.log", "sft-seed0.log", "student-base.log", "kid-seed0.log"} & set(commands)
    assert "kid-seed0.exposure.log" in commands and "sft-seed1.exposure.log" not in commands  # a score alone is not all
    hard = commands["kid-hard-seed1.log"]
    assert hard[hard.index("--mask-strategy") + 1] == "hard" and hard[hard.index("--num_gpus") + 1] == "1"
    assert hard[hard.index("--seed") + 1] == "1" and "--resume" in hard and "--teacher" in hard
    assert "--teacher" not in commands["sft-seed1.log"]
    distill = commands["f-distill-seed0.log"]
    assert distill[distill.index("--teacher-outputs") + 1] == str(ablations.teacher_outputs)
    assert ablations.missing() == []


def test_where_runs_are_compared_each_row_has_its_difference():
    results = made_up_results((0, 1))
    for one in results["runs"]["rkd"]:
        one["right"] = "11" + "10" * 119  # one more of 240
    rows = [line.split(" | ") for line in table(REPORTS["outputs"], results).splitlines()]
    assert rows[0][-1] == "less gkd-rkl, 95 % interval |"
    last = {row[0].strip("| "): row[-1].strip("| ") for row in rows[2:]}
    # 100 / 240, and 1.97 of that each way
    assert last["on gold, and likelihood of gold (rkd)"] == "+0.4 (-0.4 to +1.2)"
    assert last["on own outputs (gkd-rkl)"] == "-" and last["on gold, no likelihood"] == "+0.0 (+0.0 to +0.0)"


def test_some_runs_are_printed_with_their_claims_and_leave_docs_alone(ablations, monkeypatch, capsys):
    some = Ablations(ablations.output, ablations.demo, [0, 1], steps=3, runs=["rkd", "kid"])
    results = made_up_results((0, 1))
    results["runs"] = {name: results["runs"][name] for name in some.names}
    monkeypatch.setattr(some.demo, "play", lambda stages: None)
    monkeypatch.setattr(some, "make_scores", lambda workers: None)
    monkeypatch.setattr(some, "results", lambda workers: results)
    monkeypatch.setattr(ablations_module, "write_report", lambda *_: pytest.fail("docs/ was written"))
    assert list(some.students) == ["rkd-seed0", "kid-seed0", "rkd-seed1", "kid-seed1"]
    some.play(workers=2)
    said = capsys.readouterr().out
    assert "| kid | 48.0 | 50.0 |" in said and "| rkd | 42.0 | 44.0 |" in said
    assert "KID costs what RKD costs" in said and "Random masking" not in said


def test_training_questions_are_one_epoch_taken_evenly(ablations):
    chosen = [int(item["question"]) for item in ablations.training_questions()]
    assert len(set(chosen)) == 96 and chosen == sorted(chosen) and (chosen[0], chosen[-1]) == (0, 197)
    ablations.steps = 7
    with pytest.raises(InputError, match="give at most 6"):
        ablations.training_questions()


def test_other_settings_are_refused(ablations, monkeypatch):
    ablations.check_settings()
    monkeypatch.setitem(RUNS, "one-more", "--method kid --mask-ratio 0.9")
    ablations.check_settings()
    ablations.steps = 4
    monkeypatch.setitem(RUNS, "kid", "--method kid --mask-ratio 0.7")
    (ablations.models["teacher"] / "model.safetensors").write_bytes(b"others")
    with pytest.raises(InputError, match=r"steps \(3 there, 4 here\), data and models .* run kid"):
        ablations.check_settings()


def test_a_job_that_fails_ends_the_others_with_all_they_started(tmp_path):
    pid, log = tmp_path / "pid", tmp_path / "logs" / "long.log"
    long = f"sleep 60 & echo $! > {pid}.partial; mv {pid}.partial {pid}; wait"
    fail = f"while [ ! -e {pid} ]; do sleep 0.05; done; echo 'error: no such thing'; exit 2"
    jobs = {"long": [(log, ["bash", "-c", long])], "bad": [(log.with_name("bad.log"), ["bash", "-c", fail])]}
    with pytest.raises(InputError, match=r"bad stopped: error: no such thing \(all of it in .*bad.log\)"):
        run_jobs({**jobs, "next": [(log.with_name("next.log"), [sys.executable, "--version"])]}, 2, lambda *_: None)
    deadline = time.time() + 5
    while os.path.exists(f"/proc/{pid.read_text().strip()}") and time.time() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{pid.read_text().strip()}")
    assert not log.with_name("next.log").exists()


def test_a_job_that_is_stopped_writes_its_checkpoint_first(tmp_path):
    """As under DeepSpeed: the launcher is gone at once, its ranks finish what they do."""
    saves = 'trap "sleep 1; touch {0}; exit" TERM; touch {0}.ready; while true; do sleep 0.05; done'
    jobs = {}
    for name in ("first", "second"):
        place = tmp_path / name
        jobs[name] = [(tmp_path / f"{name}.log", ["bash", "-c", f"bash -c '{saves.format(place)}' & wait"])]

    def stop(running, done):
        if all((tmp_path / f"{name}.ready").exists() for name in jobs):
            raise KeyboardInterrupt

    began = time.time()
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, 2, stop)
    assert (tmp_path / "first").exists() and (tmp_path / "second").exists()
    assert time.time() - began < 10


def test_tables():
    results = made_up_results()
    lines = methods_table(results).splitlines()
    assert lines[0] == "| method | divergence | outputs | EX | seed 0 | seed 1 | seed 2 |"
    assert lines[2] == "| teacher | - | - | 83.3 | - | - | - |"
    assert lines[7] == "| f-distill | tvd | teacher, on-policy | 45.0 ± 2.0 | 43.0 | 45.0 | 47.0 |"
    assert table(REPORTS["ratios"], results).splitlines()[3] == "| 0.2 | 50.0 ± 2.0 | 48.0 | 50.0 | 52.0 | 5.0 | 25.0 |"
    assert "rkd, to the last digit) | 44.0 ± 2.0 |" in table(REPORTS["rewriting"], results)
    assert "| hard | 50.0 | 50.0 | 5.0 | 25.0 |" in table(REPORTS["strategies"], made_up_results((0,)))


def test_what_differences_mean():
    assert what_differences_mean(made_up_results()) == (
        "One EX of 51.5 (the mean of all runs) on 240 questions has a binomial standard error of 3.2; the standard "
        "deviation over seeds, pooled over the 20 runs, is 2.0."
    )
    assert "there is one seed" in what_differences_mean(made_up_results((0,)))


def test_report_writes_its_part_its_figures_and_what_they_are_made_of(tmp_path):
    (tmp_path / "results.md").write_text("# Results\n")
    results = made_up_results((0, 1, 2, 3, 4))
    write_report(results, tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "### The paper's claims here" in text and "240 questions, 5 seeds." in " ".join(text.split())
    assert json.loads((tmp_path / "results" / "ablations.json").read_text()) == results
    assert {path.name for path in tmp_path.glob("*.png")} == {"ablations.png", "ablations_methods.png"}


def test_section_is_appended_and_then_replaced():
    first, second = section(made_up_results()), section(made_up_results((0,)))
    begin, end = markers("ablations")
    once = with_section("# Results\n", "ablations", first)
    assert once == f"# Results\n\n{first}" and first.startswith(begin) and first.endswith(end + "\n")
    assert with_section(once + "\n## More\n", "ablations", second) == f"# Results\n\n{second}\n## More\n"
    with pytest.raises(InputError, match="one marker without the other"):
        with_section(f"# Results\n{begin}\n", "ablations", first)
