"""The model card of names that nobody has checked: its metadata is whole, and no name becomes Markdown or HTML."""

import ast
import json

import pytest
from helpers.markdown import BREAKOUTS, kinds, tokens
from huggingface_hub import ModelCard
from yaml import safe_dump, safe_load

from kid.config.run_config import PROMPTS, RunConfig
from kid.config.templates import brief
from kid.export.card import example_prompt, model_card
from kid.terminal import printable

YAML_BREAKOUTS = (
    "x\n---\nlicense: mit",
    "a: b",
    "'x\"",
    "!!python/object/apply:os.system [ls]",
    "{a: [",
    "x # y",
    "- z",
    "&a *a",
)


def card(tmp_path, name: str) -> str:
    """The card of a run whose teacher, data, environment, scores and base model's licence are all called `name`."""
    run, base = tmp_path / "run", tmp_path / "base"
    (run / "scores").mkdir(parents=True)
    base.mkdir()
    licence = {"license": "other", "license_name": name, "license_link": [name]}
    (base / "README.md").write_text(f"---\n{safe_dump(licence)}---\n# A base\n", encoding="utf-8")
    (run / "environment.json").write_text(json.dumps({"python": name, "packages": {name: name}, "git_commit": name}))
    verdict = {"index": 0, "ex": True, "ts": None, "error": None, "hardness": name, "differs": []}
    score = {"benchmark": "jsonl", "split": "dev", "evidence": None, "n": 1, "ex": 100.0, "ts": None}
    score |= {"hardness": {name: {"n": 1, "ex": 100.0, "ts": None}}, "verdicts": [verdict]}
    (run / "scores" / "dev.json").write_text(json.dumps(score))
    flat = name.replace("/", "\u2215")
    config = RunConfig(
        method="kid", benchmark="jsonl", student=f"org/{flat}", teacher=f"org/{flat}", data=f"data/{flat}", output="run"
    )
    return model_card(run, config, None, base, "bf16", "AutoTokenizer", f"python train/export.py {name}")[0]


@pytest.mark.parametrize("name", [*BREAKOUTS, *YAML_BREAKOUTS])
def test_no_name_leaves_its_place(tmp_path, name):
    text, ordinary = card(tmp_path / "hostile", name), card(tmp_path / "ordinary", "name")
    assert not {*"\x1b\x07\x9b\u202e\u2066\ufeff"} & {*text}
    bodies = [one.split("\n---\n", 1)[1] for one in (text, ordinary)]
    assert kinds(bodies[0]) == kinds(bodies[1])
    found = ModelCard(text).data.to_dict()
    assert found.keys() == ModelCard(ordinary).data.to_dict().keys() and found["license"] == "other"
    assert found["license_name"].split() == printable(name).split() and len(found["license_link"]) == 1
    assert found == safe_load(text.split("\n---\n", 1)[0].removeprefix("---"))


def test_a_finished_run_has_its_steps(tmp_path):
    config = RunConfig(method="sft", student="org/student", output="run")
    given = (tmp_path, config, None, None, "bf16", "AutoTokenizer", "python train/export.py run")
    assert "optimizer steps done" not in model_card(*given)[0]
    rows = [json.dumps({"step": step, "seconds": 1.0, "epoch": step / 9}) + "\n" for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("".join(rows))
    assert "| optimizer steps done | 3 |" in model_card(*given)[0]


def test_the_example_is_a_prompt_in_the_runs_format(tmp_path):
    for place, name in enumerate(PROMPTS):
        config = RunConfig(benchmark="jsonl", student="org/base", data="data", output="run", prompt=name)
        text, _ = model_card(tmp_path, config, None, None, "bf16", "AutoTokenizer", "python train/export.py run")
        shown = text.partition('prompt = """\\\n')[2].partition('"""')[0]
        assert shown == example_prompt(name) and shown.startswith(("database schema", "Task:", "You are")[place])
        assert "| prompt | " + name in " ".join(text.split())


def test_the_example_in_a_template_is_python_and_stays_in_its_block(tmp_path):
    own = '{{ ddl }}\n```sql\n\\n "quoted" """{{ question }}"""\n```'
    config = RunConfig(benchmark="jsonl", student="org/base", data="data", output="run", prompt=own)
    text, _ = model_card(tmp_path, config, None, None, "bf16", "AutoTokenizer", "python train/export.py run")
    (code,) = [token.content for token in tokens(text) if token.type == "fence"]
    values = {node.targets[0].id: node.value for node in ast.parse(code).body if isinstance(node, ast.Assign)}
    assert ast.literal_eval(values["prompt"]) == example_prompt(own) and '"""How many' in example_prompt(own)
    assert "by the Jinja template in `kid_export.json`" in text and f"| prompt | {brief(own)} |" in text


@pytest.mark.parametrize("chat", [True, False])
def test_the_example_runs_with_a_chat_template_or_without(tmp_path, chat):
    config = RunConfig(benchmark="jsonl", student="org/base", data="data", output="run", chat_template="auto")
    text, _ = model_card(tmp_path, config, None, None, "bf16", "AutoTokenizer", "python train/export.py run", chat)
    code = text.partition("```python\n")[2].partition("```")[0]
    compile(code, "README.md", "exec")
    assert ("apply_chat_template" in code) == ("user's turn" in text) == ("use chat at" in text) == chat
    assert ("There is no chat template." in text) == ("use completions, not chat, at" in text) == (not chat)
