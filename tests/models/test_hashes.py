"""Our scripts hash what they write; a file that has changed since it was written is named before it is used."""

import json
import random
import shutil
import time

import pytest
import torch
from transformers import AutoModelForCausalLM

from kid.errors import InputError
from kid.evaluation.prediction import load_model
from kid.models import hashes
from kid.models.hashes import HASHES_FILE, check_hashes, file_digest, read_hashes, write_hashes
from kid.models.loading import add_adapter, add_lora, load_causal_lm, stored_tensors
from kid.models.pretrained import find_teacher, fingerprint, load_tokenizer


@pytest.fixture(scope="module")
def written(tiny_models, tmp_path_factory):
    """A model and an adapter on it, with hashes."""
    folder = tmp_path_factory.mktemp("written")
    shutil.copytree(tiny_models / "student", folder / "base")
    adapted = add_lora(load_causal_lm(folder / "base", "fp32", "eager"), 2, 4.0, 0.0, seed=0)
    adapted.peft_config["default"].base_model_name_or_path = str(folder / "base")
    adapted.save_pretrained(folder / "adapter")
    load_tokenizer(folder / "base", "base").save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").write_text("card")
    (folder / "adapter" / "chat").mkdir()
    (folder / "adapter" / "chat" / "template.jinja").write_text("{{ messages }}")
    before = fingerprint(find_teacher(str(folder / "adapter"), "--teacher"))
    for name in ("base", "adapter"):
        write_hashes(folder / name)
    assert fingerprint(find_teacher(str(folder / "adapter"), "--teacher")) == before
    return folder


@pytest.fixture
def copy(written, tmp_path):
    """A copy to damage; the adapter's base is the copied one."""
    for name in ("base", "adapter"):
        shutil.copytree(written / name, tmp_path / name)
    file = tmp_path / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": str(tmp_path / "base")}))
    return tmp_path


def flip(path, place: float = 0.5):
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def lose(path):
    path.unlink()


def test_a_folder_as_it_was_written_is_read_by_everything(copy):
    """Also with an edited card, a moved base, and files that others have added."""
    (copy / "adapter" / "README.md").write_text("another card")
    (copy / "adapter" / "notes.txt").write_text("mine")
    check_hashes(copy / "adapter")
    assert set(read_hashes(copy / "adapter")) >= {"adapter_model.safetensors", "tokenizer.json", "chat/template.jinja"}
    assert not {"README.md", HASHES_FILE} & set(read_hashes(copy / "adapter"))
    weights = copy / "base" / "model.safetensors"
    assert read_hashes(copy / "base")["model.safetensors"] == file_digest(weights)
    ids = torch.arange(3, 9)[None]
    ours = load_model(copy / "adapter", "cpu")(ids).logits
    theirs = add_adapter(load_causal_lm(copy / "base", "fp32", "eager"), copy / "adapter").eval()(ids).logits
    torch.testing.assert_close(ours, theirs)
    AutoModelForCausalLM.from_pretrained(copy / "base")
    load_tokenizer(copy / "adapter", "--model")


@pytest.mark.parametrize("spoil", [flip, cut, lose])
@pytest.mark.parametrize("name", ["base/model.safetensors", "adapter/adapter_model.safetensors"])
def test_damaged_weights_are_named_by_every_loader(name, spoil, copy):
    path = copy / name
    load_model(copy / "adapter", "cpu")  # which must not be remembered
    spoil(path)
    problem = "is missing" if spoil is lose else "has changed since it was written"
    said = rf"{path.name} {problem}; copy it again or restore it"
    with pytest.raises(InputError, match=said):
        load_model(copy / "adapter", "cpu")
    with pytest.raises(InputError, match=said):
        stored_tensors(path.parent)
    with pytest.raises(InputError, match=said):
        add_adapter(load_causal_lm(copy / "base", "fp32", "eager"), copy / "adapter")


@pytest.mark.parametrize("spoil", [flip, cut, lose])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json"])
def test_so_are_damaged_settings(name, spoil, copy):
    spoil(copy / "base" / name)
    for load in (lambda: load_model(copy / "base", "cpu"), lambda: load_tokenizer(copy / "base", "--model")):
        with pytest.raises(
            InputError, match=r"(has changed since it was written|is missing); copy it again or restore it"
        ):
            load()


def test_damaged_hashes(copy):
    flip(copy / "base" / HASHES_FILE)
    with pytest.raises(InputError, match=r"has changed since it was written; copy it again or restore it"):
        load_model(copy / "base", "cpu")


def test_a_damaged_adapter_config(copy):
    cut(copy / "adapter" / "adapter_config.json")
    with pytest.raises(InputError, match=r"adapter_config.json has changed since it was written"):
        find_teacher(str(copy / "adapter"), "--teacher")
    with pytest.raises(InputError, match=r"adapter_config.json has changed since it was written"):
        load_model(copy / "adapter", "cpu")


def test_random_flips_are_noticed_or_change_nothing(copy):
    chance = random.Random(0)
    names = [path for path in sorted((copy / "adapter").rglob("*")) if path.is_file() and path.name != "README.md"]
    for _ in range(60):
        path = chance.choice(names)
        content, settings = path.read_bytes(), json.loads((copy / "adapter" / "adapter_config.json").read_text())
        flip(path, chance.random())
        try:
            check_hashes(copy / "adapter")
            now = json.loads((copy / "adapter" / "adapter_config.json").read_text())
            # Only where the base lies, and spaces between values, may differ.
            assert path.name in ("adapter_config.json", HASHES_FILE)
            now.pop("base_model_name_or_path"), settings.pop("base_model_name_or_path")
            assert now == settings
        except InputError as error:
            assert len(str(error).splitlines()) == 1 and "; copy it again or restore it" in str(error)
        path.write_bytes(content)
    check_hashes(copy / "adapter")


@pytest.mark.parametrize("name", ["../base/config.json", "/etc/hostname", "", "a/../../b", "nul\0"])
def test_names_that_lead_out_of_the_folder_are_refused(name, copy):
    (copy / "base" / HASHES_FILE).write_text(json.dumps({name: [0, "0"]}))
    with pytest.raises(InputError, match=r"kid-hashes.json has changed since it was written"):
        check_hashes(copy / "base")


@pytest.mark.parametrize("content", ["[]", "{", '{"config.json": 3}', '{"config.json": [1]}', "[" * 5000, "null"])
def test_hashes_that_are_none(content, copy):
    (copy / "base" / HASHES_FILE).write_text(content)
    with pytest.raises(
        InputError, match=r"kid-hashes.json has changed since it was written; copy it again or restore it"
    ):
        check_hashes(copy / "base")


def test_weights_are_hashed_once_a_process_and_on_one_rank_of_a_node(copy, monkeypatch, capsys):
    hashed = []
    digest = hashes.model_file_digest
    monkeypatch.setattr(hashes, "model_file_digest", lambda path: hashed.append(path.name) or digest(path))
    monkeypatch.setattr(hashes, "ANNOUNCED_BYTES", 1000)
    time.sleep(0.2)  # a file that has just been written is not remembered
    for _ in range(2):
        check_hashes(copy / "base")
    assert hashed.count("model.safetensors") == hashed.count("config.json") == 1
    assert capsys.readouterr().err.count("base: checking 0 GB against kid-hashes.json") == 1
    hashed.clear()
    monkeypatch.setenv("LOCAL_RANK", "1")
    flip(copy / "base" / "model.safetensors")
    check_hashes(copy / "base")  # the first rank of the node will say it
    assert "model.safetensors" not in hashed
    cut(copy / "base" / "model.safetensors")
    with pytest.raises(InputError, match=r"model.safetensors has changed since it was written"):
        check_hashes(copy / "base")


def test_a_model_without_hashes_and_with_a_damaged_config_is_named(copy):
    (copy / "base" / HASHES_FILE).unlink()
    (copy / "base" / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config.json cannot be read"):
        fingerprint(find_teacher(str(copy / "base"), "--teacher"))
