"""Encode each prompt once and reuse its KV cache in every pass over outputs.

With causal attention, the keys and values of a prompt do not depend on the tokens after it. A `PrefixCache` holds them,
and each pass (entropies, predictions, decoding, losses) only processes output tokens. The prompt prefix that questions
on one database share is encoded once for all of them. The result is exact: losses and gradients equal those of passes
over whole sequences.
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
from kid.models.response_model import EarlyExitCache, empty_cache, layers_of
from kid.models.zero3 import Model, bare_module, discard_zero3_trace, eval_no_grad, is_zero3


@dataclass(frozen=True)
class PrefixCache:
    """Keys and values of the first `width` columns of a micro-batch, for each layer [B, heads, width, head size].

    With an empty cache (width 0), a pass processes whole sequences.
    """

    width: int = 0
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()

    @classmethod
    def from_cache(cls, cache: DynamicCache, width: int) -> PrefixCache:
        """Take the keys and values from a transformers cache after a forward over the first `width` columns."""
        layers = layers_of(cache)
        return cls(width, tuple(layer.keys for layer in layers), tuple(layer.values for layer in layers))

    def detach(self) -> PrefixCache:
        """The same keys and values, without gradient."""
        return PrefixCache(self.width, tuple(k.detach() for k in self.keys), tuple(v.detach() for v in self.values))

    def select(self, rows: Tensor) -> PrefixCache:
        """The cache of the given rows, int64 [B'], which may repeat."""

        def select_rows(states: Tensor) -> Tensor:
            return states.expand(len(rows), -1, -1, -1) if len(states) == 1 else states.index_select(0, rows)

        return PrefixCache(self.width, tuple(map(select_rows, self.keys)), tuple(map(select_rows, self.values)))

    def new_cache(self, model: PreTrainedModel, kind: type[DynamicCache] = DynamicCache) -> DynamicCache:
        """A transformers cache that starts with this prefix. A pass that extends it does not change the prefix."""
        cache = empty_cache(model.config, kind)
        # Not strict for an empty prefix: it has no layers.
        for layer, keys, values in zip(layers_of(cache), self.keys, self.values, strict=self.width > 0):
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
        return cache


def forward(model: Model, *inputs: Any, last_forward: bool, **options: Any) -> Tensor:
    """Run an engine or a bare module. `last_forward`: whether this is its last forward of the micro-batch."""
    states = model(*inputs, **options)
    if not last_forward:
        discard_zero3_trace(model)
    return states


def extend(model: Model, batch: Batch, prefix: PrefixCache, until: int, rows: Tensor | None = None) -> PrefixCache:
    """Extend the prefix by a forward over columns [prefix.width, until), with gradient if gradients are enabled.

    Args:
        model: an engine, or a bare module.
        batch: on the model's device.
        rows: int64, the rows of the batch to process; None: all.
    """
    new = slice(prefix.width, until)
    ids, positions, mask = batch.input_ids[:, new], batch.position_ids[:, new], batch.attention_mask[:, :until]
    if rows is not None:
        ids, positions, mask = ids[rows], positions[rows], mask[rows]
    cache = prefix.new_cache(bare_module(model).causal_lm, EarlyExitCache)
    forward(model, ids, mask, positions, batch.logit_positions[:0], cache, logits=False, last_forward=False)
    return PrefixCache.from_cache(cache, until)


def encode_prompts(config: RunConfig, model: Model, batch: Batch, separately: bool) -> PrefixCache:
    """Encode all but the last token of each prompt, as far as that saves time; the prefix is empty if it does not.

    Every rank runs the same number of forwards for any batch: one for the shared part of the prompts, one for the rest.

    Args:
        model: an engine, or a bare module.
        batch: on the model's device.
        separately: also encode the part of the prompts that is not shared. If False, the pass over outputs does it,
            which is as cheap if only one pass follows.
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
    """Extend `prefix` (one row, no padding; None: empty) by the keys and values of the tokens that follow it."""
    prefix = prefix or PrefixCache()
    ids = torch.tensor([tokens], device=next(bare_module(model).parameters()).device)
    end = prefix.width + len(tokens)
    positions, mask = torch.arange(prefix.width, end, device=ids.device)[None], ids.new_ones(1, end)
    cache = prefix.new_cache(bare_module(model).causal_lm, EarlyExitCache)
    forward(model, ids, mask, positions, ids[0, :0], cache, logits=False, last_forward=False)
    return PrefixCache.from_cache(cache, end)


@torch.no_grad()
def encode_teacher_prompts(config: RunConfig, teacher: Model, batch: Batch) -> PrefixCache:
    """Encode the frozen teacher's prompts, in the columns of `batch.teacher` if the batch has them.

    Encoding prompts separately from the outputs saves the last layer. It does not pay off if a schema is shared or
    stored, since the rest of the prompts is short, or for a ZeRO-3 teacher, which gathers its weights in every forward.
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
        extend_tokens(teacher, [0])  # join a forward that other ranks run: it is a collective
    return prefix


def encode_student_prompts(
    config: RunConfig, student: Model, batch: Batch, step: int, training: int, evaluating: int
) -> tuple[PrefixCache, PrefixCache]:
    """Encode the student's prompts: (prefix for passes in training mode, prefix for passes in eval mode).

    Prompts are encoded once for both, or once for each if dropout makes the two modes differ.

    Args:
        step: optimizer step, from 0.
        training, evaluating: number of passes of each kind that follow.
    """
    seed_dropout(config, step, batch, 0)
    if evaluating and bare_module(student).draws_dropout:
        with eval_no_grad(student):
            eval_prefix = encode_prompts(config, student, batch, separately=evaluating > 1)
        return encode_prompts(config, student, batch, separately=training > 1), eval_prefix
    prefix = encode_prompts(config, student, batch, separately=training + evaluating > 1)
    return prefix, prefix.detach()


def seed_dropout(config: RunConfig, step: int, batch: Batch, column: int) -> None:
    """Seed dropout by (seed, step, index of the micro-batch in the global batch, first column of the pass)."""
    index = batch.positions[0] // config.micro_batch_size
    torch.manual_seed(int(np.random.SeedSequence([config.seed, step, index, column]).generate_state(1)[0]))


def with_completion(batch: Batch, completion_ids: Tensor) -> Tensor:
    """The batch's input_ids, [B, P + R], with `completion_ids` as the output tokens; padding is unchanged."""
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
    """The model's hidden states (logits with `--fused off`) at the positions that predict output tokens.

    Args:
        model: an engine, or a bare module.
        prefix: of this model and batch.
        completion_ids: int64 [B, R], used instead of the batch's own output tokens; padding is unchanged.
        token_mask: bool [B, R], select the states that predict these output tokens; None: all.
        last_forward: whether this is the model's last forward of the micro-batch.

    Returns:
        [N, H] or [N, V], in row-major order of [B, R].
    """
    rows = batch.logit_positions if token_mask is None else batch.logit_positions[token_mask[batch.completion_mask]]
    # The last column predicts nothing that is needed.
    width, end = batch.input_ids.shape[1], batch.input_ids.shape[1] - 1
    rows = rows // width * (end - prefix.width) + rows % width - prefix.width
    columns = slice(prefix.width, end)
    ids = with_completion(batch, completion_ids)[:, columns]
    cache = prefix.new_cache(bare_module(model).causal_lm) if prefix.width else None
    mask, positions = batch.attention_mask[:, :end], batch.position_ids[:, columns]
    return forward(model, ids, mask, positions, rows, cache, logits=not config.fused, last_forward=last_forward)
