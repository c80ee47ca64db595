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
from kid.models.loading import add_adapter, add_lora, load_causal_lm
from kid.models.pretrained import Pretrained
from kid.models.response_model import ResponseModel

LOOPBACK = "127.0.0.1"
# The variables that choose the network interface on which a backend's ranks listen for one another.
INTERFACE_VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def is_one_node() -> bool:
    """Whether all ranks of the job run on this node; not if torchrun's agent has opened the port where they meet."""
    local = os.environ.get("LOCAL_SIZE") or os.environ.get("LOCAL_WORLD_SIZE") or "1"  # DeepSpeed's or torchrun's
    return local == os.environ["WORLD_SIZE"] and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"


def meet_on_loopback(url: str, timeout: timedelta, **_) -> Iterator[tuple[torch.distributed.Store, int, int]]:
    """torch's meeting of the ranks at MASTER_PORT, but listening on the loopback address only: torch's own listens on
    all addresses, and whoever reaches it can read and change what ranks tell one another.

    Yields:
        (store, rank, number of ranks), once; as `torch.distributed.register_rendezvous_handler` wants it.

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


torch.distributed.register_rendezvous_handler("kid-loopback", meet_on_loopback)


def loopback_interface() -> str | None:
    """The name of the network interface that has the loopback address: lo on Linux."""
    interfaces = psutil.net_if_addrs().items()
    return next((name for name, found in interfaces if any(each.address == LOOPBACK for each in found)), None)


def join_group() -> None:
    """Start torch.distributed through DeepSpeed. A job on one node listens on the loopback address only.

    Raises:
        RunError: the port of the job is taken.
        torch.distributed.DistError: not all ranks have joined in time.
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
    """Join the launcher's job as a rank; leaves the process group on success, InputError or StoppedError.

    Raises:
        RunError: not all ranks have joined within 10 minutes (DeepSpeed's default; DEEPSPEED_TIMEOUT changes it), or
            the port where they meet is taken.
    """
    get_accelerator().set_device(int(os.environ["LOCAL_RANK"]))
    lock_builds()
    try:
        join_group()
    except torch.distributed.DistError as error:
        raise RunError(
            f"not all of {os.environ['WORLD_SIZE']} ranks have come ({str(error).splitlines()[0]}); see what became of "
            f"the other nodes, and whether they reach {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        ) from error
    torch.distributed.barrier()
    # On a CPU each rank of DeepSpeed shares 64 MiB under a name that is never removed, so that memory fills launch by
    # launch. All ranks have mapped it by now; without its name it is freed with the last of them, even if killed.
    job = "_".join([str(os.getuid()), os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"], os.environ["RANK"]])
    Path(f"/dev/shm/deepspeed_allreduce_buffer_{job}").unlink(missing_ok=True)
    try:
        yield
    except (InputError, StoppedError):
        atexit.register(leave_group)
        raise
    # Not here: a process may train more than once. And not after any other error: other ranks may wait in a collective,
    # and leaving would wait for them.
    atexit.register(leave_group)


def leave_group() -> None:
    """Leave the process group: an interpreter that exits while gloo's threads run sometimes aborts."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def with_fitting_bucket(ds_config: dict, trained: list[torch.nn.Parameter]) -> dict:
    """The configuration with a reduce bucket no larger than the trained weights: DeepSpeed allocates all of it."""
    zero, elements = ds_config["zero_optimization"], sum(getattr(p, "ds_numel", p.numel()) for p in trained)
    bucket = min(zero.get("reduce_bucket_size", elements), elements)
    return {**ds_config, "zero_optimization": {**zero, "reduce_bucket_size": bucket}}


def learning_rate_share(step: int, warmup: int, total: int) -> float:
    """The learning rate of an optimizer step, as a share of the peak: above 0 in every step.

    It rises along a line to the peak in step `warmup` (in the first step without warm-up), then falls along half a
    cosine, which would reach 0 one step after the last.

    Args:
        step: the optimizer step, from 1 to `total`.
        warmup: steps of warm-up, 0 to `total`.
    """
    peak = max(1, warmup)
    if step <= peak:
        return step / peak
    return 0.5 * (1 + math.cos(math.pi * (step - peak) / (total - peak + 1)))


def student_engine(config: RunConfig, folder: Path, values: dict, total_steps: int) -> deepspeed.DeepSpeedEngine:
    """The student with its optimizer and its warm-up and cosine schedule, in an engine of its own."""
    ds_config = complete_deepspeed_config(values, config, torch.distributed.get_world_size(), student=True)
    base = load_causal_lm(folder, config.dtype, config.attention, ds_config)
    if config.activation_checkpointing:
        base.gradient_checkpointing_enable({"use_reentrant": False})  # the other kind needs inputs with a gradient
    model = ResponseModel(base)
    if config.lora_rank:
        adapted = add_lora(base, config.lora_rank, config.lora_alpha, config.lora_dropout, config.seed)
        # Where others will look for the base: a hub id stays one, a folder must be found from anywhere.
        local = Path(config.student).is_dir()
        adapted.peft_config["default"].base_model_name_or_path = str(folder.resolve()) if local else config.student
        model = ResponseModel(adapted)
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
    """The frozen teacher in an engine of its own, without an optimizer."""
    ds_config = complete_deepspeed_config(values, config, torch.distributed.get_world_size(), student=False)
    base = load_causal_lm(teacher.base, config.dtype, config.attention, ds_config)
    model = ResponseModel(add_adapter(base, teacher.adapter) if teacher.adapter else base)
    if teacher.adapter and config.fused and not isinstance(model.causal_lm.get_output_embeddings(), torch.nn.Linear):
        raise InputError(
            f"--teacher: the adapter {teacher.adapter} changes the output head, which the fused losses take as it "
            "is; merge it into its base, or train with the teacher itself and --fused off"
        )
    engine, *_ = deepspeed.initialize(model=model.requires_grad_(False), config=ds_config)
    engine.eval()  # the engine's own eval returns nothing
    return engine
