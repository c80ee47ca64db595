"""Token ids of the parts of a prompt are those of the whole text, with the special tokens of each model family."""

from dataclasses import replace

import pytest
from helpers.family_tokenizers import FAMILIES, family_tokenizer
from transformers import CodeGenTokenizer, LlamaTokenizer, Qwen2Tokenizer

from kid.config.run_config import PROMPTS, RunConfig
from kid.data.annotation import AnnotatedQuestion
from kid.data.encoding import WholePrompt, bos_ids, encode_continuations, encode_texts
from kid.data.prepare import encode_given_prompt
from kid.data.prompts.encoder import PromptEncoder
from kid.data.prompts.formats import FORMATS
from kid.data.questions import Question
from kid.data.schema import Column, Schema, Table

PARTS = [
    "database schema :\ntable singer , columns = [ singer.name ( text | values : Joe ) ]\nforeign keys : None\n",
    "matched contents :\nsinger.name ( Joe )\n",
    "How old is Joe?\n",
    "SELECT singer.age FROM singer WHERE singer.name = 'Joe'",
]


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request):
    return family_tokenizer(request.param, [line for part in PARTS for line in part.splitlines()])


def test_parts_together_are_the_whole_text(tokenizer):
    first, *rest = PARTS
    ids = encode_texts(tokenizer, [first])[0] + [i for ids in encode_continuations(tokenizer, rest) for i in ids]
    assert ids == encode_texts(tokenizer, ["".join(PARTS)])[0]
    assert tokenizer.decode(encode_continuations(tokenizer, PARTS[3:])[0]) == PARTS[3]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("matches", [{}, {("singer", "name"): ["Joe", "o'Neil"]}])
def test_each_format_has_the_ids_of_its_whole_text(tokenizer, prompt, matches):
    singer = Table("singer", (Column("name", "stage name", "text", True, ("Joe",)), Column("age", "", "int", False)))
    schema = Schema("songs", (singer, replace(singer, name="pop singer")), (("pop singer", "name", "singer", "name"),))
    question, form = Question(0, "songs", "How old is Joe?", "SELECT 1", "old is age"), FORMATS[prompt]
    encoder = PromptEncoder(tokenizer, RunConfig(prompt=prompt))
    (shown,), (values,) = encoder.schemas([schema]), encoder.matched([schema], [matches])
    (own,), (output,) = encoder.questions([question]), encoder.outputs(["SELECT 1"])
    text = form.OPENING + form.schema_part(schema) + form.matched_part(schema, matches)
    text += form.question_part(question.question, question.evidence) + "SELECT 1"
    whole = bos_ids(tokenizer) + encode_texts(tokenizer, [text])[0]
    assert encoder.opening + shown + values + own + output == [*whole, tokenizer.eos_token_id]


def test_bos_stands_where_the_family_has_it(tokenizer):
    family = {Qwen2Tokenizer: [], CodeGenTokenizer: [], LlamaTokenizer: [1]}
    assert bos_ids(tokenizer) == family[type(tokenizer)]
    assert bos_ids(tokenizer) + encode_texts(tokenizer, [PARTS[0]])[0] == tokenizer(PARTS[0]).input_ids


def test_a_cell_that_spells_a_special_token_is_none(tokenizer):
    special = [tokenizer.eos_token_id, tokenizer.bos_token_id]
    for encode in (encode_texts, encode_continuations):
        (ids,) = encode(tokenizer, [f"a {tokenizer.eos_token} b"])
        assert not set(ids) & set(special)


def test_nothing_is_encoded_as_nothing(tokenizer):
    assert encode_texts(tokenizer, []) == [] and encode_continuations(tokenizer, []) == []


@pytest.mark.parametrize(
    ("limit", "ids", "shared", "cut"),
    [
        (10, [0, 1, 2, 3, 4, 5, 6, 7], 4, 0),
        (8, [0, 1, 2, 3, 4, 5, 6, 7], 4, 0),
        (7, [0, 2, 3, 4, 5, 6, 7], 3, 1),
        (5, [0, 4, 5, 6, 7], 1, 3),
        (4, [0, 5, 6, 7], 1, 4),
        (3, [0, 6, 7], 1, 5),
        (1, [0, 6, 7], 1, 5),
    ],
)
def test_what_is_too_much_is_cut_from_the_left_but_never_the_question(limit, ids, shared, cut):
    prompt = WholePrompt([0, 1, 2, 3, 4, 5, 6, 7], shared=4, start=1, end=6).cut_to(limit)
    assert (prompt.ids, prompt.shared, prompt.cut) == (ids, shared, cut)


@pytest.mark.parametrize("limit", [100, 6])
def test_a_given_prompt_has_one_bos(tokenizer, limit):
    """Where the tokenizer puts one: whether the prompt spells it or not, and however much of it is cut."""
    bos, found = bos_ids(tokenizer), []
    for start in ("", tokenizer.bos_token or ""):
        question = Question(0, "", "", "SELECT 1", prompt=f"{start}How old is Joe, and how old is the singer?\n")
        annotated = AnnotatedQuestion(question, {}, "SELECT 1", None)
        row = encode_given_prompt(annotated, limit, PromptEncoder(tokenizer, RunConfig()))
        found.append(row[2])
    for ids in found:
        assert ids[: len(bos)] == bos and len(ids) <= limit
        assert not bos or ids.count(*bos) == 1
    assert found[0][-4:] == found[1][-4:]
