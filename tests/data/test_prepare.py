"""From a benchmark's files to rows of token ids: cache, missing databases, damaged files."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from helpers.launcher import ROOT
from helpers.small_benchmark import edit, options, text_of

import kid.data.contents
import kid.data.prepare
from kid.config.keys import keys_affecting
from kid.data.annotation import annotate_questions, tokenizer_corpus
from kid.data.encoding import encode_texts
from kid.data.prepare import prepare
from kid.data.prompts.codes import schema_part
from kid.data.reading import load_split, read_schemas
from kid.errors import InputError
from kid.models.pretrained import load_tokenizer


@pytest.mark.slow
def test_a_row_is_the_whole_prompt_and_the_normalised_sql(folder, tokenizer):
    edit(folder / "dev.json", lambda items: items.__setitem__(0, {
        "db_id": items[0]["db_id"], "question": "  How many\nare there? ", "query": "select COUNT( * ) from X_ as T1 ;",
    }))  # fmt: skip
    loaded = load_split(options(folder), "dev")
    db_id = loaded.questions[0].db_id
    table = loaded.schemas[db_id].tables[0].name
    edit(folder / "dev.json", lambda items: items[0].update(query=f"select COUNT( * ) from {table.upper()} as T1 ;"))
    schema = schema_part(read_schemas(loaded, "error")[0][db_id])
    prepared = prepare(options(folder), "dev", tokenizer)
    row = prepared.rows[0]
    assert text_of(tokenizer, row) == schema + "matched contents : None\nHow many are there?\n"
    assert row["shared"] == len(encode_texts(tokenizer, [schema])[0])
    assert tokenizer.decode(row["completion_ids"]) == f"SELECT COUNT(*) FROM {table}<|endoftext|>"
    assert [row["index"] for row in prepared.rows] == list(range(6)) and prepared.remarks() == []


def test_values_that_the_question_mentions_stand_before_it(folder, tokenizer):
    db_id = json.loads((folder / "dev.json").read_text())[0]["db_id"]
    connection = sqlite3.connect(folder / "database" / db_id / f"{db_id}.sqlite")
    table = json.loads((folder / "tables.json").read_text())
    item = next(item for item in table if item["db_id"] == db_id)
    place = next(n for n, kind in enumerate(item["column_types"]) if kind == "text" and n)
    column, name = (
        item["column_names_original"][place][1],
        item["table_names_original"][item["column_names_original"][place][0]],
    )
    connection.execute(f'UPDATE "{name}" SET "{column}" = ? WHERE rowid = 1', ("Saint Helena",))
    connection.commit()
    connection.close()
    edit(folder / "dev.json", lambda items: items[0].update(question="Which of them is from saint helena?"))
    text = text_of(tokenizer, prepare(options(folder), "dev", tokenizer).rows[0])
    assert text.endswith(
        f"\nmatched contents :\n{name}.{column} ( Saint Helena )\nWhich of them is from saint helena?\n"
    )


def test_the_second_time_comes_from_the_cache_wherever_the_files_lie(folder, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))  # other tests prepare the same questions
    first = prepare(options(folder), "dev", tokenizer)
    assert not first.cached
    second = prepare(options(folder), "dev", tokenizer)
    assert second.cached and list(second.rows) == list(first.rows) and second.remarks() == first.remarks()
    shutil.move(folder, tmp_path / "moved")
    assert prepare(options(tmp_path / "moved"), "dev", tokenizer).cached


def change_cell(folder):
    path = next((folder / "database").glob("*/*.sqlite"))
    connection = sqlite3.connect(path)
    table = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    connection.execute(f'DELETE FROM "{table}" WHERE rowid = (SELECT max(rowid) FROM "{table}")')
    connection.commit()
    connection.close()


CHANGES = {
    "question": lambda folder: edit(folder / "dev.json", lambda items: items[0].update(question="What else?")),
    "sql": lambda folder: edit(folder / "dev.json", lambda items: items[0].update(query="SELECT 1")),
    "tables.json": lambda folder: edit(folder / "tables.json", lambda items: items[0].update(foreign_keys=[])),
    "a cell": change_cell,
    "a description": lambda folder: [
        (path.mkdir(), (path / "t.csv").write_text("original_column_name,column_name\n"))
        for path in [next((folder / "database").glob("*")) / "database_description"]
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_in_the_files_is_prepared_anew(folder, tokenizer, name):
    prepare(options(folder), "dev", tokenizer)
    CHANGES[name](folder)
    assert not prepare(options(folder), "dev", tokenizer).cached


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": False},
        {"prompt": "ddl"},
        {"chat_template": "auto"},
        {"schema_filter": "none"},
        {"max_prompt_length": 1023},
        {"damaged": "skip"},
    ],
)
def test_whatever_changes_in_the_options_is_prepared_anew(folder, tokenizer, changes):
    own = {"max_prompt_length": 1000}  # which no other test prepares with one of these changes
    prepare(options(folder, **own), "dev", tokenizer)
    assert not prepare(options(folder, **own | changes), "dev", tokenizer).cached


@pytest.mark.parametrize("split", ["train", "dev"])
def test_only_the_keys_that_affect_prompts_are_read(folder, tokenizer, split):
    """So that the cache's key, which has them all, covers all that the rows depend on."""
    config = options(folder)
    prompts_alone = SimpleNamespace(**{name: getattr(config, name) for name in keys_affecting("prompts")})
    assert prepare(prompts_alone, split, tokenizer).rows.to_dict() == prepare(config, split, tokenizer).rows.to_dict()


def test_another_tokenizer_is_prepared_anew(folder, tokenizer, tiny_models):
    prepare(options(folder), "dev", tokenizer)
    assert not prepare(options(folder), "dev", load_tokenizer(tiny_models / "stranger", "--student")).cached


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["data/prompts/ddl.py", "sql/query_parts.py"])
def test_whatever_changes_in_the_code_is_prepared_anew(folder, tokenizer, tmp_path, monkeypatch, changed):
    """A byte in the code that the cache's key is made of, here a copy, is enough."""
    shutil.copytree(ROOT / "kid", tmp_path / "kid", ignore=shutil.ignore_patterns("__pycache__"))
    prepare(options(folder), "dev", tokenizer)
    monkeypatch.setattr(kid.data.prepare, "__file__", str(tmp_path / "kid" / "data" / "prepare.py"))
    assert prepare(options(folder), "dev", tokenizer).cached  # the same code, wherever it lies
    with (tmp_path / "kid" / changed).open("a") as file:
        file.write("#")
    assert not prepare(options(folder), "dev", tokenizer).cached
    assert prepare(options(folder), "dev", tokenizer).cached


PREPARE = """
import sys
from pathlib import Path
from kid.config.run_config import RunConfig
from kid.data.prepare import prepare
from kid.models.pretrained import load_tokenizer

tokenizer = load_tokenizer(Path(sys.argv[2]), "--student")
print(prepare(RunConfig(benchmark="spider", data=sys.argv[1]), "dev", tokenizer).cached)
"""


@pytest.mark.slow
def test_another_process_finds_the_same_entry(folder, tokenizer, tiny_models):
    """The cache's key does not depend on the order of a set, which another process may iterate otherwise."""
    prepare(options(folder), "dev", tokenizer)
    command = [sys.executable, "-c", PREPARE, folder, tiny_models / "student"]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_what_changes_no_row_is_not_prepared_anew(folder, tokenizer, tmp_path):
    prepare(options(folder), "dev", tokenizer)
    tokenizer(["a", "a b c"], padding=True, truncation=True, max_length=2)  # leaves its mark on the tokenizer
    assert prepare(options(folder, seed=5), "dev", tokenizer).cached
    loaded = load_split(options(folder), "dev")
    rankings = [{loaded.schemas[question.db_id].tables[0].name: ["id"]} for question in loaded.questions]
    for name, cached in (("a.json", False), ("b.json", True)):
        (tmp_path / name).write_text(json.dumps(rankings))
        assert prepare(options(folder, schema_filter=str(tmp_path / name)), "dev", tokenizer).cached == cached


@pytest.mark.slow
def test_a_fault_of_the_moment_is_no_damage(folder, tokenizer, monkeypatch, tmp_path):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "values").touch()  # no index can be written
    with pytest.raises(InputError, match=r"the cache .* cannot be written"):
        prepare(options(folder, damaged="skip"), "dev", tokenizer)
    (tmp_path / "cache" / "values").unlink()
    assert len(prepare(options(folder, damaged="skip"), "dev", tokenizer).rows) == 6


def test_a_database_in_use_is_met_also_where_the_rows_are_cached(folder, tokenizer):
    prepare(options(folder), "dev", tokenizer)
    path = next((folder / "database").glob("*/*.sqlite"))
    path.with_name(f"{path.name}-wal").write_bytes(b"rows")
    with pytest.raises(InputError, match="is in use"):
        prepare(options(folder, damaged="skip"), "dev", tokenizer)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip, lambda path: os.truncate(path, path.stat().st_size // 2), os.unlink])
@pytest.mark.parametrize("kind", ["prepared/*/rows/*.arrow", "prepared/*/report.json", "values/*/*/cells.arrow"])
def test_damaged_rows_and_indexes_are_made_again(folder, tokenizer, monkeypatch, tmp_path, capfd, kind, damage):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    first = [dict(row) for row in prepare(options(folder), "dev", tokenizer).rows]
    damaged = next((tmp_path / "cache").glob(kind))
    good = damaged.read_bytes()
    damage(damaged)
    if kind.startswith("values"):
        shutil.rmtree(tmp_path / "cache" / "prepared")
    again = prepare(options(folder), "dev", tokenizer)
    assert [dict(row) for row in again.rows] == first and not again.cached
    if kind.startswith("values"):  # made, and said, by a process that has another stderr here
        assert damaged.read_bytes() == good
    else:
        assert capfd.readouterr().err.count("; it is built again") == 1


def test_gold_sql_of_nested_calls_is_kept_as_it_stands_in_time(folder, tokenizer):
    edit(folder / "dev.json", lambda items: items[0].update(query=f"SELECT {'DATE(' * 30}1{')' * 30}"))
    started = time.monotonic()
    prepared = prepare(options(folder), "dev", tokenizer)
    assert time.monotonic() - started < 5 and len(prepared.rows) == 6
    assert [line for line in prepared.remarks() if line.startswith("1 gold queries not normalised (")]


def test_questions_whose_db_id_is_no_name_are_left_out_and_counted(folder, tokenizer):
    edit(folder / "dev.json", lambda items: items[0].update(db_id="../d"))
    with pytest.raises(InputError, match=r"question with a db_id that has a / or \\: .*item 0; .*--damaged skip"):
        prepare(options(folder), "dev", tokenizer)
    assert prepare(options(folder, damaged="skip"), "dev", tokenizer).left_out == {"a db_id that has a / or \\": [0]}


def test_a_view_without_end_is_said_where_all_that_is_left_out_is(folder, tokenizer, monkeypatch):
    monkeypatch.setattr(kid.data.contents, "COMPUTED_SECONDS", 0.3)
    path = next((folder / "database").glob("*/*.sqlite"))
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIEW v AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
                       "SELECT count(*) AS c FROM n")  # fmt: skip
    connection.close()
    (folder / "tables.json").unlink()
    items = json.loads((folder / "dev.json").read_text())
    (folder / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    prepared = prepare(options(folder, benchmark="jsonl"), "dev", tokenizer)
    assert len(prepared.rows) == 6
    (line,) = prepared.remarks()
    assert line.startswith(f"skipped in the schema of {path.parent.name}: sample values of v (not read within ")


def test_no_question_left_is_an_error_with_its_reasons(folder, tokenizer):
    shutil.rmtree(folder / "database")
    for _ in range(2):
        with pytest.raises(InputError, match=r"spider dev: all questions were skipped \(6 for no database\)"):
            prepare(options(folder, missing_database="skip"), "dev", tokenizer)


def test_a_failed_build_leaves_nothing_behind(folder, tokenizer, monkeypatch, tmp_path):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kid.data.prepare, "row_encoder", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare(options(folder), "dev", tokenizer)
    assert [p.name for p in (tmp_path / "cache" / "prepared").iterdir() if p.suffix != ".lock"] == []
    assert not prepare(options(folder), "dev", tokenizer).cached


def test_a_cache_that_cannot_be_written_is_named(folder, tokenizer, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"the cache .*file cannot be written .*KID_CACHE"):
        prepare(options(folder), "dev", tokenizer)


@pytest.mark.slow
def test_missing_databases(folder, tokenizer):
    gone = sorted(path.name for path in (folder / "database").iterdir())[0]
    shutil.rmtree(folder / "database" / gone)
    with pytest.raises(InputError, match=f"no database for 1 of 2 db_ids under .*: {gone}; put each at"):
        prepare(options(folder), "dev", tokenizer)
    skipped = prepare(options(folder, missing_database="skip"), "dev", tokenizer)
    assert len(skipped.questions) == 6 and len(skipped.rows) == 3
    assert skipped.remarks() == ["3 questions skipped: no database"]
    alone = prepare(options(folder, missing_database="schema-only"), "dev", tokenizer)
    assert len(alone.rows) == 6
    assert alone.remarks() == [f"3 prompts use tables.json only, without the missing databases {gone}"]
    texts = {row["db_id"]: text_of(tokenizer, row) for row in alone.rows}
    assert "values :" not in texts[gone] and "matched contents : None" in texts[gone]
    assert all("values :" in text for db_id, text in texts.items() if db_id != gone)


def test_all_damage_is_in_one_line_and_can_be_left_out(folder, tokenizer):
    first, second = sorted(path.name for path in (folder / "database").iterdir())
    (folder / "database" / first / f"{first}.sqlite").write_text("text, not a database " * 100)
    for db_id in ("unknown", "twice"):
        shutil.copytree(folder / "database" / second, folder / "database" / db_id)
        (folder / "database" / db_id / f"{second}.sqlite").rename(folder / "database" / db_id / f"{db_id}.sqlite")
    good = json.loads((folder / "dev.json").read_text())[0]
    more = [{"db_id": second, "question": "q"}, {**good, "db_id": "unknown"}, {**good, "db_id": "twice"}]
    edit(folder / "dev.json", lambda items: items.extend(more))
    twice = {"db_id": "twice", "table_names_original": ["a", "A"]}
    edit(folder / "tables.json", lambda items: items.append({**items[0], **twice}))
    with pytest.raises(InputError) as caught:
        prepare(options(folder), "dev", tokenizer)
    message = str(caught.value)
    assert "\n" not in message and message.endswith("; fix this, or skip it with --damaged skip")
    for part in (
        f"question with no query: {folder / 'dev.json'}, item 6",
        f"db_id without schema in {folder / 'tables.json'}: unknown;",
        f"{first}.sqlite: file is not a database",
        "db_id twice has two tables called a",
    ):
        assert part in message
    prepared = prepare(options(folder, damaged="skip"), "dev", tokenizer)
    assert len(prepared.questions) == 9 and len(prepared.rows) == 3
    left_out = {reason: len(indices) for reason, indices in prepared.left_out.items()}
    assert left_out == {"damaged database": 3, "no query": 1, "no schema of its database": 2}
    assert any(f"{first}.sqlite: file is not a database" in remark for remark in prepared.remarks())


def test_a_database_that_breaks_off_is_met_wherever_the_damage_lies(folder, tokenizer):
    db_id = sorted(path.name for path in (folder / "database").iterdir())[0]
    path = folder / "database" / db_id / f"{db_id}.sqlite"
    connection = sqlite3.connect(path)
    table = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    key, other = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")][:2]
    rows = [(n, f"{'padding' * 9} {n}") for n in range(1000, 20000)]
    connection.executemany(f'INSERT INTO "{table}" ("{key}", "{other}") VALUES (?, ?)', rows)
    connection.commit()
    connection.close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"damaged database: .*{db_id}.sqlite.*--damaged skip"):
        prepare(options(folder), "dev", tokenizer)
    assert prepare(options(folder, damaged="skip"), "dev", tokenizer).left_out == {"damaged database": [0, 1, 2]}


def test_jsonl_with_whole_prompts_and_with_a_database_but_no_tables_json(folder, tokenizer):
    items = json.loads((folder / "dev.json").read_text())
    lines = [{"prompt": "Count:<|pad|>\n", "completion": "SELECT  1 ;"}, items[0]]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with_tables = prepare(options(folder, benchmark="jsonl"), "train", tokenizer)
    assert text_of(tokenizer, with_tables.rows[0]) == "Count:<|pad|>\n"
    assert tokenizer.pad_token_id in with_tables.rows[0]["prompt_ids"]  # a chat format's tokens stay tokens
    assert tokenizer.decode(with_tables.rows[0]["completion_ids"]) == "SELECT  1 ;<|endoftext|>"
    (folder / "tables.json").unlink()
    alone = prepare(options(folder, benchmark="jsonl"), "train", tokenizer)
    ids = [rows.rows[1]["prompt_ids"] for rows in (with_tables, alone)]
    assert ids[0] == ids[1]  # minibench's tables.json says nothing that the database does not
    shutil.rmtree(folder / "database")
    with pytest.raises(InputError, match=r"schema-only needs a tables.json"):
        prepare(options(folder, benchmark="jsonl", missing_database="schema-only"), "train", tokenizer)


def test_all_of_spider_in_time(real_data, tiny_models, monkeypatch, tmp_path):
    monkeypatch.setenv("KID_CACHE", str(tmp_path))
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    chosen = options(real_data / "spider", missing_database="schema-only")
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        train, dev = (prepare(chosen, split, tokenizer) for split in ("train", "dev"))
        seconds.append(time.perf_counter() - started)
    assert (len(train.rows), len(dev.rows)) == (8659, 1034)
    assert "82 prompts use tables.json only, without the missing databases baseball_1" in train.remarks()
    assert seconds[0] < 240 and seconds[1] < 10


# As in test_schema_and_prompt: what was read beside the files, as hashes. The whole text: prompt and SQL.
CHECKED = {
    "spider/dev/0": "19ad9f88cba48e58",
    "spider/dev/60": "39f08e9c2910b165",  # aliases of three tables, twice
    "spider/train/7100": "f84484da9e541a19",  # from train_others; no rows
    "spider/dk/20": "9a0941b4c111ad6a",  # a value in two columns
    "spider/syn/300": "ceebed8fdbcf8553",
    "bird/dev/725": "4294f48c4292032f",  # evidence
}


@pytest.mark.parametrize("name", CHECKED)
def test_golden_texts_of_published_questions(real_data, name):
    benchmark, split, index = name.split("/")
    chosen = options(real_data / benchmark, benchmark=benchmark)
    loaded = load_split(chosen, split, int(index))
    schemas, _ = read_schemas(loaded, "error")
    text = "".join(tokenizer_corpus(schemas, annotate_questions(loaded, schemas, True, ""), True))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == CHECKED[name], text
