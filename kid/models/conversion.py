"""Match a checkpoint's tensors with a model's weights by transformers' own rules for the model's family.

Many families keep their checkpoints in an older layout: GPT-NeoX calls its head `embed_out`, and most mixtures of
experts store each expert's matrices alone where the model has them in one tensor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, dot_natural_key, rename_source_key

from kid.errors import InputError


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a checkpoint, read on demand: `rows(a, b)` reads rows [a, b), `whole()` reads all of it."""

    shape: torch.Size
    rows: Callable[[int, int], Tensor]
    whole: Callable[[], Tensor]


def by_weight_name(model: PreTrainedModel, stored: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Map the names of the model's weights and persistent buffers to their tensors; those that have none are left out.

    A tensor is converted when it is read, so memory holds no more than one converted tensor.

    Args:
        model: on any device; not partitioned, because some conversions take the shapes of its weights.
        stored: name in the checkpoint -> its tensor.
    """
    weights = model.state_dict()
    rules = get_model_conversion_mapping(model)
    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    by_pattern = {pattern: converter for converter in converters for pattern in converter.source_patterns}
    found: dict[str, StoredTensor] = {}
    parts: dict[str, list[tuple[str, str]]] = defaultdict(list)  # (pattern, name in the checkpoint) of each part
    for key in sorted(stored, key=dot_natural_key):  # experts in the order of their numbers
        name, pattern = rename_source_key(key, renamings, converters, model.base_model_prefix, weights)
        if name not in weights and key in weights:  # written by a newer transformers, so there is nothing to convert
            name, pattern = key, None
        if name not in weights:
            continue
        if pattern is None:
            found[name] = stored[key]
        else:
            parts[name].append((pattern, key))
    for name, sources in parts.items():
        found |= Conversion(model, by_pattern[sources[0][0]], name, sources, stored).targets(weights)
    return found


@dataclass(frozen=True)
class Conversion:
    """One use of a converter: the parts in the checkpoint become one weight of the model, or one becomes several.

    name: the first of these weights. sources: (the converter's pattern that matched, name in the checkpoint).
    """

    model: PreTrainedModel
    converter: WeightConverter
    name: str
    sources: list[tuple[str, str]]
    stored: Mapping[str, StoredTensor]

    def targets(self, weights: Mapping[str, Tensor]) -> dict[str, StoredTensor]:
        """The weights that the conversion makes."""
        first = next((target for target in self.converter.target_patterns if target in self.name), None)
        names = [self.name]
        if first is not None:
            names = [self.name.replace(first, target) for target in self.converter.target_patterns]
        return {
            name: StoredTensor(weights[name].shape, partial(self.rows, name), partial(self.whole, name))
            for name in names
            if name in weights
        }

    def whole(self, name: str) -> Tensor:
        """Read all parts and convert them. Raises InputError if they do not make a weight of the right shape."""
        converter = deepcopy(self.converter)
        for pattern, key in self.sources:
            converter.add_tensor(self.name, key, pattern, self.stored[key].whole)  # type: ignore[arg-type]  # called later
        try:
            made: Any = converter.convert(self.name, model=self.model, config=self.model.config)[name]
        except Exception as error:  # the operations raise whatever torch raises; each means parts that do not fit
            raise self.misfit(name, str(error).strip().split("\n")[0]) from None
        tensor: Tensor = made[0] if isinstance(made, list) else made
        expected = tuple(self.model.get_parameter_or_buffer(name).shape)
        if tensor.shape != expected:
            raise self.misfit(name, f"it has shape {tuple(tensor.shape)}, but the model's config says {expected}")
        return tensor

    def misfit(self, name: str, reason: str) -> InputError:
        return InputError(
            f"weight {name} cannot be made from {len(self.sources)} tensors of the checkpoint, of which the first is "
            f"{self.sources[0][1]}: {reason}; download the model again"
        )

    def rows(self, name: str, start: int, end: int) -> Tensor:
        return self.whole(name)[start:end]
