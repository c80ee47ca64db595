"""The real run without its models: recipes, command lines, what is run and what is skipped, the small Spider."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import real
from helpers.launcher import ROOT
from helpers.run_files import one_line
from parts import real_jobs
from parts.real_jobs import CPU, GPU, RECIPES, SIZES, SPLITS, Job, Real, from_root
from real import (
    STAGES,
    check_device,
    check_docs,
    check_needs,
    check_settings,
    check_spider,
    duration,
    expected,
    groups,
    play,
)
from subset import chosen

from kid.config.methods import METHODS
from kid.config.recipe import merge_config, read_recipe, resolve_config
from kid.config.run_config import RunConfig
from kid.data.questions import find_databases, find_tables, load_questions
from kid.errors import InputError

STEPS = 271  # 8,659 training questions, 32 a step, as if no SQL were over the limit


@pytest.fixture
def run(tmp_path) -> Real:
    return Real(GPU, tmp_path / "data", tmp_path / "real", list(METHODS), [0, 1])


def flags_of(command: list[str]) -> dict[str, str | bool]:
    """Flag -> value of a script's command line, the launcher's own before the script aside."""
    script = next(place for place, word in enumerate(command) if word.endswith(".py"))
    words, flags = command[script + 1 :], {}
    for place, word in enumerate(words):
        if word.startswith("--"):
            has_value = place + 1 < len(words) and not words[place + 1].startswith("--")
            flags[word[2:].replace("-", "_")] = words[place + 1] if has_value else True
    return flags


def script_of(command: list[str]) -> str:
    return next(word for word in command if word.endswith(".py"))


def all_jobs(run: Real, stages=STAGES) -> list[Job]:
    return [job for _, _, make in groups(run, list(stages)) for job in make()]


def leave(job: Job, run: Real) -> None:
    """What the job's commands would leave."""
    for _, command in job.commands:
        flags, script = flags_of(command), script_of(command)
        if script == "bench/real_report.py":
            continue
        if script.startswith("train/") and "teacher_outputs" in flags and "generate" in script:
            place = flags["teacher_outputs"]
        elif script in ("train/sft.py", "train/distill.py"):
            place = f"{flags['output']}/{'adapter' if 'students' in flags['output'] else 'model'}"
        else:
            place = flags.get("json") or flags["output"]
        path = run.output / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_recipes_are_those_of_all_methods_and_name_what_the_run_leaves():
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {*METHODS, "teacher", "heal"}
    outputs = set()
    for path in RECIPES.glob("*.yaml"):
        config = resolve_config(path, {"data": "d"})
        trains_all = path.stem in ("teacher", "heal")
        assert config.method == ("sft" if trains_all else path.stem)
        assert config.output == (
            {"teacher": "runs/real/teacher", "heal": "runs/real/healed"}.get(path.stem)
            or f"runs/real/students/{path.stem}-seed0"
        )
        start = {"teacher": "runs/real/smollm2", "heal": "runs/real/pruned"}.get(path.stem, "runs/real/healed/model")
        assert config.student == start and (config.lora_rank == 0) == trains_all
        assert config.teacher == ("" if config.method == "sft" else "runs/real/teacher/model")
        assert len(path.read_text().splitlines()) <= 7 and path.read_text().startswith("# ")
        outputs.add(config.output)
    assert len(outputs) == len(METHODS) + 2


@pytest.mark.parametrize("size", SIZES)
def test_trainings_are_the_recipes_but_for_places_and_size(size, tmp_path):
    run = Real(SIZES[size], tmp_path / "data", tmp_path / "real", list(METHODS), [3])
    seen = set()
    for job in all_jobs(run, ["heal", "teacher", "students"]):
        for _, command in job.commands:
            flags = flags_of(command)
            recipe = flags.pop("config")
            if script_of(command) == "train/generate.py":
                config = merge_config(recipe, flags)
                assert config.teacher_outputs == str(run.teacher / "outputs.jsonl")
            else:
                config = resolve_config(recipe, flags)
                seen.add(job.name)
                assert config.resume and config.output == str(run.runs[job.name])
                start = {"healed": run.pruned, "teacher": run.base}.get(job.name, run.healed / "model")
                assert config.student == str(start) and (config.lora_rank == 0) == (job.name in ("healed", "teacher"))
                assert config.seed == (3 if config.lora_rank else 0)
            if METHODS[config.method].needs_teacher:
                assert config.teacher == str(run.teacher / "model")
            assert config.missing_database == "schema-only" and config.data == str(run.data)
            assert config.max_prompt_length == (256 if size == "cpu" else 1024)
            assert config.dtype == ("fp32" if size == "cpu" else "bf16")
            assert (ROOT / config.deepspeed).is_file() and (ROOT / config.teacher_deepspeed).is_file()
    assert seen == set(run.runs)


@pytest.mark.parametrize(("size", "steps"), [("cpu", CPU.questions[0] // 8), ("gpu", STEPS)])
def test_steps_of_the_curve_are_saved_ones_before_the_last(size, steps):
    epochs, save = (
        int(flags_of(["x.py", *SIZES[size].student.split()]).get(key, 1)) for key in ("epochs", "save_steps")
    )
    assert epochs == 1 == read_recipe(RECIPES / "kid.yaml")["epochs"]
    assert SIZES[size].curve == tuple(range(save, steps - 1, save))


def test_prompts_are_the_same_in_training_and_evaluation():
    # Without the flag, a training takes the recipe's length and eval/ that of RunConfig.
    for size in SIZES.values():
        training, outputs, prompts = (
            flags_of(["x.py", *text.split()]) for text in (size.training, size.outputs, size.prompts)
        )
        length = int(prompts.get("max_prompt_length", RunConfig.max_prompt_length))
        for name in ("heal", "teacher", "kid"):
            assert resolve_config(RECIPES / f"{name}.yaml", {"data": "d", **training}).max_prompt_length == length
        assert merge_config(RECIPES / "f-distill.yaml", outputs).max_prompt_length == length


def test_everything_is_run_once_in_order_and_then_skipped(run, capsys):
    order, workers = [], []

    def pretend(jobs, count, watch):
        by_name = {job.name: job for job in all_jobs(run)}
        for number, name in enumerate(jobs):
            watch({name: None}, number)
            order.append(name)
            leave(by_name[name], run)
        workers.append(count)

    play(run, list(STAGES), pretend)
    students = [f"{method}-seed{seed}" for seed in (0, 1) for method in METHODS]
    assert order[:4] == ["smollm2", "prune", "healed", "teacher"] and order[4:22] == students
    predicted = [name.removesuffix(".predict") for name in order if name.endswith(".predict")]
    assert len(predicted) == 20 * len(SPLITS) + 18 * len(GPU.curve) == len(set(predicted))
    scored = [name.removesuffix(".score") for name in order if name.endswith(".score")]
    assert scored == predicted and "kid-seed1-step-90-dev" in scored and "healed-syn" in scored
    assert [name for name in order if name.startswith("suite-")] == [f"suite-{split}" for split in SPLITS]
    assert order.index("suite-syn") < order.index("teacher-dev.score") and order[-1] == "report"
    assert {name for name in order if name.endswith(".exposure")} == {f"{name}.exposure" for name in students}
    assert len(set(order)) == len(order) and workers == [1, 1, 1, 1, 4, 4, 4, 1]
    said = capsys.readouterr().out
    both = duration(GPU.seconds["heal"] + GPU.seconds["teacher"])
    assert f"[3/8] heal and teacher: 2 of 2 to do, about {both}; " in said and "    0 of 2 done, " in said

    order.clear()
    play(run, list(STAGES), pretend)
    assert order == ["report"]
    for stage in STAGES:
        check_needs(run, [stage])
    (run.runs["kid-seed1"] / "adapter").unlink()
    check_needs(run, ["predict", "score"])  # nothing to do
    (run.runs["kid-seed1"] / "predictions" / "dk.sql").unlink()
    with pytest.raises(InputError, match="predict needs students, but kid-seed1 is not done in "):
        check_needs(run, ["predict"])
    check_needs(run, ["predict", "students"])
    (run.runs["kid-seed1"] / "scores" / "dk.json").unlink()
    with pytest.raises(InputError, match=r"score needs predict, but kid-seed1-dk\.predict is not done"):
        check_needs(run, ["score", "report"])
    order.clear()
    play(run, ["score"], pretend)
    assert order == ["suite-dk", "kid-seed1-dk.score"]


def test_a_stage_alone_and_the_teachers_outputs_only_where_they_are_learnt_from(run, tmp_path):
    assert [job.name for job in all_jobs(run, ["teacher"])] == ["teacher"]
    assert [len(job.commands) for job in all_jobs(run, ["heal", "teacher"])] == [1, 2]
    few = Real(CPU, tmp_path / "data", tmp_path / "few", ["sft", "kid"], [0])
    (job,) = all_jobs(few, ["teacher"])
    assert len(job.commands) == 1
    (few.teacher / "model").mkdir(parents=True)
    assert job.done()
    names = [job.name for job in all_jobs(few, ["fetch", "students"])]
    assert names == ["smollm2", "spider", "sft-seed0", "kid-seed0"]


def test_evaluation_has_the_runs_own_places_and_a_gpu_its_environment(run):
    commands = {job.name: job.commands[0][1] for job in all_jobs(run, ["predict", "score", "report"])}
    assert all(command[:3] == ["env", "-u", "DS_ACCELERATOR"] for command in commands.values())
    predict = flags_of(commands["kid-seed0-step-90-dev.predict"])
    assert predict["model"] == str(run.runs["kid-seed0"] / "adapters" / "step-90") and predict["split"] == "dev"
    assert predict["output"] == str(run.runs["kid-seed0"] / "predictions" / "step-90" / "dev.sql")
    score = flags_of(commands["kid-seed0-step-90-dev.score"])
    assert score["predictions"] == predict["output"]
    assert score["json"] == str(run.runs["kid-seed0"] / "scores" / "step-90" / "dev.json")
    assert score["test_suite"] == flags_of(commands["suite-dev"])["output"]
    assert flags_of(commands["teacher-syn.predict"])["model"] == str(run.teacher / "model")
    exposure = flags_of(commands["sft-seed1.exposure"])
    assert exposure["json"] == str(run.runs["sft-seed1"] / "scores" / "exposure_bias.json")
    assert [word for word in commands["report"] if word in map(str, run.runs.values())] == list(
        map(str, run.runs.values())
    )


def test_time_left_is_by_the_pace_so_far(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(real.time, "time", lambda: now[0])
    clock = real.Clock(600.0)
    assert clock.left() == "10 min"
    now[0] += 240  # for what was to take 120 s: twice as slow
    clock.done = 120.0
    assert clock.left() == "16 min"
    now[0] += 60
    assert clock.left(begun=60) == "15 min"
    assert duration(99) == "99 s"
    job = Job("a", 30.0, lambda: False, [])
    assert expected([job, job, replace(job, seconds=100.0)], 2) == 100.0 and expected([job] * 5, 2) == 75.0
    assert expected([], 2) == 0


def test_what_lies_in_the_checkout_is_named_without_its_place(tmp_path, monkeypatch):
    run = Real(CPU, tmp_path, ROOT / "runs" / "real", ["kid"], [0])
    flags = flags_of(run.train_students()[0].commands[0][1])
    assert (flags["student"], flags["teacher"]) == ("runs/real/healed/model", "runs/real/teacher/model")
    assert run.spider == tmp_path
    monkeypatch.chdir(ROOT / "bench")
    assert str(from_root(Path("spider"))) == "bench/spider"


def test_the_weights_are_the_published_ones(tmp_path):
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    command = [sys.executable, "bench/smollm2.py", "--download", str(tmp_path), "--output", str(tmp_path / "model")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "SmolLM2-135M-Instruct.Q4_1.gguf is truncated or damaged; remove it" in one_line(done)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_settings_in_the_same_folder_are_refused(run, monkeypatch):
    check_settings(run, "gpu")
    run.methods, run.seeds = ["kid"], [4]  # more students are no other run
    check_settings(run, "gpu")
    with pytest.raises(
        InputError, match=r"has a run with other settings: size \(gpu there, cpu here\); choose another"
    ):
        check_settings(run, "cpu")
    monkeypatch.setattr(real_jobs, "LAYERS", "0,2,4")
    with pytest.raises(InputError, match=r"other settings: layers \(0,1,2,.* there, 0,2,4 here\)"):
        check_settings(run, "gpu")
    monkeypatch.undo()
    run.spider.mkdir()
    (run.spider / "dev.json").write_text("[]")
    with pytest.raises(InputError, match="other settings: spider"):
        check_settings(run, "gpu")


def test_docs_are_of_whole_runs_in_the_checkout(run, tmp_path):
    with pytest.raises(InputError, match="is not in the checkout"):
        check_docs(run, list(STAGES))
    run = Real(GPU, tmp_path / "data", ROOT / "runs" / "never", ["kid"], [0], docs=True)
    with pytest.raises(InputError, match="--docs belongs to the stage report; add report to --stages"):
        check_docs(run, ["score"])
    with pytest.raises(
        InputError, match=r"--docs: teacher-dev.predict is not done in runs/never; add predict and score"
    ):
        check_docs(run, ["report"])
    check_docs(run, list(STAGES))
    [report] = run.report()
    assert [script_of(command) for _, command in report.commands] == ["eval/report.py", "bench/real_report.py"]
    assert [word for word in report.commands[1][1] if word in map(str, run.runs.values())] == [
        f"runs/never/{place}" for place in ("teacher", "healed", "students/kid-seed0")
    ]
    run.docs = False
    assert [script_of(command) for _, command in run.report()[0].commands] == ["eval/report.py"]


def test_a_gpu_s_size_on_cores_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"found no GPU .*; use --size cpu"):
        check_device("gpu", ["fetch", "teacher"])
    check_device("gpu", ["fetch", "score", "report"])
    check_device("cpu", list(STAGES))
    (tmp_path / "nvidia-smi").write_text("")
    (tmp_path / "nvidia-smi").chmod(0o755)
    check_device("gpu", list(STAGES))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--spider", "nowhere"],
            "error: --spider nowhere does not exist; give the folder with Spider's dev.json",
        ),
        (["--spider", ".", "--stages", "fetch,cook"], "error: --stages: 'cook' is unknown; choose from fetch, prune, "),
        (["--spider", ".", "--methods", "gkd"], "error: --methods: 'gkd' is unknown; choose from sft, fkd, "),
        (["--spider", ".", "--seeds", "0", "-1"], "error: --seeds -1 is out of range; give 0 or more"),
        (["--spider", "."], "error: --spider ., no questions of split train: "),
    ],
)
def test_bad_flags(flags, said, tmp_path):
    command = [sys.executable, "bench/real.py", *flags, "--output", str(tmp_path / "real")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert one_line(done).startswith(said)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def spider(tmp_path):
    """Twelve training questions in two files, eight of dev and its variants; DK and Syn lie beside, as published."""
    folder = tmp_path / "spider"

    def write(path, count, field="question", start=0):
        items = [
            {"db_id": "concert", field: f"{path.stem} {start + number}", "query": "SELECT 1", "extra": number}
            for number in range(count)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(items))

    write(folder / "train_spider.json", 8)
    write(folder / "train_others.json", 4, start=8)
    write(folder / "dev.json", 8)
    write(folder / "spider_realistic" / "spider-realistic.json", 6)
    write(tmp_path / "spider_syn" / "dev.json", 8, "SpiderSynQuestion")
    write(tmp_path / "spider_dk" / "Spider-DK.json", 7)
    for place, text in ((folder, "[]"), (tmp_path / "spider_dk", "[1]")):
        (place / "tables.json").write_text(text)
    for place in (folder, tmp_path / "spider_dk"):
        (place / "database" / place.name).mkdir(parents=True)
        (place / "database" / place.name / f"{place.name}.sqlite").touch()
    return folder


def test_a_database_that_scores_need_is_missed_at_once(spider):
    with pytest.raises(InputError, match=r"no database for 1 of 1 db_ids under .*: concert; "):
        check_spider(spider)
    database = spider / "database" / "concert" / "concert.sqlite"
    database.parent.mkdir()
    database.touch()
    check_spider(spider)


def subset(spider, output, *flags) -> subprocess.CompletedProcess:
    command = [sys.executable, "bench/subset.py", "--spider", str(spider), "--output", str(output), *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_small_spider_is_read_as_the_whole_one(spider, tmp_path):
    small = tmp_path / "out" / "small"
    done = subset(spider, small, "--train", "9", "--split", "4", "--seed", "5")
    assert done.returncode == 0, done.stderr
    texts = {}
    for split, count in {"train": 9, **dict.fromkeys(SPLITS, 4)}.items():
        whole = [question.question for question in load_questions("spider", split, spider)]
        texts[split] = [question.question for question in load_questions("spider", split, small)]
        assert texts[split] == [whole[place] for place in chosen(len(whole), count, 5)]
    assert any(text.startswith("train_others") for text in texts["train"])
    assert texts["dev"] == texts["syn"]  # of one length: the same places
    assert json.loads((small / "spider_syn" / "dev.json").read_text())[0].keys() == {
        "db_id", "SpiderSynQuestion", "query", "extra",
    }  # fmt: skip
    assert (
        find_tables("spider", "dk", small).read_text() == "[1]"
        and find_tables("spider", "syn", small).read_text() == "[]"
    )
    found = find_databases("spider", "dk", small, ["spider_dk", "spider"])
    assert all(path.resolve().is_relative_to(tmp_path / name) for name, path in found.items())
    again = subset(spider, small)
    assert one_line(again).endswith("exists; remove it or choose another")


def test_a_small_spider_of_more_questions_than_there_are(spider, tmp_path):
    done = subset(spider, tmp_path / "small", "--train", "9", "--split", "7")
    assert one_line(done) == "error: --split 7 is out of range; realistic has 6 questions"
    assert not (tmp_path / "small").exists()
    assert chosen(100, 10, 0) == chosen(100, 10, 0) != chosen(100, 10, 1)
