"""Five families of docs/models.md, each a kind of its own: the checks pass, and the page says what they found."""

import json

import model_table
import pytest
from parts.model_checks import COLUMNS, check, write_model
from parts.model_families import FAMILIES
from parts.model_zero3 import check_zero3

NO_PREFIX = "no: it has recurrent layers"
# Tied embeddings and wide heads; experts that are stored one by one; a soft cap and windows; a bias; recurrent layers.
TESTED = {
    "Qwen3": {},
    "Mixtral": {},
    "Gemma 2": {"fused head": "yes (soft cap 30)"},
    "CodeGen": {"fused head": "yes (bias)"},
    "Falcon-H1": {
        "fused head": "yes (scale 0.0391)", "prompts encoded once": NO_PREFIX, "schemas encoded once": NO_PREFIX,
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=TESTED)
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("family")
    write_model(FAMILIES[request.param], folder)
    return request.param, folder


@pytest.mark.parametrize("column", [column for column in COLUMNS if column != model_table.LAYERS])
def test_a_family(family, column):
    name, folder = family
    assert check(folder, column) == TESTED[name].get(column, "yes")


def test_its_layers_with_lora(family):
    name, folder = family
    layers = check(folder, model_table.LAYERS).split(", ")
    assert {"Mixtral": "experts", "CodeGen": "qkv_proj", "Falcon-H1": "in_proj"}.get(name, "q_proj") in layers
    assert not {"lm_head", "out_proj" if name == "Falcon-H1" else ""} & set(layers)


def test_what_fails_is_a_no_with_its_reason(family):
    _, folder = family
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 95}))
    try:
        assert check(folder, "loads").startswith("no: ")
    finally:
        (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.launch
def test_zero3_continues_after_a_family_that_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSPEED_TIMEOUT", "2")
    for name in ("Mixtral", "Qwen3"):
        write_model(FAMILIES[name], tmp_path / name)
    found = check_zero3([tmp_path / "Mixtral", tmp_path / "Qwen3"], tmp_path / "results")
    assert found == {"Mixtral": "no: it has experts, on which LoRA does not work under ZeRO-3", "Qwen3": "yes"}


def test_reasons_are_numbered_and_no_cell_is_silent():
    cells = {name: dict.fromkeys([*COLUMNS, model_table.ZERO3], "yes") for name in ("Qwen3", "Mixtral", "Phi")}
    cells["Mixtral"] |= {"decoding": "no: it takes no KV cache", "export": "no: of another reason"}
    cells["Phi"]["decoding"] = "no: it takes no KV cache"
    works, reasons, _, layers = model_table.tables(cells)
    rows = works.splitlines()
    assert "| no (1) | no (2) |" in rows[3] and "| no (1) | yes |" in rows[4]
    assert reasons == "1. It takes no KV cache.\n2. Of another reason."
    assert "Qwen3, Mixtral, Phi" in layers


def test_the_page_has_every_family():
    page = model_table.PAGE.read_text(encoding="utf-8")
    assert all(f"| {name} | `{family.model_type}` |" in page for name, family in FAMILIES.items())
