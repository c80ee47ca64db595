"""Weights reach the model exactly, whole or in parts, and logits of chosen rows are those of the full forward."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.tiny_configs import FAMILIES, SCALARS, TRANSFORMED, write_buffered
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Gemma4ForCausalLM

from kid.errors import InputError
from kid.losses.head import project
from kid.models.loading import (
    DTYPES,
    StoredTensor,
    add_adapter,
    add_lora,
    fill_parameter,
    load_causal_lm,
    persistent_buffers,
    stored_tensors,
)
from kid.models.response_model import ResponseModel


def write_model(family: str, folder: Path) -> None:
    if family == "buffered":
        write_buffered(folder)
    else:
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(FAMILIES[family]).save_pretrained(folder)


@pytest.fixture(params=FAMILIES)
def saved(request, tmp_path):
    write_model(request.param, tmp_path)
    return tmp_path, AutoModelForCausalLM.from_pretrained(tmp_path).eval()


@pytest.mark.parametrize("lora", [False, True])
def test_response_rows_equal_the_full_forward(saved, lora):
    _, model = saved
    ids = torch.randint(40, (3, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 7, [0, 0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 0]])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    rows = torch.tensor([5, 6, 10, 12, 19])
    if lora:
        model = add_lora(model, rank=2, alpha=4, dropout=0.0, seed=0).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_()
    full = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
    got = ResponseModel(model)(ids, mask, positions, rows)
    torch.testing.assert_close(got, full.flatten(0, 1)[rows])
    assert ResponseModel(model)(ids, mask, positions, rows[:0]).shape == (0, 40)


@pytest.mark.parametrize("family", [*FAMILIES, *TRANSFORMED])
def test_the_head_makes_the_models_logits_of_its_hidden_states(family):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config({**FAMILIES, **TRANSFORMED}[family]).eval()
    for parameter in model.get_output_embeddings().parameters():
        torch.nn.init.normal_(parameter)
    ids = torch.randint(40, (1, 6), generator=torch.Generator().manual_seed(1))
    inputs = (ids, torch.ones_like(ids), torch.arange(6)[None], torch.tensor([0, 3, 5]))
    with torch.no_grad():
        expected = model(ids).logits[0, [0, 3, 5]]
        torch.testing.assert_close(ResponseModel(model)(*inputs), expected)
        hidden, logits = ResponseModel(model)(*inputs, logits=False), torch.empty(3, 40)
        project(hidden, ResponseModel(model).head, logits, tile=40)
        torch.testing.assert_close(logits, expected)


def test_a_trainable_head_gets_the_gradient_of_the_full_forward(saved):
    """Bias included, where the family has one; rows that are not asked for give none."""
    _, model = saved
    ids = torch.randint(40, (2, 6), generator=torch.Generator().manual_seed(1))
    mask, rows = torch.ones_like(ids), torch.tensor([2, 3, 9])
    positions = mask.cumsum(1) - 1
    direction = torch.randn(3, 40, generator=torch.Generator().manual_seed(2))
    weights = list(model.get_output_embeddings().parameters())
    full = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits.flatten(0, 1)[rows]
    expected = torch.autograd.grad((full * direction).sum(), weights)
    got = torch.autograd.grad((ResponseModel(model)(ids, mask, positions, rows) * direction).sum(), weights)
    for ours, theirs in zip(got, expected, strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs)


def test_lora_leaves_the_head_and_the_base_alone(saved):
    _, model = saved
    trained = [n for n, p in add_lora(model, 2, 4, 0.0, seed=0).named_parameters() if p.requires_grad]
    assert trained and all("lora_" in name and "lm_head" not in name for name in trained)


LINEAR = {
    "qwen": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "llama": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "codegen": {"qkv_proj", "out_proj", "fc_in", "fc_out"},
}


def test_lora_is_on_every_linear_layer_of_the_family(saved, request):
    _, model = saved
    family = request.node.callspec.params["saved"]
    adapted = [n for n, m in add_lora(model, 2, 4, 0.0, seed=0).named_modules() if hasattr(m, "lora_A")]
    assert {name.rpartition(".")[2] for name in adapted} == LINEAR[family]
    assert len(adapted) == 2 * len(LINEAR[family])  # two layers


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_teacher_of_base_and_adapter(saved, tmp_path, dtype):
    """It is what PEFT makes of the two: unmerged and frozen."""
    folder, model = saved
    trained = add_lora(model, rank=2, alpha=4, dropout=0.0, seed=0)
    with torch.no_grad():
        for name, parameter in trained.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    trained.save_pretrained(tmp_path / "adapter")
    ids = torch.arange(3, 10)[None]
    teacher = add_adapter(load_causal_lm(folder, dtype, "auto"), tmp_path / "adapter").eval()
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert {parameter.dtype for parameter in teacher.parameters()} == {DTYPES[dtype]}
    expected = trained.eval()(ids).logits
    tolerance = {} if dtype == "fp32" else {"rtol": 0.1, "atol": 0.1}
    torch.testing.assert_close(teacher(ids).logits.float(), expected, **tolerance)


def test_an_adapter_of_another_model_is_refused(saved, tmp_path):
    folder, model = saved
    add_lora(model, rank=2, alpha=4, dropout=0.0, seed=0).save_pretrained(tmp_path / "adapter")
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    renamed = {name.replace("layers", "blocks").replace(".h.", ".blocks."): tensor for name, tensor in weights.items()}
    wider = {name: torch.zeros(tensor.shape[0] + 1, tensor.shape[1]) for name, tensor in weights.items()}
    some = {name: tensor for name, tensor in weights.items() if "lora_A" in name}
    for wrong in (renamed, wider, some):
        save_file(wrong, file)
        with pytest.raises(InputError, match=r"adapter .* does not fit its base"):
            add_adapter(load_causal_lm(folder, "fp32", "auto"), tmp_path / "adapter")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match=r"adapter_model.safetensors cannot be read"):
        stored_tensors(tmp_path / "adapter")


def test_loaded_weights_equal_from_pretrained(saved):
    folder, model = saved
    loaded = load_causal_lm(folder, "fp32", "auto").state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(7, 5), (4,), (1, 3), (2, 3, 5), (1,), (3,)])
def test_partitions_filled_by_each_rank_make_up_the_tensor(shape, ranks, monkeypatch):
    """ZeRO-3 cuts the flattened tensor into equal parts, the last one padded."""
    whole = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    size = -(-whole.numel() // ranks)
    reads, parts = [], []

    def read(start, end):
        reads.append((start, end))
        assert start < shape[0]  # safetensors refuses an empty slice at the end
        return whole[start:end]

    for rank in range(ranks):
        param = torch.nn.Parameter(torch.empty(0))
        param.ds_tensor, param.ds_shape = torch.full((size,), torch.nan), shape
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        fill_parameter(param, StoredTensor(whole.shape, read, None), "weight")
        parts.append(param.ds_tensor)
    assert torch.equal(torch.cat(parts)[: whole.numel()], whole.flatten())
    if ranks > 1 and shape[0] > ranks:
        assert all(end - start < shape[0] for start, end in reads)  # nobody read it all


def test_sharded_and_bin_checkpoints_read_like_one_file(saved):
    folder, _ = saved
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    half = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, keys in half.items():
        save_file({key: tensors[key] for key in keys}, folder / file)
    index = {"weight_map": {key: file for file, keys in half.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    torch.save(tensors, folder / "whole.bin")
    stored = stored_tensors(folder)
    assert set(stored) == set(names)
    assert all(stored[name].shape == tensors[name].shape for name in names)
    assert all(torch.equal(stored[name].whole(), tensors[name]) for name in names)
    for file in half:
        (folder / file).unlink()
    (folder / "model.safetensors.index.json").unlink()
    (folder / "whole.bin").rename(folder / "pytorch_model.bin")
    stored = stored_tensors(folder)
    assert all(torch.equal(stored[name].rows(0, 2), tensors[name][0:2]) for name in names)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_persistent_buffers_are_read(dtype, tmp_path):
    write_buffered(tmp_path)
    loaded = load_causal_lm(tmp_path, dtype, "auto")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=DTYPES[dtype])
    buffers = dict(loaded.named_buffers())
    for name, value in SCALARS.items():
        assert buffers[name].dtype == DTYPES[dtype] and buffers[name].item() == pytest.approx(value, rel=4e-3)
    for name, buffer in theirs.named_buffers():
        assert buffers[name].dtype == buffer.dtype and torch.equal(buffers[name], buffer), name
    ids = torch.arange(3, 12)[None]
    assert torch.equal(loaded.eval()(ids).logits, theirs.eval()(ids).logits)
    assert set(persistent_buffers(loaded)) == set(SCALARS)


def test_a_persistent_buffer_that_is_missing_or_of_another_shape_is_named(tmp_path):
    write_buffered(tmp_path)
    file, name = tmp_path / "model.safetensors", "model.layers.1.layer_scalar"
    tensors = load_file(file)
    save_file({**tensors, name: torch.ones(2)}, file)
    with pytest.raises(InputError, match=rf"weight {name} has shape \(2,\), but the model's config says \(1,\)"):
        load_causal_lm(tmp_path, "fp32", "auto")
    save_file({other: tensor for other, tensor in tensors.items() if other != name}, file)
    with pytest.raises(InputError, match=f"do not have 1 weights that .* needs, first {name}"):
        load_causal_lm(tmp_path, "fp32", "auto")


def test_a_buffer_that_the_family_lets_files_lack(tmp_path, monkeypatch):
    write_buffered(tmp_path)
    file, name = tmp_path / "model.safetensors", "model.layers.1.layer_scalar"
    save_file({other: tensor for other, tensor in load_file(file).items() if other != name}, file)
    monkeypatch.setattr(Gemma4ForCausalLM, "_keys_to_ignore_on_load_missing", ["layer_scalar"])
    assert dict(load_causal_lm(tmp_path, "fp32", "auto").named_buffers())[name].item() == 1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_zero_init_changes_neither_weights_nor_buffers(tmp_path, dtype):
    """In a process of its own, since it starts torch.distributed. Without care, bf16 rounds rotary frequencies."""
    for family in (*FAMILIES, "buffered"):
        write_model(family, tmp_path / family)
    script = f"""
import sys, torch, deepspeed
from pathlib import Path
from transformers import AutoModelForCausalLM
from kid.models.loading import DTYPES, load_causal_lm
deepspeed.init_distributed("gloo", verbose=False)
zero = {{"train_batch_size": 1, "bf16": {{"enabled": {dtype == "bf16"}}}, "zero_optimization": {{"stage": 3}}}}
for folder in Path({str(tmp_path)!r}).iterdir():
    ours = load_causal_lm(folder, {dtype!r}, "auto", zero)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[{dtype!r}])
    buffers = dict(ours.named_buffers())
    for name, buffer in theirs.named_buffers():
        assert buffers[name].dtype == buffer.dtype and torch.equal(buffers[name], buffer), (folder.name, name)
    with deepspeed.zero.GatheredParameters(list(ours.parameters())):
        weights = dict(ours.named_parameters())
        for name, weight in theirs.named_parameters():
            assert weights[name].dtype == weight.dtype and torch.equal(weights[name], weight), (folder.name, name)
    print(folder.name)
torch.distributed.destroy_process_group()
"""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    job = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env={**os.environ, **job}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {*FAMILIES, "buffered"} <= {*done.stdout.split()}


def test_bad_checkpoints_are_named(saved):
    folder, _ = saved
    tensors = load_file(folder / "model.safetensors")
    name = next(n for n in tensors if tensors[n].dim() == 2)
    save_file({n: t for n, t in tensors.items() if n != name}, folder / "model.safetensors")
    with pytest.raises(InputError, match=f"do not have 1 weights that .* needs, first {name}"):
        load_causal_lm(folder, "fp32", "auto")
    save_file({**tensors, name: tensors[name][:-1].clone()}, folder / "model.safetensors")
    with pytest.raises(InputError, match=f"{name} has shape"):
        load_causal_lm(folder, "fp32", "auto")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read"):
        load_causal_lm(folder, "fp32", "auto")
    file.unlink()
    with pytest.raises(InputError, match="has no weights"):
        load_causal_lm(folder, "fp32", "auto")


def test_models_that_cannot_be_used_are_refused_with_family_and_reason(saved):
    folder, _ = saved
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for changes, reason in (
        ({"model_type": "t5"}, r"\(t5\) has an encoder"),
        ({"model_type": "vit"}, r"\(vit\) has no class for causal language models: transformers has none"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "has quantized weights .*gptq"),
        ({"model_type": "own", "auto_map": {"AutoConfig": "a.B", "AutoModelForCausalLM": "a.C"}}, "cannot read it"),
    ):
        path.write_text(json.dumps({**config, **changes}))
        with pytest.raises(InputError, match=reason):
            load_causal_lm(folder, "fp32", "auto")


@pytest.mark.parametrize(
    "text",
    ['{"weight_map": {"lm_head.weight', "{}", "[]", '{"weight_map": 3}', '{"weight_map": {"lm_head.weight": 3}}'],
)
def test_a_damaged_index_of_weights_is_named(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(InputError, match=r"safetensors\.index\.json cannot be read .*; download the model again"):
        stored_tensors(tmp_path)
