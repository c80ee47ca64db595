"""Training, export, prediction and questions with another prompt format in a chat template, as commands."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.chat_templates import THINKING, with_template
from helpers.launcher import run_script
from helpers.run_files import metrics
from helpers.small_benchmark import write_small_benchmark
from transformers import GenerationConfig

from kid.config.run_config import RunConfig
from kid.data.prepare import prepare
from kid.models.pretrained import load_tokenizer

FORM = ("--prompt", "ddl", "--chat-template", "auto")


def succeed(script: str, *flags: object) -> str:
    done = run_script(script, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def models(tiny_models, tmp_path_factory):
    """The tiny models with a chat template whose turns end with another token than EOS.

    The teacher is of a later generation, with two more added tokens.
    """
    folder = tmp_path_factory.mktemp("chat")
    for name in ("student", "teacher"):
        shutil.copytree(tiny_models / name, folder / name)
        tokenizer = with_template(load_tokenizer(folder / name, "--model"), "thinking")
        if name == "teacher":
            tokenizer.add_tokens(["<tool_response>", "</tool_response>"])
        assert len(tokenizer) <= 640 - 1  # the rows of the vocabulary
        tokenizer.save_pretrained(folder / name)
    return folder


def train(launch, models, data, folder, *form: object) -> Path:
    """A run of two steps."""
    zero, trained = folder / "zero3.json", folder / "kid"
    settings = {"stage": 3, "stage3_param_persistence_threshold": 0}
    optimizer = {"type": "AdamW", "params": {"torch_adam": True}}
    zero.write_text(json.dumps({"zero_optimization": settings, "optimizer": optimizer}))
    done = launch(
        1, "train/distill.py", "--method", "kid", "--data", data, "--output", trained, "--max-steps", "2",
        "--student", models / "student", "--teacher", models / "teacher", "--lora-rank", "4", *form,
        "--deepspeed", zero, "--teacher-deepspeed", zero, "--dtype", "fp32", "--max-prompt-length", "2048",
        "--batch-size", "8", "--micro-batch-size", "4", "--batching", "schema",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 added tokens differ" in done.stdout + done.stderr
    rows = metrics(trained)
    assert len(rows) == 2 and all(row["kd"] > 0 and row["mle"] > 0 and row["shared_tokens"] > 0 for row in rows)
    return trained


@pytest.mark.launch
def test_a_model_is_trained_predicted_exported_and_asked_in_its_form(launch, minibench, models, tmp_path):
    data = write_small_benchmark(minibench, tmp_path / "data")
    questions = json.loads((data / "dev.json").read_text())
    trained = train(launch, models, data, tmp_path, *FORM)
    tokenizer = load_tokenizer(trained / "adapter", "--model")
    assert tokenizer.eos_token == "<|im_end|>"

    # Exported, the model stops where a turn ends, and says in which form its prompts are.
    succeed("train/export.py", trained, "--merge")
    assert GenerationConfig.from_pretrained(trained / "merged").eos_token_id == tokenizer.eos_token_id
    assert load_tokenizer(trained / "merged", "--model").eos_token == "<|endoftext|>"  # the base's own files
    assert "apply_chat_template" in (trained / "merged" / "README.md").read_text()
    recorded = json.loads((trained / "merged" / "kid_export.json").read_text())["settings"]
    assert (recorded["prompt"], recorded["chat_template"]) == ("ddl", "auto")

    flags = ("--benchmark", "spider", "--data", data, "--max-completion-length", 5)
    for folder in (trained, trained / "merged"):
        succeed("eval/predict.py", "--model", folder, *flags, "--output", tmp_path / "dev.sql", "--overwrite")
        made = json.loads((tmp_path / "dev.sql.made.json").read_text())
        assert (made["settings"]["prompt"], made["settings"]["chat_template"]) == ("ddl", "auto")
    refused = run_script(
        "eval/predict.py", "--model", trained, *flags, "--output", tmp_path / "x.sql", "--prompt", "codes"
    )
    assert refused.returncode == 2 and "--prompt codes: " in refused.stderr and "--other-form" in refused.stderr
    more = ("--prompt", "codes", "--other-form")
    succeed("eval/predict.py", "--model", trained, *flags, "--output", tmp_path / "x.sql", *more)

    # What eval/ask.py reads are the ids of the prepared data.
    config = RunConfig(benchmark="spider", data=str(data), prompt="ddl", chat_template="auto", max_prompt_length=2048)
    row = prepare(config, "dev", tokenizer).rows[0]
    database = data / "database" / questions[0]["db_id"] / f"{questions[0]['db_id']}.sqlite"
    asked = run_script(
        "eval/ask.py", "--model", trained, "--database", database, "--tables", data / "tables.json",
        "--max-completion-length", 5, "--sql-only", "--print-prompt", questions[0]["question"],
    )  # fmt: skip
    assert asked.returncode == 0 and tokenizer.decode(row["prompt_ids"]) in asked.stderr, asked.stderr
    assert asked.stderr.count("<|im_start|>user\nTask:\nWrite one SQLite query") == 1


@pytest.mark.launch
def test_a_template_of_ones_own_travels_with_the_model(launch, minibench, models, tmp_path):
    prompt, chat = tmp_path / "prompt.jinja", tmp_path / "chat.jinja"
    prompt.write_text(
        "Answer in SQL.\n{{ m_schema }}\n{% for m in matches %}{{ m }}{% endfor %}\nQ: {{ question }}\nA:"
    )
    chat.write_text(THINKING)
    data = write_small_benchmark(minibench, tmp_path / "data")
    trained = train(launch, models, data, tmp_path, "--prompt", prompt, "--chat-template", chat)
    prompt.write_text(prompt.read_text() + "!")
    chat.unlink()
    assert load_tokenizer(trained / "adapter", "--model").chat_template == THINKING
    succeed("train/export.py", trained, "--merge")
    assert (trained / "merged" / "chat_template.jinja").read_text() == THINKING
    flags = ("--benchmark", "spider", "--data", data, "--max-completion-length", 5)
    succeed("eval/predict.py", "--model", trained / "merged", *flags, "--output", tmp_path / "dev.sql")
    scored = succeed("eval/score.py", *flags[:4], "--predictions", tmp_path / "dev.sql")
    assert "predicted with --prompt template (5 lines, sha256 " in scored
    refused = run_script(
        "eval/predict.py", "--model", trained, *flags, "--output", tmp_path / "x.sql", "--prompt", prompt
    )
    assert refused.returncode == 2 and "--other-form" in refused.stderr
    database = next((data / "database").glob("*/*.sqlite"))
    question = json.loads((data / "dev.json").read_text())[0]["question"]
    more = ("--database", database, "--tables", data / "tables.json", "--sql-only", "--print-prompt", question)
    asked = run_script("eval/ask.py", "--model", trained / "merged", "--max-completion-length", 5, *more)
    assert asked.returncode == 0 and f"\nQ: {question}\nA:<|im_end|>\n<|im_start|>assistant\n" in asked.stderr
