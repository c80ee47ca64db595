"""Loads two teachers as a run does: `load_teacher.py FOLDER NAME NAME`.

Each rank writes down what that took of its memory.
"""

import ctypes
import json
import os
import sys
import threading
from pathlib import Path

import torch

from kid.config.deepspeed_config import TEACHER_FLAG, read_deepspeed_config
from kid.config.run_config import RunConfig
from kid.errors import run_script
from kid.models.engine import joined_ranks, teacher_engine
from kid.models.pretrained import Pretrained

PERIOD = 251


def values(at: int, start: int, count: int) -> torch.Tensor:
    """Elements `start` to `start + count` of parameter number `at`, flattened, as its checkpoint has them."""
    period = (torch.arange(PERIOD) + start + 31 * at) % PERIOD
    return period.bfloat16().repeat(-(-count // PERIOD))[:count]  # numbers up to 256 are exact in bf16


def own_memory() -> int:
    """Bytes of this process that no file stands behind: pages of a mapped checkpoint can be taken away at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


class Watch(threading.Thread):
    """The most of `own_memory` until `end`, looked at every 2 ms."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.looks, self.ended = own_memory(), 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(0.002):
            self.most, self.looks = max(self.most, own_memory()), self.looks + 1

    def end(self) -> None:
        self.ended.set()
        self.join()


def load(folder: Path, before: int) -> dict:
    """Bytes taken at most, looks at them, bytes of this rank's parts, and the parameters whose part is not theirs."""
    config = RunConfig(student="s", teacher=str(folder), output=str(folder), dtype="bf16", micro_batch_size=1)
    settings = read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    watch = Watch()
    engine = teacher_engine(config, Pretrained(folder, None, folder), settings)
    watch.end()
    held, wrong = 0, []
    for at, (name, parameter) in enumerate(engine.module.model.named_parameters()):
        part = parameter.ds_tensor
        start = torch.distributed.get_rank() * part.numel()
        count = min(part.numel(), parameter.ds_numel - start)
        held += part.nbytes
        if not torch.equal(part[:count], values(at, start, count)):
            wrong.append(name)
        part.data = part.new_empty(0)  # DeepSpeed keeps the engine
    ctypes.CDLL(None).malloc_trim(0)  # and glibc what is freed
    return {"taken": watch.most - before, "looks": watch.looks, "held": held, "wrong": wrong}


def main() -> None:
    before = own_memory()  # for both: what is left of the first counts against the second
    folder, *names = sys.argv[-3:]
    with joined_ranks():
        found = {name: load(Path(folder) / name, before) for name in names}
    (Path(folder) / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    run_script(main)
