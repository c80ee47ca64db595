"""Checkpoints in the layout that their family publishes: renamed weights, and experts stored one by one."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GPTNeoXConfig,
    MixtralConfig,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
)

from kid.errors import InputError
from kid.models.conversion import by_weight_name
from kid.models.loading import load_causal_lm, stored_tensors

SIZES = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "pad_token_id": 0,
}  # fmt: skip
EXPERTS = {**SIZES, "num_key_value_heads": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
PUBLISHED = {
    "gpt_neox": (GPTNeoXConfig(**SIZES), "embed_out.weight"),
    "mixtral": (
        MixtralConfig(**SIZES, num_key_value_heads=1, num_local_experts=11),
        "model.layers.0.block_sparse_moe.experts.10.w1.weight",
    ),
    "qwen2_moe": (
        Qwen2MoeConfig(**EXPERTS, num_experts=3, shared_expert_intermediate_size=12),
        "model.layers.1.mlp.experts.2.down_proj.weight",
    ),
    "qwen3_moe": (Qwen3MoeConfig(**EXPERTS, num_experts=12), "model.layers.1.mlp.experts.11.up_proj.weight"),
}


@pytest.fixture(params=PUBLISHED)
def published(request, tmp_path):
    """(folder, one of its keys, the model that transformers loads from it)."""
    config, key = PUBLISHED[request.param]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    model.save_pretrained(tmp_path)
    return tmp_path, key, AutoModelForCausalLM.from_pretrained(tmp_path).eval()


def test_it_loads_as_transformers_loads_it(published):
    folder, key, theirs = published
    stored = stored_tensors(folder)
    assert key in stored and key not in theirs.state_dict()
    ours = load_causal_lm(folder, "fp32", "auto")
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name
    for name, tensor in by_weight_name(theirs, stored).items():  # parts of it too, as a rank of ZeRO-3 reads them
        weight = theirs.state_dict()[name]
        assert tensor.shape == weight.shape and torch.equal(tensor.rows(1, 3), weight[1:3]), name


def test_a_part_that_is_missing_or_does_not_fit_is_named(published):
    folder, key, _ = published
    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file({name: tensor for name, tensor in tensors.items() if name != key}, file)
    with pytest.raises(InputError, match=r"do not have 1 weights|cannot be made from .* shape|cannot be made from"):
        load_causal_lm(folder, "fp32", "auto")
    save_file({**tensors, key: tensors[key][:-1].clone()}, file)
    with pytest.raises(InputError, match=r"has shape|cannot be made from"):
        load_causal_lm(folder, "fp32", "auto")
