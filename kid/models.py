"""The student, the frozen teacher, and how their weights reach the ranks: each reads only the part it will hold."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import deepspeed
import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.initialization import no_init_weights

from kid.errors import InputError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# A reader gives rows [start, end) of one tensor in a checkpoint; (None, None) the whole tensor.
Reader = Callable[[int | None, int | None], Tensor]


def checkpoint_readers(folder: Path) -> dict[str, Reader]:
    """Name -> reader for every tensor of a safetensors or .bin checkpoint; nothing is read yet.

    Raises:
        InputError: no weights in the folder, or a file that its index names is missing or cut off.
    """
    files: list[Path] = []
    for pattern in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{pattern}.index.json"
        if index.is_file():
            files = [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
        elif (folder / pattern).is_file():
            files = [folder / pattern]
        if files:
            break
    if not files:
        raise InputError(f"{folder} has no weights: neither model.safetensors nor pytorch_model.bin, nor an index")
    readers: dict[str, Reader] = {}
    for file in files:
        try:
            if file.suffix == ".safetensors":
                handle = safe_open(file, framework="pt")
                for name in handle.keys():  # noqa: SIM118 (not a dict)
                    readers[name] = lambda a, b, h=handle, n=name: h.get_tensor(n) if a is None else h.get_slice(n)[a:b]
            else:
                for name, tensor in torch.load(file, mmap=True, weights_only=True).items():
                    readers[name] = lambda a, b, t=tensor: t[a:b] if a is not None else t
        except Exception as error:  # safetensors and pickle raise their own kinds; each means a damaged file
            raise InputError(f"{file} cannot be read ({error}); fetch the model again") from None
    return readers


@torch.no_grad()
def fill_parameter(param: nn.Parameter, read: Reader, name: str) -> None:
    """Copy a checkpoint's tensor into a parameter; under ZeRO-3 only the rows that hold this rank's partition are read.

    Raises:
        InputError: the checkpoint's shape is another.
    """
    partition = getattr(param, "ds_tensor", None)
    shape = torch.Size(param.ds_shape if partition is not None else param.shape)
    if partition is None or len(shape) == 0:
        tensor = read(None, None)
        if tensor.shape != shape:
            raise InputError(f"weight {name} has shape {tuple(tensor.shape)}, the model's config says {tuple(shape)}")
        param.copy_(tensor)
        return
    row = shape[1:].numel()
    rank = torch.distributed.get_rank()
    start = min(rank * partition.numel(), shape.numel())
    end = min(start + partition.numel(), shape.numel())
    first = start // row
    tensor = read(first, -(-end // row))
    if tensor.shape[1:] != shape[1:] or tensor.numel() < end - first * row:
        raise InputError(f"weight {name}: the checkpoint's shape does not fit the config's {tuple(shape)}")
    partition[: end - start].copy_(tensor.reshape(-1)[start - first * row : end - first * row])


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
    readers = checkpoint_readers(folder)
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}/config.json: {str(error).splitlines()[0]}") from None
    implementation = choose_attention(attention, dtype)
    try:
        with deepspeed.zero.Init(config_dict_or_path=zero) if partitioned else nullcontext(), no_init_weights():
            model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype], attn_implementation=implementation)
    except (ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder} with --attention {attention}: {reason}; try --attention auto") from None
    model.tie_weights()  # left out with the initialisation
    missing = []
    for name, param in model.named_parameters():
        # A checkpoint of the bare trunk lacks the trunk's prefix.
        key = name if name in readers else name.removeprefix(f"{model.base_model_prefix}.")
        if key in readers:
            fill_parameter(param, readers[key], name)
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


class ResponseModel(nn.Module):
    """A causal language model whose forward returns logits of chosen rows only: the head never sees the prompt."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    @property
    def causal_lm(self) -> PreTrainedModel:
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, rows: Tensor) -> Tensor:
        """Logits after the given positions.

        Args:
            input_ids, attention_mask, position_ids: int64 [B, L].
            rows: int64 [N], indices into the flattened [B, L]; N may be 0.

        Returns:
            [N, V] in the model's dtype.
        """
        hidden = self.causal_lm.base_model(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
        ).last_hidden_state
        return self.causal_lm.get_output_embeddings()(hidden.flatten(0, 1)[rows])
