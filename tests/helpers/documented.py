"""Running the commands of a page on tiny models, as they stand, in a folder where the project's own are links, but for
the models' names, the number of ranks, and flags that keep a training to two steps on a CPU."""

import json
import re
import shutil
from pathlib import Path

from helpers.launcher import ROOT, Forks
from helpers.pages import BLOCK, commands

LINKED = ("train", "eval", "bench", "kid", "ds_configs")
MODELS = {"Qwen/Qwen1.5-0.5B": "kid/minibench/models/student", "Qwen/Qwen1.5-4B": "kid/minibench/models/teacher"}
SHORT = ["--deepspeed", "ds_configs/cpu.json", "--dtype", "fp32", "--max-steps", "2", "--save-steps", "2"]
SHORT += ["--batch-size", "8", "--micro-batch-size", "8", "--max-completion-length", "60"]
TEACHER = ["--teacher-deepspeed", "ds_configs/teacher_whole.json"]
GENERATED = [*TEACHER, "--dtype", "fp32", "--max-new-tokens", "60"]  # the limit of SHORT
NOT_HERE = re.compile(r"make |.*slurm/")  # the demo, the tests and SLURM's scripts have runs of their own in CI


def link_project(place: Path, *more: str) -> None:
    """more: folders of the project besides those that every page needs."""
    for name in (*LINKED, *more):
        (place / name).symlink_to(ROOT / name)


def adapted(words: list[str], database: Path) -> list[str]:
    """The script and flags of a command, with tiny models and few steps; the planner knows the sizes of the models."""
    if "train/plan.py" in words:
        return words[1:]
    words = [MODELS.get(word, str(database) if word.endswith(".sqlite") else word) for word in words]
    if words[0] != "deepspeed":
        return words[1:]
    script = next(word for word in words if word.startswith("train/"))
    given = words[words.index(script) + 1 :]
    if script == "train/generate.py":
        return [script, *given, *GENERATED]
    recipe = "--config" in given
    if recipe:  # it has the models' names; those of sft are teachers
        given += ["--student", f"kid/minibench/models/{'teacher' if script == 'train/sft.py' else 'student'}"]
    evaluates = ["--eval-ex-steps", "2", "--eval-questions", "4"] if "--eval-ex-steps" in given else []
    taught = "--teacher" in given or (recipe and script == "train/distill.py")
    return [script, *given, *SHORT, *(TEACHER if taught else []), *evaluates]


def run_all(text: str, place: Path, database: Path, forks: Forks) -> list[str]:
    """Run a text's commands; returns the scripts that were run."""
    ran = []
    for words in commands(text):
        if NOT_HERE.match(" ".join(words)):
            continue
        done = forks.run(int(words[0] == "deepspeed"), *adapted(words, database), folder=place)
        # The SQL of a tiny model need not run, on a database that is not that of the page.
        allowed = (0, 1) if "the query does not run" in done.stderr else (0,)
        assert done.returncode in allowed, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        ran.append(next(word for word in words if word.endswith(".py")))
    return ran


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
    template = next(
        block
        for language, block in BLOCK.findall((ROOT / "docs" / "data.md").read_text(encoding="utf-8"))
        if language == "jinja"
    )
    (place / "my-prompt.jinja").write_text(template)
    (place / "preds.sql").write_text("".join(f"{item['query']}\n" for item in questions["dev"]))
