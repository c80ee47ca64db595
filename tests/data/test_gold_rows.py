"""Questions whose gold is given as rows: which files are accepted, what is refused, and what needs SQL says so."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers.small_benchmark import options, write_small_benchmark

from kid.data.dataset import load_dataset
from kid.data.faults import Damage
from kid.data.gold_rows import GoldRows, read_gold_rows
from kid.data.prepare import prepare
from kid.data.questions import check_gold_sql, load_questions
from kid.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("q1.csv", "q1_a.csv", "q1_b.csv", "q1_10.csv", "q10.csv", "q2_c.csv", "q1.sql"):
        (tmp_path / "rows" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "rows" / name).write_text("x\n1\n")
    return tmp_path


def test_a_file_and_its_variants_are_accepted(folder):
    found, fault = read_gold_rows({"gold_rows": "rows/q1.csv"}, folder)
    files = tuple(str(folder / "rows" / name) for name in ("q1.csv", "q1_a.csv", "q1_b.csv"))
    assert (found, fault) == (GoldRows(files, ((), (), ())), "")
    found, _ = read_gold_rows({"gold_rows": "rows/q2.csv", "condition_cols": [0, 2], "ignore_order": True}, folder)
    assert found == GoldRows((str(folder / "rows/q2_c.csv"),), ((0, 2),), True)


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        ([], ((), (), ())), ([[]], ((), (), ())), (None, ((), (), ())), ([1], ((1,), (1,), (1,))),
        ([[1], [], [0, 2]], ((1,), (), (0, 2))),
    ],
)  # fmt: skip
def test_columns_are_one_list_or_one_for_each_file(folder, value, columns):
    assert read_gold_rows({"gold_rows": "rows/q1.csv", "condition_cols": value}, folder)[0].columns == columns


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ({"gold_rows": "rows/q3.csv"}, "no file rows/q3.csv"),
        ({"gold_rows": "nowhere/q1.csv"}, "no file nowhere/q1.csv"),
        ({"gold_rows": "../q1.csv"}, "a gold_rows that is not the path of a .csv file in or below"),
        ({"gold_rows": "/etc/q1.csv"}, "a gold_rows that is not the path"),
        ({"gold_rows": "rows/q1.sql"}, "a gold_rows that is not the path"),
        ({"gold_rows": "rows/\0.csv"}, "a gold_rows that is not the path"),
        ({"gold_rows": ["rows/q1.csv"]}, "a gold_rows that is not the path"),
        ({"gold_rows": "rows/q1.csv", "condition_cols": [[1], [2]]}, "one such list for each of the 3 files"),
        ({"gold_rows": "rows/q1.csv", "condition_cols": [-1]}, "a condition_cols that is not"),
        ({"gold_rows": "rows/q1.csv", "condition_cols": [True]}, "a condition_cols that is not"),
        ({"gold_rows": "rows/q1.csv", "condition_cols": "1"}, "a condition_cols that is not"),
        ({"gold_rows": "rows/q1.csv", "ignore_order": "no"}, "an ignore_order that is neither true nor false"),
    ],
)
def test_faults(folder, item, fault):
    found, why = read_gold_rows(item, folder)
    assert found is None and fault in why


def test_questions_with_rows_beside_questions_with_sql(folder):
    common = {"db_id": "d", "question": "?"}
    items = [{**common, "gold_rows": "rows/q1.csv"}, {**common, "query": "SELECT 1"}, {**common, "gold_rows": "q.csv"}]
    (folder / "dev.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    with pytest.raises(InputError, match=r"question with no file q\.csv: .*dev\.jsonl, line 3"):
        load_questions("jsonl", "dev", folder)
    rows, sql, missing = load_questions("jsonl", "dev", folder, damage=Damage("skip"))
    assert rows.query == "" and len(rows.gold_rows.files) == 3 and sql.gold_rows is None
    assert missing.fault == "no file q.csv" and missing.gold_rows is None
    (folder / "both.jsonl").write_text(json.dumps({**items[0], "query": "SELECT 1"}))
    with pytest.raises(InputError, match=r"question with both query and gold_rows: .*both\.jsonl, line 1"):
        load_questions("jsonl", "dev", folder, folder / "both.jsonl")
    with pytest.raises(InputError, match=r"^a test suite needs gold SQL, but 1 of 3 questions have gold_rows instead"):
        check_gold_sql([rows, sql, missing], "a test suite")
    check_gold_sql([sql, missing], "a test suite")


@pytest.mark.slow
def test_prompts_are_made_and_training_is_refused(minibench, tiny_models, tmp_path):
    from kid.models.pretrained import load_tokenizer

    folder = write_small_benchmark(minibench, tmp_path / "data")
    items = json.loads((folder / "dev.json").read_text())
    del items[1]["query"]
    items[1]["gold_rows"] = "q.csv"
    (folder / "q.csv").write_text("x\n1\n")
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    prepared = prepare(options(folder, benchmark="jsonl", max_prompt_length=128), "dev", tokenizer)
    assert len(prepared.rows) == 6 and not any("not normalised" in note for note in prepared.remarks())
    row = prepared.rows[1]
    assert row["completion_ids"] == [tokenizer.eos_token_id] and len(row["prompt_ids"]) > 5
    shutil.copy(folder / "q.csv", folder / "q_a.csv")  # prompts do not depend on the rows
    assert prepare(options(folder, benchmark="jsonl", max_prompt_length=128), "dev", tokenizer).cached
    for split in ("train", "dev"):
        with pytest.raises(InputError, match=f"^training on jsonl {split} needs gold SQL, but 1 of 6 questions have "):
            load_dataset(options(folder, benchmark="jsonl", max_prompt_length=128), split, tokenizer)
