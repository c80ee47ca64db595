"""A finished run as one Hugging Face directory: merged weights, tokenizer, greedy decoding, and the model's card."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel

from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig
from kid.errors import InputError
from kid.export.card import EXAMPLE_PROMPT, model_card
from kid.files import check_writable
from kid.models.loading import DTYPES, add_adapter, load_causal_lm, stored_tensors
from kid.models.pretrained import Pretrained, find_model, find_teacher, fingerprint, load_tokenizer, padding_token
from kid.progress import progress_bar

RECORD = "kid_export.json"  # says what the directory was made of
SHARD_SIZE = "5GB"
TOKENIZER_FILES = (
    "tokenizer*", "vocab*", "merges.txt", "*.model", "*.tiktoken",
    "special_tokens_map.json", "added_tokens.json", "chat_template*", "additional_chat_templates",
)  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """What a run has trained: its config, the weights in question, the step they are of (None: the run's end).

    base: the folder of the student's base model; None where all weights were trained and it is not at hand any more.
    """

    run: Path
    config: RunConfig
    step: int | None
    weights: Pretrained
    base: Path | None

    @property
    def folder(self) -> Path:
        return self.weights.adapter or self.weights.base


def find_trained(run: Path, step: int | None) -> Trained:
    """What is to be exported.

    Raises:
        InputError: no run's directory, not finished, no such step, or the adapter's base is gone.
    """
    if not (run / "config.yaml").is_file():
        what = "holds no config.yaml, so it is no run's directory" if run.is_dir() else "does not exist"
        raise InputError(f"run {run} {what}; give the directory that --output named in training")
    config = merge_config(run / "config.yaml", {})
    kind = config.trained_as
    folder = run / kind if step is None else run / f"{kind}s" / f"step-{step}"
    if not folder.is_dir():
        names = (path.name.removeprefix("step-") for path in (run / f"{kind}s").glob("step-*"))
        steps = ", ".join(map(str, sorted(int(name) for name in names if name.isdecimal()))) or "none"
        if step is None:
            raise InputError(
                f"run {run} is not finished: it has no {kind}/; finish it with --resume, or give --step ({steps})"
            )
        raise InputError(f"--step {step}: {folder} does not exist; there are: {steps}")
    weights = find_teacher(str(folder), "run")
    if config.lora_rank:
        return Trained(run, config, step, weights, weights.base)
    try:
        base = find_model(config.student, "--student")
    except InputError:  # only its card would be read
        base = None
    return Trained(run, config, step, weights, base)


def export_record(trained: Trained, dtype: str) -> dict:
    """What tells an export from another: the weights it is made of, wherever they lie, and how they are written."""
    return {"made_by": "kid", "weights": fingerprint(trained.weights), "step": trained.step, "dtype": dtype}


def is_exported(output: Path, record: dict) -> bool:
    """Whether `output` is this export already.

    Raises:
        InputError: it holds something else, or cannot be written.
    """
    check_writable(output, "--output")
    if not output.exists() or not any(output.iterdir()):
        return False
    try:
        found = json.loads((output / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != record:
        what = "an export of other weights, step or dtype" if isinstance(found, dict) else "something else"
        raise InputError(f"--output {output} holds {what}; remove it or choose another")
    return True


def check_space(trained: Trained, output: Path, dtype: str) -> None:
    """Raises InputError where the weights alone would not fit on the disk."""
    shapes = [stored.shape for stored in stored_tensors(trained.weights.base).values()]
    needed = sum(shape.numel() for shape in shapes) * DTYPES[dtype].itemsize
    place = next(parent for parent in output.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"--output {output}: its weights take {needed / 1e9:.2f} GB and {place} has {free / 1e9:.2f} GB free; "
            "make room or choose another"
        )


@torch.no_grad()
def merge_adapter(adapted: PeftModel, dtype: torch.dtype) -> PreTrainedModel:
    """The base model with its adapter added to its weights: summed in fp32, rounded once, to `dtype`.

    One layer at a time is in fp32, so that no more than one copy of the weights is in memory.

    Raises:
        InputError: a merged weight is not finite.
    """
    layers = [(name, module) for name, module in adapted.named_modules() if isinstance(module, BaseTunerLayer)]
    with progress_bar("merging", "layer", len(layers)) as bar:
        for name, layer in layers:
            layer.float()
            layer.merge()
            base = layer.get_base_layer().to(dtype)
            if not base.weight.isfinite().all():
                raise InputError(
                    f"the merged weight of {name} is not finite: training has diverged; give an earlier --step"
                )
            bar.update()
    return adapted.unload().to(dtype)


def merged_model(trained: Trained, dtype: str) -> PreTrainedModel:
    """The student on the CPU, in `dtype`; its base is read as training read it, in the run's dtype.

    Raises:
        InputError: weights are missing, damaged, or do not go together.
    """
    # Nothing will be run, and every architecture has this attention.
    model = load_causal_lm(trained.weights.base, trained.config.dtype, "eager")
    if trained.weights.adapter is None:
        return model.to(DTYPES[dtype])
    return merge_adapter(add_adapter(model, trained.weights.adapter), DTYPES[dtype])


def add_older_names(path: Path) -> None:
    """What transformers 5 writes into config.json under new names, under those of version 4 too.

    Version 4, and vLLM over it, would take its own defaults without a word: another RoPE, and fp32.
    """
    config = json.loads(path.read_text(encoding="utf-8"))
    config["torch_dtype"] = config["dtype"]
    rope = config.get("rope_parameters")
    if rope:
        config["rope_theta"] = rope["rope_theta"]
        if rope["rope_type"] != "default":
            config["rope_scaling"] = {name: value for name, value in rope.items() if name != "rope_theta"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def copy_tokenizer(source: Path, target: Path) -> None:
    """The tokenizer's files as they are, chat templates with them."""
    for path in sorted({path for pattern in TOKENIZER_FILES for path in source.glob(pattern)}):
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target / path.name)


def reads_alike(folder: Path) -> bool:
    """Whether AutoTokenizer gives the ids that the model was trained on, see `kid.models.pretrained.load_tokenizer`."""
    try:
        found = AutoTokenizer.from_pretrained(folder)(EXAMPLE_PROMPT).input_ids
    except (OSError, ValueError, KeyError):
        return False
    return found == load_tokenizer(folder, "--output")(EXAMPLE_PROMPT).input_ids


def synchronise(folder: Path) -> None:
    """Everything in it, and itself, is on the disk when this returns."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def written_beside(folder: Path) -> Iterator[Path]:
    """A folder that becomes `folder` once it is filled and on the disk; what a killed process left of one is cleared.

    Raises:
        InputError: another process is at it, or the disk does not take it.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial, os.O_RDONLY)  # let go of when the process ends, however it ends
    except OSError as error:
        raise InputError(f"--output {folder} cannot be written ({error.strerror}); choose another") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise InputError(f"--output {folder}: another export is writing it; wait for it or choose another") from None
    try:
        for left in partial.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield partial
        synchronise(partial)
        partial.replace(folder)
        descriptor = os.open(folder.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--output {folder} cannot be written ({reason}); make room or choose another") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def export_merged(trained: Trained, output: Path, dtype: str, command: str) -> list[str]:
    """Write the merged student to `output`, which appears as a whole or not at all.

    Args:
        dtype: "fp32" or "bf16".
        command: of this export, for the card.

    Returns:
        Lines about what could not be written as it should be.

    Raises:
        InputError: see `merged_model` and `written_beside`; the disk is too small; the tokenizer cannot be read.
    """
    check_space(trained, output, dtype)
    # A run's own tokenizer files are transformers' version of the base's.
    source = trained.base if trained.base and trained.weights.adapter else trained.weights.tokenizer
    tokenizer = load_tokenizer(source, f"run {trained.run}: its base")
    model = merged_model(trained, dtype)
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=padding_token(tokenizer)
    )
    remarks: list[str] = []
    with written_beside(output) as partial:
        model.save_pretrained(partial, max_shard_size=SHARD_SIZE)
        add_older_names(partial / "config.json")
        for path in partial.glob("*.safetensors"):  # which only their owner may read as they are written
            path.chmod((partial / "config.json").stat().st_mode)
        copy_tokenizer(source, partial)
        alike = reads_alike(partial)
        if not alike:
            remarks.append(
                "AutoTokenizer, and with it vLLM, splits text otherwise than the base's tokenizer.json says; the card "
                "names PreTrainedTokenizerFast instead"
            )
        reader = "AutoTokenizer" if alike else "PreTrainedTokenizerFast"
        made = (trained.run, trained.config, trained.step, trained.base)
        card, missing = model_card(*made, dtype, reader, command)
        (partial / "README.md").write_text(card, encoding="utf-8")
        (partial / RECORD).write_text(json.dumps(export_record(trained, dtype), indent=2) + "\n", encoding="utf-8")
    return remarks + missing
