"""Prompts for serving: they are those of training, to the letter and to the id."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers.chat_templates import with_template
from helpers.launcher import ROOT, run_script
from helpers.small_benchmark import edit, write_small_benchmark
from tokenizers.processors import TemplateProcessing

import kid.prompting
from kid.config.keys import keys_affecting
from kid.config.run_config import RunConfig, dump_config
from kid.config.trained import DATA_KEYS
from kid.data.prepare import prepare
from kid.errors import InputError
from kid.evaluation.asking import Asker
from kid.models.pretrained import load_tokenizer
from kid.prompting import SETTINGS, PromptSettings, encode_prompt, prompt_for

EOS = "<|endoftext|>"
MODEL = ROOT / "kid" / "minibench" / "models" / "teacher"
EXPORT = {"settings": {"evidence": False, "schema_filter": "none", "max_prompt_length": 300}}


@pytest.fixture(scope="module")
def data(minibench, tmp_path_factory) -> Path:
    """Six questions, as Spider's files and as JSONL without tables.json: with evidence, cells, and EOS spelt out."""
    folder = write_small_benchmark(minibench, tmp_path_factory.mktemp("prompting") / "data")
    questions = json.loads((folder / "dev.json").read_text())
    for place, item in enumerate(questions):
        with closing(sqlite3.connect(database_of(folder, item["db_id"]))) as connection:
            columns = "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c"
            table, column = next(row[:2] for row in connection.execute(columns) if row[2].lower() == "text")
            (cell,) = connection.execute(f'SELECT "{column}" FROM "{table}" LIMIT 1').fetchone()
        item["question"] += (f" Is it '{cell}'?", f" Is it {EOS}?", "  \t Why  not? ")[place % 3]
        item["evidence"] = "" if place == 5 else f"Sold refers to {place}, as  in '{cell}'"
    (folder / "dev.json").write_text(json.dumps(questions))
    plain = folder.with_name("plain")
    shutil.copytree(folder / "database", plain / "database")
    (plain / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in questions))
    return folder.parent


@pytest.fixture(scope="module")
def tokenizer(tiny_models):
    return load_tokenizer(tiny_models / "student", "--model")


def database_of(folder: Path, db_id: str) -> Path:
    return folder / "database" / db_id / f"{db_id}.sqlite"


@pytest.fixture
def database(data) -> Path:
    return next((data / "plain" / "database").glob("*/*.sqlite"))


@pytest.mark.parametrize("benchmark", ["spider", "jsonl"])
@pytest.mark.parametrize("evidence", [True, False])
@pytest.mark.parametrize("limit", [1024, 250, 90])  # whole, with a filtered schema, and cut as well
def test_prompts_are_those_of_training(data, tokenizer, benchmark, evidence, limit):
    folder = data / {"spider": "data", "jsonl": "plain"}[benchmark]
    tables = folder / "tables.json" if benchmark == "spider" else None
    config = RunConfig(benchmark=benchmark, data=str(folder), evidence=evidence, max_prompt_length=limit)
    prepared = prepare(config, "dev", tokenizer)
    settings = PromptSettings(evidence=evidence, max_prompt_length=limit)
    filtered = cut = values = 0
    for question, row in zip(prepared.questions, prepared.rows, strict=True):
        given = (database_of(folder, question.db_id), question.question, settings)
        more = {"evidence": question.evidence if evidence else "", "tables": tables}
        encoded = encode_prompt(*given, tokenizer, **more)
        assert (encoded.ids, encoded.shared, encoded.cut) == (row["prompt_ids"], row["shared"], row["cut"])
        text = prompt_for(*given, **more, tokenizer=tokenizer)
        assert text == tokenizer.decode(row["prompt_ids"]) and text.endswith("\n")
        whole = prompt_for(*given, **more)
        assert (whole == text) == (not row["filtered"] and not row["cut"])
        assert tokenizer(whole, split_special_tokens=True).input_ids == row["prompt_ids"] or whole != text
        filtered, cut = filtered + row["filtered"], cut + (row["cut"] > 0)
        values += "matched contents :\n" in whole
    assert (filtered > 0, cut > 0) == {1024: (False, False), 250: (True, False), 90: (True, True)}[limit] and values


@pytest.mark.parametrize("prompt", ["ddl", "m-schema"])
def test_prompts_in_the_format_of_the_model_are_those_of_training(data, tokenizer, prompt):
    folder = data / "plain"
    config = RunConfig(benchmark="jsonl", data=str(folder), prompt=prompt, max_prompt_length=4096)
    prepared, settings = prepare(config, "dev", tokenizer), PromptSettings(prompt=prompt, max_prompt_length=4096)
    for question, row in zip(prepared.questions, prepared.rows, strict=True):
        given = (database_of(folder, question.db_id), question.question, settings)
        encoded = encode_prompt(*given, tokenizer, evidence=question.evidence)
        assert (encoded.ids, encoded.shared) == (row["prompt_ids"], row["shared"])
        assert prompt_for(*given, evidence=question.evidence) == tokenizer.decode(encoded.ids)


@pytest.mark.parametrize("limit", [8192, 200])  # whole, and with a filtered schema
def test_prompts_in_a_chat_template_are_those_of_training(data, tiny_models, limit):
    tokenizer = with_template(load_tokenizer(tiny_models / "student", "--model"), "turns")
    folder, form = data / "plain", {"prompt": "ddl", "chat_template": "auto", "max_prompt_length": limit}
    prepared = prepare(RunConfig(benchmark="jsonl", data=str(folder), **form), "dev", tokenizer)
    settings = PromptSettings(**form)
    for question, row in zip(prepared.questions, prepared.rows, strict=True):
        given = (database_of(folder, question.db_id), question.question, settings)
        encoded = encode_prompt(*given, tokenizer, evidence=question.evidence)
        assert (encoded.ids, encoded.shared, encoded.cut) == (row["prompt_ids"], row["shared"], row["cut"])
        text = prompt_for(*given, evidence=question.evidence, tokenizer=tokenizer)
        assert text == tokenizer.decode(encoded.ids) and text.startswith("<s><start_of_turn>user\nTask:")
        if EOS not in question.question:
            assert tokenizer(text, add_special_tokens=False).input_ids == encoded.ids
    assert any(prepared.rows["filtered"]) == (limit == 200)
    with pytest.raises(InputError, match="prompts are turns of a chat; give its tokenizer"):
        prompt_for(*given)


@pytest.mark.parametrize("limit", [8192, 200])
def test_prompts_in_a_template_are_those_of_training(data, tiny_models, limit):
    tokenizer, folder = load_tokenizer(tiny_models / "student", "--model"), data / "plain"
    source = "Tables:\n{{ ddl }}\n{{ evidence }} {{ question }}"
    prepared = prepare(
        RunConfig(benchmark="jsonl", data=str(folder), prompt=source, max_prompt_length=limit), "dev", tokenizer
    )
    settings = PromptSettings(prompt=source, max_prompt_length=limit)
    for question, row in zip(prepared.questions, prepared.rows, strict=True):
        given = (database_of(folder, question.db_id), question.question, settings)
        encoded = encode_prompt(*given, tokenizer, evidence=question.evidence)
        assert (encoded.ids, encoded.shared, encoded.cut) == (row["prompt_ids"], row["shared"], row["cut"])
        assert prompt_for(*given, question.evidence, tokenizer=tokenizer) == tokenizer.decode(encoded.ids)
        assert prompt_for(*given, question.evidence).startswith("Tables:\nCREATE TABLE ")
    assert any(prepared.rows["filtered"]) == (limit == 200)


def test_bos_is_of_the_ids_and_not_of_the_text(tiny_models, database):
    """And what spells a special token is text."""
    tokenizer = load_tokenizer(tiny_models / "student", "--model")
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    bos = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
    question = f"Is it {EOS} or <s>?"
    ids = encode_prompt(database, question, PromptSettings(), tokenizer).ids
    text = prompt_for(database, question, PromptSettings(), tokenizer=tokenizer)
    assert ids[0] == bos and ids.count(bos) == 1 and tokenizer.eos_token_id not in ids
    assert text.startswith("database schema :\n") and text.endswith(f"\n{question}\n")
    assert tokenizer(text, split_special_tokens=True).input_ids == ids
    cut = PromptSettings(max_prompt_length=40)
    assert not prompt_for(database, question, cut, tokenizer=tokenizer).startswith("<s>")
    assert encode_prompt(database, question, cut, tokenizer).ids[0] == bos


@pytest.mark.slow
def test_show_prompt_shows_the_same(data):
    question = json.loads((data / "data" / "dev.json").read_text())[0]
    done = run_script("eval/show_prompt.py", "--data", data / "data", "--index", 0, "--model", MODEL)
    given = (database_of(data / "data", question["db_id"]), question["question"], PromptSettings())
    prompt = prompt_for(*given, question["evidence"], data / "data" / "tables.json")
    assert done.returncode == 0 and done.stdout.partition("\n\n")[2].startswith(prompt), done.stderr


def test_settings_are_those_of_a_run_or_an_export(tmp_path):
    run, export = tmp_path / "run", tmp_path / "export"
    for folder in (run / "model", export, tmp_path / "other"):
        folder.mkdir(parents=True)
    config = RunConfig(
        student="s", data="d", lora_rank=0, max_prompt_length=200, evidence=False, schema_filter="rankings.json",
        max_completion_length=99,
    )  # fmt: skip
    (run / "config.yaml").write_text(dump_config(config))
    (export / "kid_export.json").write_text(json.dumps(EXPORT))
    # Rankings in a file are of one benchmark's questions.
    expected = PromptSettings(False, "lexical", 200, 99)
    assert PromptSettings.of(run) == PromptSettings.of(str(run / "model")) == expected
    assert PromptSettings.of(export) == PromptSettings(False, "none", 300)
    with pytest.raises(InputError, match=r"other has no kid_export.json and no config.yaml beside it"):
        PromptSettings.of(tmp_path / "other")
    (run / "model").rmdir()
    with pytest.raises(InputError, match="is an unfinished run"):
        PromptSettings.of(run)


def test_settings_hold_what_a_prompt_on_any_data_depends_on():
    assert set(SETTINGS) == set(keys_affecting("prediction")) - set(DATA_KEYS)
    assert PromptSettings() == PromptSettings(*(getattr(RunConfig, name) for name in SETTINGS))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"database": "nowhere.sqlite"}, r"database nowhere\.sqlite does not exist; give a SQLite file"),
        ({"database": ROOT / "docs"}, "docs is a folder; give a SQLite file"),
        ({"database": ROOT / "README.md"}, "README.md: file is not a database; give another SQLite file$"),
        ({"question": " \n"}, "the question is empty"),
        ({"question": "\udcff"}, "not valid Unicode; write it in UTF-8"),
        ({"evidence": "e", "settings": PromptSettings(evidence=False)}, r"trained without it \(evidence: no\)"),
        ({"tables": "nowhere.json"}, r"tables nowhere\.json does not exist"),
    ],
)
def test_bad_input_is_one_line(database, given, message):
    with pytest.raises(InputError, match=message):
        prompt_for(**{"database": database, "question": "Why?", "settings": PromptSettings()} | given)


def test_a_damaged_tables_json_is_named(database, tmp_path):
    tables = tmp_path / "tables.json"
    tables.write_text(json.dumps([{"db_id": database.stem, "table_names_original": [1]}]))
    with pytest.raises(InputError, match=r"tables\.json, db_id .*; give another SQLite file or tables\.json"):
        prompt_for(database, "Why?", PromptSettings(), tables=tables)


def test_a_changed_file_is_read_again_and_a_note_is_said_once(data, tmp_path, capsys, monkeypatch):
    database = Path(shutil.copy(next((data / "data" / "database").glob("*/*.sqlite")), tmp_path))
    tables = Path(shutil.copy(data / "data" / "tables.json", tmp_path))
    edit(tables, lambda items: items.clear())
    monkeypatch.setattr(
        kid.prompting, "annotate_database_questions", lambda *given: ([with_note(*given)], ["column (slow)"])
    )
    for _ in range(2):
        before = prompt_for(database, "Why?", PromptSettings(), tables=tables)
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 2 and "leaves out 1 database" in notes[0] and "not all values of" in notes[1]
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE added (x)")
    assert "table added" not in before
    assert "table added" in prompt_for(database, "Why?", PromptSettings(), tables=tables)


def with_note(schema, path, questions, evidence):
    return kid.data.annotation.AnnotatedQuestion(questions[0], {}, "", None)


def test_the_example_of_the_documentation_answers(minibench, tmp_path, monkeypatch, capsys):
    """The one for transformers, on an exported model: it writes what eval/ask.py writes."""
    page = (ROOT / "docs" / "your-own-data.md").read_text(encoding="utf-8")
    section = page[page.index("## Serving") :]
    transformers_code, vllm_code = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert "from transformers import" in transformers_code and "from vllm import" in vllm_code
    compile(vllm_code, "vLLM", "exec")
    source = next((minibench / "database").glob("*/*.sqlite"))
    question, place = re.search('"(Show .*?)"', transformers_code)[1], tmp_path / "mydata/database/library"
    for folder in (place, tmp_path / "runs" / "kid"):
        folder.mkdir(parents=True)
    database = Path(shutil.copy(source, place / "library.sqlite"))
    export = Path(shutil.copytree(MODEL, tmp_path / "runs" / "kid" / "merged"))
    (export / "kid_export.json").write_text(json.dumps(EXPORT))
    monkeypatch.chdir(tmp_path)
    exec(compile(transformers_code, "docs/your-own-data.md", "exec"), {"__name__": "example"})
    asker = Asker(export, database, PromptSettings.of(export))
    expected = asker.write_sql(asker.encode(question))
    assert capsys.readouterr().out == f"{expected}\n" and expected.startswith("SELECT ")
