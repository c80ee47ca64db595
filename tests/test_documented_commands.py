"""The commands in README.md and docs/ name scripts, flags and recipes that exist."""

import itertools
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from helpers.launcher import ROOT
from helpers.pages import PAGES, commands, made

from kid.config.run_config import RunConfig

SCRIPT = re.compile(r"(train|eval|bench|slurm)/\w+\.py")
TARGET = re.compile(r"^([\w-]+):", re.MULTILINE)


@cache
def flags_of(script: str) -> set[str]:
    done = subprocess.run([sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {*re.findall(r"(?<![\w-])--[a-z][\w-]*", done.stdout)}


def problems(words: list[str]) -> list[str]:
    """What is wrong with a command: a script, a make target, a flag or a recipe that is not there."""
    if words[0] == "make":
        targets = TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
        if unknown := [f"make {word}" for word in words[1:] if "=" not in word and word not in targets]:
            return unknown
        return problems(made(words))
    place = next((at for at, word in enumerate(words) if SCRIPT.fullmatch(word)), None)
    if place is None:
        paths = [word for word in words if re.match(r"slurm/", word)]
        return [path for path in paths if not (ROOT / path).exists()]
    script, rest = words[place], words[place + 1 :]
    if not (ROOT / script).is_file():
        return [script]
    flags = [word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)]
    found = [flag for flag in flags if flag not in flags_of(script)]
    if script in ("train/sft.py", "train/distill.py") and "--config" not in flags:
        found += batch_problem(words)
    recipes = [word for word in words if re.match(r"(train/recipes|ds_configs)/", word)]
    return found + [path for path in recipes if not (ROOT / path).exists()]


def batch_problem(words: list[str]) -> list[str]:
    """Whether the batch of a training does not divide among its ranks."""
    given = dict(itertools.pairwise(words))
    ranks, micro = int(given.get("--num_gpus", 1)), int(given.get("--micro-batch-size", RunConfig.micro_batch_size))
    batch = int(given.get("--batch-size", RunConfig.batch_size))
    return [f"a batch of {batch} in micro-batches of {micro} on {ranks} ranks"] if batch % (micro * ranks) else []


def marks(page: Path) -> list:
    """Many scripts in bench/ import torch before they answer --help."""
    return [pytest.mark.slow] if page.name == "results.md" else []


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name, marks=marks(page)) for page in PAGES])
def test_what_a_page_tells_to_type_exists(page):
    wrong = {
        shlex.join(words): found for words in commands(page.read_text(encoding="utf-8")) if (found := problems(words))
    }
    assert not wrong


def test_wrong_commands_are_found():
    assert problems(shlex.split("python eval/predict.py --no-such-flag 1 --model x")) == ["--no-such-flag"]
    assert problems(["python", "eval/nothing.py"]) == ["eval/nothing.py"] and problems(["make", "tea"]) == ["make tea"]
    assert problems(["make", "demo", "DEMO=--cups 2"]) == ["--cups"]
    recipe = "train/recipes/none.yaml"
    assert problems(["deepspeed", "--num_gpus", "8", "train/sft.py", "--config", recipe]) == [recipe]
    too_large = "deepspeed --num_gpus 8 train/sft.py --micro-batch-size 4"
    assert problems(too_large.split()) == ["a batch of 16 in micro-batches of 4 on 8 ranks"]
    assert problems(["PARTITION=gpu", "slurm/nothing.sh"]) == ["slurm/nothing.sh"]
    assert len(commands((ROOT / "README.md").read_text(encoding="utf-8"))) > 5
