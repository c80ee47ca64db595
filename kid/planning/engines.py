"""Memory of a DeepSpeed engine on each rank: weights, gradients, optimizer, buffers, by ZeRO stage and offload.

Follows DeepSpeed 0.19 (`runtime/zero/stage3.py`, `stage_1_and_2.py`); tests count the bytes in live engines.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from kid.config.run_config import RunConfig
from kid.errors import InputError
from kid.models.loading import DTYPES
from kid.models.response_model import ResponseModel

# fp32 tensors that the optimizer keeps for each weight.
MOMENTS = {"adam": 2, "adamw": 2}
# DeepSpeed's defaults, for keys that a file in ds_configs/ does not set.
PERSISTENCE_THRESHOLD, MAX_LIVE_PARAMETERS, PREFETCH_BUCKET = 100_000, 1_000_000_000, 50_000_000
# Partitions of the flat weights of stages 1 and 2 start at a multiple of this many elements, as NCCL requires.
ALIGNMENT = 2


GB = 10**9  # as --teacher-prefix-gb counts


@dataclass(frozen=True)
class MemoryItem:
    """Bytes that one item takes on each rank, in GPU and host memory. held: whether it stays between steps."""

    name: str
    gpu: int = 0
    host: int = 0
    held: bool = True


def stored_prefix_memory(config: RunConfig, ranks_per_node: int) -> list[MemoryItem]:
    """What the teacher's stored keys and values take where the run sets their budget; all of it is assumed to be used.

    The ranks of a node share its part in host memory, which is the page cache of a memory-mapped file.
    """
    host, device = (round((size or 0) * GB) for size in (config.teacher_prefix_gb, config.teacher_prefix_device_gb))
    items = [
        MemoryItem("teacher: stored schemas (--teacher-prefix-device-gb)", device),
        MemoryItem("teacher: stored schemas (--teacher-prefix-gb, shared by the node)", 0, host // ranks_per_node),
    ]
    return [item for item in items if item.gpu or item.host]


def unique_parameters(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Each parameter once, tied ones included."""
    return list({id(parameter): parameter for parameter in parameters}.values())


def elements_per_rank(parameter: nn.Parameter, ranks: int) -> int:
    """Elements of a parameter on each rank under ZeRO-3, which pads each parameter separately."""
    return -(-parameter.numel() // ranks)


def pinned_bytes(size: int) -> int:
    """Bytes that torch's pinned-memory allocator takes for `size` bytes: the next power of two."""
    return 1 << (size - 1).bit_length() if size else 0


def persistent_parameters(parameters: list[nn.Parameter], zero: dict) -> list[nn.Parameter]:
    """Parameters small enough that ZeRO-3 keeps them gathered."""
    return [p for p in parameters if p.numel() <= zero.get("stage3_param_persistence_threshold", PERSISTENCE_THRESHOLD)]


def is_offloaded(zero: dict, section: str) -> bool:
    """Whether this part of the engine is in host memory. section: "offload_param" or "offload_optimizer"."""
    return (zero.get(section) or {}).get("device", "none") != "none"


def prefetch_window(sizes: list[int], prefetch: int) -> int:
    """Most elements gathered at once in a forward that frees each weight after use.

    While one weight is in use, the following ones are prefetched until they reach or exceed `prefetch` elements.
    """
    most = 0
    for index, size in enumerate(sizes):
        ahead = 0
        for following in sizes[index + 1 :]:
            if ahead >= prefetch:
                break
            ahead += following
        most = max(most, size + ahead)
    return most


def reuse_limit(zero: dict) -> int:
    """Elements up to which ZeRO-3 keeps a forward's weights gathered for its backward; the larger setting decides."""
    return max(
        int(zero.get(f"stage3_max_{name}", MAX_LIVE_PARAMETERS)) for name in ("live_parameters", "reuse_distance")
    )


def peak_gathered_elements(module: ResponseModel, zero: dict, trains: bool, keeps_all: bool, fused: bool) -> int:
    """Most elements of a ZeRO-3 model gathered at once, small persistent parameters aside.

    Args:
        trains: the model has a backward, for which weights stay gathered after the forward, up to DeepSpeed's limit;
            the weight in use is added to that.
        keeps_all: several passes keep all weights gathered (docs/how-it-works.md), or decoding needs all of them.
        fused: the losses gather the head on its own, while the trunk's first weights are prefetched; no pass uses it.
    """
    parameters = unique_parameters(module.parameters())
    prefetch = int(zero.get("stage3_prefetch_bucket_size", PREFETCH_BUCKET))
    persistent_ids = {id(parameter) for parameter in persistent_parameters(parameters, zero)}
    weights = [parameter for parameter in parameters if id(parameter) not in persistent_ids]
    all_elements = sum(weight.numel() for weight in weights)
    if keeps_all:
        return all_elements
    head, tied = module.causal_lm.get_output_embeddings().weight, module.causal_lm.config.tie_word_embeddings
    sizes = [weight.numel() for weight in weights if weight is not head or tied or not fused]
    most = max(prefetch_window(sizes, prefetch), fused and head.numel() + prefetch)
    if trains:
        most = max(most, reuse_limit(zero) + max(sizes, default=0))
    return min(most, all_elements)


def optimizer_moments(values: dict) -> int:
    """Number of fp32 state tensors per weight. Raises InputError for an optimizer whose state is unknown."""
    name = values.get("optimizer", {"type": "AdamW"})["type"]
    if name.lower() not in MOMENTS:
        raise InputError(f"--deepspeed: the memory of optimizer {name} cannot be estimated; use Adam or AdamW")
    return MOMENTS[name.lower()]


def weight_memory(module: nn.Module, values: dict, dtype: str, ranks: int) -> list[MemoryItem]:
    """Memory of the weights between passes."""
    zero, size, parameters = values["zero_optimization"], DTYPES[dtype].itemsize, unique_parameters(module.parameters())
    if zero["stage"] < 3:
        return [MemoryItem("weights", size * sum(p.numel() for p in parameters))]
    persistent = persistent_parameters(parameters, zero)
    persistent_ids, gpu, host = {id(p) for p in persistent}, 0, 0
    for parameter in parameters:
        part = size * elements_per_rank(parameter, ranks)
        if not is_offloaded(zero, "offload_param") or id(parameter) in persistent_ids:
            gpu += part
        else:
            host += pinned_bytes(part) if zero["offload_param"].get("pin_memory", True) else part
    return [
        MemoryItem("weights (this rank's part)", gpu, host),
        MemoryItem("small weights, always gathered", size * sum(p.numel() for p in persistent)),
    ]


def accumulated_elements(sizes: list[int], part: int, rank: int) -> int:
    """Elements of all weights that overlap a rank's part: stage 2 accumulates gradients of whole weights."""
    ends = list(itertools.accumulate(sizes))
    return sum(
        size for size, end in zip(sizes, ends, strict=True) if end > rank * part and end - size < (rank + 1) * part
    )


def training_memory(module: nn.Module, values: dict, dtype: str, ranks: int, accumulation: int) -> list[MemoryItem]:
    """Memory that training adds: fp32 master weights, moments, gradients, reduce buckets and the update's fp32 copy."""
    zero, size = values["zero_optimization"], DTYPES[dtype].itemsize
    trained = [p for p in unique_parameters(module.parameters()) if p.requires_grad]
    elements, stage = sum(p.numel() for p in trained), zero["stage"]
    if stage == 3:
        part = sum(elements_per_rank(p, ranks) for p in trained)
    else:
        unit = ALIGNMENT * (ranks if stage else 1)
        part = -(-elements // unit) * unit // (ranks if stage else 1)
    on_host = is_offloaded(zero, "offload_optimizer")
    # Stages 1 to 3 keep master weights even of an fp32 model.
    updates_in_place = stage == 0 and dtype == "fp32"
    master = 0 if updates_in_place else 4 * part
    gradients = size * (part if stage >= 2 else elements)
    if stage == 2 and accumulation > 1:
        sizes = [p.numel() for p in trained]
        gradients = size * max(accumulated_elements(sizes, part, rank) for rank in range(ranks))
    update = 0 if updates_in_place else 4 * part

    def line(name: str, amount: int, held: bool = True) -> MemoryItem:
        return MemoryItem(name, 0 if on_host else amount, amount if on_host else 0, held)

    lines = [
        line("master weights", master),
        line("optimizer moments", 4 * optimizer_moments(values) * part),
        line("gradients", gradients),
        line("update (fp32 gradients)", update, held=False),
    ]
    if stage == 0:
        return lines
    # See kid.models.engine.with_fitting_bucket. Stage 3 keeps one bucket; with overlap_comm, stages 1 and 2 have two
    # during backward.
    bucket = size * min(int(zero.get("reduce_bucket_size", elements)), elements)
    doubled = stage < 3 and zero.get("overlap_comm", False)
    contiguous = zero.get("contiguous_gradients", True)
    return [*lines, MemoryItem("reduce buckets", bucket * (1 + doubled) * contiguous, held=stage == 3)]
