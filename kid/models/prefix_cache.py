"""Encode each prompt once: its KV cache is reused by every pass over outputs.

With causal attention the keys and values of a prompt do not depend on what follows it. So they are kept (a
`PrefixCache`), and each pass (entropies, predictions, decoding, the losses) feeds output tokens only. What the
questions on one database have in common is encoded once for all of them. Exact: losses and gradients are those of whole
sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from kid.config.run_config import RunConfig
from kid.data.batching import Batch
from kid.models.response_model import EarlyExitCache, layers_of
from kid.models.zero3 import Model, bare_module, discard_zero3_trace, eval_no_grad, is_zero3


@dataclass(frozen=True)
class PrefixCache:
    """Keys and values of the first `width` columns of a micro-batch, of each layer [B, heads, width, head size].

    The empty one, of width 0, makes a pass run whole sequences.
    """

    width: int = 0
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()

    @classmethod
    def held_by(cls, cache: DynamicCache, width: int) -> PrefixCache:
        """What a cache of transformers holds of the first `width` columns, after a forward over them."""
        layers = layers_of(cache)
        return cls(width, tuple(layer.keys for layer in layers), tuple(layer.values for layer in layers))

    def detach(self) -> PrefixCache:
        """The same keys and values, without gradient."""
        return PrefixCache(self.width, tuple(k.detach() for k in self.keys), tuple(v.detach() for v in self.values))

    def select(self, rows: Tensor) -> PrefixCache:
        """The cache of other rows: int64 [B'], each one of [B]."""

        def of(states: Tensor) -> Tensor:
            return states.expand(len(rows), -1, -1, -1) if len(states) == 1 else states.index_select(0, rows)

        return PrefixCache(self.width, tuple(map(of, self.keys)), tuple(map(of, self.values)))

    def new_cache(self, model: PreTrainedModel, kind: type[DynamicCache] = DynamicCache) -> DynamicCache:
        """A cache of transformers for one pass, which adds to it and leaves the prefix as it is."""
        cache = kind(config=model.config)
        # An empty prefix has no layers.
        for layer, keys, values in zip(layers_of(cache), self.keys, self.values, strict=self.width > 0):
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
        return cache


def forward(model: Model, *inputs: Any, last_forward: bool, **options: Any) -> Tensor:
    """A forward of an engine or a bare module; `last_forward`: no other of its forwards follows in the micro-batch."""
    states = model(*inputs, **options)
    if not last_forward:
        discard_zero3_trace(model)
    return states


def extend(model: Model, batch: Batch, prefix: PrefixCache, until: int, rows: Tensor | None = None) -> PrefixCache:
    """Run a forward that makes the prefix longer by columns [prefix.width, until), with gradient where that is enabled.

    Args:
        model: an engine, or a bare module.
        batch: on the model's device.
        rows: int64, only these of the batch.
    """
    at = slice(prefix.width, until)
    ids, positions, mask = batch.input_ids[:, at], batch.position_ids[:, at], batch.attention_mask[:, :until]
    if rows is not None:
        ids, positions, mask = ids[rows], positions[rows], mask[rows]
    cache = prefix.new_cache(bare_module(model).causal_lm, EarlyExitCache)
    forward(model, ids, mask, positions, batch.logit_positions[:0], cache, logits=False, last_forward=False)
    return PrefixCache.held_by(cache, until)


def encode_prompts(config: RunConfig, model: Model, batch: Batch, separately: bool) -> PrefixCache:
    """All but the last token of each prompt, where that saves something; else an empty prefix.

    The number of forwards is the same on every rank, whatever the batch holds: one for what prompts share, one for the
    rest of them.

    Args:
        model: an engine, or a bare module.
        batch: on the model's device.
        separately: encode the rest of the prompts too; else that is left to the only pass over outputs that follows.
    """
    prefix = PrefixCache()
    if not config.prefix or bare_module(model).prefix_unsupported_reason:
        return prefix
    if batch.shared_width:
        prefix = extend(model, batch, prefix, batch.shared_width, batch.representatives).select(batch.group_of_row)
    if separately:
        prefix = extend(model, batch, prefix, batch.prompt_width - 1)
    return prefix


@torch.no_grad()
def extend_tokens(model: Model, tokens: Sequence[int], prefix: PrefixCache | None = None) -> PrefixCache:
    """Keys and values of `prefix` (of one row, without padding; None: empty) and of the tokens that follow it."""
    prefix = prefix or PrefixCache()
    ids = torch.tensor([tokens], device=next(bare_module(model).parameters()).device)
    end = prefix.width + len(tokens)
    positions, mask = torch.arange(prefix.width, end, device=ids.device)[None], ids.new_ones(1, end)
    cache = prefix.new_cache(bare_module(model).causal_lm, EarlyExitCache)
    forward(model, ids, mask, positions, ids[0, :0], cache, logits=False, last_forward=False)
    return PrefixCache.held_by(cache, end)


@torch.no_grad()
def encode_teacher_prompts(config: RunConfig, teacher: Model, batch: Batch) -> PrefixCache:
    """The frozen teacher's prompts, in the columns of `batch.teacher` if that is there.

    Encoded separately from the outputs they save the last layer. Where a schema is shared or stored, what is left of
    them is too little for that; and a ZeRO-3 teacher gathers its weights for every forward.
    """
    columns = batch.teacher
    if columns is None:
        prefix = encode_prompts(config, teacher, batch, separately=not is_zero3(teacher) and not batch.shared_width)
        ran = prefix.width > 0
    else:
        rows = columns.representatives
        ran = len(rows) > 0
        own = extend(teacher, columns, PrefixCache(), columns.shared_width, rows) if ran else PrefixCache()
        prefix = batch.store.prefix(columns, own)
    if batch.store and is_zero3(teacher) and batch.teacher_runs_prefix and not ran:
        extend_tokens(teacher, [0])  # another rank runs such a forward, which is a collective
    return prefix


def encode_student_prompts(
    config: RunConfig, student: Model, batch: Batch, step: int, training: int, evaluating: int
) -> tuple[PrefixCache, PrefixCache]:
    """The student's prompts, for the passes that train and for those that do not.

    They are encoded once. With dropout, a prompt in training differs from one in evaluation: then once for each.

    Args:
        step: optimizer step, from 0.
        training, evaluating: how many passes of each kind follow.
    """
    seed_dropout(config, step, batch, 0)
    if evaluating and bare_module(student).draws_dropout:
        with eval_no_grad(student):
            eval_prefix = encode_prompts(config, student, batch, separately=evaluating > 1)
        return encode_prompts(config, student, batch, separately=training > 1), eval_prefix
    prefix = encode_prompts(config, student, batch, separately=training + evaluating > 1)
    return prefix, prefix.detach()


def seed_dropout(config: RunConfig, step: int, batch: Batch, column: int) -> None:
    """Dropout depends on (seed, step, place of the micro-batch in the global batch, first column of the pass)."""
    place = batch.positions[0] // config.micro_batch_size
    torch.manual_seed(int(np.random.SeedSequence([config.seed, step, place, column]).generate_state(1)[0]))


def with_completion(batch: Batch, completion_ids: Tensor) -> Tensor:
    """The batch's input_ids, [B, P + R], with other output tokens in the same places; padding stays as it is."""
    outputs = torch.where(batch.completion_mask, completion_ids, batch.completion_ids)
    return torch.cat([batch.input_ids[:, : batch.prompt_width], outputs], dim=1)


def forward_outputs(
    config: RunConfig,
    model: Model,
    batch: Batch,
    prefix: PrefixCache,
    completion_ids: Tensor,
    token_mask: Tensor | None = None,
    last_forward: bool = True,
) -> Tensor:
    """The model's states where output tokens are predicted: hidden states, or with `--fused off` logits.

    Args:
        model: an engine, or a bare module.
        prefix: of this model and batch.
        completion_ids: int64 [B, R], fed in place of the batch's own; padding stays as it is.
        token_mask: bool [B, R], only the states that predict these output tokens; None: all.
        last_forward: whether this is the model's last forward of the micro-batch.

    Returns:
        [N, H] or [N, V]; the rows in row-major order.
    """
    rows = batch.logit_positions if token_mask is None else batch.logit_positions[token_mask[batch.completion_mask]]
    # Nothing is predicted after the last column.
    width, end = batch.input_ids.shape[1], batch.input_ids.shape[1] - 1
    rows = rows // width * (end - prefix.width) + rows % width - prefix.width
    at = slice(prefix.width, end)
    ids = with_completion(batch, completion_ids)[:, at]
    cache = prefix.new_cache(bare_module(model).causal_lm) if prefix.width else None
    mask, positions = batch.attention_mask[:, :end], batch.position_ids[:, at]
    return forward(model, ids, mask, positions, rows, cache, logits=not config.fused, last_forward=last_forward)
