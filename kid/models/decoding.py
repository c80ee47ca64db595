"""Autoregressive decoding for training and evaluation: of one batch, or of many prompts with continuous batching.

It produces the student's on-policy outputs, a teacher's fixed outputs, samples for exposure bias, and predictions.
Tokens are drawn by inverting the cumulative distribution at uniform numbers that the caller provides, one for each row
and token. So the output of a sample depends neither on the batch that it is decoded in nor on the rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Sample, collate
from kid.models.prefix_cache import PrefixCache, encode_teacher_prompts
from kid.models.prefix_store import RecentPrefixes
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel, layers_of
from kid.models.zero3 import Model, bare_module
from kid.randomness import draw_tokens

SPARE_COLUMNS = 64  # unused columns allocated with a layer's buffers
REFILL_SHARE = 4  # finished rows are removed, and waiting prompts added, once one row in REFILL_SHARE is free


class PreallocatedLayer(DynamicLayer):
    """A layer's keys and values in buffers with spare columns; a `DynamicLayer` copies all of them for every token."""

    def __init__(self):
        super().__init__()
        self.buffers: tuple[Tensor, ...] | None = None
        self.written: Tensor | None = None  # the `keys` that are a view of the buffer, to notice if they are replaced

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        width = self.get_seq_length()
        end = width + key_states.shape[-2]
        if self.keys is not self.written or end > self.buffers[0].shape[-2]:
            self.fill_buffers([(self.keys, self.values)] if width else [], width, (key_states, value_states), end)
        for buffer, new in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[..., width:end, :] = new
        self.set_width(end)
        return self.keys, self.values

    def fill_buffers(
        self, parts: list[tuple[Tensor, Tensor]], width: int, like: tuple[Tensor, Tensor], columns: int
    ) -> None:
        """Allocate new buffers and copy the (keys, values) of each part, [n, heads, columns, size], into rows of them.

        Each part ends at column `width`, with 0 in the columns before it. `like`: (keys, values) with the number of
        heads, the sizes and the dtype of the buffers. `columns`: the least number of columns needed.
        """
        rows = sum(len(keys) for keys, _ in parts) or len(like[0])
        self.buffers = tuple(new.new_empty(rows, new.shape[1], columns + SPARE_COLUMNS, new.shape[-1]) for new in like)
        for which, buffer in enumerate(self.buffers):
            first = 0
            for part in parts:
                states = part[which]
                rows_of_part, start = buffer[first : first + len(states)], width - states.shape[-2]
                rows_of_part[..., :start, :] = 0
                rows_of_part[..., start:width, :] = states
                first += len(states)

    def set_width(self, width: int) -> None:
        """Make the first `width` columns of the buffers the layer's keys and values."""
        self.keys, self.values = (buffer[..., :width, :] for buffer in self.buffers)
        self.written = self.keys


def preallocate(cache: DynamicCache) -> DynamicCache:
    """Replace the `DynamicLayer`s of a cache by `PreallocatedLayer`s; subclasses are left as they are."""
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer:
            preallocated = PreallocatedLayer()
            if layer.is_initialized:
                preallocated.lazy_initialization(layer.keys, layer.values)
                preallocated.keys, preallocated.values = layer.keys, layer.values
            cache.layers[index] = preallocated
    return cache


@dataclass
class Rows:
    """Sequences decoded side by side, padded on the left.

    cache: keys and values of the tokens processed so far. attention_mask: int64 [n, columns], of these tokens.
    positions: int64 [n, 1], of the last of them.
    """

    cache: DynamicCache
    attention_mask: Tensor
    positions: Tensor

    def keep(self, rows: list[int], others: Rows | None = None) -> None:
        """Keep only the given rows (at least one), append `others`, and drop columns that are padding in every row."""
        kept = torch.tensor(rows, device=self.positions.device)
        mask, positions = self.attention_mask[kept], self.positions[kept]
        first = int(mask.argmax(1).min())  # the column of the first token of any row
        mask, width = mask[:, first:], mask.shape[1] - first
        if others is not None:
            width = max(width, others.attention_mask.shape[1])
            both = ((mask, positions), (others.attention_mask, others.positions))
            mask = torch.cat([pad_tensor(each, [width - each.shape[1], 0]) for each, _ in both])
            positions = torch.cat([each for _, each in both])
        for index, layer in enumerate(layers_of(self.cache)):
            # One view per row: indexing with a list would make an extra copy.
            parts = [(layer.keys[row : row + 1, :, first:], layer.values[row : row + 1, :, first:]) for row in rows]
            if others is not None:
                other = layers_of(others.cache)[index]
                parts.append((other.keys, other.values))
            layer.fill_buffers(parts, width, (layer.keys, layer.values), width)
            layer.set_width(width)
        self.attention_mask, self.positions = mask, positions


def start(forward: Model, batch: Batch, prefix: PrefixCache, rows: Sequence[int]) -> tuple[Tensor, Rows]:
    """Prefill the part of some prompts that is not in `prefix`: (logits of the next token [n, V], the rows).

    Args:
        forward: a `kid.models.response_model.ResponseModel` or its engine, in eval mode.
        batch: on the model's device; its outputs are not used.
        prefix: this model's prefix cache of the batch.
        rows: indices of n prompts of the batch.
    """
    chosen = torch.tensor(rows, device=batch.input_ids.device)
    columns = slice(prefix.width, batch.prompt_width)
    ids, positions = batch.input_ids[chosen, columns], batch.position_ids[chosen, columns]
    attention_mask = batch.attention_mask[chosen, : columns.stop]
    prefix = prefix if len(rows) == len(batch.samples) else prefix.select(chosen)
    cache = preallocate(prefix.new_cache(bare_module(forward).causal_lm))
    last = torch.arange(1, len(ids) + 1, device=ids.device) * ids.shape[1] - 1
    return forward(ids, attention_mask, positions, last, cache), Rows(cache, attention_mask, positions[:, -1:])


def advance(forward: Model, running: Rows, ids: Tensor) -> Tensor:
    """Process one token of each row, `ids` int64 [n], and return the logits of the next one, [n, V]."""
    running.positions = running.positions + 1
    running.attention_mask = pad_tensor(running.attention_mask, [0, 1], value=1)
    rows = torch.arange(len(ids), device=ids.device)
    return forward(ids[:, None], running.attention_mask, running.positions, rows, running.cache)


@torch.no_grad()
def decode(
    forward: Model,
    batch: Batch,
    prefix: PrefixCache,
    rows: Sequence[int],
    uniforms: Tensor,
    *,
    tokens: TokenIds,
    temperature: float,
    top_p: float,
    together: bool = False,
) -> list[list[int]]:
    """Decode outputs of some prompts of a batch, token by token with a KV cache.

    Finished rows are removed from the batch, unless the model has state outside of the KV cache.

    Args:
        forward: a `kid.models.response_model.ResponseModel` or its engine, in eval mode.
        batch: on the model's device; its outputs are not used.
        prefix: this model's prefix cache of the batch; the rest of the prompts is prefilled first.
        rows: indices of n prompts of the batch.
        uniforms: float64 [n, T] in [0, 1), on the model's device; at most T tokens are decoded.
        tokens: the tokenizer's ids; padding ids of the model's vocabulary are never drawn.
        temperature, top_p: see `kid.randomness.draw_tokens`.
        together: each forward is a collective (a ZeRO-3 engine): every rank continues until all ranks are done.

    Returns:
        Token ids of each output. It ends with its only EOS, or has T tokens and no EOS.
    """
    logits, running = start(forward, batch, prefix, rows)
    outputs: list[list[int]] = [[] for _ in rows]
    owners = list(range(len(rows)))  # the index of the output of each row that is still in the batch
    ended: set[int] = set()  # indices of outputs
    for length in range(1, uniforms.shape[1] + 1):
        drawn = draw_tokens(logits[:, : tokens.count], uniforms[:, length - 1], temperature, top_p)
        for output, token in zip(owners, drawn.tolist(), strict=True):
            if output not in ended:
                outputs[output].append(token)
                ended |= {output} if token == tokens.eos else set()
        unfinished = len(rows) - len(ended)
        if together:
            count = torch.tensor(unfinished, device=drawn.device)
            torch.distributed.all_reduce(count)
            unfinished = int(count)
        if unfinished == 0 or length == uniforms.shape[1]:
            break
        # One row stays even if all have ended: while other ranks continue, this rank must join their forwards.
        stay = [row for row, output in enumerate(owners) if output not in ended] or [0]
        leaving = len(owners) - len(stay)
        if REFILL_SHARE * leaving >= len(owners) and bare_module(forward).prefix_unsupported_reason is None:
            owners, kept = [owners[row] for row in stay], torch.tensor(stay, device=drawn.device)
            drawn, uniforms = drawn[kept], uniforms[kept]
            running.keep(stay)
        logits = advance(forward, running, drawn)
    return outputs


@torch.no_grad()
def decode_waiting(
    model: ResponseModel,
    samples: Sequence[Sample],
    *,
    tokens: TokenIds,
    limit: int,
    size: int,
    prefixes: RecentPrefixes,
    temperature: float = 0.0,
    top_p: float = 1.0,
    uniforms: Callable[[int], Tensor] | None = None,
    log_probabilities: dict[int, float] | None = None,
) -> Iterator[tuple[int, list[int]]]:
    """Decode outputs of many prompts with continuous batching: waiting prompts take the rows of finished outputs.

    Args:
        model: in eval mode, without a `prefix_unsupported_reason`.
        samples: their prompts are taken in this order; those with the same schema should be adjacent.
        tokens: the tokenizer's ids; padding ids of the model's vocabulary are never drawn.
        limit: maximum number of tokens of an output.
        size: maximum number of rows of the batch.
        prefixes: the prefix cache of schemas, reused across prompts and calls.
        temperature, top_p: see `kid.randomness.draw_tokens`.
        uniforms: index of a sample -> float64 [limit], for a temperature above 0.
        log_probabilities: if given, filled with index of a sample -> log-probability of its output in nats at
            temperature 1, summed over its tokens (EOS included); complete once the output is yielded.

    Yields:
        (index of a sample, its output in the form that `decode` returns), in the order in which outputs end.
    """
    waiting = list(range(len(samples)))[::-1]
    running: Rows | None = None
    owners: list[int] = []
    drawn = torch.empty(0, dtype=torch.long, device=model.device)
    outputs: dict[int, list[int]] = {}
    draws: dict[int, Tensor] = {}

    def draw(logits: Tensor, indices: list[int]) -> Tensor:
        numbers = [draws[index][len(outputs[index])].item() if index in draws else 0.0 for index in indices]
        row_uniforms = torch.tensor(numbers, dtype=torch.float64).to(logits.device)
        new_tokens = draw_tokens(logits[:, : tokens.count], row_uniforms, temperature, top_p)
        for index, token in zip(indices, new_tokens.tolist(), strict=True):
            if index in outputs:
                outputs[index].append(token)
        if log_probabilities is not None:
            all_values = logits[:, : tokens.count].float().log_softmax(-1)
            for index, value in zip(indices, all_values.gather(1, new_tokens[:, None])[:, 0].tolist(), strict=True):
                if index in outputs:
                    log_probabilities[index] = log_probabilities.get(index, 0.0) + value
        return new_tokens

    while waiting or any(index in outputs for index in owners):
        rows = [row for row, index in enumerate(owners) if index in outputs]  # unfinished
        free = size - len(rows)
        if waiting and (not rows or REFILL_SHARE * free >= size):
            joining = [waiting.pop() for _ in range(min(free, len(waiting)))]
            outputs |= {index: [] for index in joining}
            draws |= {index: uniforms(index) for index in joining} if uniforms else {}
            logits, started = start_samples(model, [samples[index] for index in joining], tokens.pad, prefixes)
            drawn = torch.cat([drawn[rows], draw(logits, joining)])
            if rows:
                running.keep(rows, started)
            else:
                running = started
            owners = [*(owners[row] for row in rows), *joining]
        else:
            if REFILL_SHARE * (len(owners) - len(rows)) >= len(owners):
                running.keep(rows)
                owners, drawn = [owners[row] for row in rows], drawn[rows]
            drawn = draw(advance(model, running, drawn), owners)
        for index in owners:
            if index in outputs and (outputs[index][-1] == tokens.eos or len(outputs[index]) == limit):
                draws.pop(index, None)
                yield index, outputs.pop(index)


def start_samples(
    model: ResponseModel, samples: list[Sample], pad_token_id: int, prefixes: RecentPrefixes
) -> tuple[Tensor, Rows]:
    """`start` for new samples; a schema in `prefixes`, or one that several of them share, is encoded once."""
    rows = list(range(len(samples)))
    batch = collate(samples, [0.0] * len(samples), rows, pad_token_id, True, prefixes).to(model.device)
    prefix = encode_teacher_prompts(RunConfig(), model, batch)
    return start(model, batch.teacher or batch, prefix, rows)
