"""What tests of prepared data do with the small benchmark of conftest.py."""

import json

from kid.config.run_config import RunConfig


def options(data, **changes):
    return RunConfig(**{"benchmark": "spider", "data": str(data), **changes})


def edit(path, change):
    items = json.loads(path.read_text())
    change(items)
    path.write_text(json.dumps(items))


def text_of(tokenizer, row) -> str:
    return tokenizer.decode(row["prompt_ids"])
