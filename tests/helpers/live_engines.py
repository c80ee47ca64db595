"""Bytes in live engines: `live_engines.py FOLDER` counts them on rank 0 of eight and writes them to bytes.json.

Torch's "fake" backend stands in for the other ranks: its collectives end at once and change nothing.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import deepspeed
import torch
from deepspeed.comm.torch import TorchBackend
from deepspeed.utils.timer import SynchronizedWallClockTimer
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM

from kid.config.methods import METHODS
from kid.config.run_config import RunConfig
from kid.models.engine import student_engine, teacher_engine
from kid.models.pretrained import Pretrained, TokenIds
from kid.planning.rehearsal import Layout
from kid.planning.shapes import Shape
from kid.training.step import train_step

RANKS = 8
VOCABULARY = 4096
TRUNK = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 4, "num_attention_heads": 4}
FAMILIES = {
    "qwen2": {**TRUNK, "num_key_value_heads": 4, "tie_word_embeddings": True},
    "llama": {**TRUNK, "num_key_value_heads": 2, "tie_word_embeddings": False},
    "codegen": {"n_embd": 64, "n_inner": 160, "n_layer": 4, "n_head": 4, "rotary_dim": 8, "n_positions": 512},
}
# Every third parameter's size is no multiple of the ranks' number; a few stay gathered.
ZERO = {"reduce_bucket_size": 20000, "stage3_param_persistence_threshold": 100}
STUDENT_CASES = [
    ("qwen2", 2, 4, "bf16"), ("llama", 2, 0, "bf16"), ("codegen", 2, 4, "fp32"), ("qwen2", 3, 4, "bf16"),
    ("llama", 3, 4, "fp32"), ("codegen", 3, 0, "bf16"), ("qwen2", 1, 4, "bf16"), ("llama", 0, 4, "bf16"),
]  # fmt: skip
TEACHER_CASES = [("qwen2", 3), ("codegen", 3), ("llama", 0)]


def shape(family: str) -> Shape:
    return Shape(family, AutoConfig.for_model(family, vocab_size=VOCABULARY, **FAMILIES[family]))


# Its embedding is small beside its layers, as that of a large model is.
STEP_MODEL = Shape("llama", AutoConfig.for_model("llama", vocab_size=256, **FAMILIES["llama"]))
LAYOUT = Layout(2, 48, 24, 64)
STEP_CASES = [("rkd", {}), ("kid", {"batching": "schema"})]


def deepspeed_values(stage: int) -> dict:
    zero = {"stage": stage, **(ZERO if stage else {})}
    return {"zero_optimization": zero, "optimizer": {"type": "AdamW", "params": {"torch_adam": True}}}


def settings(**changes) -> RunConfig:
    return replace(RunConfig(dtype="fp32", lora_rank=4, batch_size=16, micro_batch_size=2, teacher="t"), **changes)


def size(tensors) -> int:
    """Bytes of their storages, each once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


@contextmanager
def received(names: dict[str, int]) -> Iterator[list[float]]:
    """Bytes that a rank receives in the collectives of these names, each of which sends its tensor so many times."""
    found, kept = [], {name: getattr(TorchBackend, name) for name in names}

    def counting(name: str):
        def run(self, *tensors, **options):
            largest = max(t.nbytes for t in [*tensors, *options.values()] if torch.is_tensor(t))
            found.append(names[name] * largest * (RANKS - 1) / RANKS)
            return kept[name](self, *tensors, **options)

        return run

    for name in names:
        setattr(TorchBackend, name, counting(name))
    yield found
    for name, function in kept.items():
        setattr(TorchBackend, name, function)


def live_student(family: str, stage: int, lora_rank: int, dtype: str, folder: Path) -> dict[str, int]:
    """Bytes of a student's engine on rank 0, by the planner's names, in two micro-batches and their update."""
    config = settings(student=str(folder / family), lora_rank=lora_rank, dtype=dtype, output=str(folder / "run"))
    config = replace(config, batch_size=2 * config.batch_size)  # two micro-batches a step
    engine = student_engine(config, folder / family, deepspeed_values(stage), 10)
    optimizer, parameters = engine.optimizer, list(engine.module.parameters())
    found = {}
    if stage == 3:
        found["weights (this rank's part)"] = sum(p.ds_tensor.numel() * p.ds_tensor.element_size() for p in parameters)
        small = [p for p in parameters if p.ds_persist]
        found["small weights, always gathered"] = sum(p.ds_numel * p.ds_tensor.element_size() for p in small)
    else:
        found["weights"] = size(parameters)
    buckets = []
    if stage:
        # What gives gradients a place in the buckets, whose buffers stages 1 and 2 let go after the micro-batch.
        name = "_DeepSpeedZeroOptimizer_Stage3__add_grad_to_ipg_bucket" if stage == 3 else "setup_buckets"
        make = getattr(optimizer, name)

        def look(*given):
            make(*given)
            buffers = [bucket.buffer for bucket in optimizer.ipg_buckets.values()]
            buckets.append(size(t for own in buffers for t in (own if isinstance(own, list) else [own])))

        setattr(optimizer, name, look)
    ids = torch.arange(16).view(2, 8)
    # Gradients, and new weights below stage 3, where passes gather weights.
    names = {"all_reduce": 2, "reduce_scatter_tensor": 1, **({"all_gather_into_tensor": 1} if stage < 3 else {})}
    with received(names) as exchanged:
        for _ in range(2):
            seen = torch.ones_like(ids), torch.arange(8).expand(2, -1), torch.arange(4)
            engine.backward(engine(ids, *seen).float().sum())
            if stage == 3:
                own = [optimizer.grad_partitions_flat_buffer]
            elif stage == 2:  # of one micro-batch, then of both
                own = {**optimizer.all_grad_tensors, **optimizer.averaged_gradients}[0]
            else:
                own = [p.grad for p in parameters if p.grad is not None]
            held = sum(gradient.numel() * gradient.element_size() for gradient in own)
            found["gradients"] = max(found.get("gradients", 0), held)
            engine.step()
    found["received"] = sum(exchanged)
    if stage:
        found["reduce buckets"] = max(buckets)
    place = ("fp32_groups", *["single_partition_of_fp32_groups"] * 2, "fp32_partitioned_groups_flat")[stage]
    master = getattr(optimizer, place)
    found["master weights"] = size(master if stage else chain(*master))
    moments = [t for state in optimizer.optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
    found["optimizer moments"] = size(t for t in moments if t.numel() > 1)  # the counter of steps is none
    return found


def live_teacher(family: str, stage: int, folder: Path) -> dict[str, int]:
    config = settings(student="s", teacher=str(folder / family), dtype="bf16", output=str(folder / "run"))
    base = folder / family
    engine = teacher_engine(config, Pretrained(base, None, base), deepspeed_values(stage))
    parameters = list(engine.module.parameters())
    if stage == 0:
        return {"weights": size(parameters)}
    small = sum(p.ds_numel for p in parameters if p.ds_persist)
    return {
        "weights (this rank's part)": sum(p.ds_tensor.numel() * 2 for p in parameters),
        "small weights, always gathered": 2 * small,
    }


def live_step(method: str, changes: dict, folder: Path) -> float:
    """Bytes that a rank receives in a step, its third, of a student and a teacher under ZeRO-3."""
    base = folder / "step"
    names = {"method": method, "student": str(base), "teacher": str(base), "output": str(folder / "run")}
    config = settings(dtype="bf16", **names, **changes)
    student = student_engine(config, base, deepspeed_values(3), 10)
    student.train()
    teacher = teacher_engine(config, Pretrained(base, None, base), deepspeed_values(3))
    source, batch = METHODS[method].sources[0], LAYOUT.batch(config.batching == "schema")
    with received({"all_reduce": 2, "reduce_scatter_tensor": 1, "all_gather_into_tensor": 1}) as exchanged:
        for step in range(3):
            exchanged.clear()  # the first two are those in which ZeRO-3 learns the order of modules
            tokens, timers = TokenIds(mask=1, eos=0, pad=2, count=256), SynchronizedWallClockTimer()
            train_step(config, source, student, teacher, [batch], step, tokens, timers)
    return sum(exchanged)


def main() -> None:
    folder = Path(sys.argv[1])
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    deepspeed.init_distributed("gloo", verbose=False)
    for family in FAMILIES:
        AutoModelForCausalLM.from_config(shape(family).config).save_pretrained(folder / family)
    AutoModelForCausalLM.from_config(STEP_MODEL.config).save_pretrained(folder / "step")
    found = {str(case): live_student(*case, folder) for case in STUDENT_CASES}
    found |= {str(case): live_teacher(*case, folder) for case in TEACHER_CASES}
    found |= {str(case): live_step(*case, folder) for case in STEP_CASES}
    (folder / "bytes.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
