"""What a model's DeepSpeed engine holds on a rank: weights, gradients, optimizer, buffers, by ZeRO stage and offload.

As DeepSpeed 0.19 allocates it (`runtime/zero/stage3.py`, `stage_1_and_2.py`); tests count the bytes in live engines.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from kid.errors import InputError
from kid.models.loading import DTYPES
from kid.models.response_model import ResponseModel

# fp32 tensors that an optimizer keeps for each weight.
MOMENTS = {"adam": 2, "adamw": 2}
# DeepSpeed's own values where a file of ds_configs/ has none.
PERSISTENT, LIVE, PREFETCH, BUCKET = 100_000, 1_000_000_000, 50_000_000, 500_000_000
# NCCL wants partitions of the flat weights of stages 1 and 2 to start at a multiple of so many elements.
ALIGNMENT = 2


@dataclass(frozen=True)
class Line:
    """Bytes of one thing on each rank, in GPU memory or in the host's. held: between steps too."""

    name: str
    gpu: int = 0
    host: int = 0
    held: bool = True


def unique(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Each once, tied ones too."""
    return list({id(parameter): parameter for parameter in parameters}.values())


def partition(parameter: nn.Parameter, ranks: int) -> int:
    """Elements of a rank's part under ZeRO-3; each parameter is padded by itself."""
    return -(-parameter.numel() // ranks)


def pinned(size: int) -> int:
    """Bytes that torch's allocator of pinned host memory takes for `size`: the next power of two."""
    return 1 << (size - 1).bit_length() if size else 0


def persistent(parameters: list[nn.Parameter], zero: dict) -> list[nn.Parameter]:
    """Those small enough that ZeRO-3 leaves them gathered."""
    return [p for p in parameters if p.numel() <= zero.get("stage3_param_persistence_threshold", PERSISTENT)]


def offloaded(zero: dict, what: str) -> bool:
    """Whether it lies in the host's memory. what: "offload_param" or "offload_optimizer"."""
    return (zero.get(what) or {}).get("device", "none") != "none"


def window(sizes: list[int], prefetch: int) -> int:
    """Most elements gathered at once in a forward that frees each weight after its use.

    While one is used, those that follow are prefetched until `prefetch` elements are reached or passed.
    """
    most = 0
    for at, size in enumerate(sizes):
        ahead = 0
        for following in sizes[at + 1 :]:
            if ahead >= prefetch:
                break
            ahead += following
        most = max(most, size + ahead)
    return most


def staying(zero: dict) -> int:
    """Elements up to which ZeRO-3 leaves a forward's weights gathered for its backward: either setting is enough."""
    return max(int(zero.get(f"stage3_max_{name}", LIVE)) for name in ("live_parameters", "reuse_distance"))


def gathered(module: ResponseModel, zero: dict, trains: bool, keeps: bool, fused: bool) -> int:
    """Most elements of a ZeRO-3 model that are gathered at once beyond the small ones.

    Args:
        trains: it has a backward, which finds what its forward has gathered up to DeepSpeed's limit; what is used at
            the time comes on top.
        keeps: several passes keep all of it (docs/how-it-works.md), or decoding wants it whole.
        fused: the losses gather the head by itself, while the trunk's first weights are prefetched; no pass uses it.
    """
    parameters, prefetch = unique(module.parameters()), int(zero.get("stage3_prefetch_bucket_size", PREFETCH))
    small = {id(parameter) for parameter in persistent(parameters, zero)}
    weights = [parameter for parameter in parameters if id(parameter) not in small]
    everything = sum(weight.numel() for weight in weights)
    if keeps:
        return everything
    head, tied = module.causal_lm.get_output_embeddings().weight, module.causal_lm.config.tie_word_embeddings
    sizes = [weight.numel() for weight in weights if weight is not head or tied or not fused]
    most = max(window(sizes, prefetch), fused and head.numel() + prefetch)
    if trains:
        most = max(most, staying(zero) + max(sizes, default=0))
    return min(most, everything)


def optimizer_moments(values: dict) -> int:
    """fp32 tensors per weight. Raises InputError for an optimizer whose state is not known."""
    name = values.get("optimizer", {"type": "AdamW"})["type"]
    if name.lower() not in MOMENTS:
        raise InputError(f"--deepspeed: the state of optimizer {name} is not planned; name Adam or AdamW")
    return MOMENTS[name.lower()]


def weight_lines(module: nn.Module, values: dict, dtype: str, ranks: int) -> list[Line]:
    """Weights as they lie between passes."""
    zero, size, parameters = values["zero_optimization"], DTYPES[dtype].itemsize, unique(module.parameters())
    if zero["stage"] < 3:
        return [Line("weights", size * sum(p.numel() for p in parameters))]
    small = persistent(parameters, zero)
    left, gpu, host = {id(p) for p in small}, 0, 0
    for parameter in parameters:
        part = size * partition(parameter, ranks)
        if not offloaded(zero, "offload_param") or id(parameter) in left:
            gpu += part
        else:
            host += pinned(part) if zero["offload_param"].get("pin_memory", True) else part
    return [
        Line("weights (this rank's part)", gpu, host),
        Line("small weights, always gathered", size * sum(p.numel() for p in small)),
    ]


def accumulated(sizes: list[int], part: int, rank: int) -> int:
    """Elements of the weights that reach into a rank's part: stage 2 adds up gradients of whole weights."""
    ends = list(itertools.accumulate(sizes))
    return sum(
        size for size, end in zip(sizes, ends, strict=True) if end > rank * part and end - size < (rank + 1) * part
    )


def training_lines(module: nn.Module, values: dict, dtype: str, ranks: int, accumulation: int) -> list[Line]:
    """What training adds: fp32 master weights, moments, gradients, the reduce bucket and the update's own copy."""
    zero, size = values["zero_optimization"], DTYPES[dtype].itemsize
    trained = [p for p in unique(module.parameters()) if p.requires_grad]
    elements, stage = sum(p.numel() for p in trained), zero["stage"]
    if stage == 3:
        part = sum(partition(p, ranks) for p in trained)
    else:
        unit = ALIGNMENT * (ranks if stage else 1)
        part = -(-elements // unit) * unit // (ranks if stage else 1)
    away = offloaded(zero, "offload_optimizer")
    # Stages 1 to 3 copy fp32 weights too.
    plain = stage == 0 and dtype == "fp32"
    master = 0 if plain else 4 * part
    gradients = size * (part if stage >= 2 else elements)
    if stage == 2 and accumulation > 1:
        sizes = [p.numel() for p in trained]
        gradients = size * max(accumulated(sizes, part, rank) for rank in range(ranks))
    update = 0 if plain else 4 * part

    def line(name: str, amount: int, held: bool = True) -> Line:
        return Line(name, 0 if away else amount, amount if away else 0, held)

    lines = [
        line("master weights", master),
        line("optimizer moments", 4 * optimizer_moments(values) * part),
        line("gradients", gradients),
        line("update (fp32 gradients)", update, held=False),
    ]
    if stage == 0:
        return lines
    # kid.models.engine.with_fitting_bucket; stage 3 keeps one, stages 1 and 2 have two while gradients come if they
    # overlap.
    bucket = size * min(int(zero.get("reduce_bucket_size", elements)), elements)
    doubled = stage < 3 and zero.get("overlap_comm", False)
    contiguous = zero.get("contiguous_gradients", True)
    return [*lines, Line("reduce buckets", bucket * (1 + doubled) * contiguous, held=stage == 3)]
