"""DeepSpeed engines out of the files in ds_configs/ and the run's configuration."""

from __future__ import annotations

import atexit
import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import deepspeed
import torch
from deepspeed.accelerator import get_accelerator
from transformers import get_cosine_schedule_with_warmup

from kid.build_lock import lock_builds
from kid.config.run_config import RunConfig, accumulation_steps
from kid.errors import InputError, RunError, StoppedError
from kid.losses.head import Head
from kid.models.loading import ResponseModel, add_adapter, add_lora, load_causal_lm
from kid.models.pretrained import Pretrained

# These follow from the run's configuration; a second place for them could only disagree.
SET_BY_THE_RUN = (
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "scheduler",
    "bf16",
    "fp16",
    "tensorboard",
    "activation_checkpointing",
    "lr",
    "weight_decay",
)
STUDENT_FLAG, TEACHER_FLAG = "--deepspeed", "--teacher-deepspeed"


@contextmanager
def joined_ranks() -> Iterator[None]:
    """Make this process a rank of the launcher's job; it leaves when it ends, done or refusing what all were given.

    Raises:
        RunError: not all ranks have come within 10 minutes (DeepSpeed's; DEEPSPEED_TIMEOUT sets others).
    """
    get_accelerator().set_device(int(os.environ["LOCAL_RANK"]))
    lock_builds()
    try:
        deepspeed.init_distributed(get_accelerator().communication_backend_name(), verbose=False)
    except torch.distributed.DistError as error:
        raise RunError(
            f"not all of {os.environ['WORLD_SIZE']} ranks have come ({str(error).splitlines()[0]}); see what became of "
            f"the other nodes, and whether they reach {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        ) from error
    torch.distributed.barrier()
    # On a CPU DeepSpeed's ranks share 64 MiB each under a name that nobody takes away, which fills the memory launch by
    # launch. All have mapped it by now; without its name it goes with the last of them, also when they are killed.
    job = "_".join([str(os.getuid()), os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"], os.environ["RANK"]])
    Path(f"/dev/shm/deepspeed_allreduce_buffer_{job}").unlink(missing_ok=True)
    try:
        yield
    except (InputError, StoppedError):
        atexit.register(leave_group)
        raise
    # Not here: a process may train more than once. And not after any other error: other ranks may wait in a collective,
    # and to leave would wait with them.
    atexit.register(leave_group)


def leave_group() -> None:
    """An interpreter that ends while gloo's threads are at work aborts, now and then, with a run's work all done."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def read_deepspeed_config(path: str, flag: str) -> dict:
    """A file of ds_configs/.

    Raises:
        InputError: missing, not JSON, without a ZeRO stage, or with a key that the run sets.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{flag} {path}: {error.strerror}; see ds_configs/ for some") from None
    except ValueError as error:
        raise InputError(f"{flag} {path} is not valid JSON: {error}") from None
    sections = ("optimizer", "zero_optimization")
    if not isinstance(values, dict) or not all(isinstance(values.get(key, {}), dict) for key in sections):
        raise InputError(f"{flag} {path} is not a DeepSpeed configuration; see ds_configs/ for some")
    if "optimizer" in values and "type" not in values["optimizer"]:
        raise InputError(f"{flag} {path}: optimizer has no type; name one of DeepSpeed's, AdamW for example")
    given = {*values, *values.get("optimizer", {}).get("params", {})}
    for key in SET_BY_THE_RUN:
        if key in given:
            raise InputError(f"{flag} {path}: take out {key!r}; it follows from the run's own flags")
    stage = values.get("zero_optimization", {}).get("stage")
    allowed = (0, 3) if flag == TEACHER_FLAG else (0, 1, 2, 3)
    if stage not in allowed:
        raise InputError(f"{flag} {path}: zero_optimization.stage is {stage}; it must be one of {allowed}")
    return values


def complete_deepspeed_config(values: dict, config: RunConfig, world_size: int, student: bool) -> dict:
    """The file's values plus what follows from the run: batch, dtype and, for the student, optimizer and monitor."""
    accumulation = accumulation_steps(config, world_size) if student else 1
    completed = {
        **values,
        "train_micro_batch_size_per_gpu": config.micro_batch_size,
        "gradient_accumulation_steps": accumulation,
        "train_batch_size": config.micro_batch_size * accumulation * world_size,
        "bf16": {"enabled": config.dtype == "bf16"},
        # It would wait for the device before every forward.
        "timers": {"throughput": {"enabled": False}},
    }
    if not student:
        return {key: value for key, value in completed.items() if key != "optimizer"}
    optimizer = values.get("optimizer", {"type": "AdamW", "params": {}})
    params = {**optimizer.get("params", {}), "lr": config.lr, "weight_decay": config.weight_decay}
    completed["optimizer"] = {**optimizer, "params": params}
    completed["gradient_clipping"] = config.max_grad_norm
    completed["tensorboard"] = {"enabled": True, "output_path": config.output, "job_name": "tensorboard"}
    return completed


def with_fitting_bucket(ds_config: dict, trained: list[torch.nn.Parameter]) -> dict:
    """The configuration with a reduce bucket no larger than the trained weights: DeepSpeed allocates all of it."""
    zero, elements = ds_config["zero_optimization"], sum(getattr(p, "ds_numel", p.numel()) for p in trained)
    bucket = min(zero.get("reduce_bucket_size", elements), elements)
    return {**ds_config, "zero_optimization": {**zero, "reduce_bucket_size": bucket}}


def student_engine(config: RunConfig, folder: Path, values: dict, total_steps: int):
    """The student with its optimizer and its warm-up and cosine schedule, in an engine of its own."""
    ds_config = complete_deepspeed_config(values, config, torch.distributed.get_world_size(), student=True)
    model = load_causal_lm(folder, config.dtype, config.attention, ds_config)
    if config.activation_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # the other kind needs inputs with a gradient
    if config.lora_rank:
        model = add_lora(model, config.lora_rank, config.lora_alpha, config.lora_dropout, config.seed)
        # Where others will look for the base: a hub id stays one, a folder must be found from anywhere.
        local = Path(config.student).is_dir()
        model.peft_config["default"].base_model_name_or_path = str(folder.resolve()) if local else config.student
    warmup = round(config.warmup_ratio * total_steps)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, *_ = deepspeed.initialize(
        model=ResponseModel(model),
        model_parameters=trained,
        config=with_fitting_bucket(ds_config, trained),
        lr_scheduler=lambda optimizer: get_cosine_schedule_with_warmup(optimizer, warmup, total_steps),
    )
    return engine


def teacher_engine(config: RunConfig, teacher: Pretrained, values: dict):
    """The frozen teacher in an engine of its own, without an optimizer."""
    ds_config = complete_deepspeed_config(values, config, torch.distributed.get_world_size(), student=False)
    model = load_causal_lm(teacher.base, config.dtype, config.attention, ds_config)
    if teacher.adapter:
        model = add_adapter(model, teacher.adapter)
        if config.fused and not isinstance(model.get_base_model().get_output_embeddings(), torch.nn.Linear):
            raise InputError(
                f"--teacher: the adapter {teacher.adapter} changes the output head, which the fused losses take as it "
                "is; merge it into its base, or give --fused off"
            )
    engine, *_ = deepspeed.initialize(model=ResponseModel(model.requires_grad_(False)), config=ds_config)
    engine.eval()  # the engine's own eval returns nothing
    return engine


def in_parts(model) -> bool:
    """Whether a model's weights are partitioned, so that every pass gathers them: a ZeRO-3 engine, no bare module."""
    return isinstance(model, deepspeed.DeepSpeedEngine) and model.zero_optimization_stage() == 3


@contextmanager
def whole_weights(student) -> Iterator[ResponseModel]:
    """The student's module for as many forwards as this rank likes, in eval mode and without gradient.

    Under ZeRO-3 its weights are gathered once, on every rank, and let go at the end. No forward is a collective then:
    ranks that need different numbers of them do not wait for one another.

    Args:
        student: its engine, or the bare module.
    """
    with gathered(student) if in_parts(student) else nullcontext(), without_training(student):
        yield bare_module(student)


@contextmanager
def gathered(student) -> Iterator[None]:
    """Every weight of a ZeRO-3 engine on every rank, and none of the hooks that would let them go after a forward.

    As DeepSpeed's `unwrap_model_for_generation` does it; but put aside and back, hooks keep the order of modules that
    ZeRO-3 has learned, by which it prefetches.
    """
    coordinator = student.optimizer.parameter_offload.get_param_coordinator()
    if coordinator.is_complete_trace():
        coordinator.reset_step()  # weights prefetched for a pass that does not come next
    modules = list(student.module.modules())
    hooks = [(module._forward_pre_hooks, module._forward_hooks) for module in modules]
    with deepspeed.zero.GatheredParameters(student.module.parameters()):
        try:
            for module in modules:
                module._forward_pre_hooks, module._forward_hooks = OrderedDict(), OrderedDict()
            yield
        finally:
            for module, (before, after) in zip(modules, hooks, strict=True):
                module._forward_pre_hooks, module._forward_hooks = before, after


@contextmanager
def whole_heads(*models) -> Iterator[list[Head]]:
    """The heads of some models, of which each may be an engine or a bare module.

    Under ZeRO-3 all of them are gathered together, once, whatever is done with them: as many collectives on every rank.
    """
    modules = [bare_module(model) for model in models]
    parameters = [weight for module in modules for weight in module.causal_lm.get_output_embeddings().parameters()]
    with deepspeed.zero.GatheredParameters(parameters):
        yield [module.head for module in modules]


def trains_head(student) -> bool:
    """Under ZeRO-3 the gradient of such a head, which no module's own forward has used, needs it whole in backward."""
    return any(weight.requires_grad for weight in bare_module(student).causal_lm.get_output_embeddings().parameters())


@contextmanager
def without_training(student) -> Iterator[None]:
    """Eval mode, no gradient; afterwards the student is as it was. Nothing is drawn from the global generators."""
    module = bare_module(student)  # an engine's own `training` never changes
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


def forget_order(model) -> None:
    """After a forward that others of the micro-batch follow: have ZeRO-3 not take it for a whole pass.

    It records the first pass it sees and prefetches by that order of modules. A micro-batch's earlier forwards are the
    beginning of its last one and of the backward, but not the other way round: a beginning that was recorded is thrown
    away in every step, and nothing is ever prefetched.
    """
    if in_parts(model):
        # The engine of a teacher has nothing else in this place.
        offload = getattr(model.optimizer, "parameter_offload", model.optimizer)
        coordinator = offload.get_param_coordinator()
        if coordinator.is_record_trace():
            coordinator._invalidate_trace()


def bare_module(student) -> ResponseModel:
    """The module in an engine; a bare module is its own."""
    return student.module if isinstance(student, deepspeed.DeepSpeedEngine) else student
