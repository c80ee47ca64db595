"""The script that shows prompts: what it prints of one question and of a whole split."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from helpers.family_tokenizers import family_tokenizer
from helpers.launcher import ROOT, run_script

from kid.config.run_config import RunConfig
from kid.data.prepare import prepare
from kid.models.pretrained import load_tokenizer

MODEL = ROOT / "kid" / "minibench" / "models" / "student"


def show(data, *arguments) -> subprocess.CompletedProcess:
    return run_script("eval/show_prompt.py", "--benchmark", "spider", "--data", data, *arguments)


@pytest.fixture
def models(tmp_path) -> dict[str, list]:
    """The flags that name a model whose tokenizer is its own, or Qwen's."""
    family_tokenizer("qwen", ["How many singers are there?"] * 3).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    return {"none": [], "own": ["--model", MODEL], "qwen": ["--model", tmp_path]}


@pytest.mark.parametrize(
    ("model", "without"),
    [("none", ("transformers", "torch", "datasets")), ("own", ("torch", "datasets")), ("qwen", ("torch", "datasets"))],
)
def test_a_prompt_imports_no_more_than_it_needs(minibench, models, model, without):
    """Nor does it start a process: transformers, torch and a process took most of the time."""
    script = """
import multiprocessing.forkserver, runpy, sys
multiprocessing.forkserver.ForkServer.ensure_running = None
without, sys.argv = sys.argv[1].split(), sys.argv[2:]
sys.path[0] = "eval"
runpy.run_path(sys.argv[0], run_name="__main__")
print(*[name for name in without if name in sys.modules], file=sys.stderr)
"""
    flags = ["--benchmark", "spider", "--data", minibench, "--index", 0, *models[model]]
    command = [sys.executable, "-c", script, " ".join(without), "eval/show_prompt.py", *map(str, flags)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr.splitlines()[-1] == "", done.stderr


@pytest.mark.slow
def test_a_prompt_with_its_counts(minibench, tiny_models):
    tokenizer = load_tokenizer(tiny_models / "student", "--model")
    prepared = prepare(RunConfig(benchmark="spider", data=str(minibench)), "dev", tokenizer)
    row = prepared.rows[17]
    done = show(minibench, "--index", 17, "--model", tiny_models / "student")
    assert done.returncode == 0, done.stderr
    head, _, shown = done.stdout.partition("\n\n")
    assert shown == tokenizer.decode(row["prompt_ids"] + row["completion_ids"]) + "\n"
    assert f"prompt: {len(row['prompt_ids'])} tokens of at most 1024 (schema {row['shared']}, " in head
    assert f"output: {len(row['completion_ids'])} tokens with EOS" in head


def test_a_template_of_ones_own(minibench, tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text("{{ question }}\n{{ ddl }}\nSQL:")
    done = show(minibench, "--index", 0, "--prompt", own)
    question = json.loads((minibench / "dev.json").read_text())[0]["question"]
    assert done.returncode == 0 and f"\n\n{question}\nCREATE TABLE " in done.stdout and "\nSQL:\nSELECT" in done.stdout
    assert ", question's own " in done.stdout and "note: the template of --prompt writes question" in done.stdout
    done = show(minibench, "--index", 0, "--chat-template", own)
    assert done.stderr == "error: --chat-template FILE needs the tokens of a model; add --model DIR\n"


@pytest.mark.slow
def test_without_a_model_words_count(minibench):
    done = show(minibench, "--index", 0)
    question = json.loads((minibench / "dev.json").read_text())[0]["question"]
    assert done.returncode == 0 and f"\n{question}\n" in done.stdout and "<|end|>" in done.stdout


@pytest.mark.slow
def test_what_is_cut_is_said(minibench, tiny_models):
    done = show(minibench, "--index", 3, "--model", tiny_models / "student", "--max-prompt-length", 60)
    assert "prompt: 60 tokens of at most 60 (" in done.stdout
    assert "; the schema is filtered; " in done.stdout and " tokens cut from the left" in done.stdout


@pytest.mark.slow
def test_the_figures_of_a_split(minibench, tiny_models, tmp_path):
    flags = [
        "--stats",
        "--model",
        tiny_models / "student",
        "--max-completion-length",
        30,
        "--json",
        tmp_path / "f.json",
    ]
    done = show(minibench, *flags)
    figures = json.loads((tmp_path / "f.json").read_text())
    long = sum(length > 30 for length in figures["lengths"]["outputs"])
    assert done.returncode == 0 and long > 0
    assert "spider dev: 1000 questions, 1000 prompts" in done.stdout and "█" in done.stdout
    assert f"{long} outputs over 30 tokens (" in done.stdout
    assert figures["questions"] == len(figures["lengths"]["prompts"]) == 1000 and figures["left_out"] == {}


def test_a_database_without_foreign_keys_is_named(tmp_path):
    """Not if tables.json has them."""
    path = tmp_path / "database" / "pair" / "pair.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE one (a); CREATE TABLE two (a)")
    (tmp_path / "dev.jsonl").write_text('{"db_id": "pair", "question": "?", "query": "SELECT 1"}\n')
    said = "note: several tables but no foreign keys: pair; give foreign_keys in tables.json, so that prompts show how"
    assert said in show(tmp_path, "--benchmark", "jsonl", "--index", 0).stdout
    keys = {"foreign_keys": [[1, 2]], "table_names_original": ["one", "two"]}
    keys["column_names_original"] = [[-1, "*"], [0, "a"], [1, "a"]]
    (tmp_path / "tables.json").write_text(json.dumps([{"db_id": "pair", **keys}]))
    done = show(tmp_path, "--benchmark", "jsonl", "--index", 0)
    assert "one.a = two.a" in done.stdout and said not in done.stdout


@pytest.mark.slow
def test_wrong_calls_get_one_line(minibench):
    for arguments, message in [
        ([], "give either --index N, to show one prompt, or --stats"),
        (["--index", 1000], "--index 1000: the split has questions 0 to 999"),
        (["--index", 0, "--json", "f.json"], "--json f.json: name a file, and give --stats"),
        (["--stats", "--max-completion-length", 0], "--max-completion-length 0 is out of range"),
        (["--stats", "--split", "dk"], "no questions of split dk"),
        (["--stats", "--evidence", "maybe"], "--evidence: evidence = 'maybe' is not yes or no"),
    ]:
        done = show(minibench, *arguments)
        assert done.returncode == 2 and message in done.stderr.strip().splitlines()[-1], done.stderr
