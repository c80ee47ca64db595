"""Fill a teacher's prefix store with schemas before the first step: choose what fits, and share the work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psutil
import torch
from safetensors.torch import save
from torch import Tensor

from kid.config.run_config import RunConfig
from kid.data.batching import Dataset
from kid.data.cache import build_once, is_whole
from kid.data.prefixes import Coverage, Tokens, choose_prefixes
from kid.errors import InputError
from kid.models.prefix_store import FILE, PrefixStore, entry_of, states_of, store_folder
from kid.models.zero3 import Model, bare_module
from kid.progress import log, progress_bar
from kid.run.stopping import stop_reason, stop_run

GB = 10**9
# Fractions of a node's free memory, and of the free space on the disk of the cache.
MEMORY_SHARE, DISK_SHARE = 0.25, 0.5


def host_budget(config: RunConfig, folder: Path, device: torch.device) -> float:
    """Return the bytes that the store may take: --teacher-prefix-gb, else a fraction of what is free on this node."""
    if config.teacher_prefix_gb is not None:
        return config.teacher_prefix_gb * GB
    if device.type == "cuda":  # not measured whether copying is faster than computing there
        return 0.0
    stored = sum(path.stat().st_size for path in folder.glob(f"*/{FILE}"))
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    disk = DISK_SHARE * shutil.disk_usage(existing).free + stored
    return min(MEMORY_SHARE * psutil.virtual_memory().available, disk)


def on_all_ranks(value: object) -> list:
    """Gather each rank's value, in the order of ranks."""
    values: list = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def check_all_ranks(error: str) -> None:
    """Raise InputError on every rank if one of them has an error; otherwise the others would wait in a collective."""
    if found := next(filter(None, on_all_ranks(error)), ""):
        raise InputError(found)


def ranks_of_the_cache(folder: Path) -> tuple[int, int, int]:
    """Return (this rank's position among the ranks that see the same cache, their number, the first of them).

    Raises InputError on every rank if the cache cannot be written.
    """
    rank, local = torch.distributed.get_rank(), int(os.environ.get("LOCAL_RANK", "0"))
    leaders = sorted({number - place for number, place in enumerate(on_all_ranks(local))})
    mine = [f".seen-{leader}-{os.environ.get('MASTER_PORT', '0')}" for leader in leaders]
    error = ""
    if local == 0:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / mine[leaders.index(rank)]).touch()
        except OSError as raised:
            error = (
                f"{folder} cannot be written ({raised.strerror}); set KID_CACHE to another folder, or give "
                "--teacher-prefix-gb 0"
            )
    check_all_ranks(error)
    one_for_all = all(on_all_ranks(all((folder / name).exists() for name in mine)))
    if local == 0:
        (folder / mine[leaders.index(rank)]).unlink(missing_ok=True)
    torch.distributed.barrier()
    ranks = torch.distributed.get_world_size()
    if one_for_all:
        return rank, ranks, 0
    leader = rank - local
    later = [number for number in leaders if number > leader]
    return local, (later[0] if later else ranks) - leader, leader


def write_states(states: dict[str, Tensor], folder: Path) -> None:
    (folder / FILE).write_bytes(save(states))


def write_missing(config: RunConfig, teacher: Model, folder: Path, prefixes: Sequence[Tokens]) -> None:
    """Compute and write what is missing in the cache. The ranks share the work and run the same number of forwards.

    Raises:
        InputError: the cache cannot be written; on every rank.
        StoppedError: stopped by a signal; what has been written is kept.
    """
    place, ranks, leader = ranks_of_the_cache(folder)
    rank = torch.distributed.get_rank()
    # The first rank of each cache reads all of it once, to find damaged files.
    missing = [at for at, prefix in enumerate(prefixes) if not is_whole(entry_of(folder, prefix))] if place == 0 else []
    missing = on_all_ranks(missing)[leader]
    mine = missing[place::ranks]
    rounds = max(on_all_ranks(len(mine)))
    if not rounds:
        return
    bar = progress_bar("teacher: schemas", "schema", len(prefixes), len(prefixes) - len(missing), quiet=rank > 0)
    for number in range(rounds):
        prefix = prefixes[mine[number]] if number < len(mine) else prefixes[0]
        states, error = states_of(teacher, prefix), ""
        if number < len(mine):
            tensors = {str(at): tensor.cpu() for at, tensor in enumerate(states)}
            try:
                build_once(entry_of(folder, prefix), partial(write_states, tensors))
            except InputError as raised:
                error = f"{raised}; or lower --teacher-prefix-gb"
        check_all_ranks(error)
        bar.update(min(ranks, len(missing) - number * ranks))
        if reason := stop_reason(next(bare_module(teacher).parameters()).device):
            bar.close()
            stop_run(f"{config.method}: stopped by {reason} before the first step; continue with --resume")
    bar.close()


def say(coverage: Coverage, bytes_per_token: int, folder: Path) -> str:
    size = sum(map(len, coverage.prefixes)) * bytes_per_token / GB
    return (
        f"teacher: keys and values of {len(coverage.prefixes)} schemas are stored in {folder} ({size:.1f} GB) and "
        f"read from there; {coverage.prompts:.0%} of the prompts start with one of these schemas, with "
        f"{coverage.tokens:.0%} of all prompt tokens"
    )


@torch.no_grad()
def open_store(config: RunConfig, teacher: Model, teacher_hash: str, train: Dataset) -> PrefixStore | None:
    """Return the teacher's complete store for a training set; None if there is nothing to store or nothing fits.

    Args:
        teacher: its engine or a bare module.
        teacher_hash: `kid.models.pretrained.fingerprint` of the teacher.
        train: its prompts are the same on every rank.

    Raises:
        InputError: the cache cannot be written.
        StoppedError: stopped by a signal.
    """
    module = bare_module(teacher)
    if not config.prefix or config.teacher_prefix_gb == 0 or module.prefix_unsupported_reason:
        return None
    device = next(module.parameters()).device
    folder = store_folder(config, teacher_hash, device)
    bytes_per_token = sum(tensor.nbytes for tensor in states_of(teacher, [0]))
    coverage = choose_prefixes(train, bytes_per_token, min(on_all_ranks(host_budget(config, folder, device))))
    if not coverage.prefixes:
        return None
    log.info(say(coverage, bytes_per_token, folder))
    write_missing(config, teacher, folder, coverage.prefixes)
    folders = {prefix: entry_of(folder, prefix) for prefix in coverage.prefixes}
    return PrefixStore(folders, device, (config.teacher_prefix_device_gb or 0.0) * GB)
