"""A causal language model as every pass runs it: the chosen positions alone, their hidden states or their logits."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from kid.losses.head import Head
from kid.models.zero3 import running_modules


def logit_transform(config: PreTrainedConfig) -> tuple[float, float | None]:
    """(scale, soft cap) of the logits of the architectures that have one."""
    # Cohere has the first, Falcon-H1 the second.
    scale = getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None) or 1.0
    scaling = getattr(config, "logits_scaling", None)
    if scaling:  # Granite divides
        scale = scaling if config.model_type == "hyperclovax" else 1 / scaling
    # Gemma 2 and later have the first, RecurrentGemma the second.
    return scale, getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)


def layers_of(cache: Cache) -> list[Any]:
    """A cache's layers; their keys and values are read only where all of them have some, as those of prompts do."""
    return cache.layers


class EarlyExit(Exception):  # noqa: N818 (no error)
    """The last layer's keys and values are in the cache."""


class EarlyExitCache(DynamicCache):
    """Ends a forward once it holds the last layer's keys and values: that layer's output is never used for a prompt."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs):
        super().update(key_states, value_states, layer_idx, *args, **kwargs)
        if layer_idx == len(self.layers) - 1:
            raise EarlyExit
        layer = layers_of(self)[layer_idx]
        return layer.keys, layer.values


class ResponseModel(nn.Module):
    """A causal language model that only looks at chosen rows: the head never sees the prompt."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    @property
    def causal_lm(self) -> PreTrainedModel:
        model: Any = self.model
        return model.get_base_model() if hasattr(model, "get_base_model") else model

    @property
    def device(self) -> torch.device:
        return self.causal_lm.device

    @cached_property
    def prefix_unsupported_reason(self) -> str | None:
        """Why prompts cannot be kept as keys and values of every token, padding in between; None: they can."""
        config = self.causal_lm.config
        rope = getattr(config, "rope_parameters", None) or {}
        kinds = {rope.get("rope_type"), *(own.get("rope_type") for own in rope.values() if isinstance(own, dict))}
        if getattr(self.causal_lm, "_is_stateful", False):
            return "it has recurrent layers"
        if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=config).layers):
            return "not all its layers have full attention"
        if config.model_type in ("gpt_neo", "mpt"):  # a window of columns; ALiBi by columns
            return "its attention counts columns, padding included"
        if kinds & {"longrope", "dynamic"}:
            return "its rotary frequencies depend on the length of what is run"
        return None

    @cached_property
    def draws_dropout(self) -> bool:
        """Whether a forward in training differs from one in evaluation."""
        for part in self.modules():
            if isinstance(part, nn.Dropout) and part.p > 0:
                return True
            # Attention modules hold their rate themselves.
            if any("dropout" in name and isinstance(value, float) and value > 0 for name, value in vars(part).items()):
                return True
        return False

    @property
    def decodes(self) -> bool:
        """Whether it goes on from keys and values that it is given."""
        return "past_key_values" in inspect.signature(self.causal_lm.base_model.forward).parameters

    @property
    def head_parameters(self) -> list[nn.Parameter]:
        return list(self.causal_lm.get_output_embeddings().parameters())

    @property
    def head(self) -> Head:
        """Under ZeRO-3 its tensors are empty outside of `kid.models.zero3.gathered_heads`."""
        linear, (scale, soft_cap) = self.causal_lm.get_output_embeddings(), logit_transform(self.causal_lm.config)
        return Head(linear.weight, linear.bias, scale, soft_cap)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor,
        rows: Tensor,
        cache: Cache | None = None,
        logits: bool = True,
    ) -> Tensor:
        """Logits, or the hidden states before the head, at the given positions.

        Args:
            input_ids, position_ids: int64 [B, L].
            attention_mask: int64 [B, tokens in the cache + L].
            rows: int64 [N], indices into the flattened [B, L]; N may be 0.
            cache: keys and values of the tokens before these; those of these are added to it.

        Returns:
            [N, V], or [N, H], in the model's dtype; [0, 0] with an `EarlyExitCache`, which is all that
            is wanted then.
        """
        running = running_modules(self)
        depth = len(running)
        try:
            hidden = self.causal_lm.base_model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state.flatten(0, 1)[rows]
        except EarlyExit:
            del running[depth:]  # the modules whose forwards have just been left
            return attention_mask.new_empty(0, 0, dtype=self.causal_lm.dtype)
        if not logits:
            return hidden
        scale, soft_cap = logit_transform(self.causal_lm.config)
        # The module's own call: under ZeRO-3 it gathers the weight.
        values = self.causal_lm.get_output_embeddings()(hidden)
        values = values if scale == 1 else values * scale
        return values if soft_cap is None else soft_cap * torch.tanh(values / soft_cap)
