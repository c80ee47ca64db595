"""The ablations without their trainings: what is run, what is skipped, what the report says."""

import itertools
import json
import os
import re
import shutil
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import ablations as ablations_module
import numpy as np
import pytest
from ablations import play
from helpers.pages import of_results
from parts.ablation import Ablation
from parts.ablation_settings import EXPOSED, PAIR, RATES, RUNS, SETTINGS, Setting, method_of
from parts.ablations_report import (
    REPORTS,
    kid_table,
    methods_table,
    page,
    rates_table,
    setting_parts,
    table,
    write_report,
)
from parts.running import run_jobs
from safetensors.numpy import save_file

from kid.config.methods import METHODS
from kid.config.recipe import resolve_config
from kid.errors import InputError


def made_up_setting(seeds: tuple[int, ...], label_errors: float = 0.2, names=tuple(RUNS)) -> dict:
    """EX of 40, 42, 44 for every run, with the run's place added to each."""
    runs = {
        name: [
            {
                "ex": 40.0 + 2 * seed + place,
                "ex_last": 39.0 + 2 * seed + place,
                "error_rate": 0.05,
                "masked_error_rate": 0.25,
                "right": "10" * 120,
                "right_last": "10" * 120,
                "best_epoch": 2 + seed,
                "valid": [30.0, 41.0, 40.0],
                "ex_acc_err": 20.0 - place,
                "wrong_labels": 10 if label_errors else 0,
                "labels_repeated": 4 if label_errors else 0,
                "labels_put_right": 5 if label_errors else 0,
            }
            for seed in seeds
        ]
        for place, name in enumerate(names)
    }
    models = {
        "teacher": {"ex": 83.3, "valid": 82.0, "parameters": 900_000},
        "student base": {"ex": 39.5, "valid": 38.0, "parameters": 400_000},
    }
    methods = dict.fromkeys(map(method_of, names))
    return {
        "seeds": list(seeds), "labels": 500, "epochs": 2, "label_errors": label_errors, "rates_of": None,
        "rates_seed": 0,
        "models": models, "runs": runs,
        "rates": {method: {"1e-4": 40.0, "3e-4": 42.0, "3e-5": 41.0} for method in methods},
        "chosen": dict.fromkeys(methods, "3e-4"),
    }  # fmt: skip


def made_up_results(seeds: tuple[int, ...] = (0, 1, 2)) -> dict:
    return {
        "command": "python bench/ablations.py", "batch": 16,
        "student_flags": "--lora-rank 0", "exposure_flags": "--samples 2", "flags": RUNS, "missing": [], "figures": [],
        "settings": {
            "imperfect": made_up_setting(seeds),
            "clean": made_up_setting(seeds, 0.0),
            "few labels": made_up_setting(seeds, names=("sft", "rkd", "kid")),
            "stronger base": made_up_setting(seeds, names=PAIR),
        },
    }  # fmt: skip


def pretended(folder: Path, name: str, seeds: list[int]) -> Ablation:
    """An ablation with data, and with models that are none."""
    made = Ablation(folder, name, seeds, list(RUNS))
    for place in (made.data, *made.models.values()):
        place.mkdir(parents=True, exist_ok=True)
    for model in made.models.values():
        save_file({"weight": np.zeros(3, np.float32)}, model / "model.safetensors")
    for file in ("train_spider", "valid", "dev", "tables"):
        (made.data / f"{file}.json").write_text("[]")
    made.teacher_outputs.touch()
    return made


@pytest.fixture
def ablation(tmp_path, monkeypatch) -> Ablation:
    monkeypatch.setattr("parts.ablation.MODELS", tmp_path / "models")
    return pretended(tmp_path / "ablations", "imperfect", [0, 1])


class Executed:
    """Stands in for running commands: notes them, and writes a score in which 3e-5 is best for kid, 3e-4 for others."""

    def __init__(self) -> None:
        self.commands = {}

    def __call__(self, jobs, workers, watch) -> None:
        for number, (name, job) in enumerate(jobs.items(), start=1):
            for log, command in job:
                self.commands[log.name] = command
                output = log.parents[1]  # of the setting
                if log.name.endswith(".exposure.log"):
                    (output / "scores" / f"{name}.exposure_bias.json").write_text('{"ex_acc_err_full": 3.0}')
                elif log.name.endswith(".scores.log"):
                    self.evaluate(name, output / "scores" / f"{name.replace(' ', '-')}.json")
                else:
                    (output / "students" / name / "model").mkdir(parents=True)
                    row = {"step": 1, "seconds": 0.5, "error_rate": 0.1, "masked_error_rate": 0.5}
                    (output / "students" / name / "metrics.jsonl").write_text(json.dumps(row) + "\n")
            watch({}, number)

    @staticmethod
    def evaluate(name: str, path: Path) -> None:
        best = "3e-5" if name.startswith("kid") else "3e-4"
        one = {"ex": 41.0, "right": "01", "wrong_labels": {"n": 2, "label": 1, "gold": 1}}
        valid = {"1": 40.0, "2": 41.0 + (f"lr{best}" in name)}
        found = {"valid": valid, "best_step": 188, "last": one, "best": one, **one, "valid_ex": 33.0}
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(json.dumps(found))


def test_every_row_of_every_report_is_a_run_and_every_run_is_in_a_report():
    rows = {run for report in REPORTS.values() for run in report.rows.values()}
    assert rows | set(METHODS) == set(RUNS) and all(report.against in RUNS for report in REPORTS.values())


def test_each_method_gets_its_rate_first_and_what_is_done_is_not_done_again(ablation):
    executed = Executed()
    found = play({"imperfect": ablation}, 2, executed)["imperfect"]
    assert found["chosen"]["kid"] == "3e-5" and found["chosen"]["rkd"] == "3e-4"
    trained = [name for name in executed.commands if not name.endswith((".scores.log", ".exposure.log"))]
    # The rates of nine methods; then every run under two seeds, less what the rates' runs have trained already.
    assert len(trained) == 3 * 9 + 2 * len(RUNS) - 9
    assert "kid-hard-lr3e-5-seed1.log" in trained and "kid-hard-lr3e-4-seed1.log" not in trained
    hard = executed.commands["kid-hard-lr3e-5-seed1.log"]
    assert hard[hard.index("--mask-strategy") + 1] == "hard" and hard[hard.index("--num_gpus") + 1] == "1"
    assert hard[hard.index("--seed") + 1] == "1" and hard[hard.index("--lr") + 1] == "3e-5"
    assert hard[hard.index("--save-steps") + 1] == "188" and "--resume" in hard and "--teacher" in hard
    assert "--teacher" not in executed.commands["sft-lr3e-4-seed1.log"]
    distill = executed.commands["f-distill-lr3e-4-seed0.log"]
    assert distill[distill.index("--teacher-outputs") + 1] == str(ablation.teacher_outputs)
    assert {name.split("-lr")[0] for name in executed.commands if "exposure" in name} == EXPOSED
    assert found["runs"]["kid"][1]["best_epoch"] == 1.0 and found["runs"]["kid"][1]["ex_acc_err"] == 3.0
    assert found["models"]["teacher"]["parameters"] == 3 and found["models"]["student base"]["valid"] == 33.0
    again = Executed()
    assert play({"imperfect": ablation}, 2, again)["imperfect"] == found and not again.commands


def test_results_from_another_machine_are_kept_and_the_rest_is_trained(ablation):
    executed = Executed()
    play({"imperfect": ablation}, 2, executed)
    lines = ablation.results_file.read_text().splitlines(keepends=True)
    shutil.rmtree(ablation.output / "students")
    shutil.rmtree(ablation.output / "scores")
    ablation.results_file.write_text("".join(line for line in lines if "kid-hard" not in line))
    again = Executed()
    play({"imperfect": ablation}, 2, again)
    assert {name.split("-lr")[0] for name in again.commands} == {"kid-hard"}
    exposed = [line for line in lines if '"kid-lr' in line]
    ablation.results_file.write_text("".join(lines[:1] + [re.sub(', "ex_acc_err": 3.0', "", line) for line in exposed]))
    with pytest.raises(InputError, match=r"kid-lr3e-5-seed0 has a result .* but no exposure bias"):
        list(ablation.exposure_job("kid-lr3e-5-seed0"))


def test_a_setting_may_have_the_rates_of_another(ablation, monkeypatch):
    monkeypatch.setitem(SETTINGS, "clean", replace(SETTINGS["clean"], first_seed=5))
    play({"imperfect": ablation}, 2, Executed())
    ablation.settings_file.write_text('{"epochs": "9"}')  # finished results are taken whatever else they depend on
    pretended(ablation.output.parent, "clean", [0, 1])
    clean = Ablation(ablation.output.parent, "clean", [0, 1], ["rkd", "kid"])
    executed = Executed()
    found = play({"clean": clean}, 2, executed)["clean"]
    assert found["chosen"] == {"rkd": ablation.rate("rkd"), "kid": ablation.rate("kid")}
    assert found["rates"]["kid"] == ablation.valid_ex("kid") and found["rates_of"] == "imperfect"
    assert found["seeds"] == [5, 6] and found["rates_seed"] == 0
    trained = [name for name in executed.commands if not name.endswith((".scores.log", ".exposure.log"))]
    assert len(trained) == 2 * 2  # only the chosen rates
    assert {name.rsplit("-", 1)[1] for name in trained} == {"seed5.log", "seed6.log"}


def values(page: list[str], flag: str) -> list[str]:
    return list(itertools.takewhile(lambda word: not word.startswith("--"), page[page.index(flag) + 1 :]))


@pytest.mark.parametrize("page", of_results("bench/ablations.py"), ids=" ".join)
def test_the_documented_commands_train_what_they_name(page, ablation, monkeypatch, capsys):
    executed, output = Executed(), ablation.output.parent
    for name in SETTINGS:
        pretended(output, name, [0])
    monkeypatch.setattr(ablations_module, "play", partial(play, run=executed))
    monkeypatch.setattr(sys, "argv", ["ablations.py", *page, "--output", str(output)])
    ablations_module.main()
    printed, bars = capsys.readouterr()
    for name in values(page, "--settings"):
        setting, folder = SETTINGS[name], output / name.replace(" ", "-")
        seeds = {setting.first_seed + int(seed) for seed in values(page, "--seeds")[: setting.seeds]}
        students = {
            tuple(re.fullmatch("(.*)-lr.*-seed(.*)", path.name).groups()) for path in (folder / "students").iterdir()
        }
        assert students >= {(run, str(seed)) for run in setting.runs for seed in seeds}
        assert {run for run, _ in students} == {*setting.runs}
        assert f"{name}\n" in printed and f"{name}: seeds: 100%" in bars
    trainings = [command for command in executed.commands.values() if "train/distill.py" in command]
    for command in trainings:
        words = command[command.index("train/distill.py") + 1 :]
        given = {flag[2:].replace("-", "_"): value for flag, value in itertools.pairwise(words) if flag[:2] == "--"}
        assert resolve_config(None, {**given, "resume": True}).epochs > 0


def test_of_equally_good_rates_the_lowest_is_chosen(ablation):
    for students in ablation.tried().values():
        for student in students:
            ablation.keep(student, {"valid": [40.0, 40.0]})
    assert {ablation.rate(method) for method in ablation.methods} == {min(RATES, key=float)}


def test_data_has_the_settings_labels(tmp_path, monkeypatch):
    monkeypatch.setitem(SETTINGS, "clean", Setting(16, 2, 0.0))
    ablation = Ablation(tmp_path, "clean", [0], ["sft"])
    ablation.make_data()
    assert len(json.loads((ablation.data / "train_spider.json").read_text())) == 16
    assert json.loads((ablation.data / "labels.json").read_text())["wrong"] == []
    made = (ablation.data / "tables.json").stat().st_mtime_ns
    ablation.make_data()
    assert (ablation.data / "tables.json").stat().st_mtime_ns == made and not (ablation.output / "partial").exists()


def test_other_settings_are_refused(ablation, monkeypatch):
    ablation.check_settings()
    monkeypatch.setitem(RUNS, "one-more", "--method kid --mask-ratio 0.9")
    ablation.check_settings()
    monkeypatch.setitem(RUNS, "kid", "--method kid --mask-ratio 0.7")
    (ablation.models["teacher"] / "model.safetensors").write_bytes(b"others")
    with pytest.raises(InputError, match=r"these differ: data and models .* run kid"):
        ablation.check_settings()


@pytest.mark.parametrize(("flags", "message"), [(["--workers", "0"], "--workers 0"), (["--seeds", "-1"], "--seeds -1")])
def test_numbers_out_of_range_are_refused(monkeypatch, flags, message):
    monkeypatch.setattr(sys, "argv", ["ablations.py", *flags])
    with pytest.raises(InputError, match=f"{message} is out of range"):
        ablations_module.main()


def test_a_job_that_fails_ends_the_others_with_all_they_started(tmp_path):
    pid, log = tmp_path / "pid", tmp_path / "logs" / "long.log"
    long = f"sleep 60 & echo $! > {pid}.partial; mv {pid}.partial {pid}; wait"
    fail = f"while [ ! -e {pid} ]; do sleep 0.05; done; echo 'error: no such thing'; exit 2"
    jobs = {"long": [(log, ["bash", "-c", long])], "bad": [(log.with_name("bad.log"), ["bash", "-c", fail])]}
    with pytest.raises(InputError, match=r"bad failed: error: no such thing \(full log: .*bad.log\)"):
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


def test_where_runs_are_compared_each_row_has_its_difference():
    setting = made_up_setting((0, 1))
    for one in setting["runs"]["rkd"]:
        one["right"] = "11" + "10" * 119  # one more of 240
    rows = [line.split(" | ") for line in table(REPORTS["outputs"], setting).splitlines()]
    assert rows[0][2] == "minus gkd-rkl, 95 % interval"
    found = {row[0].strip("| "): row[2] for row in rows[2:]}
    # 100 / 240, and 1.97 of that each way
    assert found["on gold, and likelihood of gold (rkd)"] == "+0.4 (-0.4 to +1.2)"
    assert found["on own outputs (gkd-rkl)"] == "-" and found["on gold, no likelihood"] == "+0.0 (+0.0 to +0.0)"


def test_tables():
    setting = made_up_setting((0, 1, 2))
    lines = methods_table(setting).splitlines()
    assert lines[2] == "| teacher | - | - | - | 83.3 | - | - | - | - | - |"
    assert lines[7].startswith(
        "| f-distill | tvd | teacher, on-policy | 3e-4 | 45.0 ± 2.0 | +0.0 (+0.0 to +0.0) | 3.0 |"
    )
    assert lines[7].endswith("| 44.0 ± 2.0 | 40 % | 50 % |")
    assert methods_table(made_up_setting((0,), 0.0)).splitlines()[-1].endswith("| 47.0 | - | - |")
    ratios = table(REPORTS["ratios"], setting).splitlines()
    assert ratios[3] == "| 0.2 | 50.0 ± 2.0 | - | 49.0 ± 2.0 | 5.0 | 25.0 |"
    assert "equals rkd exactly) | 44.0 ± 2.0 | - | 43.0 ± 2.0 |" in table(REPORTS["rewriting"], setting)
    assert rates_table(setting).splitlines()[2] == "| sft | 40.0 | **42.0** | 41.0 |"


def test_every_run_of_kid_is_compared_with_rkd_in_every_setting():
    results = made_up_results((0, 1))
    for one in results["settings"]["stronger base"]["runs"]["kid"]:
        one["right"], one["valid"] = "11" + "10" * 119, [30.0, 43.5, 40.0]
    rows = [line.split(" | ") for line in kid_table(results["settings"]).splitlines()[2:]]
    runs = [run for run in RUNS if run.startswith("kid")]
    assert [row[1] for row in rows] == [*runs, *runs, "kid", "kid"]
    assert rows[-1][0] == "| stronger base" and rows[-1][2] == "+2.5 (+2.5 to +2.5)"
    assert rows[-1][3] == "+0.4 (-0.4 to +1.2)" and rows[-1][4] == "+0.0 (+0.0 to +0.0)"
    assert "## Where is KID above RKD?" in page(results) and "## Stronger base" not in page(results)


def test_a_student_base_is_trained_once(tmp_path):
    ablation = Ablation(tmp_path, "stronger base", [0], ["rkd", "kid"])
    ((log, command),) = ablation.base_job()
    assert log.name == "stronger-student.log" and command[-3:] == ["stronger-student", "--output", str(ablation.base)]
    ablation.base.mkdir(parents=True)
    save_file({"weight": np.zeros(3, np.float32)}, ablation.base / "model.safetensors")
    assert not list(ablation.base_job())


def test_a_setting_of_few_runs_has_only_the_tables_that_they_fill():
    results = made_up_results()
    text = "\n".join(setting_parts("few labels", results["settings"]["few labels"]))
    assert text.startswith("## Few labels: 500 labels, 20 % of them wrong, 2 epochs, seeds 0, 1, 2")
    assert "| sft |" in text
    assert "Masking strategies" not in text and "KID is better than RKD and SFT" in text


def test_report_writes_its_part_its_figures_and_what_they_are_made_of(tmp_path):
    results = made_up_results((0, 1, 2, 3, 4)) | {"missing": ["*clean*: kid"]}
    write_report(results, tmp_path)
    text = (tmp_path / "README.md").read_text()
    words = " ".join(text.split())
    assert "## Imperfect: 500 labels, 20 % of them wrong" in text and "## Clean: 500 labels, all correct" in text
    assert "Not run, or not with all seeds: *clean*: kid." in words and "on the 1,000 questions of `dev`" in words
    figures = {"epochs.png", "methods.png", "masking.png"}
    assert {path.name for path in tmp_path.glob("*.png")} == figures and all(name in text for name in figures)
    assert max(len(line) for line in text.splitlines() if not line.startswith(("|", "#"))) <= 120


def test_the_report_has_what_is_there_and_names_what_is_not(ablation, monkeypatch, tmp_path):
    play({"imperfect": ablation}, 2, Executed())
    lines = ablation.results_file.read_text().splitlines(keepends=True)
    gone = ("kid-hard-lr3e-5-seed1", "fkd-lr3e-5-seed0")  # a seed of a variant, and a rate of a method
    ablation.results_file.write_text("".join(line for line in lines if json.loads(line)["name"] not in gone))
    monkeypatch.setattr(ablations_module, "PAGE", tmp_path / "page")
    flags = ["--docs", "--settings", "imperfect", "clean", "--seeds", "0", "1", "--output", str(ablation.output.parent)]
    monkeypatch.setattr(sys, "argv", ["ablations.py", *flags])
    ablations_module.main()
    words = " ".join((tmp_path / "page" / "README.md").read_text().split())
    clean = ", ".join(SETTINGS["clean"].runs)
    assert f"Not run, or not with all seeds: *imperfect*: fkd, kid-hard; *clean*: {clean}." in words
    assert "| easy |" in words and "| hard |" not in words and "| rkd |" in words and "| fkd |" not in words
    assert (tmp_path / "page" / "imperfect" / "results.jsonl").read_text() == ablation.results_file.read_text()
    monkeypatch.setattr(sys, "argv", ["ablations.py", "--docs", "--settings", "clean"])
    with pytest.raises(InputError, match="has no run with all its seeds"):
        ablations_module.main()
