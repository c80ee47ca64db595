"""Jobs on a SLURM cluster of two nodes: `make slurm-test` starts one, and runs these."""

import itertools
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from helpers.launcher import ROOT
from helpers.run_files import depends_on_machine

pytestmark = pytest.mark.skipif("KID_SLURM_TEST" not in os.environ, reason="make slurm-test starts a cluster for these")
STEPS = 14
LONG = "--deepspeed ds_configs/cpu.json --max-steps 400 --epochs 400"  # FLAGS of what does not end by itself
SIZES = {"small": 32, "large": 64}  # of a teacher -> its width
QUESTIONS = 8
COMMON = """\
student: {models}/{name}
lr: 1.0e-2
batch_size: 8
micro_batch_size: 2
lora_rank: 4
lora_dropout: 0.1
dtype: fp32
max_completion_length: 48
max_steps: {steps}
epochs: 20
save_steps: 8
method: {method}
benchmark: spider
output: {output}
"""


@pytest.fixture(scope="module")
def few(minibench, tmp_path_factory) -> Path:
    """Minibench with a few questions of each split; a space in its path, as in those of `settings`."""
    data = tmp_path_factory.mktemp("few") / "the data"
    shutil.copytree(minibench, data)
    for name, number in (("train_spider", 17), ("dev", QUESTIONS), ("seen", QUESTIONS)):
        questions = json.loads((data / f"{name}.json").read_text())
        (data / f"{name}.json").write_text(json.dumps(questions[:: len(questions) // number][:number]))
    return data


@pytest.fixture(scope="module")
def place(few, tiny_models, tmp_path_factory) -> Path:
    """A folder with two untrained teachers, recipes for them and for students of theirs, and a table of sizes."""

    from kid.minibench.tiny_models import write_tiny_model
    from kid.models.pretrained import load_tokenizer

    folder = tmp_path_factory.mktemp("slurm")
    tokenizer = load_tokenizer(tiny_models / "student", "--model")  # AutoTokenizer would split texts differently
    shutil.copytree(tiny_models / "student", folder / "models" / "student")
    lines = ["# size recipe student teacher micro-batch teacher's recipe, and flags"]
    for name, width in SIZES.items():
        write_tiny_model(folder / "models" / name, tokenizer, hidden=width, layers=2, heads=2, seed=1)
        teacher, student = folder / f"teacher-{name}.yaml", folder / f"{name}.yaml"
        values = {"models": folder / "models", "output": folder / "runs" / f"teacher-{name}"}
        teacher.write_text(COMMON.format(**values, name=name, method="sft", steps=2))
        values |= {"output": folder / "runs" / name}
        text = COMMON.format(**values, name="student", method="kid", steps=STEPS)
        student.write_text(f"{text}teacher: {folder}/runs/teacher-{name}/adapter\n")
        lines.append(f"{name} {student} ds_configs/cpu.json ds_configs/cpu.json 2 {teacher} --lora-dropout 0")
    (folder / "sizes.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def settings(few, place) -> dict[str, str]:
    """The environment of submit.sh: two nodes, one rank on each."""
    ours = {"NODES": "2", "GPUS": "1", "CPUS": "1", "TIME": "10", "EVAL_TIME": "5", "DATA": str(few)}
    ours |= {"SPLITS": "dev seen", "LOGS": str(place / "job logs"), "REPORT": str(place / "the report")}
    return {**os.environ, **ours, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def submit(settings: dict[str, str], *flags: str) -> subprocess.CompletedProcess:
    command = ["slurm/submit.sh", *flags]
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)


def jobs_of(done: subprocess.CompletedProcess) -> dict[str, str]:
    """What submit.sh says it has submitted -> the job's number."""
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(re.findall(r"^(\w+) +(\d+) ", done.stdout, re.MULTILINE))


def state(job: str) -> dict[str, str]:
    """JobState, Restarts, ExitCode and more of a job; of an array, the first task's that is not done yet."""
    shown = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, check=True).stdout
    tasks = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in shown.splitlines()]
    return next((task for task in tasks if task["JobState"] != "COMPLETED"), tasks[0])


def wait_for(condition, seconds: float):
    """What `condition()` gives as soon as it is true."""
    deadline = time.time() + seconds
    while not (found := condition()):
        assert time.time() < deadline, subprocess.run(["squeue"], capture_output=True, text=True, check=False).stdout
        time.sleep(0.2)
    return found


def ended(job: str, seconds: float) -> str:
    """The state in which a job ends."""
    over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
    return wait_for(lambda: found if (found := state(job)["JobState"]) in over else "", seconds)


def metrics(run: Path) -> list[dict]:
    path = run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{key: value for key, value in row.items() if not depends_on_machine(key)} for row in rows]


def logs(place: Path, job: str) -> str:
    """Everything a job's batch script and its nodes said."""
    return "".join(path.read_text(errors="replace") for path in sorted((place / "job logs").glob(f"{job}*.log")))


@pytest.fixture(scope="module")
def scaling(settings, place) -> dict[str, str]:
    """Teachers of two sizes, students of theirs, evaluations and the report, from one command to the end."""
    done = submit(settings | {"SIZES": str(place / "sizes.txt")}, "--scaling", "--train-teachers")
    jobs = jobs_of(done)
    assert done.stderr.count("note: ") == 1  # that minibench has no train_others.json, for four trainings
    assert list(jobs) == ["teachers", "distillation", "evaluations", "report"]
    assert ended(jobs["report"], 1000) == "COMPLETED", "\n".join(logs(place, job) for job in jobs.values())
    return jobs


def test_from_one_command_to_the_table(scaling, place):
    for name in SIZES:
        run = place / "runs" / name
        environment = json.loads((run / "environment.json").read_text())
        assert environment["world_size"] == 2 and [row["step"] for row in metrics(run)] == list(range(1, STEPS + 1))
        for judged, split in itertools.product((run, run.with_name(f"teacher-{name}")), ("dev", "seen")):
            score = json.loads((judged / "scores" / f"{split}.json").read_text())
            assert (score["split"], score["n"]) == (split, QUESTIONS)
            assert len((judged / "predictions" / f"{split}.sql").read_text().splitlines()) == QUESTIONS
    said = logs(place, scaling["distillation"])
    assert "nodes n[1-2]" in said and "node_rank=1" in said and said.count("steps done") == len(SIZES)
    assert "lora_dropout: 0.0" in (place / "runs" / "teacher-small" / "config.yaml").read_text()
    table = logs(place, scaling["report"])
    for name in SIZES:
        assert re.search(rf"Teacher: teacher-{name}\b", table)
    assert table.count("| KID |") == table.count("| Teacher |") == len(SIZES)
    assert "Spider-dev EX" in table and "minibench seen EX" in table


def test_a_job_signalled_and_one_requeued_by_hand_go_on_as_if_nothing_had_been(scaling, settings, place):
    run = place / "runs" / "signalled and requeued"
    changed = {"RECIPE": str(place / "small.yaml"), "OUTPUT": str(run), "INTERFACE": "lo"}
    changed["FLAGS"] = "--deepspeed ds_configs/cpu.json --teacher-deepspeed ds_configs/cpu.json"
    job = jobs_of(submit(settings | changed))["distillation"]
    wait_for(lambda: len(metrics(run)) >= 3, 120)
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    wait_for(lambda: state(job)["Restarts"] == "1", 60)
    first = len(metrics(run))
    assert 3 <= first < STEPS and "stopped by SIGUSR1 after step" in logs(place, job)
    wait_for(lambda: len(metrics(run)) >= first + 3, 120)
    subprocess.run(["scontrol", "requeue", job], check=True)
    wait_for(lambda: state(job)["Restarts"] == "2" and state(job)["JobState"] == "PENDING", 60)
    assert first + 3 <= len(metrics(run)) < STEPS
    assert ended(job, 180) == "COMPLETED", logs(place, job)
    assert metrics(run) == metrics(place / "runs" / "small")
    assert "NCCL_SOCKET_IFNAME=lo" in logs(place, job)
    said = (place / "job logs" / f"{job}.log").read_text()
    starts = [line.split(",")[0] for line in said.splitlines() if line.startswith(f"{job}: start")]
    assert starts == [f"{job}: start {number}" for number in (1, 2, 3)]
    assert said.count("stopped cleanly, requeued") == 1 and f"{job}: finished" in said


def ranks_on(node: str, word: str = "--local_rank") -> list[psutil.Process]:
    """The training's own processes on a node, without the launcher's; or those with another word."""
    found = []
    for process in psutil.process_iter():
        try:
            words, environment = process.cmdline(), process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if environment.get("SLURMD_NODENAME") == node and any(each.startswith(word) for each in words):
            found.append(process)
    return found


def test_a_killed_rank_ends_the_job_which_is_not_requeued(settings, place):
    run = place / "runs" / "killed"
    changed = {"RECIPE": str(place / "teacher-large.yaml"), "SCRIPT": "train/sft.py", "OUTPUT": str(run)}
    changed["FLAGS"] = LONG
    jobs = jobs_of(submit(settings | changed))
    wait_for(lambda: len(metrics(run)) >= 2, 120)
    (rank,) = ranks_on("n2")
    began = time.time()
    rank.kill()
    assert ended(jobs["distillation"], 60) == "FAILED"
    wait_for(lambda: not ranks_on("n1"), 60 - (time.time() - began))
    assert state(jobs["distillation"])["Restarts"] == "0"
    assert f"error: {jobs['distillation']} failed with status" in logs(place, jobs["distillation"])
    assert ended(jobs["evaluations"], 60) == "CANCELLED"  # what waits for it does not wait for ever
    assert ended(jobs["report"], 60) == "CANCELLED"


def test_a_job_whose_launcher_is_killed_is_not_taken_for_finished(settings, place):
    """DeepSpeed's runner ends with 0 then."""
    run = place / "runs" / "unwatched"
    changed = {"RECIPE": str(place / "teacher-large.yaml"), "SCRIPT": "train/sft.py", "OUTPUT": str(run)}
    jobs = jobs_of(submit(settings | changed | {"FLAGS": LONG, "NODES": "1"}))
    job = jobs["distillation"]
    wait_for(lambda: len(metrics(run)) >= 2, 120)
    node = re.search(r"nodes (n\d):", logs(place, job))[1]
    (launcher,) = ranks_on(node, "deepspeed.launcher.launch")
    launcher.kill()
    assert ended(job, 90) == "FAILED"
    assert f"error: {job} has ended without a trained student" in logs(place, job)
    wait_for(lambda: not ranks_on(node), 60)
    assert [ended(jobs[name], 60) for name in ("evaluations", "report")] == ["CANCELLED"] * 2


def test_a_cancelled_job_ends_and_does_not_come_back(settings, place):
    """With both ranks on one node."""
    run = place / "runs" / "cancelled"
    changed = {"RECIPE": str(place / "teacher-large.yaml"), "SCRIPT": "train/sft.py", "OUTPUT": str(run)}
    changed |= {"FLAGS": LONG, "NODES": "1", "GPUS": "2", "CPUS": "2"}
    jobs = jobs_of(submit(settings | changed))
    job = jobs["distillation"]
    wait_for(lambda: len(metrics(run)) >= 2, 120)
    node = re.search(r"nodes (n\d):", logs(place, job))[1]
    assert len(ranks_on(node)) == 2
    subprocess.run(["scancel", job], check=True)
    assert ended(job, 60) == "CANCELLED"
    wait_for(lambda: not ranks_on(node) and not list((place / "job logs").glob("*.hostfile")), 60)
    assert state(job)["Restarts"] == "0"
    assert [ended(jobs[name], 60) for name in ("evaluations", "report")] == ["CANCELLED"] * 2


def test_what_a_rank_says_is_wrong_stands_in_the_jobs_own_log(settings, place):
    changed = {"RECIPE": str(place / "teacher-small.yaml"), "SCRIPT": "train/sft.py"}
    changed |= {"OUTPUT": str(place / "runs" / "wrong"), "FLAGS": f"{LONG} --student not/at/all"}
    jobs = jobs_of(submit(settings | changed))
    job = jobs["distillation"]
    assert ended(job, 120) == "FAILED"
    lines = (place / "job logs" / f"{job}.log").read_text().splitlines()
    said, last = [line for line in lines if line.startswith("error")]
    assert "--student not/at/all" in said and f"{job} failed with status 2 and is not requeued" in last
    assert [ended(jobs[name], 60) for name in ("evaluations", "report")] == ["CANCELLED"] * 2


@pytest.mark.parametrize(
    ("changed", "flags", "said"),
    [
        ({"DATA": ""}, [], "DATA is not set"),
        ({"DATA": "nowhere"}, [], "DATA=nowhere is not a folder"),
        ({"RECIPE": ""}, [], "RECIPE is not set"),
        ({"RECIPE": "nowhere.yaml"}, [], "recipe nowhere.yaml: No such file"),
        ({"SPLITS": "dev dk"}, [], "no questions of split dk"),
        ({"OUTPUT": "README.md/run"}, [], "is not a folder that you can write to"),
        ({"LOGS": "README.md/logs"}, [], "README.md/logs cannot be written to"),
        ({"FLAGS": "--mask-ration 0.3"}, [], "--mask-ration 0.3"),
        ({"GPUS": "h100:8"}, [], "GPUS=h100:8 is not a number"),
        ({"NODES": "3"}, [], "--batch-size 8 is not divisible by micro-batch-size x ranks"),
        ({"FLAGS": "--teacher runs/not/there"}, [], "teacher runs/not/there does not exist; train it first"),
        ({}, ["--train-teachers"], "TEACHER_RECIPE is not set"),
        ({"RECIPE": "", "SIZES": "nowhere"}, ["--scaling"], "SIZES=nowhere is not a file"),
        ({"PARTITION": "nowhere"}, [], "sbatch refuses the distillation"),
        ({}, ["--scalling"], "--scalling is not a flag"),
    ],
)
def test_what_is_missing_is_said_in_one_line_before_anything_is_submitted(settings, place, changed, flags, said):
    (place / "runs" / "teacher-small" / "adapter").mkdir(parents=True, exist_ok=True)
    done = submit(settings | {"RECIPE": str(place / "small.yaml")} | changed, *flags)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("note:")]
    assert done.returncode == 2 and not done.stdout and len(lines) == 1, done.stdout + done.stderr
    assert lines[0].startswith("error: ") and said in lines[0]
    assert not subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True).stdout


def test_without_sbatch(settings, place, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("bash", "dirname", "env"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    done = submit(settings | {"PATH": str(tmp_path / "bin")})
    assert done.returncode == 2 and done.stderr.startswith("error: sbatch is not on PATH"), done.stderr


def test_help_teaches(settings):
    done = submit(settings, "--help")
    assert (
        done.returncode == 0 and "DATA=spider RECIPE=train/recipes/table3/1.8b-kid.yaml slurm/submit.sh" in done.stdout
    )
