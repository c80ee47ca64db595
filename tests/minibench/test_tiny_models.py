"""The tokenizer made on the spot: nothing is lost, fixed phrases are one token, and it loads as it was written."""

import pytest

from kid.data.tokenizers import compare_tokenizers
from kid.minibench.tiny_models import benchmark_texts
from kid.models.pretrained import load_tokenizer


@pytest.mark.slow
def test_texts_survive_and_load_as_written(minibench, tiny_models):
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    for text in benchmark_texts("spider", "dev", minibench):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    # Merges stay within a piece, and the pieces are those that were trained on, not the ones of Qwen2's own class.
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    assert len(pieces(" ( integer | primary key | values :")) == 1
    assert len(pieces("matched contents : None")) == 1
    assert len(pieces(" 1987")) == 2
    teacher = load_tokenizer(tiny_models / "teacher", "--teacher")
    assert compare_tokenizers(tokenizer, teacher, "student", "teacher") == ""
