"""Decode a teacher's outputs for all prompts of a training set: shared among the ranks, written batch by batch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kid.config.run_config import RunConfig
from kid.data.batching import Dataset, Sample, collate
from kid.data.prefixes import by_schema
from kid.data.teacher_outputs import different_values, outputs_header, prompt_hash, read_lines
from kid.errors import InputError, report_write_errors
from kid.files import check_writable, drop_torn_line, write_atomically
from kid.models.decoding import decode, decode_waiting
from kid.models.engine import joined_ranks, teacher_engine
from kid.models.prefix_cache import encode_prompts
from kid.models.prefix_store import RecentPrefixes
from kid.models.pretrained import TokenIds, token_ids
from kid.models.windows import open_windows
from kid.models.zero3 import bare_module, is_zero3
from kid.progress import log, progress_bar, silence_libraries
from kid.randomness import TEACHER_OUTPUT, sample_uniforms
from kid.run.lock import run_lock
from kid.run.stopping import stop_reason, stop_run, stop_watcher
from kid.training.checks import check_launcher
from kid.training.inputs import longest_sequence, read_teacher_inputs

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

WAITING_BATCHES = 4  # batches of prompts per call of an unpartitioned teacher; a stop waits for the call to end


def parts_folder(path: Path) -> Path:
    """Return the folder where each rank writes its outputs until all are complete."""
    return path.with_name(f"{path.name}.parts")


def outputs_so_far(folder: Path, first: dict) -> dict[str, dict]:
    """Read the lines that interrupted runs have written, by prompt hash; incomplete last lines are ignored.

    Raises:
        InputError: they were decoded by another model or with other settings.
    """
    if not (folder / "header.json").exists():
        return {}
    before = json.loads((folder / "header.json").read_text(encoding="utf-8"))
    differ = different_values(before, first, first)
    if differ:
        raise InputError(
            f"{folder} holds outputs made with other settings; these differ: {', '.join(differ)}; give the same values "
            "to resume, remove the folder, or choose another --teacher-outputs"
        )
    found = {}
    for part in sorted(folder.glob("rank-*.jsonl")):
        for line in part.read_bytes().split(b"\n")[:-1]:  # without an incomplete last line
            output = json.loads(line)
            found[output["prompt"]] = output
    return found


def remove_parts(folder: Path) -> None:
    """Remove the files that this module and the lock wrote to the folder, and the folder if it is then empty."""
    for file in [*folder.glob("rank-*.jsonl"), *(folder / name for name in ("header.json", "owner.json", "lock"))]:
        file.unlink(missing_ok=True)
    if not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


def batches_of_ranks(prompts: list[tuple[int, Sample]], ranks: int, size: int) -> list[list[list[tuple[int, Sample]]]]:
    """Return each rank's batches, the same number for all ranks; prompts are grouped by schema, the longest first."""
    ordered = [prompts[place] for place in by_schema([sample for _, sample in prompts])]
    batches = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    batches += [[] for _ in range(-len(batches) % ranks)]
    return [batches[rank::ranks] for rank in range(ranks)]


def distinct_prompts(train: Dataset) -> dict[str, tuple[int, Sample]]:
    """Return prompt hash -> (index of the prompt's first row, which keys its random numbers; that row's sample)."""
    prompts: dict[str, tuple[int, Sample]] = {}
    for index, sample in enumerate(train.samples):
        prompts.setdefault(prompt_hash(sample.prompt_ids), (index, sample))
    return prompts


def is_finished(path: Path, first: dict, prompts: dict) -> bool:
    """Whether `path` holds the outputs of all prompts. Raises InputError if it holds different ones."""
    if not path.exists():
        return False
    there, *lines = read_lines(path)
    if there != first or not prompts.keys() <= {line["prompt"] for line in lines}:
        raise InputError(
            f"{path} holds outputs of another teacher or training set, or with other settings; choose another file"
        )
    return True


def generate(config: RunConfig) -> None:
    """Write `config.teacher_outputs`: one output for each distinct prompt of the training set.

    Raises:
        InputError: the user's input is wrong; nothing has been written.
        StoppedError: stopped by a signal; decoded outputs are kept.
    """
    check_launcher()
    silence_libraries()
    stop_watcher()
    path = Path(config.teacher_outputs)
    if path.is_dir():
        raise InputError(f"--teacher-outputs {path} is a folder; name a file")
    check_writable(path.parent, "--teacher-outputs")
    is_main = os.environ["RANK"] == "0"
    with run_lock(parts_folder(path), "--teacher-outputs") if is_main else nullcontext():
        generate_with_lock(config, path, is_main)


def generate_with_lock(config: RunConfig, path: Path, is_main: bool) -> None:
    """`generate`, while holding the lock that prevents other jobs from writing these outputs."""
    inputs = read_teacher_inputs(config, decodes=True)
    tokenizer, first = inputs.tokenizer, outputs_header(config, inputs.teacher_hash)
    prompts = distinct_prompts(inputs.train)
    if is_finished(path, first, prompts):
        log.info(f"{path} is finished: it holds the outputs of all {len(prompts)} prompts")
        return
    done = outputs_so_far(parts_folder(path), first)
    with joined_ranks():
        engine = teacher_engine(config, inputs.teacher, inputs.deepspeed)
        open_windows(engine.module.causal_lm, longest_sequence(config, inputs.train.prompt_lengths))
        if not engine.module.decodes:
            raise InputError(f"--teacher {config.teacher} cannot decode with a KV cache; give another teacher")
        if is_main:
            write_atomically(parts_folder(path) / "header.json", json.dumps(first))
        for remark in inputs.train.remarks:
            log.info(f"train: {remark}")
        known = [done]
        torch.distributed.broadcast_object_list(known)  # as rank 0 sees the files
        left = [item for name, item in prompts.items() if name not in known[0]]
        write_outputs(config, engine, tokenizer, left, len(prompts), parts_folder(path))
        stop_watcher().finished = True
        torch.distributed.barrier()
        if is_main:
            found = outputs_so_far(parts_folder(path), first)
            lines = [first, *(found[name] for name in prompts)]
            write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))
            remove_parts(parts_folder(path))
            ended = sum(line["ids"][-1] == tokenizer.eos_token_id for line in lines[1:])
            log.info(f"{path}: {len(prompts)} outputs, {ended} of them end with EOS")


@torch.no_grad()
def write_outputs(
    config: RunConfig,
    engine: DeepSpeedEngine,
    tokenizer: PreTrainedTokenizerFast,
    left: list[tuple[int, Sample]],
    total: int,
    folder: Path,
) -> None:
    """Decode this rank's share of the prompts and append each batch's outputs to the rank's file."""
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    size, decode_batch = decoder(config, engine, token_ids(tokenizer), [sample for _, sample in left])
    part = folder / f"rank-{rank}.jsonl"
    drop_torn_line(part)
    with (
        report_write_errors(part),
        part.open("a", encoding="utf-8") as file,
        progress_bar("teacher outputs", "prompt", total, total - len(left), quiet=rank > 0) as bar,
    ):
        for batches in zip(*batches_of_ranks(left, ranks, size), strict=True):
            if reason := stop_reason(engine.device):
                bar.close()
                stop_run(f"teacher outputs: stopped by {reason}; run the same command again to resume")
            for sample, ids in decode_batch(batches[rank]):
                text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                file.write(json.dumps({"prompt": prompt_hash(sample.prompt_ids), "ids": ids, "text": text}) + "\n")
                file.flush()
            bar.update(sum(map(len, batches)))


def decoder(
    config: RunConfig, engine: DeepSpeedEngine, tokens: TokenIds, samples: list[Sample]
) -> tuple[int, Callable[[list[tuple[int, Sample]]], Iterator[tuple[Sample, list[int]]]]]:
    """Return (number of prompts per batch, function that decodes a rank's batch: yields (sample, its output's ids)).

    Under ZeRO-3 each forward is a collective: the ranks decode batches of the same size in step, and a rank without
    prompts decodes a dummy. With an unpartitioned teacher, the ranks are independent.
    """
    draws: dict[str, Any] = {"temperature": config.sample_temperature, "top_p": config.top_p, "tokens": tokens}
    limit, module = config.decoding_limit, bare_module(engine)
    keeps = config.prefix and not module.prefix_unsupported_reason
    prefixes = RecentPrefixes(module, samples)

    def uniforms(index: int) -> Tensor:
        return sample_uniforms(config.seed, 0, [index], TEACHER_OUTPUT, [limit])

    def waiting(batch: list[tuple[int, Sample]]) -> Iterator[tuple[Sample, list[int]]]:
        samples, keys = [sample for _, sample in batch], [index for index, _ in batch]
        for place, ids in decode_waiting(
            module, samples, limit=limit, size=config.micro_batch_size, prefixes=prefixes,
            uniforms=lambda place: uniforms(keys[place]), **draws,
        ):  # fmt: skip
            yield samples[place], ids

    def together(batch: list[tuple[int, Sample]]) -> Iterator[tuple[Sample, list[int]]]:
        chosen = batch or [(0, Sample([tokens.pad] * 3, []))]
        samples, places = [replace(sample, completion_ids=[]) for _, sample in chosen], list(range(len(chosen)))
        columns = collate(samples, [0.0] * len(places), places, tokens.pad, keeps).to(engine.device)
        numbers = torch.stack([uniforms(index) for index, _ in chosen]).to(engine.device)
        prefix = encode_prompts(config, engine, columns, separately=False)
        outputs = decode(engine, columns, prefix, places, numbers, together=is_zero3(engine), **draws)
        yield from zip((sample for _, sample in batch), outputs, strict=False)

    if keeps and not is_zero3(engine):
        return WAITING_BATCHES * config.micro_batch_size, waiting
    return config.micro_batch_size, together
