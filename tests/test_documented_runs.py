"""The commands of README.md and docs/, from the first to the last of a page, on tiny models.

They are run as they stand, in a folder where the project's own are links, but for the models' names, the number of
ranks, and flags that keep a training to two steps on a CPU.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.launcher import ROOT, free_port
from helpers.pages import BLOCK, commands, python_blocks

pytestmark = pytest.mark.launch  # of one rank each
OWN_DATA, DATA = (ROOT / "docs" / f"{page}.md" for page in ("your-own-data", "data"))
LINKED = ("train", "eval", "bench", "kid", "ds_configs")
MODELS = {"Qwen/Qwen1.5-0.5B": "kid/minibench/models/student", "Qwen/Qwen1.5-4B": "kid/minibench/models/teacher"}
SHORT = ["--deepspeed", "ds_configs/cpu.json", "--dtype", "fp32", "--max-steps", "2", "--save-steps", "2"]
SHORT += ["--batch-size", "8", "--micro-batch-size", "8", "--max-completion-length", "60"]
TEACHER = ["--teacher-deepspeed", "ds_configs/teacher_whole.json"]
GENERATED = [*TEACHER, "--dtype", "fp32", "--max-new-tokens", "60"]  # the limit of SHORT
# The demo, the tests and SLURM's scripts have runs of their own in CI. "..." and "[--" stand for flags.
NOT_HERE = re.compile(r"make |.*slurm/|.* (\.\.\. |\[--)")


@pytest.fixture
def place(tmp_path) -> Path:
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def adapted(words: list[str], database: Path) -> list[str]:
    """A command with tiny models, one rank and few steps; the planner knows the sizes of the models that it names."""
    if "train/plan.py" in words:
        return [sys.executable, *words[1:]]
    words = [MODELS.get(word, str(database) if word.endswith(".sqlite") else word) for word in words]
    if words[0] != "deepspeed":
        return [sys.executable, *words[1:]]
    script = next(word for word in words if word.startswith("train/"))
    given = words[words.index(script) + 1 :]
    runner = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_gpus", "1", "--master_port", free_port()]
    if script == "train/generate.py":
        return [*runner, script, *given, *GENERATED]
    recipe = "--config" in given
    if recipe:  # it has the models' names; those of sft are teachers
        given += ["--student", f"kid/minibench/models/{'teacher' if script == 'train/sft.py' else 'student'}"]
    evaluates = ["--eval-ex-steps", "2", "--eval-questions", "4"] if "--eval-ex-steps" in given else []
    taught = "--teacher" in given or (recipe and script == "train/distill.py")
    return [*runner, script, *given, *SHORT, *(TEACHER if taught else []), *evaluates]


def run_all(text: str, place: Path, database: Path) -> list[str]:
    """Run a text's commands; returns the scripts that were run."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ran = []
    for words in commands(text):
        if NOT_HERE.match(" ".join(words)):
            continue
        done = subprocess.run(
            adapted(words, database), cwd=place, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        # The SQL of a tiny model need not run, on a database that is not that of the page.
        allowed = (0, 1) if "the query does not run" in done.stderr else (0,)
        assert done.returncode in allowed, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        ran.append(next(word for word in words if word.endswith(".py")))
    return ran


def test_the_page_on_your_own_data_can_be_followed(minibench, place):
    (place / "runs").mkdir()
    (place / "runs" / "minibench").symlink_to(minibench)
    copies, *_ = python_blocks(OWN_DATA)
    code = copies.replace("[:20]", "[:2]")
    subprocess.run([sys.executable, "-c", code], cwd=place, check=True)
    database = next((place / "mydata" / "database").glob("*/*.sqlite")).relative_to(place)
    ran = run_all(OWN_DATA.read_text(encoding="utf-8"), place, database)
    assert ran.count("eval/evaluate.py") == 4 and "train/export.py" in ran and "eval/audit.py" in ran
    assert (place / "runs" / "kid" / "merged" / "kid_export.json").is_file()
    report = (place / "report" / "report.md").read_text()
    assert "before training" in report and "Teacher" in report


def write_few_questions(minibench: Path, place: Path) -> None:
    """Minibench in the layouts of Spider with DK, of BIRD and of its mini-dev, with few questions."""
    spider = place / "spider"
    shutil.copytree(minibench, spider, ignore=shutil.ignore_patterns("database"))
    (spider / "database").symlink_to(minibench / "database")
    questions = {}
    for name, count in (("train_spider", 16), ("dev", 8)):
        questions[name] = json.loads((spider / f"{name}.json").read_text())[:count]
        (spider / f"{name}.json").write_text(json.dumps(questions[name]))
    (spider / "spider_dk").mkdir()
    (spider / "spider_dk" / "Spider-DK.json").write_text(json.dumps(questions["dev"][:4]))
    shutil.copy(spider / "tables.json", spider / "spider_dk")
    for folder, file in (("bird", "dev.json"), ("minidev", "mini_dev_sqlite.json")):
        (place / folder).mkdir()
        items = [{**item, "SQL": item["query"], "difficulty": "simple"} for item in questions["dev"]]
        (place / folder / file).write_text(json.dumps(items))
        shutil.copy(spider / "tables.json", place / folder / "dev_tables.json")
        (place / folder / "dev_databases").symlink_to(minibench / "database")
    template = next(block for language, block in BLOCK.findall(DATA.read_text(encoding="utf-8")) if language == "jinja")
    (place / "my-prompt.jinja").write_text(template)
    (place / "preds.sql").write_text("".join(f"{item['query']}\n" for item in questions["dev"]))


def test_the_commands_of_the_front_page_and_of_the_pages_on_data_evaluation_and_planning_run(minibench, place):
    write_few_questions(minibench, place)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    # The report compares with an sft run, which docs/your-own-data.md trains.
    text = text.replace("eval/report.py runs/sft runs/kid", "eval/report.py runs/teacher runs/kid")
    database = next((minibench / "database").glob("*/*.sqlite"))
    ran = run_all(text, place, database)
    assert {"train/sft.py", "train/distill.py", "eval/evaluate.py", "eval/ask.py", "eval/report.py"} <= {*ran}
    assert (place / "runs" / "kid" / "best").exists() and (place / "report" / "report.html").is_file()

    # The page on evaluation compares with runs that it does not train.
    data = "--student Qwen/Qwen1.5-0.5B --benchmark spider --data spider --batching schema --output"
    sft = f"deepspeed --num_gpus 1 train/sft.py {data} runs/sft"
    rkd = f"deepspeed --num_gpus 1 train/distill.py --method rkd --teacher runs/teacher {data} runs/rkd"
    run_all(f"```\n{sft}\n{rkd}\n```", place, database)
    shutil.rmtree(place / "report")
    pages = [
        ROOT / "docs" / f"{page}.md" for page in ("data", "evaluation", "planning", "cluster", "models", "methods")
    ]
    ran = run_all("\n".join(page.read_text(encoding="utf-8") for page in pages), place, database)
    assert (place / "report" / "report.html").is_file() and (place / "exposure_bias.png").is_file()
    assert "train/generate.py" in ran
    for run in ("qwen1.5-0.5b-from-qwen1.5-1.8b/f-distill", "qwen2.5-coder-0.5b-instruct-from-7b"):
        assert (place / "runs" / run / "adapter").is_dir()
    assert ran.count("eval/make_test_suite.py") == 3 and ran.count("train/plan.py") == 5 and "eval/audit.py" in ran
