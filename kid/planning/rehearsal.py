"""Run a micro-batch's passes on fake tensors to measure what autograd saves and the peak of live bytes.

The real forwards of kid/models/prefix_cache.py and the real backward run on torch's fake tensors, which have shapes but
no values, while a tracker adds up the live storages. So every architecture is measured as it is implemented, with the
attention mask of padded batches. Layers are alike, so runs with two and three layers are extrapolated to all layers.
"""

from __future__ import annotations

import weakref
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

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

BASE_LAYERS = 2


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages created under it, from creation until they are freed, as `live` and `peak`."""

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
                if key not in self.storages and not self.is_view_of_input(key, args, kwargs):
                    self.storages[key] = weakref.ref(storage, partial(self.release, key, storage.nbytes()))
                    self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        return found

    def is_view_of_input(self, key: int, args: tuple, kwargs: dict | None) -> bool:
        """Whether the storage belongs to an input of the operation, for example a weight."""
        tensors = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        return any(tensor.untyped_storage()._cdata == key for tensor in tensors)

    def release(self, key: int, size: int, _) -> None:
        del self.storages[key]
        self.live -= size

    def peak_since(self) -> int:
        """Peak bytes since the last call."""
        peak, self.peak = self.peak, self.live
        return peak


class SavedBytes(torch.autograd.graph.saved_tensors_hooks):
    """Counts the bytes of the storages that autograd saves, each once, without the module's weights."""

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
    """A micro-batch: rows, prompt tokens shared by all rows, remaining tokens of each prompt, tokens of each output."""

    rows: int
    shared: int
    unshared: int
    output: int

    @property
    def longest(self) -> int:
        """Tokens of a prompt and its output together."""
        return self.shared + self.unshared + self.output

    def batch(self, share: bool) -> Batch:
        """A batch of this layout, with arbitrary tokens."""
        # Prompts differ in the first unshared token, which ends the shared part.
        samples = [Sample([0] * self.shared + [row + 1] * self.unshared, [0] * self.output) for row in range(self.rows)]
        return collate(samples, [1.0] * self.rows, list(range(self.rows)), 0, share)


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that a model's passes over a micro-batch take, without weights and their gradients.

    prefix: keys and values of the prompts and, if the prefix is trained, everything that its backward needs.
    evaluating: peak of the prompts and the passes without gradient. saved: saved by autograd once the losses are
    computed. loss: peak of the forwards and, with --fused off, of the losses. backward: peak of the backward.
    """

    prefix: int
    evaluating: int
    saved: int = 0
    loss: int = 0
    backward: int = 0

    def extrapolated(self, other: MemoryUse, layers: int) -> MemoryUse:
        """Extrapolate to `layers` layers, where this is for BASE_LAYERS layers and `other` for one more."""
        fewer, more = asdict(self), asdict(other)
        return MemoryUse(**{name: fewer[name] + (layers - BASE_LAYERS) * (more[name] - fewer[name]) for name in fewer})


def make_fake(module: ResponseModel, fake: FakeTensorMode) -> ResponseModel:
    """Replace the module's meta tensors by fake CPU tensors, in place."""
    with fake:
        found: dict[int, nn.Parameter] = {}
        for part in module.modules():
            for name, old in part._parameters.items():
                if old is not None:
                    new = nn.Parameter(torch.empty(old.shape, dtype=old.dtype), requires_grad=old.requires_grad)
                    part._parameters[name] = found.setdefault(id(old), new)
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return module


def rehearse_teacher(config: RunConfig, module: ResponseModel, batch: Batch, separately: bool) -> MemoryUse:
    with LiveBytes() as alive, torch.no_grad():
        prefix = encode_prompts(config, module, batch, separately)
        prefix_bytes = alive.live
        forward_outputs(config, module, batch, prefix, batch.completion_ids)
    return MemoryUse(prefix=prefix_bytes, evaluating=alive.peak)


def rehearse_student(
    config: RunConfig, module: ResponseModel, batch: Batch, step_passes: tuple[Pass, ...], teacher_head_rows: int | None
) -> MemoryUse:
    """Run the student's prompts, its passes without and with gradient, and the backward, as `micro_batch_loss` does.

    Args:
        step_passes: all passes over outputs.
        teacher_head_rows: size of the teacher's vocabulary, for --fused off; None: no teacher.
    """
    student_passes = [this for this in step_passes if this.model == STUDENT]
    for parameter in module.parameters():
        if parameter.requires_grad:  # DeepSpeed removes each `.grad` as soon as it is computed
            parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    saved = SavedBytes(module)
    with LiveBytes() as alive, saved:
        prefix = encode_prompts(config, module, batch, separately=len(student_passes) > 1)
        prefix_bytes = alive.live
        for this in student_passes:
            if not this.needs_gradient:
                with torch.no_grad():
                    forward_outputs(config, module, batch, prefix.detach(), batch.completion_ids)
        evaluating = alive.peak_since()
        roots: list[Tensor] = []
        for this in student_passes:
            if this.needs_gradient:
                states = forward_outputs(config, module, batch, prefix, batch.completion_ids)
                if not config.fused:
                    teacher_logits = KD in this.gives and torch.empty(
                        len(states), teacher_head_rows, dtype=states.dtype
                    )
                    gold = batch.completion_ids.flatten() if MLE in this.gives else None
                    states = losses(
                        config,
                        module,
                        states,
                        batch.row_weights,
                        gold,
                        *((module, teacher_logits) if KD in this.gives else ()),
                    ).loss
                roots.append(states)
        del states
        saved_bytes, forward_peak = saved.bytes, alive.peak_since()
        # Backward reads neither states nor prefix: the fused loss has computed its gradient, of the states' size.
        del prefix
        gradients = [torch.empty_like(root) for root in roots]
        torch.autograd.backward(roots, gradients)
    return MemoryUse(prefix_bytes, evaluating, saved_bytes, forward_peak, alive.peak_since())


def rehearse(
    config: RunConfig,
    shape: Shape,
    layout: Layout,
    step_passes: tuple[Pass, ...],
    share: bool,
    separately: bool,
    teacher_head_rows: int | None,
) -> MemoryUse:
    """Memory of the student (with or without LoRA), or of the teacher if `step_passes` is empty.

    Args:
        layout: of the micro-batch.
        step_passes: the passes over outputs; empty: the shape is the teacher's.
        separately: encode the teacher's prompts separately from its outputs.
        share: encode the part that prompts share once.
        teacher_head_rows: see `rehearse_student`.
    """
    measured = []
    for layers in (BASE_LAYERS, BASE_LAYERS + 1):
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        rank = config.lora_rank if step_passes else shape.adapter_rank
        module = make_fake(
            build(with_layers(shape.config, layers), config.dtype, rank, bool(step_passes), layout.longest), fake
        )
        batch = layout.batch(share)
        with fake:
            tensors: dict[str, Any] = {k: fake.from_tensor(v) for k, v in vars(batch).items() if isinstance(v, Tensor)}
            batch = replace(batch, **tensors)
            if step_passes and config.activation_checkpointing:
                module.causal_lm.gradient_checkpointing_enable({"use_reentrant": False})
            if step_passes:
                measured.append(rehearse_student(config, module.train(), batch, step_passes, teacher_head_rows))
            else:
                measured.append(rehearse_teacher(config, module.eval(), batch, separately))
    return measured[0].extrapolated(measured[1], shape.config.num_hidden_layers)
