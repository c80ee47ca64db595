"""The entries of bench/step_latency.py, and the rounds in which they take turns."""

from __future__ import annotations

import itertools
import os
import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from tqdm import tqdm

from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Sample
from kid.models.prefix_store import PrefixStore
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel
from kid.training.step import PARTS, train_step
from parts.latency_models import FullLogits, make_batch, store_of, with_states

SFT, RKD, GKD = "transformers Trainer, sft", "trl GKDTrainer, rkd", "trl GKDTrainer, gkd"
DISTILLATION = "trl DistillationTrainer, gkd"
PEERS = [SFT, RKD, GKD, DISTILLATION]
WAYS = {
    "plain": {"fused": False, "prefix": False},
    "response rows": {"fused": True, "prefix": False},
    "prompt once": {"fused": True, "prefix": True},
    "schemas stored": {"fused": True, "prefix": True},
    "schema shared": {"fused": True, "prefix": True, "batching": "schema"},
    "shared and stored": {"fused": True, "prefix": True, "batching": "schema"},
    "states stored": {"fused": True, "prefix": True},
    "shared, states stored": {"fused": True, "prefix": True, "batching": "schema"},
}
SHARED = ("schema shared", "shared and stored", "shared, states stored")
STORED, STATES = ("schemas stored", "shared and stored"), ("states stored", "shared, states stored")
WARM_UP = 2  # rounds; the second one measures memory


def ours(config: RunConfig, source: str, way: str, engine, teacher) -> Callable[[Batch], dict[str, float]]:
    """A training step of a method on outputs of one source. It returns seconds by part; decoding never ends early."""
    config = replace(config, **WAYS[way])
    tokens = TokenIds(mask=1, eos=-1, pad=0, count=engine.module.causal_lm.config.vocab_size)
    step = itertools.count()

    def run(batch: Batch) -> dict[str, float]:
        timers = SynchronizedWallClockTimer()
        engine.module.all_rows = way == "plain"
        if isinstance(teacher, FullLogits):
            teacher.all_rows = way == "plain"
        train_step(config, source, engine, teacher, [batch], next(step), tokens, timers)
        return {part: timers(part).elapsed(reset=True) / 1000 for part in PARTS}

    return run


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak_mb(run: Callable[[Batch], object], batch: Batch, device: str) -> float:
    """Peak MiB that a step allocates in addition to models and optimizer."""
    if device == "cuda":
        synchronise(device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(batch)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run(batch)
    allocations = [event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(itertools.accumulate(allocations, initial=0)) / 2**20


def become_the_only_rank(device: str) -> None:
    """Set up a job of one rank, which the engine and the step require."""
    os.environ.update({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"})
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group(
            {"cpu": "gloo", "cuda": "nccl"}[device], store=torch.distributed.HashStore(), rank=0, world_size=1
        )


class Contest:
    """Entries that take turns: (method or peer, way, source of outputs) -> function that runs a batch."""

    def __init__(self, device: str, config: RunConfig, teacher: ResponseModel):
        self.device, self.config, self.teacher = device, config, teacher
        self.entries: dict[tuple[str, str, str], Callable] = {}

    def measure(self, samples: list[dict[bool, list[Sample]]], memory: bool) -> list[dict]:
        """Measure all entries; returns a line for each.

        Args:
            samples: for each round, after WARM_UP warm-up rounds, one micro-batch on one schema (True) and one on
                several schemas (False).
        """
        with ExitStack() as stack:
            store = None
            if any(way in STORED for _, way, _ in self.entries):
                all_samples = [sample for both in samples for own in both.values() for sample in own]
                store = stack.enter_context(store_of(self.config, self.teacher, all_samples))
            return self.take_turns(samples, memory, store)

    def take_turns(
        self, samples: list[dict[bool, list[Sample]]], memory: bool, store: PrefixStore | None
    ) -> list[dict]:
        """Run the rounds of `measure`. store: for the ways that read stored schemas of the teacher."""
        seconds, parts, lines = {key: [] for key in self.entries}, {key: [] for key in self.entries}, {}
        failed: dict[tuple, str] = {}
        turns = random.Random(0)
        for number, own in enumerate(tqdm(samples, desc="rounds", leave=False)):
            batches = {}
            for way in {way for _, way, _ in self.entries}:
                batch = own[way in SHARED]
                if way in STATES:
                    batch = with_states(self.config, self.teacher, batch)
                batches[way] = make_batch(batch, self.device, way in SHARED, store if way in STORED else None)
            for key in turns.sample(list(self.entries), len(self.entries)):
                run, way = self.entries[key], key[1]
                if key in failed:
                    continue
                try:
                    if memory and number == WARM_UP - 1:
                        lines[key] = {"peak_mb": peak_mb(run, batches[way], self.device)}
                    synchronise(self.device)
                    started = time.perf_counter()
                    found = run(batches[way])
                    synchronise(self.device)
                except torch.OutOfMemoryError as error:
                    failed[key] = str(error).splitlines()[0]
                    continue
                if number >= WARM_UP:
                    seconds[key].append(time.perf_counter() - started)
                    parts[key].append(found or {})
        unit = next((seconds[key] for key in self.entries if key[0] == SFT), None)
        for key, values in seconds.items():
            line = lines.setdefault(key, {})
            if key in failed:
                line["failed"] = failed[key]
                continue
            line |= {"seconds": statistics.median(values), "spread": [min(values), max(values)], "rounds": values}
            names = {name for found in parts[key] for name in found}
            line["parts"] = {n: statistics.median([found.get(n, 0.0) for found in parts[key]]) for n in sorted(names)}
            ours = seconds.get(("sft", "schema shared" if key[1] in SHARED else "prompt once", "gold"))
            for name, of_sft in (("ratio", unit), ("own_ratio", ours)):
                if of_sft and len(of_sft) == len(values):
                    ratios = [own / other for own, other in zip(values, of_sft, strict=True)]
                    line |= {name: statistics.median(ratios), f"{name}_spread": [min(ratios), max(ratios)]}
        return [{"method": m, "way": w, "source": s, **lines[m, w, s]} for m, w, s in self.entries]
