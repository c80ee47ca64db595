"""Settings that are templates: a file becomes its text, which travels with the run and is compared."""

import pytest

from kid.config.keys import convert
from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig, dump_config
from kid.config.templates import brief
from kid.config.trained import complete_settings, form_of, form_words, trained_settings
from kid.errors import InputError

EXAMPLE = "{% if ddl %}\n【Schema】 {{ ddl }}\n{% endif %}{{ question }}\n"


def test_a_file_becomes_its_text(tmp_path):
    path = tmp_path / "my.jinja"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())
    for name in ("prompt", "chat_template"):
        text = convert(name, str(path), "--flag")
        assert text == EXAMPLE and convert(name, text, "config.yaml") == text
    assert brief(EXAMPLE).startswith("template (3 lines, sha256 ") and brief(EXAMPLE) != brief(EXAMPLE + " ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jinja", None, r"prompt = '.*x\.jinja' does not exist; choose one of codes, ddl, m-schema, or a Jinja file"),
        ("dll", None, r"prompt = '.*dll' is unknown; choose one of codes, ddl, m-schema, or a Jinja file"),
        ("", None, "is a folder; choose one of"),
        ("x.jinja", b"{{ question }}\xff", r"x\.jinja is not UTF-8 \(byte 14\); save it as UTF-8"),
        ("x.jinja", b"{{ question }}\0", "has a NUL"),
        ("x.jinja", b"hello", "is no Jinja template: it has neither {{ nor {%"),
    ],
)
def test_a_file_that_is_no_template_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        convert("prompt", str(tmp_path / name), "--prompt")


@pytest.mark.parametrize("text", [EXAMPLE, "{{ ddl }} {{ question }}", "{{ ddl }} \n\t{{ question }}\r\x85\n\n"])
def test_config_yaml_holds_the_text(tmp_path, text):
    config = RunConfig(student="s", prompt=text, chat_template=EXAMPLE)
    (tmp_path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    assert merge_config(tmp_path / "config.yaml", {}) == config
    assert dump_config(config).count("\n  【Schema】 {{ ddl }}\n") == 1 + (text == EXAMPLE)  # line by line, to be read


@pytest.mark.parametrize("name", ["prompt", "chat_template"])
def test_a_models_template_needs_no_file_and_a_changed_one_is_refused(tmp_path, name):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(dump_config(RunConfig(student="s", **{name: EXAMPLE})), encoding="utf-8")
    assert trained_settings(run / "adapter")[0][name] == EXAMPLE
    values, (line,) = complete_settings({name: None}, run / "adapter")
    flag = f"--{name.replace('_', '-')}"
    assert values == {name: EXAMPLE} and line.endswith(f"config.yaml: {flag} {brief(EXAMPLE)}")
    refused = rf"^{flag} template \(4 lines, sha256 .*\): .* has {flag} template \(3 lines, .* add --other-form"
    with pytest.raises(InputError, match=refused) as error:
        complete_settings({name: EXAMPLE + "\n"}, run / "adapter")
    assert "\n" not in str(error.value)
    assert complete_settings({name: EXAMPLE}, run / "adapter") == ({name: EXAMPLE}, [])


def test_the_form_of_prompts_in_brief():
    assert form_of({"prompt": "ddl", "seed": 1}) == {"prompt": "ddl"}
    form = form_of({"prompt": EXAMPLE, "chat_template": "auto"})
    assert form_of(form) == form and form_words(form) == f"--prompt {brief(EXAMPLE)} --chat-template auto"
