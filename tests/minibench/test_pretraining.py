"""The tiny models that come with the project: their prompts are the pipeline's, and they are small."""

from __future__ import annotations

import json
import random
from contextlib import ExitStack

import pytest

from kid.config.run_config import RunConfig
from kid.data.prepare import prepare
from kid.data.prompts.codes import matched_part, schema_part
from kid.data.tokenizers import compare_tokenizers
from kid.minibench.build import draw_database
from kid.minibench.patterns import PATTERNS
from kid.minibench.pretraining import FreshBatches, mentioned_values, prompt_schema
from kid.minibench.tiny_models import MODELS
from kid.models.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(MODELS / "student", "--student")


@pytest.mark.slow
def test_prompts_drawn_in_memory_are_those_of_the_pipeline(minibench, tokenizer):
    rows = prepare(RunConfig(benchmark="spider", data=str(minibench)), "dev", tokenizer).rows
    items = json.loads((minibench / "dev.json").read_text())
    same = total = 0
    for number in range(20):
        with ExitStack() as stack:
            drawn = draw_database(f"dev{number}", random.Random(f"0/dev/{number}"), stack)
            schema = prompt_schema(drawn)
            for row, item in zip(rows, items, strict=True):
                if item["db_id"] != drawn.database.db_id:
                    continue
                prompt = tokenizer.decode(row["prompt_ids"])
                assert prompt.startswith(schema_part(schema))
                total += 1
                same += matched_part(schema, mentioned_values(drawn, item["question"])) in prompt
    assert total == 200 and same >= 0.95 * total


def test_batches_go_on_where_they_are_told(tokenizer):
    whole, rest = (iter(FreshBatches(tokenizer, PATTERNS, 2, 3, "test", first)) for first in (0, 1))
    next(whole)
    assert next(whole).input_ids.equal(next(rest).input_ids)
    other = next(iter(FreshBatches(tokenizer, PATTERNS, 2, 3, "other", 1)))
    assert not other.input_ids.equal(next(iter(FreshBatches(tokenizer, PATTERNS, 2, 3, "test", 1))).input_ids)


def test_the_models_share_a_tokenizer_and_are_small(tokenizer):
    teacher = load_tokenizer(MODELS / "teacher", "--teacher")
    assert compare_tokenizers(tokenizer, teacher, "student", "teacher") == ""
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) <= 8e6
