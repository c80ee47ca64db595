"""Dropout set by a base model's own configuration: off in training, kept in the config.json of an export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from transformers import AutoConfig, PreTrainedConfig

# attention_dropout, resid_pdrop, dropout_p, layerdrop, drop_path_rate ...; and the router noise of some mixtures of
# experts, which is off for the same reason: a forward in training must equal the forward in evaluation.
RATE_NAME = re.compile(r"drop|jitter_noise")


def is_rate(name: object, value: object) -> bool:
    """Whether an attribute of a configuration or a module is a dropout rate above 0."""
    return isinstance(name, str) and RATE_NAME.search(name) is not None and isinstance(value, float) and value > 0


def mappings_of(config: PreTrainedConfig | MutableMapping) -> Iterator[MutableMapping]:
    """Yield the attribute dictionaries (not copies) of a configuration and of those nested in it, like text_config."""
    values = vars(config) if isinstance(config, PreTrainedConfig) else config
    yield values
    for value in values.values():
        if isinstance(value, PreTrainedConfig | MutableMapping):
            yield from mappings_of(value)


def turn_off_dropout(config: PreTrainedConfig) -> None:
    """Set every dropout rate in a configuration to 0, in place; some models read them in every forward."""
    for values in mappings_of(config):
        for name in [name for name, value in values.items() if is_rate(name, value)]:
            values[name] = 0.0


def turn_off_module_dropout(model: nn.Module) -> None:
    """Set the dropout rates to 0 that a model's code sets regardless of its configuration."""
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.p = 0.0
        for name in [name for name, value in vars(module).items() if is_rate(name, value)]:
            setattr(module, name, 0.0)


def keep_dropout_of(base: Path, folder: Path) -> None:
    """Restore the base's dropout rates in the config.json of a model saved from it, for later training.

    Args:
        base: the folder that the model was loaded from.
        folder: a folder written by `save_pretrained`.
    """

    def copy_rates(source: dict, target: dict) -> None:
        for name, value in source.items():
            if isinstance(value, dict) and isinstance(target.get(name), dict):
                copy_rates(value, target[name])
            elif is_rate(name, value):
                target[name] = value

    path = folder / "config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    copy_rates(AutoConfig.from_pretrained(base).to_dict(), saved)
    path.write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
