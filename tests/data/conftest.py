"""A small benchmark whose files the tests may spoil."""

import json
import shutil

import pytest

from kid.models.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_models):
    return load_tokenizer(tiny_models / "student", "--student")


@pytest.fixture
def folder(minibench, tmp_path):
    """A small benchmark of 2 databases and 6 questions, to be spoilt."""
    data = tmp_path / "data"
    data.mkdir()
    questions = json.loads((minibench / "dev.json").read_text())
    db_ids = sorted({item["db_id"] for item in questions})[:2]
    chosen = [item for db_id in db_ids for item in [i for i in questions if i["db_id"] == db_id][:3]]
    for name in ("dev.json", "train_spider.json", "train_others.json"):
        (data / name).write_text(json.dumps(chosen if name != "train_others.json" else []))
    shutil.copy(minibench / "tables.json", data)
    for db_id in db_ids:
        shutil.copytree(minibench / "database" / db_id, data / "database" / db_id)
    return data
