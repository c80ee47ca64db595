"""The tokenizer made on the spot: nothing is lost, fixed phrases are one token, and it loads as it was written."""

from kid.data.batching import schema_texts
from kid.data.benchmarks import load_questions
from kid.pretrained import check_same_tokenizer, load_tokenizer


def test_texts_survive_and_load_as_written(minibench, tiny_models):
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    questions = load_questions("spider", "dev", minibench)
    for text in [*schema_texts("spider", "dev", minibench, questions).values(), *(q.query for q in questions)]:
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    # Merges stay within a piece, and the pieces are those that were trained on, not the ones of Qwen2's own class.
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    assert len(pieces(" ( number | primary key | values :")) == 1
    assert len(pieces(" 1987")) == 2
    check_same_tokenizer(tokenizer, load_tokenizer(tiny_models / "teacher", "--teacher"), "student", "teacher")
