"""Jobs on a SLURM cluster of two nodes: `make slurm-test` starts one, and runs these."""

import contextlib
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
from helpers.documented import SHORT, link_project, write_few_questions
from helpers.launcher import ROOT
from helpers.pages import BLOCK, of_pages
from helpers.run_files import depends_on_machine
from helpers.slurm_jobs import ended, jobs_of, logs, state, submit, submit_documented, wait_for

pytestmark = pytest.mark.skipif("KID_SLURM_TEST" not in os.environ, reason="make slurm-test starts a cluster for these")
STEPS = 14
LONG = "--deepspeed ds_configs/cpu.json --max-steps 400 --epochs 400"  # FLAGS of what does not end by itself
SIZES = {"small": 32, "large": 64}  # of a teacher -> its width
QUESTIONS = 8
COMMON = """\
student: runs/mini/models/{name}
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
def place(minibench, tiny_models, tmp_path_factory) -> Path:
    """A checkout with what the example of docs/cluster.md has in runs/mini.

    That is minibench with a few questions of each split, two untrained teachers, recipes for them and for students of
    theirs, and a table of sizes.
    """

    from kid.minibench.tiny_models import write_tiny_model
    from kid.models.pretrained import load_tokenizer

    checkout = tmp_path_factory.mktemp("slurm")
    link_project(checkout, "slurm", "README.md")
    folder = checkout / "runs" / "mini"
    shutil.copytree(minibench, folder / "minibench")
    for name, number in (("train_spider", 17), ("dev", QUESTIONS), ("seen", QUESTIONS)):
        questions = json.loads((minibench / f"{name}.json").read_text())
        (folder / "minibench" / f"{name}.json").write_text(json.dumps(questions[:: len(questions) // number][:number]))
    tokenizer = load_tokenizer(tiny_models / "student", "--model")  # AutoTokenizer would split texts differently
    shutil.copytree(tiny_models / "student", folder / "models" / "student")
    lines = ["# size recipe student teacher micro-batch teacher's recipe, and flags"]
    for name, width in SIZES.items():
        write_tiny_model(folder / "models" / name, tokenizer, hidden=width, layers=2, heads=2, seed=1)
        for recipe, values in (
            (f"teacher-{name}", {"name": name, "method": "sft", "steps": 2}),
            (name, {"name": "student", "method": "kid", "steps": STEPS}),
        ):
            (folder / f"{recipe}.yaml").write_text(COMMON.format(**values, output=f"runs/mini/{recipe}"))
        with (folder / f"{name}.yaml").open("a") as file:
            file.write(f"teacher: runs/mini/teacher-{name}/adapter\n")
        recipes = [f"runs/mini/{recipe}.yaml" for recipe in (name, f"teacher-{name}")]
        lines.append(f"{name} {recipes[0]} ds_configs/cpu.json ds_configs/cpu.json 2 {recipes[1]} --lora-dropout 0")
    (folder / "sizes.txt").write_text("\n".join(lines) + "\n")
    return checkout


@pytest.fixture(scope="module")
def small() -> dict[str, str]:
    """The environment of submit.sh for one node with one rank."""
    ours = {"GPUS": "1", "CPUS": "1", "TIME": "10", "EVAL_TIME": "5"}
    return {**os.environ, **ours, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def settings(small, place) -> dict[str, str]:
    """For two nodes with one rank on each; with spaces in all names."""
    shutil.copytree(place / "runs" / "mini" / "minibench", place / "the data")
    ours = {"DATA": "the data", "SPLITS": "dev seen", "LOGS": "job logs", "REPORT": "the report"}
    return {**small, **ours, "NODES": "2"}


def metrics(run: Path) -> list[dict]:
    path = run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{key: value for key, value in row.items() if not depends_on_machine(key)} for row in rows]


@pytest.fixture(scope="module")
def scaling(small, place) -> dict[str, str]:
    """The example of docs/cluster.md: teachers of two sizes, students of theirs, evaluations and the report."""
    [words] = [words for words in of_pages("slurm/submit.sh") if "DATA=runs/mini/minibench" in words]
    done = submit_documented(words, small, place)
    jobs = jobs_of(done)
    assert done.stderr.count("note: ") == 1  # that minibench has no train_others.json, for four trainings
    assert list(jobs) == ["teachers", "distillation", "evaluations", "report"]
    logged = place / "runs" / "mini" / "slurm"
    assert ended(jobs["report"], 1000) == "COMPLETED", "\n".join(logs(logged, job) for job in jobs.values())
    first = int(jobs["teachers"])
    # Numbered as on the page, where these are the first jobs of the cluster.
    printed = re.sub(r"(?<=[ /])\d+(?=[ _.])", lambda number: str(int(number[0]) - first + 1), done.stdout)
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    assert any(block.endswith(f"--train-teachers\n{printed}") for _, block in BLOCK.findall(page)), printed
    return jobs


def test_from_one_command_to_the_table(scaling, place):
    folder = place / "runs" / "mini"
    for name in SIZES:
        run = folder / name
        environment = json.loads((run / "environment.json").read_text())
        assert environment["world_size"] == 2 and [row["step"] for row in metrics(run)] == list(range(1, STEPS + 1))
        for judged, split in itertools.product((run, run.with_name(f"teacher-{name}")), ("dev", "seen")):
            score = json.loads((judged / "scores" / f"{split}.json").read_text())
            assert (score["split"], score["n"]) == (split, QUESTIONS)
            assert len((judged / "predictions" / f"{split}.sql").read_text().splitlines()) == QUESTIONS
    said = logs(folder / "slurm", scaling["distillation"])
    assert "nodes n[1-2]" in said and "node_rank=1" in said and said.count("steps done") == len(SIZES)
    assert "lora_dropout: 0.0" in (folder / "teacher-small" / "config.yaml").read_text()
    table = logs(folder / "slurm", scaling["report"])
    for name in SIZES:
        assert re.search(rf"Teacher: teacher-{name}\b", table)
    assert table.count("| KID |") == table.count("| Teacher |") == len(SIZES)
    assert "Spider-dev EX" in table and "minibench seen EX" in table
    assert (folder / "report" / "report.html").is_file()


def test_the_first_commands_of_the_page_train_a_teacher_and_two_students(small, place):
    """Their recipes name Qwen1.5; here, these names lead to tiny models, and flags end a training after two steps."""
    checkout = place / "documented"
    checkout.mkdir()
    link_project(checkout, "slurm")
    write_few_questions(place / "runs" / "mini" / "minibench", checkout)
    (checkout / "Qwen").mkdir()
    for name, model in (("Qwen1.5-0.5B", "student"), ("Qwen1.5-1.8B", "small")):
        (checkout / "Qwen" / name).symlink_to(place / "runs" / "mini" / "models" / model)
    rows = [line for line in (ROOT / "slurm" / "sizes.txt").read_text().splitlines() if line.startswith("1.8B")]
    (checkout / "one size.txt").write_text(re.sub(r"ds_configs/\w+\.json", "ds_configs/cpu.json", rows[0]))
    flags = " ".join(SHORT)
    ours = {"SIZES": "one size.txt", "SPLITS": "dev", "TEACHER_FLAGS": flags}
    ours["FLAGS"] = f"{flags} --teacher-deepspeed ds_configs/cpu.json"
    alone, scaled, _ = of_pages("slurm/submit.sh")
    student = "runs/qwen1.5-0.5b-from-qwen1.5-1.8b/kid"
    for words, output, runs in (
        (scaled, "", ["runs/qwen1.5-1.8b", student]),
        (alone, "runs/alone", ["runs/alone"]),
    ):
        done = submit_documented(words, small | ours | {"OUTPUT": output}, checkout)
        jobs = jobs_of(done)
        assert ended(jobs["report"], 400) == "COMPLETED", [logs(checkout / "runs/slurm", job) for job in jobs.values()]
        assert done.stdout.splitlines()[-1].split()[1:] == runs
        assert state(jobs["distillation"])["Partition"] == "gpu"
        for run in runs:
            assert len(metrics(checkout / run)) == 2 and (checkout / run / "scores" / "dev.json").is_file()
        assert "| KID |" in logs(checkout / "runs" / "slurm", jobs["report"])


def test_a_job_signalled_and_one_requeued_by_hand_go_on_as_if_nothing_had_been(scaling, settings, place):
    run = place / "runs" / "signalled and requeued"
    changed = {"RECIPE": "runs/mini/small.yaml", "OUTPUT": str(run), "INTERFACE": "lo"}
    changed["FLAGS"] = "--deepspeed ds_configs/cpu.json --teacher-deepspeed ds_configs/cpu.json"
    jobs = jobs_of(submit(settings | changed, folder=place))
    job, logged = jobs["distillation"], place / "job logs"
    wait_for(lambda: len(metrics(run)) >= 3, 120)
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    wait_for(lambda: state(job)["Restarts"] == "1", 60)
    first = len(metrics(run))
    assert 3 <= first < STEPS and "stopped by SIGUSR1 after step" in logs(logged, job)
    wait_for(lambda: len(metrics(run)) >= first + 3, 120)
    subprocess.run(["scontrol", "requeue", job], check=True)
    wait_for(lambda: state(job)["Restarts"] == "2" and state(job)["JobState"] == "PENDING", 60)
    assert first + 3 <= len(metrics(run)) < STEPS
    assert ended(job, 180) == "COMPLETED", logs(logged, job)
    assert metrics(run) == metrics(place / "runs" / "mini" / "small")
    assert "NCCL_SOCKET_IFNAME=lo" in logs(logged, job)
    said = (logged / f"{job}.log").read_text()
    starts = [line.split(",")[0] for line in said.splitlines() if line.startswith(f"{job}: start")]
    assert starts == [f"{job}: start {number}" for number in (1, 2, 3)]
    assert said.count("stopped cleanly, requeued") == 1 and f"{job}: finished" in said
    assert ended(jobs["report"], 200) == "COMPLETED", logs(logged, jobs["evaluations"])
    assert (run / "scores" / "seen.json").is_file() and (place / "the report" / "report.html").is_file()


def ranks_on(node: str, word: str = "--local_rank") -> list[psutil.Process]:
    """The training's own processes on a node, without the launcher's; or those with a word that begins with another."""
    found = []
    for process in psutil.process_iter():
        try:
            words, environment = process.cmdline(), process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if environment.get("SLURMD_NODENAME") == node and any(each.startswith(word) for each in words):
            found.append(process)
    return found


@pytest.fixture(scope="module")
def restarted():
    """The daemons of nodes that a test has crashed and started again; they end with the tests."""
    daemons = []
    yield daemons
    for daemon in daemons:
        daemon.terminate()
        daemon.wait(30)


def crash(node: str) -> None:
    """Kill all processes of a node at once, also those of SLURM."""
    tasks = ranks_on(node, "")
    steps = {parent for task in tasks for parent in task.parents() if parent.name().startswith("slurmstepd")}
    daemons = [process for process in psutil.process_iter() if process.cmdline() == ["slurmd", "-D", "-N", node]]
    for process in (*daemons, *steps, *tasks):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_a_job_whose_node_crashes_is_requeued_and_goes_on(scaling, settings, place, restarted):
    run = place / "runs" / "crashed"
    changed = {"RECIPE": "runs/mini/small.yaml", "OUTPUT": str(run)}
    changed["FLAGS"] = "--deepspeed ds_configs/cpu.json --teacher-deepspeed ds_configs/cpu.json"
    job, logged = jobs_of(submit(settings | changed, folder=place))["distillation"], place / "job logs"
    wait_for(lambda: len(metrics(run)) >= 10, 120)
    crash("n2")
    wait_for(lambda: not ranks_on("n1"), 60)
    assert state(job)["JobState"] == "RUNNING"  # srun waits for the other node
    # What slurmctld does itself when a node has not answered for SlurmdTimeout (300 seconds).
    subprocess.run(["scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=crashed"], check=True)
    wait_for(lambda: state(job)["JobState"] == "PENDING", 60)
    restarted.append(subprocess.Popen(["slurmd", "-D", "-N", "n2"], stdout=subprocess.DEVNULL))
    subprocess.run(["scontrol", "update", "NodeName=n2", "State=RESUME"], check=True)
    assert ended(job, 240) == "COMPLETED", logs(logged, job)
    assert "resuming from" in logs(logged, job) and metrics(run) == metrics(place / "runs" / "mini" / "small")


def test_a_killed_rank_ends_the_job_which_is_not_requeued(settings, place):
    run = place / "runs" / "killed"
    changed = {"RECIPE": "runs/mini/teacher-large.yaml", "SCRIPT": "train/sft.py", "OUTPUT": str(run)}
    changed["FLAGS"] = LONG
    jobs = jobs_of(submit(settings | changed, folder=place))
    wait_for(lambda: len(metrics(run)) >= 2, 120)
    (rank,) = ranks_on("n2")
    began = time.time()
    rank.kill()
    assert ended(jobs["distillation"], 60) == "FAILED"
    wait_for(lambda: not ranks_on("n1"), 60 - (time.time() - began))
    assert state(jobs["distillation"])["Restarts"] == "0"
    assert f"error: {jobs['distillation']} failed with status" in logs(place / "job logs", jobs["distillation"])
    assert ended(jobs["evaluations"], 60) == "CANCELLED"  # what waits for it does not wait for ever
    assert ended(jobs["report"], 60) == "CANCELLED"


def test_a_job_whose_launcher_is_killed_is_not_taken_for_finished(settings, place):
    """DeepSpeed's runner ends with 0 then."""
    run = place / "runs" / "unwatched"
    changed = {"RECIPE": "runs/mini/teacher-large.yaml", "SCRIPT": "train/sft.py", "OUTPUT": str(run)}
    jobs = jobs_of(submit(settings | changed | {"FLAGS": LONG, "NODES": "1"}, folder=place))
    job = jobs["distillation"]
    wait_for(lambda: len(metrics(run)) >= 2, 120)
    node = re.search(r"nodes (n\d):", logs(place / "job logs", job))[1]
    (launcher,) = ranks_on(node, "deepspeed.launcher.launch")
    launcher.kill()
    assert ended(job, 90) == "FAILED"
    assert f"error: {job} has ended without a trained student" in logs(place / "job logs", job)
    wait_for(lambda: not ranks_on(node), 60)
    assert [ended(jobs[name], 60) for name in ("evaluations", "report")] == ["CANCELLED"] * 2


def test_a_cancelled_job_ends_and_does_not_come_back(settings, place):
    """With both ranks on one node."""
    run = place / "runs" / "cancelled"
    changed = {"RECIPE": "runs/mini/teacher-large.yaml", "SCRIPT": "train/sft.py", "OUTPUT": str(run)}
    changed |= {"FLAGS": LONG, "NODES": "1", "GPUS": "2", "CPUS": "2"}
    jobs = jobs_of(submit(settings | changed, folder=place))
    job = jobs["distillation"]
    wait_for(lambda: len(metrics(run)) >= 2, 120)
    node = re.search(r"nodes (n\d):", logs(place / "job logs", job))[1]
    assert len(ranks_on(node)) == 2
    subprocess.run(["scancel", job], check=True)
    assert ended(job, 60) == "CANCELLED"
    wait_for(lambda: not ranks_on(node) and not list((place / "job logs").glob("*.hostfile")), 60)
    assert state(job)["Restarts"] == "0"
    assert [ended(jobs[name], 60) for name in ("evaluations", "report")] == ["CANCELLED"] * 2


def test_what_a_rank_says_is_wrong_stands_in_the_jobs_own_log(settings, place):
    changed = {"RECIPE": "runs/mini/teacher-small.yaml", "SCRIPT": "train/sft.py"}
    changed |= {"OUTPUT": str(place / "runs" / "wrong"), "FLAGS": f"{LONG} --student not/at/all"}
    jobs = jobs_of(submit(settings | changed, folder=place))
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
    (place / "runs" / "mini" / "teacher-small" / "adapter").mkdir(parents=True, exist_ok=True)
    done = submit(settings | {"RECIPE": "runs/mini/small.yaml"} | changed, *flags, folder=place)
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
