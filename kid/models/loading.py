"""Load the student and the frozen teacher; each rank reads only its own partition of the weights."""

from __future__ import annotations

import importlib.util
import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.initialization import no_init_weights

from kid.errors import InputError
from kid.models.conversion import StoredTensor, by_weight_name
from kid.models.dropout import turn_off_dropout, turn_off_module_dropout
from kid.models.hashes import check_hashes
from kid.models.zero3 import partitioned_init

if TYPE_CHECKING:
    from peft import PeftModel

# In these families, PEFT refuses adapters on the projection that the Mamba kernel reads by itself.
MAMBA_FAMILIES, NOT_ADAPTED = {"falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h"}, ["out_proj", "conv1d"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def tensor_in_file(file: safe_open, name: str) -> StoredTensor:
    """A tensor of an open safetensors file."""
    part = file.get_slice(name)
    return StoredTensor(torch.Size(part.get_shape()), lambda a, b: part[a:b], lambda: file.get_tensor(name))


def mapped_tensor(tensor: Tensor) -> StoredTensor:
    """A tensor of a memory-mapped file."""
    return StoredTensor(tensor.shape, lambda a, b: tensor[a:b], lambda: tensor)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Map the name of each tensor in a model's or an adapter's checkpoint to the tensor; files are opened, not read.

    Raises:
        InputError: the folder has no weights, the index is damaged, a file that it names is missing or truncated, or a
            file has changed since our scripts wrote it.
    """
    check_hashes(folder)
    files: list[Path] = []
    for pattern in ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin"):
        index = folder / f"{pattern}.index.json"
        if index.is_file():
            try:
                names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
                files = [folder / name for name in sorted(names)]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(f"{index} cannot be read ({error!r}); download the model again") from None
        elif (folder / pattern).is_file():
            files = [folder / pattern]
        if files:
            break
    if not files:
        raise InputError(f"{folder} has no weights: no model.safetensors, no pytorch_model.bin and no index of either")
    stored: dict[str, StoredTensor] = {}
    for file in files:
        try:
            if file.suffix == ".safetensors":
                handle = safe_open(file, framework="pt")
                for name in handle.keys():  # noqa: SIM118 (not a dict)
                    stored[name] = tensor_in_file(handle, name)
            else:
                for name, tensor in torch.load(file, mmap=True, weights_only=True).items():
                    stored[name] = mapped_tensor(tensor)
        except Exception as error:  # safetensors and pickle have errors of their own; each means a damaged file
            raise InputError(f"{file} cannot be read ({error}); download the model again") from None
    return stored


@torch.no_grad()
def fill_parameter(param: Tensor, stored: StoredTensor, name: str) -> None:
    """Copy a checkpoint's tensor into a parameter or a buffer.

    If ZeRO-3 has partitioned the parameter, only the rows that overlap this rank's partition are read.

    Raises:
        InputError: the shapes differ.
    """
    partition = getattr(param, "ds_tensor", None)
    shape = torch.Size(param.shape if partition is None else param.ds_shape)  # type: ignore[attr-defined]
    if stored.shape != shape:
        raise InputError(f"weight {name} has shape {tuple(stored.shape)}, but the model's config says {tuple(shape)}")
    if partition is None:
        param.copy_(stored.whole())
        return
    row = shape[1:].numel()
    start = torch.distributed.get_rank() * partition.numel()
    end = min(start + partition.numel(), shape.numel())
    if start < end:  # otherwise this rank's partition is only padding
        first = start // row
        tensor = stored.rows(first, -(-end // row)).reshape(-1)
        partition[: end - start].copy_(tensor[start - first * row : end - first * row])


def persistent_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Name -> buffer, for the buffers that are saved in a checkpoint, like Gemma 4's `layer_scalar`."""
    saved = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}


def set_buffer_dtypes(model: PreTrainedModel, dtypes: dict[str, torch.dtype]) -> None:
    """Convert persistent buffers to the given dtypes: `zero.Init` has converted all of them to one dtype."""
    for name, buffer in persistent_buffers(model).items():
        module, _, own_name = name.rpartition(".")
        setattr(model.get_submodule(module), own_name, buffer.to(dtypes[name]))


def restore_buffers(model: PreTrainedModel) -> None:
    """Recompute rotary frequencies in fp32: `zero.Init` rounds everything computed under it to its dtype."""
    saved = {id(buffer) for buffer in persistent_buffers(model).values()}  # read from the checkpoint, not computed
    for module in model.modules():
        own = module.named_buffers(recurse=False)
        rounded = [name for name, buffer in own if buffer.is_floating_point() and id(buffer) not in saved]
        if rounded and not list(module.parameters(recurse=False)):
            for name in rounded:
                setattr(module, name, getattr(module, name).float())
            model._init_weights(module)  # as transformers itself does after loading


def choose_attention(attention: str, dtype: str) -> str | None:
    """Resolve "auto" for this machine. None: transformers chooses, SDPA if the architecture supports it."""
    if attention != "auto":
        return attention
    usable = dtype == "bf16" and torch.cuda.is_available() and importlib.util.find_spec("flash_attn")
    return "flash_attention_2" if usable else None


def read_model_config(folder: Path) -> PreTrainedConfig:
    """Read a model's config.json. Raises InputError with the family and the reason if the model cannot be used."""
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{folder}/config.json: transformers cannot read it ({reason}); give another model") from None
    family, own_code = config.model_type, "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if quantized := getattr(config, "quantization_config", None):
        method = quantized.get("quant_method", "quantized") if isinstance(quantized, dict) else type(quantized).__name__
        raise InputError(f"{folder} ({family}) has quantized weights ({method}); give the model in bf16 or fp32")
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(f"{folder} ({family}) has an encoder; give a model that only decodes")
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        reason = "its code comes with the model, and is not run" if own_code else "transformers has none for it"
        raise InputError(f"{folder} ({family}) has no class for causal language models: {reason}; give another model")
    return config


def load_causal_lm(folder: Path, dtype: str, attention: str, zero: dict | None = None) -> PreTrainedModel:
    """Load a causal language model, its weights and persistent buffers; each rank reads only its own partition.

    Dropout set by the model's own configuration is turned off.

    Args:
        folder: has config.json and the weights.
        dtype: "fp32" or "bf16".
        attention: "auto", "sdpa" or "flash_attention_2".
        zero: the DeepSpeed configuration. Stage 3 partitions the parameters; with another stage or None, every rank
            holds all of them.

    Raises:
        InputError: the model cannot be used, or weights or persistent buffers are missing or have another shape.
    """
    partitioned = zero is not None and zero["zero_optimization"]["stage"] == 3
    stored = stored_tensors(folder)
    config = read_model_config(folder)
    turn_off_dropout(config)
    options = {"dtype": DTYPES[dtype], "attn_implementation": choose_attention(attention, dtype)}
    described = None
    try:
        if partitioned:
            # Has the shapes. It comes first because `zero.Init` breaks some classes that are imported under it.
            with torch.device("meta"), no_init_weights():
                described = AutoModelForCausalLM.from_config(config, **options)
        with partitioned_init(zero) if partitioned else nullcontext(), no_init_weights():
            model = AutoModelForCausalLM.from_config(config, **options)
    except (ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} with --attention {attention}: {reason}; try --attention auto") from None
    turn_off_module_dropout(model)
    model.tie_weights()  # skipped together with the initialisation
    restore_buffers(model)
    if described:
        set_buffer_dtypes(model, {name: buffer.dtype for name, buffer in described.named_buffers()})
    tensors = by_weight_name(described or model, stored)
    optional = re.compile("|".join(model._keys_to_ignore_on_load_missing or ()) or r"(?!)")
    missing = []
    for name, tensor in [*model.named_parameters(), *persistent_buffers(model).items()]:
        if name in tensors:
            fill_parameter(tensor, tensors[name], name)
        elif isinstance(tensor, nn.Parameter) or not optional.search(name):  # some buffers keep their initial value
            missing.append(name)
    if missing:
        raise InputError(
            f"{folder}: its files do not have {len(missing)} weights that transformers' {type(model).__name__} "
            f"({config.model_type}) needs, first {missing[0]}; they have for example {min(stored)}"
        )
    return model


def add_lora(model: PreTrainedModel, rank: int, alpha: float, dropout: float, seed: int) -> PeftModel:
    """Add LoRA to every linear layer except the head and freeze the base; the initial values agree on all ranks.

    PEFT also adapts the experts of a mixture of experts, whose weights are in one tensor.

    Raises:
        InputError: PEFT cannot adapt the model like this: the adapters of experts have no dropout.
    """
    from peft import LoraConfig, get_peft_model  # not at the top: the import takes seconds, and not every run needs it

    torch.manual_seed(seed)
    lora = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT only divides it, so a float works
        lora_dropout=dropout,
        target_modules="all-linear",
        exclude_modules=NOT_ADAPTED if model.config.model_type in MAMBA_FAMILIES else None,
        task_type="CAUSAL_LM",
    )
    # fp32 adapters over a bf16 base cannot be partitioned together (DeepSpeed#8072).
    try:
        return get_peft_model(model, lora, autocast_adapter_dtype=False)
    except ValueError as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"LoRA does not fit {model.config.model_type}: {reason}; use --lora-rank 0") from None


def adapts_experts(model: PeftModel) -> bool:
    """Whether adapters are on the weights of experts, which are no layers of their own."""
    from peft.tuners.lora.layer import ParamWrapper

    return any(isinstance(module, ParamWrapper) for module in model.modules())


def add_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Add the trained adapter of a PEFT directory, frozen. It is not merged: bf16 base weights would round it.

    Raises:
        InputError: the adapter cannot be read, has changed since our scripts wrote it, or belongs to another model.
    """
    from peft import PeftConfig, PeftModel

    check_hashes(folder)
    try:
        adapted = PeftModel(model, PeftConfig.from_pretrained(str(folder)), autocast_adapter_dtype=False)
        # Read on the CPU: by default every rank would open the first GPU.
        loaded = adapted.load_adapter(str(folder), "default", torch_device="cpu", autocast_adapter_dtype=False)
    except Exception as error:  # peft raises many types; each means that adapter and base do not match
        raise InputError(f"the adapter {folder} does not fit its base: {str(error).splitlines()[0]}") from None
    check_adapter_weights(folder, loaded)
    return adapted.requires_grad_(False)


def check_adapter_weights(folder: Path, loaded: _IncompatibleKeys) -> None:
    """Raise InputError if an adapter lacks weights or has others, which PEFT only warns of; they would do nothing.

    loaded: what PEFT's `load_adapter` returned.
    """
    differing = [*loaded.missing_keys, *loaded.unexpected_keys]
    if differing:
        difference = f"{len(differing)} weights are missing or unexpected, first {differing[0]}"
        raise InputError(f"the adapter {folder} does not fit its base: {difference}")
