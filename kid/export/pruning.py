"""Depth pruning: copy a model with only some of its layers, file by file, with all kept weights unchanged."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from kid.errors import InputError
from kid.export.run import atomic_directory, copy_tokenizer
from kid.files import check_writable
from kid.models.hashes import check_hashes, write_hashes
from kid.models.loading import stored_tensors
from kid.models.pretrained import find_model

# model_type -> (path of the layers in the model, key of their number in config.json)
FAMILIES = {
    "qwen2": ("model.layers", "num_hidden_layers"),
    "llama": ("model.layers", "num_hidden_layers"),
    "codegen": ("transformer.h", "n_layer"),
}
SHARD_BYTES = 5 * 10**9  # maximum size of a weights file, which also limits memory


def select_layers(total: int, keep: str, layers: list[int] | None, count: int | None) -> list[int]:
    """The indices of the layers to keep, in ascending order.

    Args:
        total: number of layers.
        keep: "every-second" (0, 2, 4, ...), "first" (`count` of them) or "listed" (`layers`).

    Raises:
        InputError: `layers` or `count` is missing, out of range, or does not match `keep`.
    """
    for name, value, owner in (("layers", layers, "listed"), ("count", count, "first")):
        if value is None and keep == owner:
            raise InputError(f"--keep {keep} needs --{name}")
        if value is not None and keep != owner:
            raise InputError(f"--{name} does not go with --keep {keep}; remove it, or use --keep {owner}")
    if keep == "every-second":
        return list(range(0, total, 2))
    if keep == "first":
        if not 1 <= count <= total:
            raise InputError(f"--count {count} is out of range; the model has {total} layers, give 1 to {total}")
        return list(range(count))
    unknown = [layer for layer in layers if not 0 <= layer < total]
    if unknown:
        raise InputError(f"--layers {unknown[0]}: there is no such layer; the model has layers 0 to {total - 1}")
    if not layers or layers != sorted(set(layers)):
        raise InputError(f"--layers {','.join(map(str, layers))}: give each layer once, in ascending order")
    return layers


def pruned_config(config: dict, kept: list[int]) -> dict:
    """The values of config.json, with the number and the per-layer settings of the kept layers."""
    _, count_key = FAMILIES[config["model_type"]]
    config = {**config, count_key: len(kept)}
    if config.get("layer_types"):
        config["layer_types"] = [config["layer_types"][layer] for layer in kept]
    if "max_window_layers" in config:  # Qwen2: the first `max_window_layers` layers have full attention
        config["max_window_layers"] = sum(layer < config["max_window_layers"] for layer in kept)
    return config


def renamed_tensors(names: Iterable[str], trunk: str, kept: list[int]) -> dict[str, str]:
    """Name in the checkpoint -> name in the pruned model, for each kept tensor.

    Raises:
        InputError: a kept layer has no tensor.
    """
    prefix, _, list_name = trunk.rpartition(".")
    # In a checkpoint of the base model without a head, names lack this prefix.
    layer = re.compile(rf"((?:{prefix}\.)?{list_name}\.)(\d+)(\..+)")
    matches = {name: layer.fullmatch(name) for name in names}
    layer_numbers = {name: int(match[2]) for name, match in matches.items() if match}
    missing = sorted(set(kept) - set(layer_numbers.values()))
    if missing:
        raise InputError(f"the weights of layer {missing[0]} are missing")
    new_number = {number: new_number for new_number, number in enumerate(kept)}
    renamed = {
        name: f"{match[1]}{new_number[layer_numbers[name]]}{match[3]}"
        for name, match in matches.items()
        if match and layer_numbers[name] in new_number
    }
    return {name: renamed.get(name, name) for name in matches if name in renamed or name not in layer_numbers}


def write_shards(tensors: Iterable[tuple[str, torch.Tensor]], folder: Path, mode: int) -> None:
    """Write model.safetensors, or several files of at most `SHARD_BYTES` with an index; one at a time is in memory.

    Args:
        mode: permissions of the files; safetensors creates them readable by the owner only.
    """
    shards: list[list[str]] = []
    shard: dict[str, torch.Tensor] = {}
    total = 0

    def write_shard() -> None:
        path = folder / f"part-{len(shards)}.safetensors"
        save_file(shard, path, {"format": "pt"})
        path.chmod(mode)
        shards.append(list(shard))
        shard.clear()

    for name, tensor in tensors:
        if shard and sum(value.nbytes for value in shard.values()) + tensor.nbytes > SHARD_BYTES:
            write_shard()
        shard[name] = tensor
        total += tensor.nbytes
    write_shard()
    if len(shards) == 1:
        (folder / "part-0.safetensors").rename(folder / "model.safetensors")
        return
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        (folder / f"part-{number}.safetensors").rename(folder / file)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def parameter_count(folder: Path) -> int:
    """Number of a model's parameters, counting tied ones once; reads no weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).num_parameters()


def read_config(model: Path) -> dict:
    """The values of config.json. Raises InputError if it is damaged or its model_type is not in FAMILIES."""
    try:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        family = config["model_type"]
        config = {FAMILIES[family][1]: AutoConfig.from_pretrained(model).num_hidden_layers, **config}
    except KeyError as error:
        known = ", ".join(FAMILIES)
        problem = "names no model_type" if error.args == ("model_type",) else f"has model_type {family}"
        raise InputError(f"--model {model}: its config.json {problem}; supported model types: {known}") from None
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--model {model}: its config.json cannot be read ({reason}); download it again") from None
    return config


def prune(
    name: str, keep: str, output: Path, layers: list[int] | None = None, count: int | None = None
) -> tuple[list[int], int, int, int]:
    """Write the pruned model to `output` atomically.

    All kept weights, the tokenizer's files and generation_config.json are copied byte for byte.

    Args:
        name: folder or hub id of a qwen2, llama or codegen model.
        keep, layers, count: see `select_layers`.

    Returns:
        (original indices of the kept layers, number of layers before, parameters before, parameters after).

    Raises:
        InputError: the model is unsupported or damaged, layers do not exist or are missing, or `output` exists.
    """
    model = find_model(name, "--model")
    check_hashes(model)
    config = read_config(model)
    trunk, count_key = FAMILIES[config["model_type"]]
    layer_count = config[count_key]
    kept = select_layers(layer_count, keep, layers, count)
    if output.exists():
        raise InputError(f"--output {output} exists; remove it or choose another")
    check_writable(output, "--output")
    stored = stored_tensors(model)
    try:
        names = renamed_tensors(stored, trunk, kept)
    except InputError as error:
        raise InputError(f"--model {name}: {error}; download the model again") from None
    with atomic_directory(output) as partial:
        (partial / "config.json").write_text(json.dumps(pruned_config(config, kept), indent=2) + "\n", encoding="utf-8")
        # Clone each tensor: tied weights in a .bin share memory, which safetensors refuses to write.
        tensors = (
            (new, stored[old].whole().clone(memory_format=torch.contiguous_format)) for old, new in names.items()
        )
        write_shards(tensors, partial, (partial / "config.json").stat().st_mode)
        copy_tokenizer(model, partial)
        if (model / "generation_config.json").is_file():
            shutil.copyfile(model / "generation_config.json", partial / "generation_config.json")
        after = parameter_count(partial)
        write_hashes(partial)
    return kept, layer_count, parameter_count(model), after
