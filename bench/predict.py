"""Compare the speed of our decoder and of transformers' generate, on the same model and questions.

    python bench/predict.py --model runs/sft/adapter --data spider

Both decode greedily, or with --beams by beam search, with the adapter merged into its base, in the same process and in
turns. `generate` gets batches of prompts of similar length. Our decoder encodes each schema once for all its questions
and their beams; without beams, it uses continuous batching. Use a model that is trained enough to end its outputs; the
last line shows how many outputs end, and their length.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.table import Table

from kid.config.benchmarks import BENCHMARKS
from kid.config.run_config import RunConfig
from kid.console import Console
from kid.data.batching import ArrowSamples, Sample
from kid.data.prefixes import stored_part
from kid.data.prepare import prepare
from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.prediction import can_keep_prompts, default_device, generated_outputs, kept_outputs, load_model
from kid.files import write_atomically
from kid.models.pretrained import load_tokenizer
from kid.progress import progress_bar, silence_libraries

WAYS = {"transformers generate": generated_outputs, "ours": kept_outputs}


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, type=Path, metavar="DIR", help="a PEFT directory or a model's folder")
    parser.add_argument("--data", required=True, help="the benchmark's folder")
    parser.add_argument("--benchmark", default="spider", choices=BENCHMARKS, help="format of --data [spider]")
    parser.add_argument("--split", default="dev", help="[dev]")
    parser.add_argument("--questions", type=int, default=300, help="number, evenly spaced over the split [300]")
    parser.add_argument("--batch-size", type=int, default=32, help="[32]")
    parser.add_argument("--max-completion-length", type=int, default=128, help="[128]")
    parser.add_argument("--beams", type=int, default=1, help="beams of a beam search; 1: greedy [1]")
    parser.add_argument("--rounds", type=int, default=1, help="[1]")
    parser.add_argument("--json", type=Path, help="write every number to this file")
    arguments = parser.parse_args()
    for name in ("questions", "batch_size", "max_completion_length", "beams", "rounds"):
        if getattr(arguments, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(arguments, name)} is out of range; give 1 or more")
    return arguments


def read_samples(arguments: argparse.Namespace, tokenizer) -> list[Sample]:
    """Prompts of the split, evenly spaced."""
    config = RunConfig(benchmark=arguments.benchmark, data=arguments.data, missing_database="schema-only")
    samples = ArrowSamples(prepare(config, arguments.split, tokenizer).rows)
    count = min(arguments.questions, len(samples))
    return [samples[index * len(samples) // count] for index in range(count)]


def measure(
    arguments: argparse.Namespace, model, tokenizer, samples: Sequence[Sample]
) -> tuple[dict[str, list[float]], dict[str, list[list[int]]]]:
    """(decoder -> seconds of each round, decoder -> the token ids of each question's best output)."""
    limit, size, beams = arguments.max_completion_length, arguments.batch_size, arguments.beams
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    outputs: dict[str, list[list[int]]] = {}
    with progress_bar("predict", "question", len(samples) * len(WAYS) * arguments.rounds) as bar:
        for number in range(arguments.rounds):
            for way in list(WAYS) if number % 2 else list(WAYS)[::-1]:
                found, started = {}, time.perf_counter()
                for batch in WAYS[way](model, tokenizer, samples, limit, size, beams, ()):
                    found |= {index: until_eos(outputs[0], tokenizer.eos_token_id) for index, outputs in batch}
                    bar.update(len(batch))
                if model.device.type == "cuda":
                    torch.cuda.synchronize()
                seconds[way].append(time.perf_counter() - started)
                outputs[way] = [found[index] for index in range(len(samples))]
    return seconds, outputs


def until_eos(output: list[int], eos: int) -> list[int]:
    """An output without the padding of `generate`."""
    return output[: output.index(eos) + 1] if eos in output else output


def main() -> None:
    arguments = parse_arguments()
    silence_libraries()
    tokenizer, device = load_tokenizer(arguments.model, "--model"), default_device()
    samples, model = read_samples(arguments, tokenizer), load_model(arguments.model, device)
    if not can_keep_prompts(model):
        raise InputError(
            f"--model {arguments.model} cannot use a prefix cache, so KID decodes it with transformers' generate too"
        )
    seconds, outputs = measure(arguments, model, tokenizer, samples)
    ours = outputs["ours"]
    ratios = [mine / theirs for mine, theirs in zip(seconds["ours"], seconds["transformers generate"], strict=True)]
    lengths = sorted(map(len, ours))
    found = {
        "command": {key: str(value) for key, value in vars(arguments).items()},
        "on": torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers")},
        "questions": len(samples),
        "schemas": len({stored_part(sample) for sample in samples} - {()}),
        "prompts_of_their_own": sum(not stored_part(sample) for sample in samples),
        "prompt_tokens": statistics.mean(len(sample.prompt_ids) for sample in samples),
        "output_tokens": statistics.mean(lengths),
        "output_tokens_median_and_longest": [statistics.median(lengths), lengths[-1]],
        "ended": sum(output[-1] == tokenizer.eos_token_id for output in ours),
        "same_outputs": sum(map(list.__eq__, ours, outputs["transformers generate"])),
        "seconds": seconds,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }
    show(found)
    if arguments.json:
        write_atomically(arguments.json, json.dumps(found, indent=1) + "\n")


def show(found: dict) -> None:
    table = Table(title=f"{found['questions']} questions on {found['on']}", title_justify="left")
    for column in ("", "seconds", "to generate"):
        table.add_column(column, justify="right" if column else "left")
    for way, values in found["seconds"].items():
        table.add_row(way, f"{statistics.median(values):.1f}", f"{found['ratio']:.2f}" if way == "ours" else "1.00")
    console = Console()
    console.print(table)
    console.print(
        f"prompts of {found['prompt_tokens']:.0f} tokens on average, {found['schemas']} schemas, "
        f"{found['prompts_of_their_own']} prompts with a schema of their own; outputs of {found['output_tokens']:.0f} "
        f"tokens (median and longest: {found['output_tokens_median_and_longest']}), {found['ended']} of them ended; "
        f"{found['same_outputs']} of {found['questions']} the same with both",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    run_script(main)
