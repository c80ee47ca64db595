"""Prompts and outputs over their limits: what the schema filter keeps, what is cut, what is counted."""

import json
import shutil
import sqlite3
from dataclasses import replace

import pytest
from helpers.small_benchmark import edit, options, text_of

from kid.config.run_config import RunConfig
from kid.data.dataset import load_dataset
from kid.data.encoding import encode_texts
from kid.data.prepare import prepare
from kid.data.prompts.formats import FORMATS
from kid.data.reading import load_split
from kid.errors import InputError
from kid.sql.analysis import gold_schema_items


@pytest.mark.slow
def test_over_the_limit_training_keeps_what_the_gold_sql_needs(folder, tokenizer):
    edit(folder / "tables.json", widen)
    for item in json.loads((folder / "tables.json").read_text()):
        path = folder / "database" / item["db_id"] / f"{item['db_id']}.sqlite"
        if path.exists():
            connection = sqlite3.connect(path)
            for n in range(30):
                connection.execute(f'ALTER TABLE "{item["table_names_original"][0]}" ADD COLUMN filler_{n} TEXT')
            connection.commit()
            connection.close()
    full = prepare(options(folder, max_prompt_length=4096), "train", tokenizer)
    assert not any(full.rows["filtered"]) and not any(full.rows["cut"])
    limit = min(len(ids) for ids in full.rows["prompt_ids"]) - 1
    small = prepare(options(folder, max_prompt_length=limit), "train", tokenizer)
    assert all(small.rows["filtered"]), small.rows["filtered"]
    assert not any(small.rows["cut"]), small.rows["cut"]
    loaded = load_split(options(folder), "train")
    for question, row in zip(loaded.questions, small.rows, strict=True):
        text = text_of(tokenizer, row)
        assert len(row["prompt_ids"]) <= limit and text.count("filler_") <= 10
        for table, columns in gold_schema_items(
            question.query, loaded.schemas[question.db_id].columns_by_table
        ).items():
            assert f"table {table} , columns" in text and columns
            assert all(f"{table}.{column} (" in text for column in columns)
    again = prepare(options(folder, max_prompt_length=limit, seed=1), "train", tokenizer)
    assert list(again.rows["prompt_ids"]) != list(small.rows["prompt_ids"])
    ranked = prepare(options(folder, max_prompt_length=limit), "dev", tokenizer)
    assert all(ranked.rows["filtered"])
    # Far below, the others go before anything of the gold SQL does; what fits is not filtered further than it must be.
    tight = prepare(options(folder, max_prompt_length=limit // 3), "train", tokenizer)
    assert not any(tight.rows["cut"]), tight.rows["cut"]
    for question, row, before in zip(loaded.questions, tight.rows, small.rows, strict=True):
        text = text_of(tokenizer, row)
        assert len(row["prompt_ids"]) <= limit // 3 and text.count("filler_") < text_of(tokenizer, before).count(
            "filler_"
        )
        for table, columns in gold_schema_items(
            question.query, loaded.schemas[question.db_id].columns_by_table
        ).items():
            assert all(f"{table}.{column} (" in text for column in columns)


@pytest.mark.slow
def test_over_the_limit_training_keeps_what_a_gold_query_names_though_nothing_resolves_it(folder, tokenizer):
    edit(folder / "tables.json", add_tables)
    shutil.rmtree(folder / "database")
    tables = {
        item["db_id"]: item["table_names_original"][1] for item in json.loads((folder / "tables.json").read_text())
    }

    def ask_a_table_function(items):
        for item in items:
            item["query"] = f"SELECT value FROM [{tables[item['db_id']].upper()}], json_each('[1]')"

    edit(folder / "train_spider.json", ask_a_table_function)
    for seed in range(4):
        shown = options(folder, max_prompt_length=100, missing_database="schema-only", seed=seed)
        split = prepare(shown, "train", tokenizer)
        for question, row in zip(split.questions, split.rows, strict=True):
            assert row["filtered"] and f"table {tables[question.db_id]} , columns" in text_of(tokenizer, row)


def add_tables(items):
    for item in items:
        for n in range(40):
            item["column_names"].append([len(item["table_names"]), "id"])
            item["column_names_original"].append([len(item["table_names"]), "id"])
            item["column_types"].append("number")
            item["table_names"].append(f"filler {n}")
            item["table_names_original"].append(f"filler_{n}")


def widen(items):
    for item in items:
        for n in range(30):
            item["column_names"].append([0, f"filler {n}"])
            item["column_names_original"].append([0, f"filler_{n}"])
            item["column_types"].append("text")


def test_rankings_from_a_file(folder, tokenizer, tmp_path):
    loaded = load_split(options(folder), "dev")
    tables = [loaded.schemas[question.db_id].tables for question in loaded.questions]
    rankings = [{last.name: [last.columns[0].name]} for *_, last in tables]
    (tmp_path / "rankings.json").write_text(json.dumps(rankings))
    limit = min(len(ids) for ids in prepare(options(folder), "dev", tokenizer).rows["prompt_ids"]) - 1
    chosen = options(folder, schema_filter=str(tmp_path / "rankings.json"), max_prompt_length=limit)
    for (first, *_, last), row in zip(tables, prepare(chosen, "dev", tokenizer).rows, strict=True):
        assert f"table {last.name} , columns = [ {last.name}.{last.columns[0].name} (" in text_of(tokenizer, row)
        assert f"table {first.name} " not in text_of(tokenizer, row)


def test_rankings_of_another_split_are_refused(folder, tokenizer, tmp_path):
    (tmp_path / "rankings.json").write_text(json.dumps([{"nowhere": ["id"]}] * 6))
    with pytest.raises(
        InputError, match=r"no table of the database of question 0, 1, 2, 3, 4, ... \(6 in all\); give a file made"
    ):
        prepare(options(folder, schema_filter=str(tmp_path / "rankings.json")), "dev", tokenizer)


@pytest.mark.slow
def test_the_schema_is_cut_from_the_left_and_the_question_stays(folder, tokenizer):
    full = prepare(options(folder, schema_filter="none"), "dev", tokenizer)
    cut = prepare(options(folder, schema_filter="none", max_prompt_length=40), "dev", tokenizer)
    for whole, row in zip(full.rows, cut.rows, strict=True):
        assert row["prompt_ids"] == whole["prompt_ids"][row["cut"] :] and len(row["prompt_ids"]) == 40
    tiny = prepare(options(folder, schema_filter="none", max_prompt_length=1), "dev", tokenizer)
    for question, row in zip(tiny.questions, tiny.rows, strict=True):
        assert text_of(tokenizer, row) == question.question + "\n" and row["shared"] == 0


@pytest.mark.slow
def test_what_is_over_the_limits_is_counted_and_strict_makes_it_an_error(folder, tokenizer):
    loose = RunConfig(benchmark="spider", data=str(folder), strict_length=True)
    outputs = [len(ids) for ids in prepare(loose, "train", tokenizer).rows["completion_ids"]]
    limit = sorted(outputs)[3]
    kept = sum(length <= limit for length in outputs)
    config = replace(loose, strict_length=False, max_prompt_length=40, max_completion_length=limit)
    data = load_dataset(config, "train", tokenizer)
    assert len(data.samples) == len(data.db_ids) == kept < 6
    assert all(len(sample.completion_ids) <= limit for sample in data.samples)
    assert "6 prompts over 40 tokens had their schema filtered (100.0 %)" in data.remarks
    lengths = sorted(len(ids) for ids in prepare(loose, "train", tokenizer).rows["prompt_ids"])
    assert (
        f"before they were shortened, the longest prompt had {lengths[-1]} tokens, and 95 % of all had at most "
        f"{lengths[-1]}; --max-prompt-length raises the limit"
    ) in data.remarks
    over = [index for index, length in enumerate(outputs) if length > limit]
    assert data.skipped == {f"output over {limit} tokens": over}
    first = ", ".join(f"question {index} has {outputs[index]}" for index in over[:3])
    share = f"{100 * (6 - kept) / 6:.1f} %"
    remark = f"{6 - kept} outputs over {limit} tokens ({share}) are skipped ({first}); --max-completion-length raises"
    assert any(line.startswith(remark) for line in data.remarks)
    with pytest.raises(InputError, match=r"spider train: 6 prompts over 40 .*; raise the limits or remove --strict"):
        load_dataset(replace(config, strict_length=True), "train", tokenizer)
    assert load_dataset(loose, "train", tokenizer).remarks == []


@pytest.mark.parametrize("prompt", ["ddl", "m-schema"])
def test_every_format_shares_its_schema_and_is_filtered_and_cut_alike(folder, tokenizer, prompt):
    form, config = FORMATS[prompt], options(folder, prompt=prompt, max_prompt_length=8192)
    whole = prepare(config, "dev", tokenizer)
    shown: dict[str, str] = {}
    for question, row in zip(whole.questions, whole.rows, strict=True):
        text, shared = text_of(tokenizer, row), tokenizer.decode(row["prompt_ids"][: row["shared"]])
        assert shown.setdefault(row["db_id"], shared) == shared and shared.startswith(form.OPENING)
        assert not row["filtered"] and not row["cut"]
        assert text.startswith(shared) and text.endswith(form.question_part(question.question, question.evidence))
    assert len(set(shown.values())) == 2
    limit = min(map(len, whole.rows["prompt_ids"])) - 1
    small = prepare(replace(config, max_prompt_length=limit), "dev", tokenizer)
    assert all(small.rows["filtered"]) and not any(small.rows["cut"])
    kept = len(encode_texts(tokenizer, [form.OPENING])[0])
    least = max(len(ids) - shared for ids, shared in zip(whole.rows["prompt_ids"], whole.rows["shared"], strict=True))
    cut = prepare(replace(config, max_prompt_length=kept + least, schema_filter="none"), "dev", tokenizer)
    for row, before in zip(cut.rows, whole.rows, strict=True):
        ids = before["prompt_ids"]
        assert row["cut"] and row["prompt_ids"] == ids[:kept] + ids[kept + row["cut"] :]
        assert len(row["prompt_ids"]) == kept + least and row["shared"] == before["shared"] - row["cut"]
    for short in (small, cut):
        assert list(short.rows["whole"]) == list(whole.rows["whole"]) == [len(ids) for ids in whole.rows["prompt_ids"]]
