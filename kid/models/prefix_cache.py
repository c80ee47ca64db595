"""Prompt once, branch many: prompts run through a model once, every later pass feeds only output tokens.

With causal attention the keys and values of a prompt do not depend on what follows it. So they are kept (a `Stem`),
and each pass over outputs (entropies, predictions, decoding, the losses) is a branch that attends to them; what
questions on one database have in common runs once for all of them. Exact: losses and gradients are those of whole
sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from kid.config.run_config import RunConfig
from kid.data.batching import Batch
from kid.models.engine import bare_module, forget_order
from kid.models.loading import PromptCache


@dataclass(frozen=True)
class Stem:
    """Keys and values of the first `width` columns of a micro-batch, of each layer [B, heads, width, head size].

    The empty one, of width 0, stands before whole sequences.
    """

    width: int = 0
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()

    def detach(self) -> Stem:
        return Stem(self.width, tuple(k.detach() for k in self.keys), tuple(v.detach() for v in self.values))

    def select(self, rows: Tensor) -> Stem:
        """The stem of other rows: int64 [B'], each one of [B]."""

        def of(states: Tensor) -> Tensor:
            return states.expand(len(rows), -1, -1, -1) if len(states) == 1 else states.index_select(0, rows)

        return Stem(self.width, tuple(map(of, self.keys)), tuple(map(of, self.values)))

    def cache(self, model: PreTrainedModel, kind: type[DynamicCache] = DynamicCache) -> DynamicCache:
        """A cache of its own for one branch, which adds to it and leaves the stem as it is."""
        own = kind(config=model.config)
        # An empty stem has no layers.
        for layer, keys, values in zip(own.layers, self.keys, self.values, strict=self.width > 0):
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
        return own


def grow(model, batch: Batch, stem: Stem, until: int, rows: Tensor | None = None) -> Stem:
    """The stem longer by columns [stem.width, until): a forward, with gradient where that is enabled.

    Args:
        model: an engine, or a bare module.
        batch: on the model's device.
        rows: int64, only these of the batch.
    """
    at = slice(stem.width, until)
    ids, positions, mask = batch.input_ids[:, at], batch.position_ids[:, at], batch.attention_mask[:, :until]
    if rows is not None:
        ids, positions, mask = ids[rows], positions[rows], mask[rows]
    cache = stem.cache(bare_module(model).causal_lm, PromptCache)
    model(ids, mask, positions, batch.rows[:0], cache, logits=False)
    forget_order(model)  # another forward follows
    return Stem(until, tuple(layer.keys for layer in cache.layers), tuple(layer.values for layer in cache.layers))


def run_prompts(config: RunConfig, model, batch: Batch, apart: bool) -> Stem:
    """All but the last token of each prompt, where that saves something; an empty stem where it does not.

    As many forwards on every rank, whatever the batch holds: one for what prompts share, one for the rest of them.

    Args:
        model: an engine, or a bare module.
        batch: on the model's device.
        apart: run the rest of the prompts too; else that is left to the only pass over outputs that will follow.
    """
    stem = Stem()
    if not config.prefix or bare_module(model).why_whole:
        return stem
    if batch.shared_width:
        stem = grow(model, batch, stem, batch.shared_width, batch.owners).select(batch.group)
    if apart:
        stem = grow(model, batch, stem, batch.prompt_width - 1)
    return stem


def read(
    config: RunConfig, model, batch: Batch, stem: Stem, completion_ids: Tensor, chosen: Tensor | None = None
) -> Tensor:
    """The model's states where output tokens are predicted: hidden states, or with `--fused off` logits.

    Args:
        model: an engine, or a bare module.
        stem: of this model and batch.
        completion_ids: int64 [B, R], written in the place of the batch's own.
        chosen: bool [B, R], only the states that predict these of its tokens.

    Returns:
        [N, H] or [N, V]; the rows in row-major order.
    """
    rows = batch.rows if chosen is None else batch.rows[chosen[batch.completion_mask]]
    # Nothing is predicted after the last column.
    width, end = batch.input_ids.shape[1], batch.input_ids.shape[1] - 1
    rows = rows // width * (end - stem.width) + rows % width - stem.width
    at = slice(stem.width, end)
    ids = batch.with_completion(completion_ids)[:, at]
    cache = stem.cache(bare_module(model).causal_lm) if stem.width else None
    mask, positions = batch.attention_mask[:, :end], batch.position_ids[:, at]
    return model(ids, mask, positions, rows, cache, logits=not config.fused)
