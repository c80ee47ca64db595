"""The ranks of a job, and the DeepSpeed engines of its student and its teacher."""

from __future__ import annotations

import atexit
import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import deepspeed
import psutil
import torch
from deepspeed.accelerator import get_accelerator
from torch.optim.lr_scheduler import LambdaLR

from kid.build_lock import lock_builds
from kid.config.deepspeed_config import complete_deepspeed_config
from kid.config.run_config import RunConfig
from kid.errors import InputError, RunError, StoppedError
from kid.models.loading import adapts_experts, add_adapter, add_lora, load_causal_lm
from kid.models.pretrained import Pretrained
from kid.models.response_model import ResponseModel

LOOPBACK = "127.0.0.1"
# Environment variables that select the network interface on which the ranks of each backend listen.
INTERFACE_VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def is_one_node() -> bool:
    """Whether all ranks of the job run on this node; False if torchrun's agent has opened the rendezvous port."""
    local = os.environ.get("LOCAL_SIZE") or os.environ.get("LOCAL_WORLD_SIZE") or "1"  # DeepSpeed's or torchrun's
    return local == os.environ["WORLD_SIZE"] and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"


def loopback_rendezvous(url: str, timeout: timedelta, **_) -> Iterator[tuple[torch.distributed.Store, int, int]]:
    """torch's rendezvous at MASTER_PORT, on the loopback address only.

    torch's own handler listens on all addresses, and anyone who can reach the port can read and change the messages
    between ranks.

    Yields:
        (store, rank, number of ranks), once, as `torch.distributed.register_rendezvous_handler` requires.

    Raises:
        RunError: the port is taken.
    """
    rank, ranks, port = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    listening = None
    if rank == 0:
        try:
            listening = socket.create_server((LOOPBACK, port), backlog=max(128, ranks)).detach()  # the store closes it
        except OSError as error:
            raise RunError(
                f"rank 0 cannot listen on port {port} of {LOOPBACK} ({error.strerror}); give deepspeed another "
                "--master_port"
            ) from None
    store = torch.distributed.TCPStore(
        LOOPBACK, port, ranks, rank == 0, timeout, multi_tenant=True, master_listen_fd=listening
    )
    yield store, rank, ranks


torch.distributed.register_rendezvous_handler("kid-loopback", loopback_rendezvous)


def loopback_interface() -> str | None:
    """The name of the network interface with the loopback address: lo on Linux."""
    interfaces = psutil.net_if_addrs().items()
    return next((name for name, found in interfaces if any(each.address == LOOPBACK for each in found)), None)


def join_group() -> None:
    """Initialise torch.distributed through DeepSpeed. A job on one node listens on the loopback address only.

    Raises:
        RunError: the job's port is taken.
        torch.distributed.DistError: not all ranks joined in time.
    """
    method = None
    if is_one_node():
        method, interface = "kid-loopback://", loopback_interface()
        for variable in INTERFACE_VARIABLES if interface else ():
            os.environ.setdefault(variable, interface)
    backend = get_accelerator().communication_backend_name()
    deepspeed.init_distributed(backend, verbose=False, init_method=method)


@contextmanager
def joined_ranks() -> Iterator[None]:
    """Join the launcher's job as a rank; the process exits the group on success, InputError or StoppedError.

    Raises:
        RunError: not all ranks joined within 10 minutes (DeepSpeed's default; DEEPSPEED_TIMEOUT changes it), or the
            rendezvous port is taken.
    """
    get_accelerator().set_device(int(os.environ["LOCAL_RANK"]))
    lock_builds()
    try:
        join_group()
    except torch.distributed.DistError as error:
        raise RunError(
            f"not all of the {os.environ['WORLD_SIZE']} ranks have joined ({str(error).splitlines()[0]}); check the "
            f"other nodes, and that they can reach {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        ) from error
    torch.distributed.barrier()
    # On a CPU, DeepSpeed allocates 64 MiB of shared memory per rank under a name that it never removes, so memory fills
    # up launch by launch. All ranks have mapped it by now: once unlinked, it is freed when the last one ends or is
    # killed.
    job = "_".join([str(os.getuid()), os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"], os.environ["RANK"]])
    Path(f"/dev/shm/deepspeed_allreduce_buffer_{job}").unlink(missing_ok=True)
    try:
        yield
    except (InputError, StoppedError):
        atexit.register(leave_group)
        raise
    # Only at exit, because a process may train more than once. Not after other errors: leaving waits for the other
    # ranks, and these may be blocked in a collective.
    atexit.register(leave_group)


def leave_group() -> None:
    """Leave the process group: an interpreter that exits while gloo's threads are running sometimes aborts."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def with_fitting_bucket(ds_config: dict, trained: list[torch.nn.Parameter]) -> dict:
    """Limit the reduce bucket, which DeepSpeed allocates in full, to the size of the trained weights."""
    zero, elements = ds_config["zero_optimization"], sum(getattr(p, "ds_numel", p.numel()) for p in trained)
    bucket = min(zero.get("reduce_bucket_size", elements), elements)
    return {**ds_config, "zero_optimization": {**zero, "reduce_bucket_size": bucket}}


def learning_rate_share(step: int, warmup: int, total: int) -> float:
    """The learning rate of an optimizer step, as a share of the peak; above 0 in every step.

    It rises linearly to the peak in step `warmup` (step 1 without warm-up), then follows a half cosine that would reach
    0 one step after the last.

    Args:
        step: the optimizer step, from 1 to `total`.
        warmup: number of warm-up steps, 0 to `total`.
    """
    peak = max(1, warmup)
    if step <= peak:
        return step / peak
    return 0.5 * (1 + math.cos(math.pi * (step - peak) / (total - peak + 1)))


def student_engine(config: RunConfig, folder: Path, values: dict, total_steps: int) -> deepspeed.DeepSpeedEngine:
    """Build the student's engine, with its optimizer and learning rate schedule (warm-up, then cosine).

    Raises:
        InputError: the student's weights are missing or do not fit, or LoRA does not fit the student.
    """
    ds_config = complete_deepspeed_config(values, config, torch.distributed.get_world_size(), student=True)
    base = load_causal_lm(folder, config.dtype, config.attention, ds_config)
    if config.activation_checkpointing:
        base.gradient_checkpointing_enable({"use_reentrant": False})  # reentrant needs inputs that require grad
    model = ResponseModel(base)
    if config.lora_rank:
        adapted = add_lora(base, config.lora_rank, config.lora_alpha, config.lora_dropout, config.seed)
        # Recorded in the adapter: a hub id stays as it is, a folder must be found from any working directory.
        local = Path(config.student).is_dir()
        adapted.peft_config["default"].base_model_name_or_path = str(folder.resolve()) if local else config.student
        model = ResponseModel(adapted)
        if ds_config["zero_optimization"]["stage"] == 3 and adapts_experts(adapted):
            raise InputError(
                f"--student {config.student} ({base.config.model_type}) has experts, on which LoRA does not work under "
                "ZeRO-3; give --deepspeed ds_configs/student_zero2.json"
            )
    warmup = round(config.warmup_ratio * total_steps)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, *_ = deepspeed.initialize(
        model=model,
        model_parameters=trained,
        config=with_fitting_bucket(ds_config, trained),
        lr_scheduler=lambda optimizer: LambdaLR(
            optimizer, lambda done: learning_rate_share(done + 1, warmup, total_steps)
        ),
    )
    return engine


def teacher_engine(config: RunConfig, teacher: Pretrained, values: dict) -> deepspeed.DeepSpeedEngine:
    """Build the frozen teacher's engine, without an optimizer.

    Raises:
        InputError: the teacher's adapter changes the output head, which the fused losses do not support.
    """
    ds_config = complete_deepspeed_config(values, config, torch.distributed.get_world_size(), student=False)
    base = load_causal_lm(teacher.base, config.dtype, config.attention, ds_config)
    model = ResponseModel(add_adapter(base, teacher.adapter) if teacher.adapter else base)
    if teacher.adapter and config.fused and not isinstance(model.causal_lm.get_output_embeddings(), torch.nn.Linear):
        raise InputError(
            f"--teacher: the adapter {teacher.adapter} changes the output head, which the fused losses do not support; "
            "merge the adapter into its base, or use --fused off"
        )
    engine, *_ = deepspeed.initialize(model=model.requires_grad_(False), config=ds_config)
    engine.eval()  # not chained: it returns None
    return engine
