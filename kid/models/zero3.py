"""One answer for an engine and for a bare module: is its weight partitioned, gather it, the module itself.

Nothing here imports DeepSpeed unless an engine or a partitioned weight is really there, so that evaluation and planning
run the same forwards without it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import torch
from torch import nn

from kid.losses.head import Head

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

    from kid.models.response_model import ResponseModel
    from kid.models.stored_teacher import StoredTeacher

Model: TypeAlias = "DeepSpeedEngine | ResponseModel"  # an engine, or a bare module


def bare_module(model: Model) -> ResponseModel:
    """The module inside an engine; a bare module is its own."""
    return model.module if is_engine(model) else model


def is_engine(model: Model) -> TypeGuard[DeepSpeedEngine]:
    """Whether `model` is a DeepSpeed engine."""
    return hasattr(model, "zero_optimization_stage")


def is_zero3(model: Model) -> TypeGuard[DeepSpeedEngine]:
    """Whether a model's weights are partitioned, so that every pass gathers them: a ZeRO-3 engine, no bare module."""
    return is_engine(model) and model.zero_optimization_stage() == 3


def gathered(parameters: Iterable[nn.Parameter]) -> AbstractContextManager:
    """Context in which partitioned parameters are whole on every rank: a collective. Without one, nothing happens."""
    parameters = list(parameters)
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters)


@contextmanager
def gathered_heads(*models: Model | StoredTeacher) -> Iterator[list[Head]]:
    """The heads of some models, each of which may be an engine or a bare module.

    Under ZeRO-3 all of them are gathered together, once, however often they are used: as many collectives on every
    rank.
    """
    modules = [bare_module(model) for model in models]
    with gathered(weight for module in modules for weight in module.head_parameters):
        yield [module.head for module in modules]


@contextmanager
def gathered_model(model: Model) -> Iterator[ResponseModel]:
    """The bare module for as many forwards as this rank likes, in eval mode and without gradient.

    Under ZeRO-3 its weights are gathered once, on every rank, and freed at the end. No forward is a collective then:
    ranks that need different numbers of them do not wait for one another.
    """
    with gathered_without_hooks(model) if is_zero3(model) else nullcontext(), eval_no_grad(model):
        yield bare_module(model)


@contextmanager
def gathered_without_hooks(engine: DeepSpeedEngine) -> Iterator[None]:
    """Every weight of a ZeRO-3 engine on every rank, and none of the hooks that would free them after a forward.

    As DeepSpeed's `unwrap_model_for_generation` does it; but hooks that are set aside and put back keep the order of
    modules that ZeRO-3 has recorded, by which it prefetches.
    """
    coordinator = engine.optimizer.parameter_offload.get_param_coordinator()
    if coordinator.is_complete_trace():
        coordinator.reset_step()  # weights prefetched for a pass that does not come next
    modules = list(engine.module.modules())
    hooks = [(module._forward_pre_hooks, module._forward_hooks) for module in modules]
    with gathered(engine.module.parameters()):
        try:
            for module in modules:
                module._forward_pre_hooks, module._forward_hooks = OrderedDict(), OrderedDict()
            yield
        finally:
            for module, (before, after) in zip(modules, hooks, strict=True):
                module._forward_pre_hooks, module._forward_hooks = before, after


def trains_head(model: Model) -> bool:
    """Whether the head is trained. Under ZeRO-3 its gradient needs it gathered in backward: no forward has used it."""
    return any(weight.requires_grad for weight in bare_module(model).head_parameters)


@contextmanager
def eval_no_grad(model: Model) -> Iterator[None]:
    """Eval mode, no gradient; afterwards the model is as it was. Nothing is drawn from the global generators."""
    module = bare_module(model)  # an engine's own `training` never changes
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


def discard_zero3_trace(model: Model) -> None:
    """After a forward that others of the micro-batch follow: ZeRO-3 must not take it for a whole pass.

    ZeRO-3 records the order of modules in the first pass it sees and prefetches by it. A micro-batch's earlier forwards
    are the beginning of its last forward and backward, but not the other way round: a trace of the beginning alone is
    thrown away in every step, and nothing is ever prefetched.
    """
    if is_zero3(model):
        # The engine of a teacher has no optimizer, but the offload itself in its place.
        offload = getattr(model.optimizer, "parameter_offload", model.optimizer)
        coordinator = offload.get_param_coordinator()
        if coordinator.is_record_trace():
            coordinator._invalidate_trace()


def running_modules(module: nn.Module) -> list:
    """ZeRO-3's list of the modules whose forwards are running; an empty one where no weight is partitioned."""
    if not hasattr(next(module.parameters()), "ds_id"):
        return []
    from deepspeed.runtime.zero.parameter_offload import FWD_MODULE_STACK

    return FWD_MODULE_STACK


def partitioned_init(ds_config: dict) -> AbstractContextManager:
    """Context in which each parameter is partitioned as it is created.

    DeepSpeed's own also sends rank 0's values, which mean nothing before a checkpoint is read, to the other ranks:
    there every page of the whole parameter would then be written, and take memory.
    """
    import deepspeed

    class PartitionOnCreation(deepspeed.zero.Init):
        def _zero_init_param(self, param: nn.Parameter) -> None:
            self._convert_to_deepspeed_param(param)
            param.partition()  # type: ignore[attr-defined]

    return PartitionOnCreation(config_dict_or_path=ds_config)
