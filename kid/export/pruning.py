"""Depth pruning: a model with some of its layers, all other weights as they are, file to file."""

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
from kid.export.run import copy_tokenizer, written_beside
from kid.models.loading import stored_tensors
from kid.models.pretrained import find_model

# model_type -> (where the layers lie in the model, how config.json calls their number)
FAMILIES = {
    "qwen2": ("model.layers", "num_hidden_layers"),
    "llama": ("model.layers", "num_hidden_layers"),
    "codegen": ("transformer.h", "n_layer"),
}
SHARD_BYTES = 5 * 10**9  # of a file of weights at most, and so of what is in memory


def chosen_layers(total: int, keep: str, layers: list[int] | None, count: int | None) -> list[int]:
    """The layers that stay, ascending.

    Args:
        total: how many there are.
        keep: "every-second" (0, 2, 4, ...), "first" (`count` of them) or "listed" (`layers`).

    Raises:
        InputError: a layer or a number of them that the model has not, or one that does not go with `keep`.
    """
    for name, value, owner in (("layers", layers, "listed"), ("count", count, "first")):
        if value is None and keep == owner:
            raise InputError(f"--keep {keep} needs --{name}")
        if value is not None and keep != owner:
            raise InputError(f"--{name} does not go with --keep {keep}; leave it out, or give --keep {owner}")
    if keep == "every-second":
        return list(range(0, total, 2))
    if keep == "first":
        if not 1 <= count <= total:
            raise InputError(f"--count {count} is out of range; the model has {total} layers, give 1 to {total}")
        return list(range(count))
    unknown = [layer for layer in layers if not 0 <= layer < total]
    if unknown:
        raise InputError(f"--layers {unknown[0]}: there is no such layer; the model has 0 to {total - 1}")
    if not layers or layers != sorted(set(layers)):
        raise InputError(f"--layers {','.join(map(str, layers))}: give each layer once, in ascending order")
    return layers


def pruned_config(config: dict, kept: list[int]) -> dict:
    """config.json's values with the number of layers, and what is said of each layer, as it is for those kept."""
    _, name = FAMILIES[config["model_type"]]
    config = {**config, name: len(kept)}
    if config.get("layer_types"):
        config["layer_types"] = [config["layer_types"][layer] for layer in kept]
    if "max_window_layers" in config:  # Qwen2: so many layers from the first have full attention
        config["max_window_layers"] = sum(layer < config["max_window_layers"] for layer in kept)
    return config


def kept_names(names: Iterable[str], trunk: str, kept: list[int]) -> dict[str, str]:
    """Name in the checkpoint -> name among the kept layers, of each tensor that stays.

    Raises:
        InputError: a kept layer has no tensor.
    """
    prefix, _, stack = trunk.rpartition(".")
    # A checkpoint of the bare trunk lacks the trunk's prefix.
    layer = re.compile(rf"((?:{prefix}\.)?{stack}\.)(\d+)(\..+)")
    found = {name: layer.fullmatch(name) for name in names}
    numbers = {name: int(match[2]) for name, match in found.items() if match}
    lacking = sorted(set(kept) - set(numbers.values()))
    if lacking:
        raise InputError(f"its weights lack layer {lacking[0]}")
    place = {number: place for place, number in enumerate(kept)}
    renamed = {
        name: f"{match[1]}{place[numbers[name]]}{match[3]}"
        for name, match in found.items()
        if match and numbers[name] in place
    }
    return {name: renamed.get(name, name) for name in found if name in renamed or name not in numbers}


def write_shards(tensors: Iterable[tuple[str, torch.Tensor]], folder: Path, mode: int) -> None:
    """model.safetensors, or files of `SHARD_BYTES` at most with their index; one of them is in memory at a time.

    Args:
        mode: permissions of the files, which safetensors gives to their owner alone.
    """
    shards: list[list[str]] = []
    part: dict[str, torch.Tensor] = {}
    total = 0

    def write() -> None:
        path = folder / f"part-{len(shards)}.safetensors"
        save_file(part, path, {"format": "pt"})
        path.chmod(mode)
        shards.append(list(part))
        part.clear()

    for name, tensor in tensors:
        if part and sum(value.nbytes for value in part.values()) + tensor.nbytes > SHARD_BYTES:
            write()
        part[name] = tensor
        total += tensor.nbytes
    write()
    if len(shards) == 1:
        (folder / "part-0.safetensors").rename(folder / "model.safetensors")
        return
    weight_map = {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        (folder / f"part-{number}.safetensors").rename(folder / file)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def parameters(folder: Path) -> int:
    """Number of a model's weights, tied ones once; none is read."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).num_parameters()


def read_config(model: Path) -> dict:
    """config.json's values. Raises InputError where it is damaged, or of a family whose layers are not known here."""
    try:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        family = config["model_type"]
        config = {FAMILIES[family][1]: AutoConfig.from_pretrained(model).num_hidden_layers, **config}
    except KeyError as error:
        known = ", ".join(FAMILIES)
        what = "names no model_type" if error.args == ("model_type",) else f"is of a {family}"
        raise InputError(f"--model {model}: its config.json {what}; layers can be taken out of {known}") from None
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--model {model}: its config.json cannot be read ({reason}); fetch it again") from None
    return config


def prune(
    name: str, keep: str, output: Path, layers: list[int] | None = None, count: int | None = None
) -> tuple[list[int], int, int, int]:
    """Write the pruned model to `output`, which appears as a whole or not at all.

    Weights, kept layers' and others', are byte for byte what they were, and so are the tokenizer's files and
    generation_config.json.

    Args:
        name: folder or hub id of a qwen2, llama or codegen model.
        keep, layers, count: see `chosen_layers`.

    Returns:
        (kept layers by their old numbers, how many there were, parameters before, parameters after).

    Raises:
        InputError: not a model of these, no such layers, its weights are damaged or lack a layer, or `output` is there.
    """
    model = find_model(name, "--model")
    config = read_config(model)
    trunk, number = FAMILIES[config["model_type"]]
    total = config[number]
    kept = chosen_layers(total, keep, layers, count)
    if output.exists():
        raise InputError(f"--output {output} exists; remove it or choose another")
    stored = stored_tensors(model)
    try:
        names = kept_names(stored, trunk, kept)
    except InputError as error:
        raise InputError(f"--model {name}: {error}; fetch the model again") from None
    with written_beside(output) as partial:
        (partial / "config.json").write_text(json.dumps(pruned_config(config, kept), indent=2) + "\n", encoding="utf-8")
        # A copy of each: in a .bin tied weights are one piece of memory, which safetensors does not write.
        tensors = (
            (new, stored[old].whole().clone(memory_format=torch.contiguous_format)) for old, new in names.items()
        )
        write_shards(tensors, partial, (partial / "config.json").stat().st_mode)
        copy_tokenizer(model, partial)
        if (model / "generation_config.json").is_file():
            shutil.copyfile(model / "generation_config.json", partial / "generation_config.json")
        after = parameters(partial)
    return kept, total, parameters(model), after
