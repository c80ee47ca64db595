"""Configurations of tiny models, one for each kind of architecture."""

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    CodeGenConfig,
    CohereConfig,
    FalconH1Config,
    Gemma2Config,
    Gemma4TextConfig,
    GraniteConfig,
    HyperCLOVAXConfig,
    LlamaConfig,
    Qwen2Config,
    RecurrentGemmaConfig,
)

FAMILIES = {
    "qwen": Qwen2Config(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=True,
    ),
    "llama": LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False,
    ),
    "codegen": CodeGenConfig(vocab_size=40, n_positions=64, n_embd=16, n_layer=2, n_head=4, rotary_dim=4),
}  # fmt: skip
# These do something to their logits.
SIZES = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1,
}  # fmt: skip
TRANSFORMED = {
    "cohere": CohereConfig(**SIZES, logit_scale=0.25),
    "granite": GraniteConfig(**SIZES, logits_scaling=4.0),
    "gemma2": Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=0.5),
    "recurrent_gemma": RecurrentGemmaConfig(**{**SIZES, "num_hidden_layers": 3}, lru_width=16, logits_soft_cap=0.5),
    "falcon_h1": FalconH1Config(**SIZES, lm_head_multiplier=3.0, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8),
    "hyperclovax": HyperCLOVAXConfig(**SIZES, logits_scaling=4.0),
}
# It multiplies each layer's output by a persistent buffer, `layer_scalar`, which is 1 in a new model.
BUFFERED = Gemma4TextConfig(
    vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=8, global_head_dim=8, vocab_size_per_layer_input=40,
    hidden_size_per_layer_input=4, layer_types=["full_attention"] * 2, num_kv_shared_layers=0,
    bos_token_id=1, eos_token_id=1, pad_token_id=0,
)  # fmt: skip
SCALARS = {"model.layers.0.layer_scalar": 0.3, "model.layers.1.layer_scalar": 0.7}


def write_buffered(folder: Path, **changes) -> None:
    """A checkpoint of `BUFFERED`, with `changes` to its configuration, whose buffers are `SCALARS`."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(type(BUFFERED)(**{**BUFFERED.to_diff_dict(), **changes}))
    for name, buffer in model.named_buffers():
        if name in SCALARS:
            buffer.fill_(SCALARS[name])
    model.save_pretrained(folder)
