"""A student and its teacher share a tokenizer if texts get the same ids, whatever the number of added tokens."""

import pytest
from helpers.chat_templates import with_template
from helpers.family_tokenizers import FAMILIES, family_tokenizer

from kid.data.tokenizers import compare_tokenizers
from kid.errors import InputError
from kid.models.pretrained import load_tokenizer

LINES = ["SELECT count(*) FROM singer WHERE name = 'São Paulo' AND year > 2014", "How many pupils are there? 12,345"]
NAMES = ("student", "teacher")


def tokenizers(family, folder):
    """Two that are the same, as they are loaded."""
    made = family_tokenizer(family, LINES)
    for name in NAMES:
        if made.eos_token is None:
            made.eos_token = "<|endoftext|>"
        made.save_pretrained(folder / name)
    return [load_tokenizer(folder / name, f"--{name}") for name in NAMES]


@pytest.mark.parametrize("family", FAMILIES)
def test_generations_of_a_family_that_add_other_tokens(family, tmp_path):
    student, teacher = tokenizers(family, tmp_path)
    assert compare_tokenizers(student, teacher, *NAMES) == ""
    shared = len(student)
    teacher.add_special_tokens({"extra_special_tokens": ["<think>", "</think>"]})
    for pair, named in (
        ((student, teacher), f"{shared} is nothing and <think>, {shared + 1} is nothing and </think>"),
        ((teacher, student), f"{shared} is <think> and nothing, {shared + 1} is </think> and nothing"),
    ):
        assert compare_tokenizers(*pair, *NAMES) == (
            f"the tokenizers of student and teacher share {shared} ids; 2 added tokens differ, which no ordinary text "
            f"contains: {named}"
        )
    student.add_tokens(["<reserved_1>", "</think>"])  # an id that was renamed in the next generation
    assert f"1 added tokens differ, which no ordinary text contains: {shared} is <reserved_1> and <think>" in (
        compare_tokenizers(student, teacher, *NAMES)
    )


def test_another_vocabulary_is_refused_and_says_where(tmp_path):
    student, _ = tokenizers("qwen", tmp_path)
    other = family_tokenizer("qwen", ["CREATE TABLE pets (pet_id INTEGER)"] * 2)
    with pytest.raises(InputError, match=r"--teacher teacher has another tokenizer than --student student: \d+ ids di"):
        compare_tokenizers(student, other, *NAMES)


def test_the_same_vocabulary_that_splits_texts_otherwise_is_refused(tmp_path):
    student, teacher = tokenizers("llama", tmp_path)
    teacher.backend_tokenizer.normalizer = None
    teacher.backend_tokenizer.pre_tokenizer = None
    with pytest.raises(InputError, match=r"'database schema :.*' has other ids from token \d+ on"):
        compare_tokenizers(student, teacher, *NAMES)


def test_a_template_that_writes_what_only_the_student_knows_is_refused(tmp_path):
    student, teacher = (with_template(one, "chatml") for one in tokenizers("qwen", tmp_path))
    student = with_template(student, "thinking")
    assert "2 added tokens differ" in compare_tokenizers(student, teacher, *NAMES)
    student.eos_token = teacher.eos_token = "<|im_end|>"
    with pytest.raises(InputError, match="has other ids from token"):
        compare_tokenizers(student, teacher, *NAMES, chat_template="auto")


def test_models_that_end_their_outputs_with_other_tokens_are_refused(tiny_models, tmp_path):
    """As an instruction-tuned teacher and its base do; in a chat template both end with the turn's token."""
    for place, name in enumerate(NAMES):
        tokenizer = with_template(load_tokenizer(tiny_models / name, f"--{name}"), "chatml")
        tokenizer.eos_token = ("<|endoftext|>", "<|im_end|>")[place]
        tokenizer.save_pretrained(tmp_path / name)
    ends = r"--teacher teacher ends its outputs with <\|im_end\|> and --student student with <\|endoftext\|>"
    with pytest.raises(InputError, match=ends):
        compare_tokenizers(*(load_tokenizer(tmp_path / name, "") for name in NAMES), *NAMES)
    assert compare_tokenizers(*(load_tokenizer(tmp_path / name, "", "auto") for name in NAMES), *NAMES, "auto") == ""
