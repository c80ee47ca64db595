"""Depth pruning: kept layers as they were, the same outputs where the others did nothing, and bad input."""

import json
import shutil
import subprocess

import pytest
import torch
from helpers.launcher import run_script
from helpers.run_files import one_line
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from kid.errors import InputError
from kid.export import pruning
from kid.export.card import EXAMPLE_PROMPT
from kid.export.pruning import FAMILIES, prune, pruned_config
from kid.minibench.tiny_models import train_tokenizer, write_tiny_model
from kid.models.hashes import check_hashes
from kid.models.loading import load_causal_lm
from kid.models.pretrained import load_tokenizer

LAYERS = 6
# What a layer adds to its input goes through these.
LAST_OF_A_LAYER = ("o_proj", "down_proj", "out_proj", "fc_out")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([EXAMPLE_PROMPT, "select count(*) from singer"] * 3, 400)


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory):
    """Family -> a model whose layers 1, 2 and 4 hand on what they are given."""
    folders = {}
    for family in FAMILIES:
        folder = folders[family] = tmp_path_factory.mktemp(family) / "model"
        write_tiny_model(folder, tokenizer, hidden=32, layers=LAYERS, heads=4, seed=0, family=family)
        (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
        model = load_causal_lm(folder, "fp32", "eager")
        with torch.no_grad():
            for name, weight in model.named_parameters():
                number = next((int(part) for part in name.split(".") if part.isdecimal()), None)
                if number in (1, 2, 4) and any(f".{last}." in name for last in LAST_OF_A_LAYER):
                    weight.zero_()
        model.generation_config.max_new_tokens = 77
        model.save_pretrained(folder)
    return folders


def weights(folder) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_without_layers_that_do_nothing_the_model_computes_the_same(family, whole, tmp_path):
    ids = torch.arange(5, 45).view(2, 20)
    expected = AutoModelForCausalLM.from_pretrained(whole[family])(ids).logits
    kept, total, before, after = prune(str(whole[family]), "listed", tmp_path / "small", layers=[0, 3, 5])
    small, info = AutoModelForCausalLM.from_pretrained(tmp_path / "small", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert (kept, total, small.config.num_hidden_layers) == ([0, 3, 5], LAYERS, 3)
    torch.testing.assert_close(small(ids).logits, expected, rtol=0, atol=1e-6)
    # With a cache, layers find their keys and values by their numbers.
    cached = small.generate(ids, max_new_tokens=4, do_sample=False)
    assert torch.equal(cached, small.generate(ids, max_new_tokens=4, do_sample=False, use_cache=False))
    other = prune(str(whole[family]), "listed", tmp_path / "other", layers=[0, 1, 5])
    assert other[3] == after == small.num_parameters() < before
    assert (AutoModelForCausalLM.from_pretrained(tmp_path / "other")(ids).logits - expected).abs().max() > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_kept_is_kept_to_the_byte(family, whole, tmp_path):
    before, stack = weights(whole[family]), FAMILIES[family][0]
    prune(str(whole[family]), "every-second", tmp_path / "small")
    after = weights(tmp_path / "small")
    outside = {name for name in before if not name.startswith(stack)}
    assert {name for name in after if not name.startswith(stack)} == outside and len(outside) >= 2
    assert all(torch.equal(before[name], after[name]) for name in outside)
    for name in set(after) - outside:
        number, rest = name.removeprefix(f"{stack}.").split(".", 1)
        assert torch.equal(after[name], before[f"{stack}.{2 * int(number)}.{rest}"])
    assert len(set(after) - outside) * 2 == len(set(before) - outside)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (tmp_path / "small" / file).read_bytes() == (whole[family] / file).read_bytes()
    assert "77" in (tmp_path / "small" / "generation_config.json").read_text()
    load_tokenizer(tmp_path / "small", "--model")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_persistent_buffers_go_with_their_layers(whole, tmp_path):
    """Those of the kept layers under their new numbers, those outside as they are."""
    shutil.copytree(whole["qwen2"], tmp_path / "model")
    buffers = {f"model.layers.{number}.scale": torch.tensor([number / 7]) for number in range(LAYERS)}
    tensors = {**weights(whole["qwen2"]), **buffers, "model.scale": torch.tensor(0.3)}
    save_file(tensors, tmp_path / "model" / "model.safetensors")
    prune(str(tmp_path / "model"), "listed", tmp_path / "small", layers=[0, 3, 5])
    after = {name: value for name, value in weights(tmp_path / "small").items() if name.endswith("scale")}
    expected = {f"model.layers.{new}.scale": torch.tensor([old / 7]) for new, old in enumerate((0, 3, 5))}
    torch.testing.assert_close(after, {**expected, "model.scale": torch.tensor(0.3)}, rtol=0, atol=0)


def test_config_says_of_each_kept_layer_what_it_said_before(whole, tmp_path):
    kinds = ["full_attention"] * 2 + ["sliding_attention"] * 4
    config = json.loads((whole["qwen2"] / "config.json").read_text())
    config |= {"layer_types": kinds, "max_window_layers": 2, "use_sliding_window": True, "sliding_window": 8}
    small = pruned_config(config, [1, 3, 5])
    assert small.pop("layer_types") == kinds[1:2] + kinds[3:4] + kinds[5:]
    assert (small.pop("max_window_layers"), small.pop("num_hidden_layers")) == (1, 3)
    assert small.items() <= config.items()
    read = AutoConfig.for_model(**pruned_config(config, [1, 3, 5]))
    assert read.layer_types == ["full_attention", "sliding_attention", "sliding_attention"]
    codegen = json.loads((whole["codegen"] / "config.json").read_text())
    assert pruned_config(codegen, [0, 3]) == codegen | {"n_layer": 2}


def test_16_bit_weights_in_shards_stay_as_they_are(whole, tmp_path, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(whole["llama"], dtype=torch.float16)
    model.save_pretrained(tmp_path / "half", max_shard_size="30KB")
    load_tokenizer(whole["llama"], "--model").save_pretrained(tmp_path / "half")
    monkeypatch.setattr(pruning, "SHARD_BYTES", 40_000)
    largest, save = [], pruning.save_file
    monkeypatch.setattr(pruning, "save_file", lambda part, *rest: largest.append(part.copy()) or save(part, *rest))
    kept, *_ = prune(str(tmp_path / "half"), "first", tmp_path / "small", count=2)
    assert kept == [0, 1] and len(largest) > 2
    assert all(sum(value.nbytes for value in part.values()) <= 40_000 for part in largest)
    before, after = weights(tmp_path / "half"), weights(tmp_path / "small")
    assert after and all(value.dtype == torch.float16 and torch.equal(value, before[n]) for n, value in after.items())
    small = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype="auto")
    assert small.config.num_hidden_layers == 2 and small.dtype == torch.float16


def test_a_bin_with_tied_weights(whole, tmp_path):
    """torch.load gives the head and the embeddings as one piece of memory."""
    folder = tmp_path / "bin"
    model = load_causal_lm(whole["qwen2"], "fp32", "eager")
    model.config.save_pretrained(folder)
    load_tokenizer(whole["qwen2"], "--model").save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    *_, after = prune(str(folder), "first", tmp_path / "small", count=1)
    small = AutoModelForCausalLM.from_pretrained(tmp_path / "small")
    assert small.num_parameters() == after
    assert torch.equal(small.lm_head.weight, model.lm_head.weight)


@pytest.mark.parametrize(
    ("keep", "choice", "said"),
    [
        ("listed", {"layers": [0, 6]}, "--layers 6: there is no such layer; the model has layers 0 to 5"),
        ("listed", {"layers": [2, 2]}, "--layers 2,2: give each layer once, in ascending order"),
        ("listed", {"layers": [3, 1]}, "--layers 3,1: give each layer once"),
        ("listed", {}, "--keep listed needs --layers"),
        ("first", {}, "--keep first needs --count"),
        ("first", {"count": 0}, "--count 0 is out of range; the model has 6 layers, give 1 to 6"),
        ("first", {"count": 7}, "--count 7 is out of range"),
        ("every-second", {"count": 3}, "--count does not go with --keep every-second"),
        ("first", {"count": 3, "layers": [1]}, "--layers does not go with --keep first"),
    ],
)
def test_layers_that_cannot_be_kept(keep, choice, said, whole, tmp_path):
    with pytest.raises(InputError, match=said):
        prune(str(whole["llama"]), keep, tmp_path / "small", **choice)
    assert not list(tmp_path.iterdir())


def test_models_that_cannot_be_pruned(whole, tokenizer, tmp_path):
    model = load_causal_lm(whole["llama"], "fp32", "eager")
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match=r"there exists; remove it or choose another"):
        prune(str(folder), "every-second", tmp_path / "there")
    config = json.loads((folder / "config.json").read_text())
    for changed, said in (
        ({"model_type": "gpt2"}, "its config.json has model_type gpt2; supported model types: qwen2, llama, codegen"),
        ({"num_hidden_layers": 8}, "the weights of layer 6 are missing; download the model again"),
    ):
        (folder / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(InputError, match=said):
            prune(str(folder), "every-second", tmp_path / "small")
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        prune(str(folder), "every-second", tmp_path / "small")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="is an adapter; merge it into its base first"):
        prune(str(adapter), "every-second", tmp_path / "small")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "model", "there"]


def test_a_pruned_model_is_hashed_and_a_damaged_one_is_not_pruned(whole, tmp_path):
    prune(str(whole["llama"]), "every-second", tmp_path / "small")
    check_hashes(tmp_path / "small")
    file = tmp_path / "small" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"model.safetensors has changed since it was written"):
        prune(str(tmp_path / "small"), "first", tmp_path / "smaller", count=1)
    with pytest.raises(InputError, match=r"has a line break"):
        prune(str(whole["llama"]), "every-second", tmp_path / "a\nb")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.mark.slow
def test_script(whole, tmp_path):
    def script(*flags: str) -> subprocess.CompletedProcess:
        return run_script("train/prune.py", "--model", whole["llama"], *flags)

    bad = script("--keep", "listed", "--layers", "0,x", "--output", str(tmp_path / "small"))
    assert one_line(bad) == "error: --layers '0,x' is not a list of numbers such as 0,2,5"
    done = script("--keep", "listed", "--layers", "0,5", "--output", str(tmp_path / "small"))
    assert done.returncode == 0, done.stderr
    assert "holds layers 0, 5" in done.stdout and "before" in done.stdout
    table = [line.split() for line in done.stdout.splitlines()]
    assert ["│", "layers", "│", "6", "│", "2", "│"] in table
