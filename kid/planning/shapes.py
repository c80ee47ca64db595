"""Shapes of models without weights, from a folder's config.json or by the name of a known model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from kid.config.trained import student_folder
from kid.errors import InputError
from kid.models.loading import DTYPES, add_lora
from kid.models.response_model import ResponseModel
from kid.models.windows import open_windows

LLAMA_FIELDS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "tie_word_embeddings",
)
FIELDS = {
    "qwen2": LLAMA_FIELDS,
    "llama": LLAMA_FIELDS,
    "qwen3": (*LLAMA_FIELDS, "head_dim"),
    "codegen": ("n_embd", "n_layer", "n_head", "rotary_dim", "vocab_size"),
}
# Name -> (family, values of its FIELDS), as published: the models of the paper and of the recipes.
KNOWN_MODELS = {
    "Qwen/Qwen1.5-0.5B": ("qwen2", (1024, 2816, 24, 16, 16, 151936, True)),
    "Qwen/Qwen1.5-1.8B": ("qwen2", (2048, 5504, 24, 16, 16, 151936, False)),
    "Qwen/Qwen1.5-4B": ("qwen2", (2560, 6912, 40, 20, 20, 151936, False)),
    "Qwen/Qwen1.5-7B": ("qwen2", (4096, 11008, 32, 32, 32, 151936, False)),
    "Qwen/Qwen1.5-14B": ("qwen2", (5120, 13696, 40, 40, 40, 152064, False)),
    "Qwen/Qwen1.5-32B": ("qwen2", (5120, 27392, 64, 40, 8, 152064, False)),
    "Salesforce/codegen-350M-multi": ("codegen", (1024, 20, 16, 32, 51200)),
    "Salesforce/codegen-2B-multi": ("codegen", (2560, 32, 32, 64, 51200)),
    "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T": ("llama", (2048, 5632, 22, 32, 4, 32000, False)),
    "meta-llama/Llama-2-7b-hf": ("llama", (4096, 11008, 32, 32, 32, 32000, False)),
    "Qwen/Qwen2.5-Coder-0.5B-Instruct": ("qwen2", (896, 4864, 24, 14, 2, 151936, True)),
    "Qwen/Qwen2.5-Coder-1.5B-Instruct": ("qwen2", (1536, 8960, 28, 12, 2, 151936, True)),
    "Qwen/Qwen2.5-Coder-7B-Instruct": ("qwen2", (3584, 18944, 28, 28, 4, 152064, False)),
    "Qwen/Qwen2.5-Coder-14B-Instruct": ("qwen2", (5120, 13824, 48, 40, 8, 152064, False)),
    "Qwen/Qwen2.5-Coder-32B-Instruct": ("qwen2", (5120, 27648, 64, 40, 8, 152064, False)),
    "Qwen/Qwen3-0.6B": ("qwen3", (1024, 3072, 28, 16, 8, 151936, True, 128)),
    "Qwen/Qwen3-8B": ("qwen3", (4096, 12288, 36, 32, 8, 151936, False, 128)),
    "Qwen/Qwen3-32B": ("qwen3", (5120, 25600, 64, 64, 8, 151936, False, 128)),
    "meta-llama/Llama-3.2-1B-Instruct": ("llama", (2048, 8192, 16, 32, 8, 128256, True)),
    "meta-llama/Llama-3.1-8B-Instruct": ("llama", (4096, 14336, 32, 32, 8, 128256, False)),
    "meta-llama/Llama-3.1-70B-Instruct": ("llama", (8192, 28672, 80, 64, 8, 128256, False)),
    "HuggingFaceTB/SmolLM2-360M-Instruct": ("llama", (960, 2560, 32, 15, 5, 49152, True)),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": ("llama", (2048, 8192, 24, 32, 32, 49152, True)),
}


@dataclass(frozen=True, eq=False)
class Shape:
    """A model's configuration, and the rank of its unmerged LoRA adapter (0: none)."""

    name: str
    config: PreTrainedConfig
    adapter_rank: int = 0


def find_shape(name: str, flag: str) -> Shape:
    """The shape of a model: a folder with config.json or adapter_config.json, or a name in KNOWN_MODELS.

    Downloads nothing and reads no weights. `Qwen1.5-32B` is accepted for `Qwen/Qwen1.5-32B`.

    Raises:
        InputError: neither a folder nor a known name, or its JSON is damaged.
    """
    folder = student_folder(Path(name), flag)
    if (folder / "adapter_config.json").is_file():
        try:
            adapter = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            base, rank = adapter["base_model_name_or_path"], int(adapter["r"])
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{flag} {name}: adapter_config.json does not name base and rank; give the base's name"
            ) from None
        return Shape(name, find_shape(base, f"{flag} {name}: its base").config, rank)
    if (folder / "config.json").is_file():
        try:
            return Shape(name, AutoConfig.from_pretrained(folder, local_files_only=True))
        except (OSError, ValueError) as error:
            raise InputError(f"{flag} {name}/config.json: {str(error).splitlines()[0]}") from None
    known = {key.lower(): key for key in KNOWN_MODELS} | {key.split("/")[1].lower(): key for key in KNOWN_MODELS}
    if name.lower() not in known:
        raise InputError(
            f"{flag} {name} is neither a folder with config.json nor the name of a known model; "
            f"give a folder, or one of {', '.join(KNOWN_MODELS)}"
        )
    family, values = KNOWN_MODELS[known[name.lower()]]
    fields = dict(zip(FIELDS[family], values, strict=True))
    return Shape(known[name.lower()], AutoConfig.for_model(family, **fields))


def with_layers(config: PreTrainedConfig, layers: int) -> PreTrainedConfig:
    """The same configuration with only its first layers, or with more that repeat them."""
    values = {**config.to_dict(), "num_hidden_layers": layers}
    values.pop("model_type")
    if values.get("layer_types"):
        values["layer_types"] = [kind for _, kind in zip(range(layers), cycle(values["layer_types"]), strict=False)]
    # CodeGen has its own name for the number of layers, which to_dict() keeps.
    values.pop(config.attribute_map.get("num_hidden_layers", ""), None)
    return AutoConfig.for_model(config.model_type, **values)


def build(config: PreTrainedConfig, dtype: str, rank: int, trained: bool, longest: int = 0) -> ResponseModel:
    """Build the model on the meta device: parameters have shapes and dtypes, but take no memory.

    Args:
        dtype: "fp32" or "bf16".
        rank: rank of LoRA on every linear layer except the head; 0: no LoRA.
        trained: whether the model is trained: its adapter, or all weights if it has none.
        longest: the largest number of tokens of a prompt and its output together.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype])
        if rank:
            # On a real device peft gives adapters their layer's dtype; on the meta device it leaves them in fp32.
            model = add_lora(model, rank, 1.0, 0.0, seed=0).to(DTYPES[dtype])
    open_windows(model, longest)
    return ResponseModel(model if trained else model.requires_grad_(False))
