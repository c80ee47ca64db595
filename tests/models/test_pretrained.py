"""Where a teacher lies, and the hash by which its outputs know it."""

import json
import shutil

import pytest
import torch
from helpers.chat_templates import with_template
from helpers.family_tokenizers import family_tokenizer
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Tokenizer

from kid.config.run_config import RunConfig, dump_config
from kid.errors import InputError
from kid.models.pretrained import (
    Pretrained,
    check_model_path,
    find_model,
    find_teacher,
    fingerprint,
    load_tokenizer,
    tokenizer_class,
)


@pytest.fixture
def adapter(tiny_models, tmp_path):
    """A PEFT directory on a copy of the tiny teacher."""
    shutil.copytree(tiny_models / "teacher", tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    get_peft_model(model, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_model_is_its_own_base(tiny_models):
    folder = tiny_models / "teacher"
    assert find_teacher(str(folder), "--teacher") == Pretrained(folder, None, folder)


def test_an_adapter_names_its_base_and_may_bring_its_tokenizer(adapter):
    base = adapter.parent / "base"
    assert find_teacher(str(adapter), "--teacher") == Pretrained(base, adapter, base)
    shutil.copy(base / "tokenizer_config.json", adapter)
    assert find_teacher(str(adapter), "--teacher").tokenizer == adapter


def change_one_weight(file):
    weights = load_file(file)
    name = max(weights, key=lambda name: weights[name].numel())
    weights[name].view(-1)[0] += 1
    save_file(weights, file, metadata={"format": "pt"})


def test_the_fingerprint_is_of_what_a_model_is_and_not_of_where_it_lies(adapter, tmp_path):
    before = fingerprint(find_teacher(str(adapter), "--teacher"))
    bare = fingerprint(find_teacher(str(tmp_path / "base"), "--teacher"))
    assert before != bare
    shutil.copytree(tmp_path / "base", tmp_path / "elsewhere")
    settings = json.loads((adapter / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(tmp_path / "elsewhere")
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    assert fingerprint(find_teacher(str(adapter), "--teacher")) == before
    for file in (tmp_path / "elsewhere" / "model.safetensors", adapter / "adapter_model.safetensors"):
        change_one_weight(file)
        after = fingerprint(find_teacher(str(adapter), "--teacher"))
        assert after != before
        before = after


def test_a_large_file_is_sampled_all_over(tmp_path):
    """A change in a hundredth of a file that is much larger than what is read of it changes the hash."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = {"weight": torch.zeros(16 * 2**20, dtype=torch.uint8)}
    save_file(weights, folder / "model.safetensors")
    before = fingerprint(Pretrained(folder, None, folder))
    for start in (0, 7 * 2**20, 15 * 2**20):
        changed = {"weight": weights["weight"].clone()}
        changed["weight"][start : start + 2**19] = 1
        save_file(changed, folder / "model.safetensors")
        assert fingerprint(Pretrained(folder, None, folder)) != before


@pytest.fixture
def run(tmp_path):
    """A run with an adapter, and one of step 20, as far as their paths are looked at."""
    for name in ("adapter", "adapters/step-20"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "adapter_config.json").write_text("{}")
    (tmp_path / "run" / "config.yaml").touch()
    return tmp_path / "run"


def test_an_adapter_or_a_run_as_student_names_the_export(run):
    command = f"run python train/export.py {run} --merge and give {run}/merged"
    for name in ("adapter", ""):
        with pytest.raises(InputError) as caught:
            check_model_path(str(run / name), "--student")
        assert command in str(caught.value)
    with pytest.raises(InputError, match=f"export.py {run} --merge --step 20 and give {run}/merged-step-20"):
        check_model_path(str(run / "adapters" / "step-20"), "--student")
    (run / "merged").mkdir()
    with pytest.raises(InputError, match=f"is an adapter; give {run}/merged"):
        check_model_path(str(run / "adapter"), "--student")


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])  # the library raises another kind for each
def test_a_damaged_tokenizer_is_named(tiny_models, tmp_path, content):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_models / "student" / name, tmp_path)
    if content is None:
        (tmp_path / "tokenizer_config.json").unlink()
    else:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=r"its tokenizer cannot be loaded \(.*\); copy its files again"):
        load_tokenizer(tmp_path, "--model")


@pytest.mark.parametrize("family", [None, "qwen2", "qwen3", "llama"])
@pytest.mark.parametrize("template", [None, "chatml", "thinking"])
def test_a_qwen_tokenizer_is_the_one_that_auto_tokenizer_loads(family, template, tmp_path):
    """In a model's folder, in an adapter's, which has no config.json, and beside another family's model."""
    saved = family_tokenizer("qwen", ["SELECT name FROM singer", "How many singers are there? 1990"] * 3)
    if template:
        saved = with_template(saved, template)
    saved.save_pretrained(tmp_path)
    if family:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    own, auto = load_tokenizer(tmp_path, "--model"), AutoTokenizer.from_pretrained(tmp_path)
    assert type(own) is type(auto) and own.backend_tokenizer.to_str() == auto.backend_tokenizer.to_str()
    text = "How many singers\u2019 names <|im_end|> are  there in 1990?\n<|endoftext|>"
    assert own(text).input_ids == auto(text).input_ids
    assert own.special_tokens_map == auto.special_tokens_map and own.chat_template == auto.chat_template
    assert own.init_kwargs == auto.init_kwargs
    assert (tokenizer_class(tmp_path) is Qwen2Tokenizer) == (family != "llama")


@pytest.mark.parametrize("family", ["codegen", "llama"])
def test_tokenizers_of_other_families_are_those_of_auto_tokenizer(family, tmp_path):
    family_tokenizer(family, ["SELECT name FROM singer"] * 3).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    assert tokenizer_class(tmp_path) is AutoTokenizer


def test_a_run_stands_for_its_student(tiny_models, tmp_path):
    """Of all weights as any model, of an adapter as a teacher."""
    for name, rank in (("full", 0), ("lora", 4)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(dump_config(RunConfig(student="s", lora_rank=rank)))
    (tmp_path / "full" / "model").symlink_to(tiny_models / "teacher")
    adapter = tmp_path / "lora" / "adapter"
    adapter.mkdir()
    base = {"base_model_name_or_path": str(tiny_models / "student")}
    (adapter / "adapter_config.json").write_text(json.dumps(base))
    assert find_model(str(tmp_path / "full"), "--student") == tmp_path / "full" / "model"
    assert find_teacher(str(tmp_path / "lora"), "--teacher") == Pretrained(
        tiny_models / "student", adapter, tiny_models / "student"
    )
    with pytest.raises(InputError, match=r"--student .*lora/adapter is an adapter"):
        find_model(str(tmp_path / "lora"), "--student")
