"""The student, the frozen teacher, and how their weights reach the ranks: each reads only the part it will hold."""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import deepspeed
import torch
from deepspeed.runtime.zero.parameter_offload import FWD_MODULE_STACK
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, Cache, DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.initialization import no_init_weights

from kid.errors import InputError
from kid.losses.head import Head

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Stored:
    """A tensor in a checkpoint, not yet read: `rows(a, b)` reads rows [a, b) of it, `whole()` all."""

    shape: torch.Size
    rows: Callable[[int, int], Tensor]
    whole: Callable[[], Tensor]


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Every tensor of a model's or an adapter's checkpoint by name; files are opened, nothing is read yet.

    Raises:
        InputError: no weights in the folder, or a file that its index names is missing or cut off.
    """
    files: list[Path] = []
    for pattern in ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin"):
        index = folder / f"{pattern}.index.json"
        if index.is_file():
            files = [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
        elif (folder / pattern).is_file():
            files = [folder / pattern]
        if files:
            break
    if not files:
        raise InputError(f"{folder} has no weights: neither model.safetensors nor pytorch_model.bin, nor an index")
    stored: dict[str, Stored] = {}
    for file in files:
        try:
            if file.suffix == ".safetensors":
                handle = safe_open(file, framework="pt")
                for name in handle.keys():  # noqa: SIM118 (not a dict)
                    part = handle.get_slice(name)
                    whole = partial(handle.get_tensor, name)
                    stored[name] = Stored(torch.Size(part.get_shape()), lambda a, b, part=part: part[a:b], whole)
            else:
                for name, tensor in torch.load(file, mmap=True, weights_only=True).items():
                    stored[name] = Stored(tensor.shape, lambda a, b, t=tensor: t[a:b], lambda t=tensor: t)
        except Exception as error:  # safetensors and pickle raise their own kinds; each means a damaged file
            raise InputError(f"{file} cannot be read ({error}); fetch the model again") from None
    return stored


@torch.no_grad()
def fill_parameter(param: nn.Parameter, stored: Stored, name: str) -> None:
    """Copy a checkpoint's tensor into a parameter; under ZeRO-3 only the rows that hold this rank's partition are read.

    Raises:
        InputError: the checkpoint's shape is another.
    """
    partition = getattr(param, "ds_tensor", None)
    shape = torch.Size(param.shape if partition is None else param.ds_shape)
    if stored.shape != shape:
        raise InputError(f"weight {name} has shape {tuple(stored.shape)}, the model's config says {tuple(shape)}")
    if partition is None:
        param.copy_(stored.whole())
        return
    row = shape[1:].numel()
    start = torch.distributed.get_rank() * partition.numel()
    end = min(start + partition.numel(), shape.numel())
    if start < end:  # the last ranks' parts of a small tensor are padding
        first = start // row
        tensor = stored.rows(first, -(-end // row)).reshape(-1)
        partition[: end - start].copy_(tensor[start - first * row : end - first * row])


class InParts(deepspeed.zero.Init):
    """Partitions each parameter as it is made. DeepSpeed's own also sends rank 0's values, which mean nothing before a
    checkpoint is read, to the other ranks: there every page of the whole parameter is then written, and memory taken.
    """

    def _zero_init_param(self, param: nn.Parameter) -> None:
        self._convert_to_deepspeed_param(param)
        param.partition()


def restore_buffers(model: PreTrainedModel) -> None:
    """Rotary frequencies as they are without `zero.Init`, which rounds all that is computed under it to its dtype."""
    for module in model.modules():
        rounded = [name for name, buffer in module.named_buffers(recurse=False) if buffer.is_floating_point()]
        if rounded and not list(module.parameters(recurse=False)):
            for name in rounded:
                setattr(module, name, getattr(module, name).float())
            model._init_weights(module)  # where transformers itself computes them anew after loading


def choose_attention(attention: str, dtype: str) -> str | None:
    """What "auto" stands for on this machine; None leaves it to transformers: SDPA where the architecture has it."""
    if attention != "auto":
        return attention
    usable = dtype == "bf16" and torch.cuda.is_available() and importlib.util.find_spec("flash_attn")
    return "flash_attention_2" if usable else None


def load_causal_lm(folder: Path, dtype: str, attention: str, zero: dict | None = None) -> PreTrainedModel:
    """A causal language model with its weights, each rank reading only the part it will hold.

    Args:
        folder: config.json and weights.
        dtype: "fp32" or "bf16".
        attention: "auto", "sdpa" or "flash_attention_2".
        zero: the DeepSpeed configuration whose stage 3 partitions the parameters; None, or another stage: every rank
            holds them whole.

    Raises:
        InputError: missing weights, or weights of another shape.
    """
    partitioned = zero is not None and zero["zero_optimization"]["stage"] == 3
    stored = stored_tensors(folder)
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}/config.json: {str(error).splitlines()[0]}") from None
    implementation = choose_attention(attention, dtype)
    try:
        with InParts(config_dict_or_path=zero) if partitioned else nullcontext(), no_init_weights():
            model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype], attn_implementation=implementation)
    except (ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} with --attention {attention}: {reason}; try --attention auto") from None
    model.tie_weights()  # left out with the initialisation
    restore_buffers(model)
    missing = []
    for name, param in model.named_parameters():
        # A checkpoint of the bare trunk lacks the trunk's prefix.
        key = name if name in stored else name.removeprefix(f"{model.base_model_prefix}.")
        if key in stored:
            fill_parameter(param, stored[key], name)
        else:
            missing.append(name)
    if missing:
        raise InputError(f"{folder}: its weights lack {len(missing)} of the model's, first {missing[0]}")
    return model


def add_lora(model: PreTrainedModel, rank: int, alpha: float, dropout: float, seed: int):
    """The model with LoRA on every linear layer but the head; its base is frozen. Same values on every rank."""
    torch.manual_seed(seed)
    lora = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    # fp32 adapters over a bf16 base cannot be partitioned together (DeepSpeed#8072).
    return get_peft_model(model, lora, autocast_adapter_dtype=False)


def add_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """The model with the trained adapter of a PEFT directory, frozen; unmerged, since bf16 weights would round it.

    Raises:
        InputError: the adapter cannot be read, or belongs to another model.
    """
    # Read on the CPU: by default every rank would open the first GPU.
    how = {"autocast_adapter_dtype": False, "torch_device": "cpu"}
    try:
        adapted = PeftModel(model, PeftConfig.from_pretrained(str(folder)), autocast_adapter_dtype=False)
        loaded = adapted.load_adapter(str(folder), "default", **how)
    except Exception as error:  # peft and its readers raise a dozen kinds; each means that the two do not go together
        raise InputError(f"the adapter {folder} does not fit its base: {str(error).splitlines()[0]}") from None
    amiss = [*loaded.missing_keys, *loaded.unexpected_keys]
    if amiss:
        raise InputError(f"the adapter {folder} does not fit its base: {len(amiss)} weights differ, first {amiss[0]}")
    return adapted.requires_grad_(False)


def logit_transform(config: PreTrainedConfig) -> tuple[float, float | None]:
    """(scale, soft cap) of the logits of the architectures that have one."""
    # Cohere has the first, Falcon-H1 the second.
    scale = getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None) or 1.0
    scaling = getattr(config, "logits_scaling", None)
    if scaling:  # Granite divides
        scale = scaling if config.model_type == "hyperclovax" else 1 / scaling
    # Gemma 2 and later have the first, RecurrentGemma the second.
    return scale, getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)


class PromptIsRead(Exception):  # noqa: N818 (no error)
    """The last layer's keys and values are in the cache."""


class PromptCache(DynamicCache):
    """Ends a forward once it holds the last layer's keys and values: nobody reads what that layer makes of a prompt."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs):
        super().update(key_states, value_states, layer_idx, *args, **kwargs)
        if layer_idx == len(self.layers) - 1:
            raise PromptIsRead
        return self.layers[layer_idx].keys, self.layers[layer_idx].values


class ResponseModel(nn.Module):
    """A causal language model that only looks at chosen rows: the head never sees the prompt."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    @property
    def causal_lm(self) -> PreTrainedModel:
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def device(self) -> torch.device:
        return self.causal_lm.device

    @cached_property
    def why_whole(self) -> str | None:
        """Why prompts cannot be kept as keys and values of every token, padding in between; None: they can."""
        config = self.causal_lm.config
        rope = getattr(config, "rope_parameters", None) or {}
        kinds = {rope.get("rope_type"), *(own.get("rope_type") for own in rope.values() if isinstance(own, dict))}
        if getattr(self.causal_lm, "_is_stateful", False):
            return "it has recurrent layers"
        if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=config).layers):
            return "not all its layers have full attention"
        if config.model_type in ("gpt_neo", "mpt"):  # a window of columns; ALiBi by columns
            return "its attention counts columns, padding included"
        if kinds & {"longrope", "dynamic"}:
            return "its rotary frequencies depend on the length of what is run"
        return None

    @cached_property
    def draws_dropout(self) -> bool:
        """Whether a forward in training differs from one in evaluation."""
        for part in self.modules():
            if isinstance(part, nn.Dropout) and part.p > 0:
                return True
            # Attention modules hold their rate themselves.
            if any("dropout" in name and isinstance(value, float) and value > 0 for name, value in vars(part).items()):
                return True
        return False

    @property
    def decodes(self) -> bool:
        """Whether it goes on from keys and values that it is given."""
        return "past_key_values" in inspect.signature(self.causal_lm.base_model.forward).parameters

    @property
    def head(self) -> Head:
        """Under ZeRO-3 its tensors are empty outside of `kid.models.engine.whole_heads`."""
        linear, (scale, soft_cap) = self.causal_lm.get_output_embeddings(), logit_transform(self.causal_lm.config)
        return Head(linear.weight, linear.bias, scale, soft_cap)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        rows: Tensor,
        cache: Cache | None = None,
        logits: bool = True,
    ) -> Tensor:
        """Logits, or the hidden states before the head, at the given positions.

        Args:
            input_ids, position_ids: int64 [B, L].
            attention_mask: int64 [B, tokens in the cache + L].
            rows: int64 [N], indices into the flattened [B, L]; N may be 0.
            cache: keys and values of the tokens before these; those of these are added to it.

        Returns:
            [N, V], or [N, H], in the model's dtype; [0, 0] from a `PromptCache`, which is all that is wanted then.
        """
        depth = len(FWD_MODULE_STACK)
        try:
            hidden = self.causal_lm.base_model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state.flatten(0, 1)[rows]
        except PromptIsRead:
            del FWD_MODULE_STACK[depth:]  # ZeRO-3's list of the modules that are running: these were left
            return attention_mask.new_empty(0, 0, dtype=self.causal_lm.dtype)
        if not logits:
            return hidden
        scale, soft_cap = logit_transform(self.causal_lm.config)
        # The module's own call: under ZeRO-3 it gathers the weight.
        values = self.causal_lm.get_output_embeddings()(hidden)
        values = values if scale == 1 else values * scale
        return values if soft_cap is None else soft_cap * torch.tanh(values / soft_cap)
