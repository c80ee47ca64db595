"""--help answers before anything heavy is imported, and what needs no model imports nothing for one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.launcher import ROOT

SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix() for name in ("train", "eval") for path in (ROOT / name).glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)  # fmt: skip
HEAVY = (
    "torch", "transformers", "datasets", "pandas", "numpy", "scipy", "pyarrow", "sqlglot", "bm25s", "matplotlib",
    "peft", "deepspeed", "huggingface_hub",
)  # fmt: skip
# Runs scripts one after another in one process: what a script imports beyond the ones before it is found as well.
HELP = """
import contextlib, io, runpy, sys
from pathlib import Path
heavy, scripts = sys.argv[1].split(), sys.argv[2:]
for script in scripts:
    sys.argv, sys.path[0] = [script, "--help"], str(Path(script).parent)
    sys.modules.pop("cli", None)  # train/ and eval/ have one each
    shown = io.StringIO()
    try:
        with contextlib.redirect_stdout(shown):
            runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert not end.code, script
    assert "usage:" in shown.getvalue(), script
    found = [name for name in heavy if name in sys.modules]
    assert not found, f"{script} --help imports {', '.join(found)}"
"""
IMPORT = """
import importlib, sys
importlib.import_module(sys.argv[1])
found = [name for name in sys.argv[2:] if name in sys.modules]
assert not found, f"{sys.argv[1]} imports {', '.join(found)}"
"""


def run(script: str, *words: str) -> None:
    done = subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_imports_nothing_heavy():
    assert {"train/distill.py", "eval/score.py"} < {*SCRIPTS}
    run(HELP, " ".join(HEAVY), *SCRIPTS)


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        (
            "train/distill.py",
            (
                "--student STR folder or hub id of the student's base model (required, as a flag or in the recipe)",
                "--evidence yes|no write BIRD's external knowledge before the question [yes]",
                "--lora-dropout FLOAT dropout before LoRA's A [0]",
                "--seed INT random seed [0]",
                "of your own (docs/data.md) {codes, ddl, m-schema, FILE.jinja} [codes]",
                "--benchmark STR benchmark whose files are in --data {spider, bird, jsonl} [by the files in --data]",
            ),
        ),
        ("train/plan.py", ("--gpus N number of GPUs, one rank each, 8 per node (required)",)),
        (
            "eval/show_prompt.py",
            ("the benchmark's folder (required)", "--evidence yes|no write BIRD's", "random seed [0]"),
        ),
        (
            "eval/score.py",
            ("or BIRD's JSON (required)", "--evidence yes|no whether prompts had evidence, for the JSON"),
        ),
    ],
)
def test_help_shows_defaults_and_what_is_required(script, lines):
    done = subprocess.run([sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True)
    shown = " ".join(done.stdout.split())
    assert [line for line in lines if line not in shown] == []


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("kid.data.prepare", ("torch", "transformers", "datasets", "pandas")),  # one prompt
        ("kid.prompting", ("torch", "transformers", "datasets", "pandas")),  # of a client that serves a model
        ("kid.models.pretrained", ("torch", "transformers", "huggingface_hub")),  # where a model lies
    ],
)
def test_modules_import_late(module, without):
    run(IMPORT, module, *without)


@pytest.mark.slow
def test_a_merged_model_is_loaded_without_peft():
    run(IMPORT, "kid.evaluation.prediction", "peft", "datasets", "pandas")
