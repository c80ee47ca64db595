"""A micro-batch's passes on tensors without memory: what autograd saves, and the most that is alive at once.

The real forwards of kid/models/prefix_cache.py and the real backward run on torch's fake tensors, which have shapes
and no values; a tracker adds up the storages that are alive. So any architecture is counted as it is written, with an
attention mask, as padded batches have one. Layers are alike, so two rehearsals with two and three of them tell what
all take.
"""

from __future__ import annotations

import weakref
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Sample, collate
from kid.models.prefix_cache import encode_prompts, forward_outputs
from kid.models.response_model import ResponseModel
from kid.planning.shapes import Shape, build, with_layers
from kid.training.passes import KD, MLE, STUDENT, Pass
from kid.training.readout import losses

FEW = 2


class LiveBytes(TorchDispatchMode):
    """Adds up storages made under it, from their first operation until they are freed: `live` bytes, `peak` bytes."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.storages: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.storages and not self.is_given(key, args, kwargs):
                    self.storages[key] = weakref.ref(storage, partial(self.forget, key, storage.nbytes()))
                    self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        return found

    def is_given(self, key: int, args: tuple, kwargs: dict | None) -> bool:
        """Whether a result is a view of what was there before, a weight say."""
        tensors = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        return any(tensor.untyped_storage()._cdata == key for tensor in tensors)

    def forget(self, key: int, size: int, _) -> None:
        del self.storages[key]
        self.live -= size

    def peak_since(self) -> int:
        """The peak since this was last asked."""
        peak, self.peak = self.peak, self.live
        return peak


class Saved(torch.autograd.graph.saved_tensors_hooks):
    """Bytes of the storages that autograd saves, each once, the given weights' left out."""

    def __init__(self, module: nn.Module):
        self.sizes: dict[int, int] = {}
        weights = {parameter.untyped_storage()._cdata for parameter in module.parameters()}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in weights:
                self.sizes[storage._cdata] = storage.nbytes()
            return tensor

        super().__init__(pack, lambda tensor: tensor)

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())


@dataclass(frozen=True)
class Layout:
    """A micro-batch: rows, tokens of the prompt that all rows share, of the rest of each prompt, of each output."""

    rows: int
    shared: int
    own: int
    output: int

    def batch(self, share: bool) -> Batch:
        """One of this layout, of whatever tokens."""
        # The first token that differs ends what is common.
        samples = [Sample([0] * self.shared + [row + 1] * self.own, [0] * self.output) for row in range(self.rows)]
        return collate(samples, [1.0] * self.rows, list(range(self.rows)), 0, share)


@dataclass(frozen=True)
class Taken:
    """Bytes that a model's passes over a micro-batch take, weights and their gradients aside.

    prefix: keys and values of the prompts, and of a trained prefix all that its backward needs. evaluating: peak of
    prompts and the passes without gradient. saved: what autograd has saved when the losses have been computed. loss:
    peak of the forwards and, with --fused off, of the losses. backward: peak of backward.
    """

    prefix: int
    evaluating: int
    saved: int = 0
    loss: int = 0
    backward: int = 0

    def scaled(self, other: Taken, layers: int) -> Taken:
        """This with FEW layers and `other` with one more: what `layers` of them take."""
        mine, theirs = asdict(self), asdict(other)
        return Taken(**{name: mine[name] + (layers - FEW) * (theirs[name] - mine[name]) for name in mine})


def pretend(module: ResponseModel, fake: FakeTensorMode) -> ResponseModel:
    """The module with fake CPU tensors for its meta ones, in place."""
    with fake:
        found: dict[int, nn.Parameter] = {}
        for part in module.modules():
            for name, old in part._parameters.items():
                if old is not None:
                    new = nn.Parameter(torch.empty(old.shape, dtype=old.dtype), requires_grad=old.requires_grad)
                    part._parameters[name] = found.setdefault(id(old), new)
            for name, old in part._buffers.items():
                if old is not None:
                    part._buffers[name] = torch.empty(old.shape, dtype=old.dtype)
    return module


def rehearse_teacher(config: RunConfig, module: ResponseModel, batch: Batch, separately: bool) -> Taken:
    with LiveBytes() as alive, torch.no_grad():
        prefix = encode_prompts(config, module, batch, separately)
        held = alive.live
        forward_outputs(config, module, batch, prefix, batch.completion_ids)
    return Taken(prefix=held, evaluating=alive.peak)


def rehearse_student(
    config: RunConfig, module: ResponseModel, batch: Batch, plan: tuple[Pass, ...], common: int | None
) -> Taken:
    """The student's prompts, its passes in evaluation and in training and backward, as `micro_batch_loss` runs them.

    Args:
        plan: all passes over outputs.
        common: rows of the teacher's head, needed with --fused off; None: no teacher.
    """
    mine = [this for this in plan if this.model == STUDENT]
    for parameter in module.parameters():
        if parameter.requires_grad:  # DeepSpeed takes each gradient as soon as it is there
            parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    saved = Saved(module)
    with LiveBytes() as alive, saved:
        prefix = encode_prompts(config, module, batch, separately=len(mine) > 1)
        held = alive.live
        for this in mine:
            if not this.trains:
                with torch.no_grad():
                    forward_outputs(config, module, batch, prefix.detach(), batch.completion_ids)
        evaluating = alive.peak_since()
        roots: list[Tensor] = []
        for this in mine:
            if this.trains:
                states = forward_outputs(config, module, batch, prefix, batch.completion_ids)
                if not config.fused:
                    theirs = KD in this.gives and torch.empty(len(states), common, dtype=states.dtype)
                    gold = batch.completion_ids.flatten() if MLE in this.gives else None
                    states = losses(
                        config, module, states, batch.row_weights, gold, *((module, theirs) if KD in this.gives else ())
                    ).loss
                roots.append(states)
        del states
        before, forward = saved.bytes, alive.peak_since()
        # Neither is read by backward: a fused loss has its gradient by then, of the size of its states.
        del prefix
        gradients = [torch.empty_like(root) for root in roots]
        torch.autograd.backward(roots, gradients)
    return Taken(held, evaluating, before, forward, alive.peak_since())


def rehearse(
    config: RunConfig,
    shape: Shape,
    layout: Layout,
    plan: tuple[Pass, ...],
    share: bool,
    separately: bool,
    common: int | None,
) -> Taken:
    """What the student (with LoRA or without) or, where `plan` has none of its passes, the teacher takes.

    Args:
        layout: of the micro-batch.
        plan: the passes of the student; empty: the shape is the teacher's.
        separately: the teacher's prompts run separately from its outputs.
        share: whether what prompts share mine once.
        common: see `rehearse_student`.
    """
    measured = []
    for layers in (FEW, FEW + 1):
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        rank = config.lora_rank if plan else shape.adapter_rank
        module = pretend(build(with_layers(shape.config, layers), config.dtype, rank, trained=bool(plan)), fake)
        batch = layout.batch(share)
        with fake:
            tensors = {k: fake.from_tensor(v) for k, v in vars(batch).items() if isinstance(v, Tensor)}
            batch = replace(batch, **tensors)
            if plan and config.activation_checkpointing:
                module.causal_lm.gradient_checkpointing_enable({"use_reentrant": False})
            if plan:
                measured.append(rehearse_student(config, module.train(), batch, plan, common))
            else:
                measured.append(rehearse_teacher(config, module.eval(), batch, separately))
    return measured[0].scaled(measured[1], shape.config.num_hidden_layers)
