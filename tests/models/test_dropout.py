"""Dropout in a base's own configuration is off in training, whatever the family calls it, and kept in exports."""

import json

import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BloomConfig,
    CodeGenConfig,
    FalconConfig,
    Gemma3Config,
    GPT2Config,
    GPTBigCodeConfig,
    GPTJConfig,
    LlamaConfig,
    MixtralConfig,
    OPTConfig,
    PersimmonConfig,
    PhiConfig,
    Qwen2Config,
    StableLmConfig,
    XGLMConfig,
)

from kid.models.dropout import keep_dropout_of, turn_off_dropout, turn_off_module_dropout
from kid.models.loading import add_lora, load_causal_lm
from kid.models.response_model import ResponseModel

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
GPT2_SIZES = {"vocab_size": 40, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}
GPT2_RATES = {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5}
# What decides in a configuration of the family, under the family's own names.
FAMILIES = {
    "gpt2": GPT2Config(**GPT2_SIZES, **GPT2_RATES),
    "gpt_bigcode": GPTBigCodeConfig(**GPT2_SIZES, **GPT2_RATES),
    "gptj": GPTJConfig(**GPT2_SIZES, rotary_dim=4, **GPT2_RATES),
    "codegen": CodeGenConfig(**{**GPT2_SIZES, "n_head": 4}, rotary_dim=4, **GPT2_RATES),
    "qwen2": Qwen2Config(**SIZES, num_key_value_heads=2, attention_dropout=0.5),
    "llama": LlamaConfig(**SIZES, num_key_value_heads=2, attention_dropout=0.5),
    "phi": PhiConfig(**SIZES, resid_pdrop=0.5, embd_pdrop=0.5, attention_dropout=0.5),
    "opt": OPTConfig(
        vocab_size=40, hidden_size=16, word_embed_proj_dim=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=2,
        dropout=0.5, attention_dropout=0.5, layerdrop=0.5,
    ),
    "xglm": XGLMConfig(
        vocab_size=40, d_model=16, ffn_dim=24, num_layers=2, attention_heads=2, dropout=0.5, attention_dropout=0.5,
        activation_dropout=0.5, layerdrop=0.5,
    ),
    "falcon": FalconConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, hidden_dropout=0.5,
        attention_dropout=0.5,
    ),
    "bloom": BloomConfig(
        vocab_size=40, hidden_size=16, n_layer=2, n_head=2, hidden_dropout=0.5, attention_dropout=0.5
    ),
    "persimmon": PersimmonConfig(**SIZES, hidden_dropout=0.5, attention_dropout=0.5),
    "stablelm": StableLmConfig(**SIZES, num_key_value_heads=2, hidden_dropout=0.5, attention_dropout=0.5),
}  # fmt: skip


def forwards_differ(model) -> bool:
    """Whether two forwards in training give other logits."""
    ids = torch.randint(3, 40, (2, 9), generator=torch.Generator().manual_seed(1))
    model.train()
    with torch.no_grad():
        one, other = (model(input_ids=ids, use_cache=False).logits for _ in range(2))
    return not torch.equal(one, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_forwards_in_training_agree(family, tmp_path):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family])
    assert forwards_differ(model)
    model.save_pretrained(tmp_path)
    loaded = load_causal_lm(tmp_path, "fp32", "auto")
    assert not forwards_differ(loaded) and not ResponseModel(loaded).draws_dropout
    torch.manual_seed(1)
    ids = torch.arange(3, 12)[None]
    torch.testing.assert_close(loaded(input_ids=ids).logits, model.eval()(input_ids=ids).logits)


def test_loras_own_dropout_stays(tmp_path):
    AutoModelForCausalLM.from_config(FAMILIES["gpt2"]).save_pretrained(tmp_path)
    adapted = add_lora(load_causal_lm(tmp_path, "fp32", "auto"), rank=2, alpha=4, dropout=0.5, seed=0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    assert forwards_differ(adapted) and ResponseModel(adapted).draws_dropout


def test_rates_that_only_the_code_knows():
    """In modules of torch's and in attributes of a model's own modules; nothing but rates is changed."""
    model = nn.Sequential(nn.Dropout(0.3), nn.Dropout1d(0.3), nn.AlphaDropout(0.3), nn.Linear(2, 2))
    model[3].attn_drop_prob, model[3].drop_last, model[3].dropped = 0.2, True, 3
    turn_off_module_dropout(model)
    assert [module.p for module in model[:3]] == [0, 0, 0]
    assert (model[3].attn_drop_prob, model[3].drop_last, model[3].dropped) == (0, True, 3)


@pytest.mark.parametrize("family", ["gpt2", "qwen2", "opt"])
def test_an_export_has_the_rates_of_its_base(family, tmp_path):
    AutoModelForCausalLM.from_config(FAMILIES[family]).save_pretrained(tmp_path / "base")
    loaded = load_causal_lm(tmp_path / "base", "fp32", "auto")
    loaded.save_pretrained(tmp_path / "export")
    assert "0.5" not in (tmp_path / "export" / "config.json").read_text()
    keep_dropout_of(tmp_path / "base", tmp_path / "export")
    exported, base = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("export", "base"))
    assert exported == base


def test_nested_configurations():
    """Of objects and of plain dictionaries, which a model of text and images, or one's own code, may have."""
    own = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "attention_dropout": 0.5}
    config = Gemma3Config(text_config=own, vision_config=own, resid_pdrop=0.5)
    config.attn_config = {"attn_pdrop": 0.5, "more": {"layerdrop": 0.5, "kv_n_heads": 2}}
    turn_off_dropout(config)
    assert config.text_config.attention_dropout == config.vision_config.attention_dropout == config.resid_pdrop == 0
    assert config.attn_config == {"attn_pdrop": 0, "more": {"layerdrop": 0, "kv_n_heads": 2}}


def test_noise_on_a_router_is_off_too():
    config = MixtralConfig(router_jitter_noise=0.5)
    turn_off_dropout(config)
    assert config.router_jitter_noise == 0


def test_rates_that_config_json_leaves_to_the_family(tmp_path):
    """GPT-2's own default is 0.1, and a config.json need not say so."""
    model = AutoModelForCausalLM.from_config(GPT2Config(**GPT2_SIZES))
    model.save_pretrained(tmp_path / "base")
    path = tmp_path / "base" / "config.json"
    given = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in given.items() if "drop" not in key}))
    loaded = load_causal_lm(tmp_path / "base", "fp32", "auto")
    assert not forwards_differ(loaded)
    loaded.save_pretrained(tmp_path / "export")
    keep_dropout_of(tmp_path / "base", tmp_path / "export")
    assert AutoConfig.from_pretrained(tmp_path / "export").attn_pdrop == 0.1
