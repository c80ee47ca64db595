"""Prompts in a template of the user's own: the ids of the whole text, what is shared, what is cut, and its errors."""

import hashlib
import re
from dataclasses import replace

import pytest
from helpers.chat_templates import TEMPLATES, with_template
from helpers.family_tokenizers import FAMILIES, family_tokenizer
from helpers.launcher import ROOT
from helpers.small_benchmark import edit, options

from kid.config.run_config import RunConfig
from kid.data.encoding import bos_ids, encode_texts
from kid.data.prepare import prepare
from kid.data.prompts.encoder import prompt_encoder
from kid.data.prompts.template import QUESTION_VARIABLES, SCHEMA_VARIABLES, find_form, prompt_text
from kid.data.questions import Question
from kid.data.schema import Column, Schema, Table
from kid.errors import InputError

CONCERTS = Schema(
    "concerts",
    (
        Table("Singer", (
            Column("singer_id", "", "int", True, ("1", "2")),
            Column("Name", "stage\nname", "text", False, ("Ada", "a\nb")),
        )),
        Table("concert", (Column("concert_id", "", "int", True), Column("singer_id", "", "int", False))),
    ),
    (("concert", "singer_id", "Singer", "singer_id"),),
)  # fmt: skip
MATCHES = {("singer", "name"): ["Ada"], ("gone", "x"): ["y"]}
QUESTION = Question(0, "concerts", "How old\n is Ada?", "SELECT 1", "old is age")
PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLE, SHOWN = PAGE.split("```jinja\n")[1].split("\n```\n\nwrites\n\n```\n")
EXAMPLE, SHOWN = EXAMPLE + "\n", SHOWN.split("```")[0]
LATE = "{{ question }}\n{{ evidence }}\n\n{{ ddl }}\n  {{ matches[0].column if matches }} SQL:"
MIXED = "{{ db_id }}: {{ question }}{% for table in tables %} {{ table.name }},{% endfor %} SQL:\n\n"
AROUND = "{{ m_schema }}\n{% for m in matches %}{{ m.column }}{% endfor %}\n{{ question }}\n{{ tables[0].name }}\n"
FORMS = {"first": EXAMPLE, "late": LATE, "mixed": MIXED, "around": AROUND}


def test_the_example_of_the_page_writes_what_the_page_shows():
    question = replace(QUESTION, question="How old is Ada?")
    assert prompt_text(EXAMPLE, CONCERTS, MATCHES, question.question) == SHOWN
    with_evidence = prompt_text(EXAMPLE, CONCERTS, {}, question.question, question.evidence)
    assert with_evidence == SHOWN.replace("### Values\nsinger.name: Ada\n\n", "").replace("How", "old is age\nHow")


def test_every_documented_variable_letter_by_letter():
    rows = PAGE.split("| variable |")[1].split("\n\n")[0].splitlines()[2:]
    names = {name for row in rows for name in re.findall("`([a-z_]+)`", row.split("|")[1])}
    assert names == {*SCHEMA_VARIABLES, *QUESTION_VARIABLES}
    source = """\
{% for t in tables %}{% for c in t.columns %}
{{ t.name }}.{{ c.name }} {{ c.type }} [{{ c.comment }}] {{ c.primary_key }} {{ c.values | join("/") }}
{% endfor %}{% endfor %}
{{ matches }} {{ db_id }} {{ evidence }}|{{ question }}
{{ codes }}|
{{ m_schema }}|{{ ddl }}|{{ foreign_keys }}"""
    text = prompt_text(source, CONCERTS, MATCHES, QUESTION.question, QUESTION.evidence)
    assert text.startswith(
        "singer.singer_id int [] True 1/2\nsinger.name text [stage name] False Ada/a'||char(10)||'b\n"
        "concert.concert_id int [] True \nconcert.singer_id int [] False \n"
        "[Match(column='singer.name', type='text', values=['Ada'])] concerts old is age|How old is Ada?\n"
        "database schema :\n"
    )
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "4fef92b763b1feff"


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request):
    lines = [line for source in FORMS.values() for line in whole(source).splitlines()]
    return lambda: family_tokenizer(request.param, lines + ["user", "assistant", "You are a helpful", "[INST]"] * 3)


def whole(source: str, question: Question = QUESTION, matches=MATCHES, schema: Schema = CONCERTS) -> str:
    return prompt_text(source, schema, matches, question.question, question.evidence)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("asked", [(QUESTION, MATCHES), (replace(QUESTION, evidence=""), {})])
def test_ids_are_those_of_the_whole_text(plain, name, asked):
    tokenizer, source = plain(), FORMS[name]
    encoder = prompt_encoder(tokenizer, RunConfig(prompt=source))
    (prompt,), (output,) = encoder.prompts([CONCERTS], [asked[1]], [asked[0]]), encoder.outputs(["SELECT 1"])
    (ids,) = encode_texts(tokenizer, [whole(source, *asked) + "SELECT 1"])
    assert prompt.ids + output == [*bos_ids(tokenizer), *ids, tokenizer.eos_token_id]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("chat", ["auto", "file"])
def test_ids_are_those_of_the_chat_template(plain, name, chat):
    for template in TEMPLATES:
        tokenizer = with_template(plain(), template)
        source, own = FORMS[name], tokenizer.chat_template
        if chat == "file":  # whatever the tokenizer's own is
            tokenizer.chat_template = "{{ bos_token }}"
        encoder = prompt_encoder(tokenizer, RunConfig(prompt=source, chat_template="auto" if chat == "auto" else own))
        (prompt,) = encoder.prompts([CONCERTS], [MATCHES], [QUESTION])
        turns = [{"role": "user", "content": whole(source).removesuffix("\n")}]
        more = {"chat_template": own.replace("strftime_now('%d %b %Y')", "'26 Jul 2024'"), "enable_thinking": False}
        assert prompt.ids == tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False, **more)


def test_a_cell_that_spells_a_special_token_is_text(plain):
    tokenizer = plain()
    asked = replace(QUESTION, question=f"Is {tokenizer.eos_token} a name?")
    (prompt,) = prompt_encoder(tokenizer, RunConfig(prompt=EXAMPLE)).prompts([CONCERTS], [MATCHES], [asked])
    assert tokenizer.eos_token_id not in prompt.ids[len(bos_ids(tokenizer)) :]


def test_the_schema_is_shared_and_cut_and_nothing_else(folder, tokenizer):
    edit(folder / "dev.json", lambda items: items[0].update(question="Where? " * 9))
    config = options(folder, prompt=EXAMPLE, max_prompt_length=8192)
    full, shown = prepare(config, "dev", tokenizer), {}
    for row in full.rows:
        shared = row["prompt_ids"][: row["shared"]]
        assert shown.setdefault(row["db_id"], shared) == shared
        text = tokenizer.decode(shared)
        assert text.startswith("Answer the question") and " refers to " in text and "### Q" not in text
    assert len(shown) == 2 and not full.notes
    limit = min(map(len, full.rows["prompt_ids"])) - 30
    cut = prepare(replace(config, schema_filter="none", max_prompt_length=limit), "dev", tokenizer)
    for row, before in zip(cut.rows, full.rows, strict=True):
        text, whole_text = tokenizer.decode(row["prompt_ids"]), tokenizer.decode(before["prompt_ids"])
        assert row["cut"] == len(before["prompt_ids"]) - len(row["prompt_ids"]) and len(row["prompt_ids"]) == limit
        assert row["shared"] == before["shared"] - row["cut"]
        assert text.startswith("Answer the question with one SQLite query.\n\n### Tables of")
        assert text.endswith(whole_text[whole_text.index(" refers to ") :].split("\n\n", 1)[1])


@pytest.mark.parametrize(("name", "shown", "shared"), [("late", 0, 0), ("mixed", 1, 0), ("around", 1, 1)])
def test_a_schema_after_the_question_is_used_as_it_is_and_said(folder, tokenizer, name, shown, shared):
    config = options(folder, prompt=FORMS[name], max_prompt_length=8192)
    full = prepare(config, "dev", tokenizer)
    said = "no two prompts share a schema: --batching schema and --teacher-prefix-gb save nothing"
    assert [said in note for note in full.notes] == [True] * (1 - shared)
    for row in full.rows:
        text = tokenizer.decode(row["prompt_ids"][: row["shared"]])
        assert (row["db_id"] in text) == shown and ("Foreign keys" in text) == shared
        assert full.questions[row["index"]].question not in text
    limit = max(map(len, full.rows["prompt_ids"])) - 5
    cut = prepare(replace(config, schema_filter="none", max_prompt_length=limit), "dev", tokenizer)
    assert max(cut.rows["cut"]) == 5
    for row in cut.rows:
        assert len(row["prompt_ids"]) <= limit
        assert full.questions[row["index"]].question in tokenizer.decode(row["prompt_ids"])


def test_a_schema_over_the_limit_is_filtered(folder, tokenizer):
    config = options(folder, prompt=EXAMPLE, max_prompt_length=8192)
    longest = max(map(len, prepare(config, "dev", tokenizer).rows["prompt_ids"]))
    filtered = prepare(replace(config, max_prompt_length=longest - 1), "dev", tokenizer)
    assert any(row["filtered"] and not row["cut"] for row in filtered.rows)
    assert max(map(len, filtered.rows["prompt_ids"])) < longest


def test_another_template_is_prepared_anew(folder, tokenizer):
    config = options(folder, prompt=EXAMPLE)
    prepare(config, "dev", tokenizer)
    assert prepare(config, "dev", tokenizer).cached
    assert not prepare(replace(config, prompt=EXAMPLE + "--"), "dev", tokenizer).cached


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ ddl }}\n", r"the template never uses the question; add {{ question }} to it"),
        (
            "{{ question }}\n{{ db_id }}",
            r"never uses the schema; add {{ ddl }} to it, or another of codes, ddl, m_schema",
        ),
        ("{{ ddl }}\n\n{{ quesion }}", r"line 3: quesion is unknown; known: codes, ddl, .*, question$"),
        ("{{ bos_token }}{{ ddl }}{{ question }}", "line 1: bos_token is unknown"),
        ("{{ ddl }}{{ question }}\n{% if evidence %}", "line 2: Unexpected end of template"),
        ("{{ ddl }}{{ question }}\n{{ ddl | nothing }}", "line 2: No filter named 'nothing'; correct it"),
        ("{{ ddl }}{{ question }}\n\n{{ tables[0].nme }}", "line 3: 'Table object' has no attribute 'nme'; correct it"),
        ("{{ ddl }}\n{% if matches %}\n{{ question / 2 }}{% else %}{{ question }}{% endif %}", "line 3: unsupported"),
        ("{{ ddl }}{{ question }}\n{{ ddl.__class__ }}", "line 2: access to attribute '__class__' .* is unsafe"),
        ("{{ ddl }}{{ question }}{% include 'x' %}", "line 1: no loader"),
        ("{{ ddl }}{{ question }}{{ tables.append(1) }}", "line 1: access to attribute 'append'"),
    ],
)
def test_an_error_is_a_line_with_the_templates_line(source, message):
    with pytest.raises(InputError, match=message) as refused:
        find_form(source)
    assert "\n" not in str(refused.value) and str(refused.value).startswith("--prompt: the template")


@pytest.mark.parametrize("token", ["<s>", "</s>"])
def test_a_special_token_in_a_template_is_refused(token):
    """BOS by hand would be text after the tokenizer's BOS, and chat markers would be text."""
    tokenizer = family_tokenizer("llama", ["a b"] * 9)
    tokenizer.chat_template = "{{ messages[0].content }}"
    for chat in ("none", "auto"):
        config = RunConfig(prompt=f"{{# mine #}}\n{token}{{{{ ddl }}}}\n{{{{ question }}}}", chat_template=chat)
        with pytest.raises(InputError, match=rf"line 2: {token} is a special token of the tokenizer; remove it"):
            prompt_encoder(tokenizer, config)
