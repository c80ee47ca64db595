"""Measure time and memory of a training step of each method, compared with other libraries.

    python bench/step_latency.py --device cpu                 every method in every way, and the peers
    python bench/step_latency.py --device cuda --pair qwen1.5-0.5b:1.8b qwen1.5-0.5b:4b qwen1.5-0.5b:7b \\
        --batch-size 16 --schema-tokens 540 --question-tokens 60 --output-tokens 60         the paper's latencies
    python bench/step_latency.py --growth                     how a step grows with prompt, batch and teacher

Ways to run a step, on questions with different schemas:
    plain             logits of every position, and whole sequences in every pass
    response rows     the fused head, for response rows only
    prompt once       also, each prompt is encoded once and its KV cache reused
    schemas stored    also, the teacher's KV cache of every schema is computed beforehand
    states stored     as prompt once; fkd and rkd without the teacher, whose states are computed beforehand
On questions on one database:
    schema shared     as prompt once; the shared part of the prompts is encoded once for all of them
    shared and stored, and shared, states stored      both combined
Times do not include reading stored data from disk.

The peers (requirements-bench.txt) are transformers' Trainer for LoRA fine-tuning, trl's GKDTrainer for RKD and GKD, and
its DistillationTrainer for GKD. All entries run in one process on the same models (random weights), in turns, so that
noise of the machine affects all of them. A ratio is the median over rounds of the time relative to the Trainer's in the
same round, and relative to our sft (prompt once, or schema shared for ways that share schemas).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from deepspeed.accelerator import get_accelerator
from parts.latency_contest import (
    DISTILLATION,
    GKD,
    PEERS,
    RKD,
    SFT,
    STATES,
    STORED,
    WARM_UP,
    WAYS,
    Contest,
    become_the_only_rank,
    ours,
)
from parts.latency_models import (
    PAIRS,
    SHAPES,
    FullLogits,
    Lengths,
    made_up_samples,
    make_engine,
    make_model,
    real_samples,
)
from parts.latency_peers import trainer_sft, trl_distillation, trl_gkd
from parts.latency_report import draw_growth, draw_methods, show

from kid.config.methods import METHODS
from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig
from kid.console import Console
from kid.data.batching import Sample
from kid.errors import InputError, OneLineParser, run_script
from kid.models.loading import add_lora
from kid.models.pretrained import load_tokenizer
from kid.models.stored_teacher import StoredTeacher
from kid.progress import silence_libraries

DEFAULT_METHODS = ("sft", "rkd", "f-distill", "imitkd", "gkd-rkl", "kid")
# The dimensions of --growth, of which one at a time is changed.
GROWTH = {
    "prompt tokens": [128, 256, 512, 1024],
    "questions per schema": [1, 2, 4, 8],
    "batch": [2, 4, 8],
    "teacher layers": [2, 8, 16],
}


def prepare(
    shapes: tuple, lengths: Lengths, methods: list[str], ways: list[str], peers: list[str], arguments
) -> Contest:
    """Build models and entries: all of ours use one student and one teacher, and each peer has its own student."""
    device, dtype, attention = arguments.device, arguments.dtype, arguments.attention
    config = merge_config(None, {
        "method": "sft", "student": "s", "data": "d", "output": "o", "dtype": dtype, "batch_size": lengths.batch,
        "micro_batch_size": lengths.batch, "lora_rank": arguments.lora_rank, "max_new_tokens": lengths.output,
        "deepspeed": arguments.deepspeed,
    })  # fmt: skip
    teacher = FullLogits(make_model(shapes[1], dtype, device, attention, 1).requires_grad_(False).eval())
    contest = Contest(device, replace(config, method="rkd"), teacher)

    def student():
        return add_lora(make_model(shapes[0], dtype, device, attention, 0), config.lora_rank, config.lora_alpha, 0.0, 0)

    if SFT in peers:
        contest.entries[SFT, "", "gold"] = trainer_sft(student(), device, lengths.batch)
    for name, on_policy in ((RKD, False), (GKD, True)):
        if name not in peers:
            continue
        try:
            run = trl_gkd(student(), teacher.model, device, lengths.batch, lengths.output, on_policy)
        except ValueError as error:
            print(f"{name} does not support this pair: {str(error).splitlines()[0]}", flush=True)
            continue
        contest.entries[name, "", "on-policy" if on_policy else "gold"] = run
    if DISTILLATION in peers:
        run = trl_distillation(student(), teacher.model, device, lengths.batch, lengths.output)
        contest.entries[DISTILLATION, "", "on-policy"] = run
    # After the peers, which would otherwise take themselves for ranks of a distributed job.
    become_the_only_rank(device)
    engine = make_engine(config, make_model(shapes[0], dtype, device, attention, 0))
    for method, way in itertools.product(methods, ways):
        own = replace(config, method=method)
        for source in METHODS[method].sources:
            taught = teacher if METHODS[method].needs_teacher else None
            if way in STATES:
                taught = StoredTeacher(teacher.head)
            if METHODS[method].fixed_outputs if way in STATES else taught or way not in STORED:
                contest.entries[method, way, source] = ours(own, source, way, engine, taught)
    return contest


def draw_samples(arguments: argparse.Namespace, lengths: Lengths, vocabulary: int) -> list[dict[bool, list[Sample]]]:
    """For each round, a micro-batch with --per-schema questions on each schema (True), and one with different ones."""
    turns = arguments.rounds + WARM_UP
    if not arguments.data:
        alone = replace(lengths, per_schema=1)
        drawn = {
            share: [made_up_samples(own, vocabulary, seed) for seed in range(turns)]
            for share, own in ((True, lengths), (False, alone))
        }
        return [{share: rounds[number] for share, rounds in drawn.items()} for number in range(turns)]
    config = RunConfig(
        benchmark=arguments.benchmark, data=arguments.data, batch_size=lengths.batch, micro_batch_size=lengths.batch,
        max_completion_length=lengths.output, missing_database="schema-only",
    )  # fmt: skip
    tokenizer = load_tokenizer(Path(arguments.tokenizer), "--tokenizer")
    shared, several = (
        real_samples(replace(config, batching=batching), tokenizer, vocabulary, turns)
        for batching in ("schema", "random")
    )
    return [{True: one, False: other} for one, other in zip(shared, several, strict=True)]


def grown(axis: str, value: int, lengths: Lengths, shapes: tuple) -> tuple[Lengths, tuple]:
    """(lengths, shapes) with one of them changed."""
    if axis == "prompt tokens":
        return replace(lengths, schema=value - lengths.question), shapes
    if axis == "questions per schema":
        return replace(lengths, batch=8, per_schema=value), shapes
    if axis == "batch":
        return replace(lengths, batch=value, per_schema=value), shapes
    student, teacher = shapes
    return lengths, (student, (*teacher[:4], value, *teacher[5:]))


def points(arguments: argparse.Namespace) -> Iterator[tuple[dict, Lengths, tuple]]:
    """Yield the points to measure: (labels of the table, lengths, shapes)."""
    for pair, batch in itertools.product(arguments.pair, arguments.batch_size):
        lengths = Lengths(
            batch, arguments.per_schema or batch, arguments.schema_tokens, arguments.question_tokens,
            arguments.output_tokens,
        )  # fmt: skip
        shapes = tuple(SHAPES[name] for name in PAIRS[pair])
        if not arguments.growth:
            yield {"pair": pair, "axis": "batch", "value": batch}, lengths, shapes
            continue
        for axis, values in GROWTH.items():
            for value in values:
                yield {"pair": pair, "axis": axis, "value": value}, *grown(axis, value, lengths, shapes)


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), help="default: bf16 on cuda, fp32 on cpu")
    parser.add_argument("--attention", choices=("auto", "sdpa", "flash_attention_2"), default="auto")
    parser.add_argument("--pair", nargs="+", choices=PAIRS, default=["tiny"], metavar="PAIR", help=", ".join(PAIRS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD",
                        help=f"[{' '.join(DEFAULT_METHODS)}; --growth: rkd gkd-rkl kid]")  # fmt: skip
    parser.add_argument("--ways", nargs="+", choices=WAYS, metavar="WAY",
                        help="[all; --growth: all but the first two]")  # fmt: skip
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="no peers, and no ratios to them")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[Lengths.batch],
                        help=f"one table for each; entries may run out of memory [{Lengths.batch}]")  # fmt: skip
    parser.add_argument("--per-schema", type=int, help="questions in a batch that share a schema [all]")
    parser.add_argument("--schema-tokens", type=int, default=Lengths.schema, help=f"[{Lengths.schema}]")
    parser.add_argument("--question-tokens", type=int, default=Lengths.question, help=f"[{Lengths.question}]")
    parser.add_argument("--output-tokens", type=int, default=Lengths.output,
                        help=f"tokens of gold and decoded outputs [{Lengths.output}]")  # fmt: skip
    parser.add_argument("--data", help="use prompts and outputs of the benchmark in this folder instead")
    parser.add_argument("--benchmark", default="spider", help="format of --data [spider]")
    parser.add_argument("--tokenizer", help="folder of the tokenizer for --data")
    parser.add_argument("--lora-rank", type=int, help="[64; for tiny 16, the same share of the student]")
    parser.add_argument("--deepspeed", default="ds_configs/student_zero2.json", help="for our student [%(default)s]")
    parser.add_argument("--rounds", type=int, help=f"timed rounds, after {WARM_UP} warm-up rounds [10; --growth: 3]")
    parser.add_argument("--growth", action="store_true", help="measure how a step grows, instead of the table")
    parser.add_argument("--json", type=Path, help="write every number to this file")
    parser.add_argument("--plot", type=Path, help="write a figure to this PNG file")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU; use a machine with a GPU, or --device cpu")
    if arguments.peers and not importlib.util.find_spec("trl"):
        raise InputError("not installed: trl; pip install -r requirements-bench.txt, or use --no-peers")
    if bool(arguments.data) != bool(arguments.tokenizer):
        raise InputError("--data needs --tokenizer, and --tokenizer needs --data; give both or neither")
    if get_accelerator().device_name() != arguments.device:
        raise InputError(
            f"--device {arguments.device}: set DS_ACCELERATOR={arguments.device}, so that DeepSpeed uses it too"
        )
    if arguments.growth and arguments.data:
        raise InputError("--growth uses made-up samples; remove --data")
    arguments.dtype = arguments.dtype or {"cpu": "fp32", "cuda": "bf16"}[arguments.device]
    arguments.rounds = arguments.rounds or (3 if arguments.growth else 10)
    arguments.methods = arguments.methods or (["rkd", "gkd-rkl", "kid"] if arguments.growth else list(DEFAULT_METHODS))
    arguments.ways = arguments.ways or list(WAYS)[2 if arguments.growth else 0 :]
    arguments.lora_rank = arguments.lora_rank or (16 if arguments.pair == ["tiny"] else 64)
    silence_libraries()
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "deepspeed")}
    versions |= {"trl": importlib.metadata.version("trl")} if arguments.peers else {}
    about = {
        "on": torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "versions": versions,
        **{key: str(v) if isinstance(v, Path) else v for key, v in vars(arguments).items() if key != "json"},
    }
    console = Console(width=190)
    console.print(about)
    lines = []
    for labels, lengths, shapes in points(arguments):
        peers = [] if not arguments.peers else [SFT] if arguments.growth else PEERS
        contest = prepare(shapes, lengths, arguments.methods, arguments.ways, peers, arguments)
        found = contest.measure(draw_samples(arguments, lengths, shapes[0][1]), memory=not arguments.growth)
        lines += [{**labels, **line} for line in found]
        show(lines[-len(found) :], console)
        if arguments.json:  # after every point, so that results survive a crash
            text = json.dumps({"about": about, "lines": lines}, indent=1) + "\n"
            arguments.json.write_text(text, encoding="utf-8")
        del contest
        if arguments.device == "cuda":
            torch.cuda.empty_cache()
    if arguments.plot:
        (draw_growth if arguments.growth else draw_methods)(lines, arguments.plot)


if __name__ == "__main__":
    run_script(main)
