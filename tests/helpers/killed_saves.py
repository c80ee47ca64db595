"""`killed_saves.py FOLDER`: saves checkpoint 3 of a run again and again, each time killed a little later.

Prints a JSON line each time: how it ended, and what is wrong with each checkpoint that is there then.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

from kid.run.checkpoint import list_checkpoints, remove_partial, save_checkpoint, verify_checkpoint

IDENTITY = {"config": "c"}
OPERATIONS = ("open", "fsync", "rename", "replace", "unlink", "rmdir", "mkdir")


class Engine:
    """Writes two files, as DeepSpeed does."""

    def save_checkpoint(self, folder: str, tag: str, **_) -> None:
        os.makedirs(Path(folder, tag))
        for name in ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"):
            torch.save(torch.arange(100), Path(folder, tag, name))


def kill_before(number: int) -> None:
    """This process, before that operation of the file system (from 1)."""
    left = [number]

    def counting(operation):
        def counted(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*arguments, **options)

        return counted

    for name in OPERATIONS:
        setattr(os, name, counting(getattr(os, name)))


def save(run: Path, steps: list[int], number: int = 0) -> int:
    """In a process of its own, killed before operation `number`; returns how it ended."""
    child = os.fork()
    if child == 0:
        store = torch.distributed.FileStore(str(run) + ".store", 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        remove_partial(run)
        if number:
            kill_before(number)
        for step in steps:
            save_checkpoint(Engine(), run, step, IDENTITY)
        os._exit(0)
    Path(str(run) + ".store").unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    folder = Path(sys.argv[1])
    assert save(folder / "two", [1, 2]) == 0
    ended, number = None, 0
    while ended != 0:
        number += 1
        run = folder / str(number)
        shutil.copytree(folder / "two", run)
        ended = save(run, [3], number)
        found = {path.name: verify_checkpoint(path, IDENTITY)[0] for path in list_checkpoints(run)}
        again = save(run, [3, 4])
        left = sorted(path.name for path in (run / "checkpoints").iterdir())
        print(json.dumps({"ended": ended, "found": found, "again": again, "left": left}))


if __name__ == "__main__":
    main()
