"""A causal language model that returns hidden states or logits at chosen positions only."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

from kid.losses.head import Head
from kid.models.windows import closed_window, is_open
from kid.models.zero3 import running_modules


def logit_transform(config: PreTrainedConfig) -> tuple[float, float | None]:
    """The (scale, soft cap) that an architecture applies to its logits; (1, None) for most."""
    # Cohere uses the first name, Falcon-H1 the second.
    scale = getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None) or 1.0
    scaling = getattr(config, "logits_scaling", None)
    if scaling:  # Granite divides
        scale = scaling if config.model_type == "hyperclovax" else 1 / scaling
    # Gemma 2 and later use the first name, RecurrentGemma the second.
    return scale, getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)


def layers_of(cache: Cache) -> list[Any]:
    """A cache's layers, typed as Any: `keys` and `values` are read only after a forward has filled all of them."""
    return cache.layers


def empty_cache(config: PreTrainedConfig, kind: type[DynamicCache] = DynamicCache) -> DynamicCache:
    """A cache of a model, which keeps all tokens in layers with an open window too."""
    cache = kind(config=config)
    cache.layers = [DynamicLayer() if is_open(layer) else layer for layer in cache.layers]
    return cache


class EarlyExit(Exception):  # noqa: N818 (not an error)
    """Raised to end a forward: the last layer's keys and values are in the cache."""


class EarlyExitCache(DynamicCache):
    """Ends a forward as soon as it holds the last layer's keys and values; the rest of that layer is never used."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs):
        super().update(key_states, value_states, layer_idx, *args, **kwargs)
        if layer_idx == len(self.layers) - 1:
            raise EarlyExit
        layer = layers_of(self)[layer_idx]
        return layer.keys, layer.values


class ResponseModel(nn.Module):
    """A causal language model that applies its head to chosen positions only, never to the prompt."""

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
        """Why the model cannot use a prefix cache with padding inside; None if it can."""
        config = self.causal_lm.config
        rope = getattr(config, "rope_parameters", None) or {}
        kinds = {rope.get("rope_type"), *(own.get("rope_type") for own in rope.values() if isinstance(own, dict))}
        if getattr(self.causal_lm, "_is_stateful", False):
            return "it has recurrent layers"
        kinds_of_layers = {type(layer) for layer in empty_cache(config).layers} - {DynamicLayer}
        if kinds_of_layers == {DynamicSlidingWindowLayer}:
            return f"sequences can be longer than the window of {closed_window(config)} tokens of some layers"
        if DummyLayer in kinds_of_layers:
            return "some of its layers use the keys and values of other layers"
        if kinds_of_layers:
            return "not all its layers have full attention"
        if config.model_type in ("gpt_neo", "mpt"):  # a window of columns; ALiBi by columns
            return "its attention counts columns, padding included"
        if kinds & {"longrope", "dynamic"}:
            return "its rotary frequencies depend on the sequence length"
        return None

    @cached_property
    def draws_dropout(self) -> bool:
        """Whether the model has dropout, so that a forward in training mode differs from one in eval mode."""
        for part in self.modules():
            if isinstance(part, nn.Dropout) and part.p > 0:
                return True
            # Attention modules have their rate as an attribute.
            if any("dropout" in name and isinstance(value, float) and value > 0 for name, value in vars(part).items()):
                return True
        return False

    @property
    def decodes(self) -> bool:
        """Whether the model accepts a KV cache."""
        return "past_key_values" in inspect.signature(self.causal_lm.base_model.forward).parameters

    @property
    def head_parameters(self) -> list[nn.Parameter]:
        return list(self.causal_lm.get_output_embeddings().parameters())

    @property
    def head(self) -> Head:
        """The output head. Under ZeRO-3 its tensors are empty outside of `kid.models.zero3.gathered_heads`."""
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
            cache: keys and values of the preceding tokens; the forward appends those of `input_ids`.
            logits: return logits instead of hidden states.

        Returns:
            [N, V] or [N, H] in the model's dtype; [0, 0] with an `EarlyExitCache`, where only the cache is of interest.
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
            del running[depth:]  # the modules whose forwards the exception has ended
            return attention_mask.new_empty(0, 0, dtype=self.causal_lm.dtype)
        if not logits:
            return hidden
        scale, soft_cap = logit_transform(self.causal_lm.config)
        # Call the module: under ZeRO-3 this gathers the weight.
        values = self.causal_lm.get_output_embeddings()(hidden)
        values = values if scale == 1 else values * scale
        return values if soft_cap is None else soft_cap * torch.tanh(values / soft_cap)
