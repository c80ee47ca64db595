"""Export a finished run as one Hugging Face directory: merged weights, tokenizer, generation config, model card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel

from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig
from kid.config.templates import is_template
from kid.config.trained import EXPORT_FILE, PREDICTION_KEYS, portable_settings, saved_steps
from kid.data.prompts.chat import chat_turn
from kid.errors import InputError
from kid.export.card import EXAMPLE_PROMPT, model_card
from kid.files import check_writable, move_into_place, remove_folder
from kid.models.dropout import keep_dropout_of
from kid.models.hashes import check_hashes, file_digest, read_hashes, write_hashes
from kid.models.loading import DTYPES, add_adapter, load_causal_lm, stored_tensors
from kid.models.pretrained import Pretrained, find_model, find_teacher, fingerprint, load_tokenizer
from kid.progress import progress_bar

SHARD_SIZE = "5GB"
TOKENIZER_FILES = (
    "tokenizer*", "vocab*", "merges.txt", "*.model", "*.tiktoken",
    "special_tokens_map.json", "added_tokens.json", "chat_template*", "additional_chat_templates",
)  # fmt: skip


@dataclass(frozen=True)
class TrainedStudent:
    """The trained student of a run: the run's config, its weights and their step (None: the end of the run).

    base: the folder of the student's base model; None if it is not available and all weights were trained.
    """

    run: Path
    config: RunConfig
    step: int | None
    weights: Pretrained
    base: Path | None

    @property
    def folder(self) -> Path:
        return self.weights.adapter or self.weights.base


def find_trained_student(run: Path, step: int | None) -> TrainedStudent:
    """Find the student to export.

    Raises:
        InputError: `run` is not a run's directory or not finished, the step does not exist, the adapter's base is
            missing, or weights have changed since training wrote them.
    """
    if not (run / "config.yaml").is_file():
        problem = "has no config.yaml, so it is not a run's directory" if run.is_dir() else "does not exist"
        raise InputError(f"run {run} {problem}; give the --output directory of a training run")
    config = merge_config(run / "config.yaml", {})
    kind = config.export_kind
    folder = run / kind if step is None else run / f"{kind}s" / f"step-{step}"
    if not folder.is_dir():
        steps = ", ".join(map(str, saved_steps(run, kind))) or "none"
        if step is None:
            raise InputError(
                f"run {run} is not finished: it has no {kind}/; finish it with --resume, or give --step ({steps})"
            )
        raise InputError(f"--step {step}: {folder} does not exist; available steps: {steps}")
    check_hashes(folder)
    weights = find_teacher(str(folder), "run")
    check_hashes(weights.base)
    if config.lora_rank:
        return TrainedStudent(run, config, step, weights, weights.base)
    try:
        base = find_model(config.student, "--student")
    except InputError:  # only needed for its model card
        base = None
    return TrainedStudent(run, config, step, weights, base)


def export_record(trained: TrainedStudent, dtype: str) -> dict:
    """What identifies an export: a fingerprint of its weights, independent of their path, the step and the dtype."""
    return {"made_by": "kid", "weights": fingerprint(trained.weights), "step": trained.step, "dtype": dtype}


def holds_export(output: Path, record: dict) -> bool:
    """Whether `output` is this export, damaged or not.

    Raises:
        InputError: it contains something else, its record of what was exported is damaged, or it cannot be written.
    """
    check_writable(output, "--output")
    if not output.exists() or not any(output.iterdir()):
        return False
    path = output / EXPORT_FILE
    if not path.exists():
        raise InputError(f"--output {output} contains something else; remove it or choose another")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    # Compare only the keys of the record: older versions did not write the settings, which follow from the weights.
    if not isinstance(found, dict) or any(found.get(key) != value for key, value in record.items()):
        if not isinstance(found, dict) or read_hashes(output).get(EXPORT_FILE) not in (None, file_digest(path)):
            raise InputError(
                f"--output {output}: its {EXPORT_FILE}, which says what was exported, is damaged; remove the folder to "
                "export again, or choose another"
            )
        raise InputError(
            f"--output {output} is an export of other weights, another step or dtype; remove it or choose another"
        )
    return True


def export_damage(output: Path) -> str | None:
    """What is wrong with an export, or None. An export of an older version, without hashes, is only opened."""
    try:
        check_hashes(output)
        stored_tensors(output)
    except InputError as error:
        return str(error)
    return None


def is_exported(output: Path, record: dict) -> bool:
    """Whether `output` already is this export, with all files unchanged. Prints a line if it is, but damaged.

    Raises:
        InputError: as in `holds_export`.
    """
    if not holds_export(output, record):
        return False
    damage = export_damage(output)
    if damage:
        print(f"{output} is a damaged copy of this export and is created again: {damage}", flush=True)
    return damage is None


def check_space(trained: TrainedStudent, output: Path, dtype: str) -> None:
    """Raise InputError if the weights do not fit on the disk."""
    shapes = [tensor.shape for tensor in stored_tensors(trained.weights.base).values()]
    needed = sum(shape.numel() for shape in shapes) * DTYPES[dtype].itemsize
    parent_folder = next(parent for parent in output.absolute().parents if parent.exists())
    free = shutil.disk_usage(parent_folder).free
    if needed > free:
        raise InputError(
            f"--output {output}: its weights take {needed / 1e9:.2f} GB, but {parent_folder} has {free / 1e9:.2f} GB "
            "free; free some space or choose another"
        )


@torch.no_grad()
def merge_adapter(adapted: PeftModel, dtype: torch.dtype) -> PreTrainedModel:
    """Merge the adapter into the base model's weights: sum in fp32, then round once to `dtype`.

    Only one layer at a time is in fp32, so memory contains a single copy of the weights.

    Raises:
        InputError: a merged weight is not finite.
    """
    layers: list[tuple[str, Any]] = [  # Any: PEFT does not declare its layers as modules
        (name, module) for name, module in adapted.named_modules() if isinstance(module, BaseTunerLayer)
    ]
    with progress_bar("merging", "layer", len(layers)) as bar:
        for name, layer in layers:
            layer.float()
            layer.merge()
            base = layer.get_base_layer().to(dtype)
            if not all(weight.isfinite().all() for weight in base.parameters()):  # experts have two weights
                raise InputError(
                    f"the merged weight of {name} is not finite: training has diverged; use an earlier --step"
                )
            bar.update()
    return cast_parameters(adapted.unload(), dtype)


def cast_parameters(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Convert the model's parameters to `dtype`. Buffers keep their dtype, and so their precision."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


def merged_model(trained: TrainedStudent, dtype: str) -> PreTrainedModel:
    """The merged student on the CPU in `dtype`. Its base is loaded in the run's dtype, as in training.

    Raises:
        InputError: weights are missing or damaged, or do not match.
    """
    # Eager, because every architecture supports it and the model is not run.
    model = load_causal_lm(trained.weights.base, trained.config.dtype, "eager")
    if trained.weights.adapter is None:
        return cast_parameters(model, DTYPES[dtype])
    return merge_adapter(add_adapter(model, trained.weights.adapter), DTYPES[dtype])


def add_transformers4_keys(path: Path) -> None:
    """Add the transformers 4 names of config.json keys that transformers 5 renamed.

    Otherwise version 4, and vLLM based on it, would silently use its defaults: another RoPE, and fp32.
    """
    config = json.loads(path.read_text(encoding="utf-8"))
    config["torch_dtype"] = config["dtype"]
    rope = config.get("rope_parameters") or {}
    if "rope_theta" in rope:  # not in Gemma 3 and 4, which have one RoPE for each kind of layer
        config["rope_theta"] = rope["rope_theta"]
        if rope["rope_type"] != "default":
            config["rope_scaling"] = {name: value for name, value in rope.items() if name != "rope_theta"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer's files unchanged, including chat templates."""
    for path in sorted({path for pattern in TOKENIZER_FILES for path in source.glob(pattern)}):
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target / path.name)


def replace_chat_template(folder: Path, text: str) -> None:
    """Write a tokenizer's chat template where newer readers look for it, and where older ones do if one is there."""
    (folder / "chat_template.jinja").write_text(text, encoding="utf-8")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if "chat_template" in config:
        path.write_text(json.dumps(config | {"chat_template": text}, indent=2) + "\n", encoding="utf-8")


def auto_tokenizer_matches(folder: Path) -> bool:
    """Whether AutoTokenizer gives the same ids as in training, see `kid.models.pretrained.load_tokenizer`."""
    try:
        found = AutoTokenizer.from_pretrained(folder)(EXAMPLE_PROMPT).input_ids
    except (OSError, ValueError, KeyError):
        return False
    return found == load_tokenizer(folder, "--output")(EXAMPLE_PROMPT).input_ids


def free_name(folder: Path) -> Path:
    """A free name for a damaged folder, next to it: NAME.damaged, else NAME.damaged-2, -3 and so on."""
    names = (f"{folder.name}.damaged{suffix}" for suffix in ("", *map("-{}".format, range(2, 10_000))))
    return next(path for path in map(folder.with_name, names) if not os.path.lexists(path))


@contextmanager
def atomic_directory(folder: Path, aside: Path | None = None) -> Iterator[Path]:
    """Yield a temporary folder. On success it is flushed to the disk and renamed to `folder`.

    Leftovers of a killed process are deleted first; if they are a link, only the link is deleted.

    Args:
        aside: on success, an existing `folder` is first renamed to this.

    Raises:
        InputError: another process is writing to the folder, or writing fails.
    """
    partial, lock_file = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.lock")
    lock = FileLock(lock_file, fallback_to_soft=False)  # a soft lock would outlive its owner
    try:
        if not partial.is_symlink():
            partial.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"--output {folder}: another export is writing it; wait for it or choose another") from None
    except OSError as error:
        raise InputError(f"--output {folder} cannot be written ({error.strerror}); choose another") from None
    try:
        remove_folder(partial)
        partial.mkdir()
        yield partial
        if aside:
            folder.rename(aside)
        move_into_place(partial, folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--output {folder} cannot be written ({reason}); free some space or choose another") from None
    finally:
        remove_folder(partial)
        lock_file.unlink(missing_ok=True)
        lock.release()


def export_merged(trained: TrainedStudent, output: Path, dtype: str, command: str) -> list[str]:
    """Write the merged student to `output` atomically. A damaged export of the same student there is renamed and kept.

    Args:
        dtype: "fp32" or "bf16".
        command: the command line of this export, for the model card.

    Returns:
        Remarks about a damaged export, the tokenizer, and what the model card lacks.

    Raises:
        InputError: see `holds_export`, `merged_model` and `atomic_directory`; or the disk is too small, or the
            tokenizer cannot be read.
    """
    record = export_record(trained, dtype)
    aside = free_name(output) if holds_export(output, record) and export_damage(output) else None
    check_space(trained, output, dtype)
    # Prefer the base's tokenizer files: transformers has rewritten those of the run.
    tokenizer_folder = trained.base if trained.base and trained.weights.adapter else trained.weights.tokenizer
    tokenizer = load_tokenizer(tokenizer_folder, f"run {trained.run}: its base", trained.config.chat_template)
    model = merged_model(trained, dtype)
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    )
    remarks = [f"the damaged export is now {aside}; remove it when you no longer need it"] if aside else []
    with atomic_directory(output, aside) as partial:
        model.save_pretrained(partial, max_shard_size=SHARD_SIZE)
        keep_dropout_of(trained.weights.base, partial)
        add_transformers4_keys(partial / "config.json")
        for path in partial.glob("*.safetensors"):  # safetensors creates them readable by the owner only
            path.chmod((partial / "config.json").stat().st_mode)
        copy_tokenizer(tokenizer_folder, partial)
        if is_template(trained.config.chat_template):
            replace_chat_template(partial, trained.config.chat_template)
        matches = auto_tokenizer_matches(partial)
        if not matches:  # only of a generic tokenizer (`load_tokenizer`) in a family with a class of its own
            remarks.append(
                "note: serve this export with token ids, not text, as the vLLM example of docs/your-own-data.md does: "
                "servers split text with AutoTokenizer, which ignores this tokenizer.json; ids mean the same to both"
            )
        tokenizer_class = "AutoTokenizer" if matches else "PreTrainedTokenizerFast"
        identity = (trained.run, trained.config, trained.step, trained.base)
        chat = chat_turn(tokenizer, trained.config.chat_template) is not None
        card, missing = model_card(*identity, dtype, tokenizer_class, command, chat)
        (partial / "README.md").write_text(card, encoding="utf-8")
        settings = {name: getattr(trained.config, name) for name in PREDICTION_KEYS}
        content = record | {"settings": portable_settings(settings)}
        (partial / EXPORT_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        write_hashes(partial)
    return remarks + missing
