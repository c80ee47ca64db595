"""One interface to DeepSpeed engines and bare modules: the module, whether weights are partitioned, gathering them.

DeepSpeed is imported only if there is an engine or a partitioned weight, so that evaluation and planning run the same
forwards without it.
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
    """The module inside an engine; a bare module is returned as it is."""
    return model.module if is_engine(model) else model


def is_engine(model: Model) -> TypeGuard[DeepSpeedEngine]:
    """Whether `model` is a DeepSpeed engine."""
    return hasattr(model, "zero_optimization_stage")


def is_zero3(model: Model) -> TypeGuard[DeepSpeedEngine]:
    """Whether the model is a ZeRO-3 engine, whose weights are partitioned and gathered in every pass."""
    return is_engine(model) and model.zero_optimization_stage() == 3


def gathered(parameters: Iterable[nn.Parameter]) -> AbstractContextManager:
    """Context in which partitioned parameters are whole on every rank (a collective). No-op if none is partitioned."""
    parameters = list(parameters)
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(parameters)


@contextmanager
def gathered_heads(*models: Model | StoredTeacher) -> Iterator[list[Head]]:
    """Context with the heads of the given models, which may be engines or bare modules.

    Under ZeRO-3 the heads are gathered once for the whole context, so every rank runs the same number of collectives
    however often it uses them.
    """
    modules = [bare_module(model) for model in models]
    with gathered(weight for module in modules for weight in module.head_parameters):
        yield [module.head for module in modules]


@contextmanager
def gathered_model(model: Model) -> Iterator[ResponseModel]:
    """Context with the bare module, in eval mode and without gradient, for any number of forwards.

    Under ZeRO-3 all weights are gathered on every rank at the start and freed at the end. Forwards in between are not
    collectives, so ranks may run different numbers of them without waiting for one another.
    """
    with gathered_without_hooks(model) if is_zero3(model) else nullcontext(), eval_no_grad(model):
        yield bare_module(model)


@contextmanager
def gathered_without_hooks(engine: DeepSpeedEngine) -> Iterator[None]:
    """Gather every weight of a ZeRO-3 engine on every rank and disable the hooks that free weights after a forward.

    Unlike DeepSpeed's `unwrap_model_for_generation`, it restores the same hooks, so that ZeRO-3 keeps the recorded
    order of modules by which it prefetches.
    """
    coordinator = engine.optimizer.parameter_offload.get_param_coordinator()
    if coordinator.is_complete_trace():
        coordinator.reset_step()  # drop weights that were prefetched for a pass that does not follow
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
    """Whether the head is trained. Under ZeRO-3 it must then be gathered in backward too: no forward has used it."""
    return any(weight.requires_grad for weight in bare_module(model).head_parameters)


@contextmanager
def eval_no_grad(model: Model) -> Iterator[None]:
    """Context with eval mode and no gradient; restores the previous mode. Uses no global random generator."""
    module = bare_module(model)  # an engine's own `training` never changes
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


def discard_zero3_trace(model: Model) -> None:
    """Stop ZeRO-3 from recording a forward that is not the last one of its micro-batch as a whole pass.

    ZeRO-3 records the order of modules in the first pass and prefetches weights in that order. The earlier forwards of
    a micro-batch match the beginning of its last forward and backward. But if ZeRO-3 recorded an earlier one, the last
    pass would not match the trace: it would be invalidated in every step and nothing would ever be prefetched.
    """
    if is_zero3(model):
        # A teacher's engine has no optimizer; its `optimizer` is the parameter offload itself.
        offload = getattr(model.optimizer, "parameter_offload", model.optimizer)
        coordinator = offload.get_param_coordinator()
        if coordinator.is_record_trace():
            coordinator._invalidate_trace()


def running_modules(module: nn.Module) -> list:
    """ZeRO-3's list of the modules whose forwards are running; an empty list if no weight is partitioned."""
    if not hasattr(next(module.parameters()), "ds_id"):
        return []
    from deepspeed.runtime.zero.parameter_offload import FWD_MODULE_STACK

    return FWD_MODULE_STACK


def partitioned_init(ds_config: dict) -> AbstractContextManager:
    """Context in which each parameter is partitioned as it is created.

    DeepSpeed's own context also broadcasts rank 0's values, which are meaningless before a checkpoint is read. The
    other ranks would then write, and so allocate, every page of the whole parameter.
    """
    import deepspeed

    class PartitionOnCreation(deepspeed.zero.Init):
        def _zero_init_param(self, param: nn.Parameter) -> None:
            self._convert_to_deepspeed_param(param)
            param.partition()  # type: ignore[attr-defined]

    return PartitionOnCreation(config_dict_or_path=ds_config)
