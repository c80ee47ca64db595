"""What tests of prepared data do with the small benchmark of conftest.py."""

import json
import shutil
from pathlib import Path

from kid.config.run_config import RunConfig


def options(data, **changes):
    return RunConfig(**{"benchmark": "spider", "data": str(data), **changes})


def write_small_benchmark(minibench: Path, data: Path) -> Path:
    """2 databases and 6 questions of minibench; train has the same as dev."""
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


def edit(path, change):
    items = json.loads(path.read_text())
    change(items)
    path.write_text(json.dumps(items))


def text_of(tokenizer, row) -> str:
    return tokenizer.decode(row["prompt_ids"])
