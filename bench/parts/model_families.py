"""Families of models for docs/models.md: configurations of tiny models that have everything else as published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

VOCABULARY = 96
# The sizes; whatever is not listed here or below has the family's default.
DENSE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 4096, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GROUPED = {**DENSE, "num_key_value_heads": 2}
WIDE_HEADS = {**GROUPED, "head_dim": 16}  # heads together are wider than the hidden states
PLAIN = {name: DENSE[name] for name in ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, **PLAIN, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
EXPERTS = {**WIDE_HEADS, "moe_intermediate_size": 24, "num_experts": 8, "num_experts_per_tok": 2}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """model_type: transformers' name of the family. example: a model whose settings these are."""

    model_type: str
    example: str
    settings: dict[str, Any] = field(default_factory=dict)

    def config(self) -> PreTrainedConfig:
        """Raises what transformers raises if it does not know the family or a setting is wrong."""
        return AutoConfig.for_model(self.model_type, **self.settings)


def rope(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


FAMILIES = {
    "Qwen1.5": Family("qwen2", "Qwen/Qwen1.5-1.8B", {**DENSE, **rope(1e6)}),
    "Qwen2": Family("qwen2", "Qwen/Qwen2-0.5B", {**GROUPED, **rope(1e6), "tie_word_embeddings": True}),
    "Qwen2.5, Qwen2.5-Coder": Family("qwen2", "Qwen/Qwen2.5-Coder-7B-Instruct", {**GROUPED, **rope(1e6)}),
    "Qwen3": Family("qwen3", "Qwen/Qwen3-0.6B", {**WIDE_HEADS, **rope(1e6), "tie_word_embeddings": True}),
    "Qwen3-MoE": Family("qwen3_moe", "Qwen/Qwen3-30B-A3B", {**EXPERTS, **rope(1e6), "norm_topk_prob": True}),
    "Qwen3.5": Family(
        "qwen3_5_text", "Qwen/Qwen3.5-0.8B",
        {**WIDE_HEADS, **rope(1e7, partial_rotary_factor=0.25), "linear_num_key_heads": 2, "linear_num_value_heads": 4,
         "linear_key_head_dim": 8, "linear_value_head_dim": 8},
    ),
    "LLaMA 2, TinyLlama": Family("llama", "meta-llama/Llama-2-7b-hf", {**DENSE, "rms_norm_eps": 1e-5}),
    "LLaMA 3": Family(
        "llama", "meta-llama/Llama-3.2-1B-Instruct",
        {**GROUPED, "max_position_embeddings": 131072, "rope_parameters": LLAMA3, "tie_word_embeddings": True},
    ),
    "CodeGen": Family("codegen", "Salesforce/codegen-350M-multi", {**GPT, "rotary_dim": 4, "n_positions": 2048}),
    "GPT-2": Family("gpt2", "openai-community/gpt2", {**GPT, "n_positions": 1024}),
    "GPT-NeoX, Pythia": Family(
        "gpt_neox", "EleutherAI/pythia-1b", {**DENSE, **rope(1e4, partial_rotary_factor=0.25)}
    ),
    "Phi": Family("phi", "microsoft/phi-1_5", {**DENSE, **rope(1e4, partial_rotary_factor=0.5)}),
    "Phi-3": Family("phi3", "microsoft/Phi-3-mini-4k-instruct", {**DENSE, "sliding_window": 2047}),
    "Gemma 2": Family("gemma2", "google/gemma-2-2b", WIDE_HEADS),
    "Gemma 3": Family("gemma3_text", "google/gemma-3-1b-it", {**WIDE_HEADS, "num_hidden_layers": 6,
                                                             "sliding_window": 512}),
    "Gemma 4": Family(
        "gemma4_text", "google/gemma-4-E2B-it",
        {**WIDE_HEADS, "num_hidden_layers": 12, "num_kv_shared_layers": 6, "global_head_dim": 16,
         "vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8},
    ),
    "Mistral": Family("mistral", "mistralai/Mistral-7B-v0.1", {**GROUPED, "head_dim": 8, "sliding_window": 4096}),
    "Mixtral": Family("mixtral", "mistralai/Mixtral-8x7B-v0.1", {**GROUPED, "sliding_window": None}),
    "SmolLM2": Family("llama", "HuggingFaceTB/SmolLM2-360M", {**GROUPED, **rope(1e5), "tie_word_embeddings": True}),
    "SmolLM3": Family("smollm3", "HuggingFaceTB/SmolLM3-3B", {**GROUPED, **rope(5e6)}),
    "OLMo 2": Family("olmo2", "allenai/OLMo-2-0425-1B", {**DENSE, **rope(5e5)}),
    "Cohere": Family("cohere", "CohereLabs/c4ai-command-r-v01", {**DENSE, **rope(8e6)}),
    "Granite": Family(
        "granite", "ibm-granite/granite-3.3-2b-instruct",
        {**GROUPED, **rope(1e7), "embedding_multiplier": 12.0, "logits_scaling": 8.0, "residual_multiplier": 0.22,
         "attention_multiplier": 0.015625, "tie_word_embeddings": True},
    ),
    "Falcon-H1": Family(
        "falcon_h1", "tiiuae/Falcon-H1-0.5B-Instruct",
        {**GROUPED, **rope(1e11), "lm_head_multiplier": 0.0390625, "mamba_d_ssm": 32, "mamba_n_heads": 4,
         "mamba_d_head": 8, "mamba_d_state": 16, "mamba_chunk_size": 16},
    ),
    "DeepSeek-Coder": Family(
        "llama", "deepseek-ai/deepseek-coder-1.3b-instruct",
        {**DENSE, "rope_parameters": {"rope_type": "linear", "rope_theta": 1e5, "factor": 4.0}},
    ),
    "LFM2": Family(
        "lfm2", "LiquidAI/LFM2-350M", {**GROUPED, "layer_types": ["conv", "conv", "full_attention", "conv"]}
    ),
    "StarCoder2": Family("starcoder2", "bigcode/starcoder2-3b", {**GROUPED, **rope(1e6), "sliding_window": 4096}),
    "InternLM3": Family("internlm3", "internlm/internlm3-8b-instruct", {**WIDE_HEADS, **rope(5e7)}),
}  # fmt: skip
