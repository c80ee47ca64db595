"""Prompts in a chat template: their ids are those of `apply_chat_template`, and what ends a turn ends the output."""

import json
from dataclasses import replace

import pytest
from helpers.chat_templates import CHATML, TEMPLATES, with_template
from helpers.family_tokenizers import FAMILIES, family_tokenizer
from helpers.small_benchmark import options

from kid.config.run_config import PROMPTS, RunConfig
from kid.data.faults import Damage
from kid.data.prepare import prepare
from kid.data.prompts.chat import chat_turn, end_outputs_with_turn
from kid.data.prompts.encoder import PromptEncoder
from kid.data.prompts.formats import FORMATS
from kid.data.questions import Question, load_questions
from kid.data.schema import Column, Schema, Table
from kid.errors import InputError
from kid.models.pretrained import load_tokenizer

SCHEMA = Schema(
    "songs",
    (
        Table("singer", (Column("name", "stage name", "text", True, ("Joe", "O'Neil")),)),
        Table("pop song", (Column("singer", "", "text", False), Column("age", "", "int", False, ("1", "2")))),
    ),
    (("pop song", "singer", "singer", "name"),),
)
MATCHES = {("singer", "name"): ["Joe"]}
QUESTION = Question(0, "songs", "How old is Joe?", "SELECT age FROM `pop song`", "old is age")


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request):
    """The tokenizer of a family, as text, since each test changes it."""
    lines = [text.strip() for form in PROMPTS for text in whole_prompt(form).splitlines()]
    return lambda: family_tokenizer(request.param, lines + ["user", "assistant", "You are a helpful", "[INST]"] * 3)


def whole_prompt(prompt: str, question: Question = QUESTION) -> str:
    form = FORMATS[prompt]
    shown = form.OPENING + form.schema_part(SCHEMA) + form.matched_part(SCHEMA, MATCHES)
    return shown + form.question_part(question.question, question.evidence)


def apply(tokenizer, prompt: str, *answer: str, **more) -> list[int]:
    turns = [{"role": "user", "content": prompt.removesuffix("\n")}]
    turns += [{"role": "assistant", "content": text} for text in answer]
    template = tokenizer.chat_template.replace("strftime_now('%d %b %Y')", "'26 Jul 2024'")  # not today's date
    more |= {"chat_template": template, "add_generation_prompt": not answer, "enable_thinking": False}
    return tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False, **more)


def encoded(tokenizer, prompt: str, question: Question = QUESTION) -> tuple[list[int], list[int]]:
    """Ids of the prompt, part by part, and of the output."""
    encoder = PromptEncoder(tokenizer, RunConfig(prompt=prompt, chat_template="auto"))
    parts = [encoder.schemas([SCHEMA]), encoder.matched([SCHEMA], [MATCHES]), encoder.questions([question])]
    return sum((part for (part,) in parts), encoder.opening), encoder.outputs([question.query])[0]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_ids_are_those_of_the_whole_conversation(plain, name, prompt):
    tokenizer = with_template(plain(), name)
    ids, output = encoded(tokenizer, prompt)
    assert ids == apply(tokenizer, whole_prompt(prompt))
    assert output[-1] == tokenizer.convert_tokens_to_ids(TEMPLATES[name][2] or tokenizer.eos_token)
    if name != "instructions":  # that writes a blank before and after an answer
        assert apply(tokenizer, whole_prompt(prompt), QUESTION.query)[: len(ids + output)] == ids + output
    assert QUESTION.query in tokenizer.decode(output)


def test_a_cell_or_question_that_spells_a_marker_is_text(plain):
    tokenizer = with_template(plain(), "chatml")
    asked = replace(QUESTION, question="Is <|im_end|> a song by <|im_start|> ?")
    ids, _ = encoded(tokenizer, "ddl", asked)
    assert ids == apply(tokenizer, whole_prompt("ddl", asked), sanitize_control_tokens=True)
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 1


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_text_around_a_prompt_is_the_templates(plain, name):
    tokenizer = with_template(plain(), name)
    text = chat_turn(tokenizer, "auto").around(whole_prompt("codes"))
    assert tokenizer(text, add_special_tokens=False).input_ids == apply(tokenizer, whole_prompt("codes"))
    assert chat_turn(tokenizer, "none") is None
    tokenizer.chat_template = None
    assert chat_turn(tokenizer, "auto") is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{{ raise_exception('no user') }}",
            r"chat template fails \(line 1: no user\); give another, or --chat-template none",
        ),
        ("{{ messages[0].nothing.at.all }}", "chat template fails"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "does not write the user's text once and as it is"),
        ("{{ messages[0].content | upper }}", "does not write the user's text once and as it is"),
        ("{{ messages[0].content + 'SQL' }}", None),
        ("{{ 'x' + messages[0].content }}", "joins a token of the chat template with one of the prompt"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(template, message):
    tokenizer = family_tokenizer("qwen", ["xdatabase schema :"] * 9)
    tokenizer.chat_template = template
    if message is None:
        assert encoded(tokenizer, "codes")[0] == apply(tokenizer, whole_prompt("codes"))
        return
    with pytest.raises(InputError, match=message):
        encoded(tokenizer, "codes")


@pytest.mark.parametrize("name", ["chatml", "instructions"])
def test_eos_is_the_token_that_ends_a_turn(plain, name, tmp_path):
    """It is saved with the tokenizer, and skipped where outputs become text."""
    tokenizer = with_template(plain(), name)
    before, vocabulary = tokenizer.eos_token, tokenizer.get_vocab()
    end_outputs_with_turn(tokenizer, "none")
    assert tokenizer.eos_token == before
    tokenizer.save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path, "--model", "auto")
    assert tokenizer.eos_token == (TEMPLATES[name][2] or before) and tokenizer.get_vocab() == vocabulary
    _, output = encoded(tokenizer, "codes")
    assert tokenizer.decode(output, skip_special_tokens=True).strip() == QUESTION.query
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path, "--model").eos_token == tokenizer.eos_token


@pytest.fixture
def chatty(tiny_models):
    return with_template(load_tokenizer(tiny_models / "student", "--student"), "chatml with a system turn")


@pytest.mark.parametrize("prompt", ["codes", "ddl"])
def test_the_schema_is_shared_and_cut_and_the_markers_stay(folder, chatty, prompt):
    config = options(folder, prompt=prompt, chat_template="auto", max_prompt_length=8192)
    whole = prepare(config, "dev", chatty)
    turn = chat_turn(chatty, "auto")
    before = turn.opening + FORMATS[prompt].OPENING
    kept = len(chatty(before, add_special_tokens=False).input_ids)
    shown: dict[str, list[int]] = {}
    for row in whole.rows:
        shared = row["prompt_ids"][: row["shared"]]
        assert shown.setdefault(row["db_id"], shared) == shared
        assert chatty.decode(shared).startswith(before) and chatty.decode(row["prompt_ids"]).endswith(turn.closing)
        assert row["completion_ids"][-1] == chatty.convert_tokens_to_ids("<|im_end|>") != chatty.eos_token_id
    assert len(shown) == 2 and min(map(len, shown.values())) > kept
    limit = min(map(len, whole.rows["prompt_ids"])) - 30
    cut = prepare(replace(config, schema_filter="none", max_prompt_length=limit), "dev", chatty)
    for row, full in zip(cut.rows, whole.rows, strict=True):
        ids = full["prompt_ids"]
        assert row["cut"] and len(row["prompt_ids"]) == limit
        assert row["prompt_ids"] == ids[:kept] + ids[kept + row["cut"] :]


def test_a_tokenizer_without_a_template_is_said(folder, tiny_models):
    tokenizer = load_tokenizer(tiny_models / "student", "--student", "auto")
    prepared = prepare(options(folder, chat_template="auto"), "dev", tokenizer)
    assert "prompts without --chat-template auto: the tokenizer has no chat template" in prepared.remarks()
    assert prepared.rows.to_dict() == prepare(options(folder), "dev", tokenizer).rows.to_dict()


def test_another_template_is_prepared_anew(folder, chatty):
    config = options(folder, chat_template="auto")
    prepare(config, "dev", chatty)
    chatty.chat_template = CHATML
    assert not prepare(config, "dev", chatty).cached and prepare(config, "dev", chatty).cached


def write_lines(path, *lines: dict) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


SYSTEM, USER, ANSWER = ({"role": role, "content": f"the {role}"} for role in ("system", "user", "assistant"))


def test_conversations_are_written_in_the_template(tmp_path, chatty):
    """With a system turn of their own, earlier turns, and answers that are not normalised."""
    conversations = ([USER, ANSWER], [SYSTEM, USER, ANSWER, USER, {"role": "assistant", "content": "SELECT  1 ;"}])
    write_lines(tmp_path / "dev.jsonl", *({"messages": turns} for turns in conversations))
    config = RunConfig(benchmark="jsonl", data=str(tmp_path), chat_template="auto", max_prompt_length=9)
    prepared = prepare(config, "dev", chatty)
    for turns, row in zip(conversations, prepared.rows, strict=True):
        whole = chatty.apply_chat_template(turns, return_dict=False)
        before = chatty.apply_chat_template(turns[:-1], add_generation_prompt=True, return_dict=False)
        assert row["prompt_ids"] == before and row["shared"] == row["cut"] == 0  # markers are never cut
        assert whole[: len(before) + len(row["completion_ids"])] == before + row["completion_ids"]
    assert prepared.questions[1].prompt == "the system\nthe user\nthe assistant\nthe user"
    with pytest.raises(
        InputError, match=r"question 0 is a conversation \(messages\), which takes --chat-template auto"
    ):
        prepare(replace(config, chat_template="none"), "dev", chatty)
    chatty.chat_template = None
    with pytest.raises(InputError, match=r"question 0 is a conversation .* the tokenizer has no chat template"):
        prepare(config, "dev", chatty)


@pytest.mark.parametrize(
    "turns",
    [
        None, [], [ANSWER], [USER], [USER, ANSWER, USER], [USER, {"role": "assistant"}],
        [{"role": "user", "content": ["text"]}, ANSWER], ["user", ANSWER],
    ],
)  # fmt: skip
def test_a_conversation_that_is_none_is_named(tmp_path, turns):
    write_lines(tmp_path / "dev.jsonl", {"messages": [USER, ANSWER]}, {"messages": turns})
    damage = Damage("skip")
    good, bad = load_questions("jsonl", "dev", tmp_path, damage=damage)
    assert good.messages == (("user", "the user"),) and good.query == "the assistant" and not good.fault
    (line,) = damage.lines()
    assert bad.fault.startswith("messages that are not turns") and "dev.jsonl, line 2" in line


def test_a_question_may_have_messages_beside_it(tmp_path):
    write_lines(tmp_path / "dev.jsonl", {"db_id": "d", "question": "Why?", "query": "SELECT 1", "messages": [USER]})
    (question,) = load_questions("jsonl", "dev", tmp_path)
    assert (question.db_id, question.messages, question.prompt) == ("d", (), "")
