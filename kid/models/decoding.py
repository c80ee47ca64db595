"""Autoregressive decoding, for training and evaluation alike: of a batch, or of many prompts that wait for a place.

On-policy outputs of the student, a teacher's fixed outputs, samples for exposure bias, predictions. Tokens are drawn by
inverting the distribution function at uniform numbers that the caller brings, one for each row and token, so that what
is drawn for a sample does not depend on the batch it is decoded in, nor on a rank.
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

SPARE_COLUMNS = 64  # of a layer's keys and values, made at a time
REFILL_SHARE = 4  # rows that have ended leave, and waiting prompts come, once they are one in so many


class RoomyLayer(DynamicLayer):
    """A layer's keys and values with room for more: a `DynamicLayer` copies all of them for every token."""

    def __init__(self):
        super().__init__()
        self.buffers: tuple[Tensor, ...] | None = None
        self.written: Tensor | None = None  # the keys in the buffer

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        width = self.get_seq_length()
        end = width + key_states.shape[-2]
        if self.keys is not self.written or end > self.buffers[0].shape[-2]:
            self.arrange([(self.keys, self.values)] if width else [], width, (key_states, value_states), end)
        for buffer, new in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[..., width:end, :] = new
        self.show(end)
        return self.keys, self.values

    def arrange(self, parts: list[tuple[Tensor, Tensor]], width: int, like: tuple[Tensor, Tensor], room: int) -> None:
        """Copy keys and values of some rows each, [n, heads, columns, size], below one another into new buffers.

        They end in column `width`; columns before them are 0. `like`: has the number of heads, the sizes and the dtype.
        `room`: columns that are needed at least.
        """
        rows = sum(len(keys) for keys, _ in parts) or len(like[0])
        self.buffers = tuple(new.new_empty(rows, new.shape[1], room + SPARE_COLUMNS, new.shape[-1]) for new in like)
        for which, buffer in enumerate(self.buffers):
            first = 0
            for part in parts:
                states = part[which]
                own, start = buffer[first : first + len(states)], width - states.shape[-2]
                own[..., :start, :] = 0
                own[..., start:width, :] = states
                first += len(states)

    def show(self, width: int) -> None:
        """Let so many columns of the buffers be the layer's keys and values."""
        self.keys, self.values = (buffer[..., :width, :] for buffer in self.buffers)
        self.written = self.keys


def with_room(cache: DynamicCache) -> DynamicCache:
    """The cache with its plain layers in `RoomyLayer`s; layers of other kinds stay."""
    for place, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer:
            roomy = RoomyLayer()
            if layer.is_initialized:
                roomy.lazy_initialization(layer.keys, layer.values)
                roomy.keys, roomy.values = layer.keys, layer.values
            cache.layers[place] = roomy
    return cache


@dataclass
class Rows:
    """Sequences decoded side by side, padded on the left.

    cache: keys and values of the tokens that have run. attention_mask: int64 [n, columns], of these. positions: int64
    [n, 1], of the last of them.
    """

    cache: DynamicCache
    attention_mask: Tensor
    positions: Tensor

    def keep(self, rows: list[int], others: Rows | None = None) -> None:
        """Only these rows stay, at least one; others come after them, and no column pads all of them."""
        kept = torch.tensor(rows, device=self.positions.device)
        mask, positions = self.attention_mask[kept], self.positions[kept]
        first = int(mask.argmax(1).min())  # the column of the first token of any row
        mask, width = mask[:, first:], mask.shape[1] - first
        if others is not None:
            width = max(width, others.attention_mask.shape[1])
            both = ((mask, positions), (others.attention_mask, others.positions))
            mask = torch.cat([pad_tensor(each, [width - each.shape[1], 0]) for each, _ in both])
            positions = torch.cat([each for _, each in both])
        for place, layer in enumerate(layers_of(self.cache)):
            # Row by row: an index would make a copy that is copied again.
            parts = [(layer.keys[row : row + 1, :, first:], layer.values[row : row + 1, :, first:]) for row in rows]
            if others is not None:
                other = layers_of(others.cache)[place]
                parts.append((other.keys, other.values))
            layer.arrange(parts, width, (layer.keys, layer.values), width)
            layer.show(width)
        self.attention_mask, self.positions = mask, positions


def start(forward: Model, batch: Batch, prefix: PrefixCache, rows: Sequence[int]) -> tuple[Tensor, Rows]:
    """Run the rest of some prompts of a batch: (logits of the next token [n, V], the rows).

    Args:
        forward: a `kid.models.response_model.ResponseModel` or its engine, in eval mode.
        batch: on the model's device; its outputs are not used.
        prefix: the model's, of the batch.
        rows: which prompts of the batch, n of them.
    """
    chosen = torch.tensor(rows, device=batch.input_ids.device)
    at = slice(prefix.width, batch.prompt_width)
    ids, positions = batch.input_ids[chosen, at], batch.position_ids[chosen, at]
    attention_mask = batch.attention_mask[chosen, : at.stop]
    prefix = prefix if len(rows) == len(batch.samples) else prefix.select(chosen)
    cache = with_room(prefix.new_cache(bare_module(forward).causal_lm))
    last = torch.arange(1, len(ids) + 1, device=ids.device) * ids.shape[1] - 1
    return forward(ids, attention_mask, positions, last, cache), Rows(cache, attention_mask, positions[:, -1:])


def advance(forward: Model, running: Rows, ids: Tensor) -> Tensor:
    """Run a token of each row, int64 [n]: logits of the next one, [n, V]."""
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
    """Outputs of some prompts of a batch, token by token against a KV cache.

    Rows that have ended leave the batch, unless the model keeps something of them elsewhere than in the cache.

    Args:
        forward: a `kid.models.response_model.ResponseModel` or its engine, in eval mode.
        batch: on the model's device; its outputs are not used.
        prefix: the model's, of the batch; the rest of the prompts runs first.
        rows: which prompts of the batch, n of them.
        uniforms: float64 [n, T] in [0, 1), on the model's device; at most T tokens are decoded.
        tokens: the tokenizer's ids; only those it has are drawn.
        temperature, top_p: see `kid.randomness.draw_tokens`.
        together: each forward is a collective (a ZeRO-3 engine): every rank continues until all ranks are done.

    Returns:
        Token ids of each output. Its last one is EOS, and only that, unless T tokens came without one.
    """
    logits, running = start(forward, batch, prefix, rows)
    outputs: list[list[int]] = [[] for _ in rows]
    owners = list(range(len(rows)))  # the output that each row still in the batch belongs to
    ended: set[int] = set()  # outputs
    for place in range(uniforms.shape[1]):
        drawn = draw_tokens(logits[:, : tokens.count], uniforms[:, place], temperature, top_p)
        for output, token in zip(owners, drawn.tolist(), strict=True):
            if output not in ended:
                outputs[output].append(token)
                ended |= {output} if token == tokens.eos else set()
        unfinished = len(rows) - len(ended)
        if together:
            count = torch.tensor(unfinished, device=drawn.device)
            torch.distributed.all_reduce(count)
            unfinished = int(count)
        if unfinished == 0 or place + 1 == uniforms.shape[1]:
            break
        # While other ranks continue, one row stays to take part in their forwards.
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
    """Outputs of many prompts, a batch of them side by side: a waiting one takes the place of one that has ended.

    Args:
        model: in eval mode, without a `prefix_unsupported_reason`.
        samples: their prompts, in the order in which they are taken; those with the same schema together.
        tokens: the tokenizer's ids; only those it has are drawn.
        limit: tokens of an output at most.
        size: rows of the batch.
        prefixes: schemas that are run apart and kept, for these prompts and those of other calls.
        temperature, top_p: see `kid.randomness.draw_tokens`.
        uniforms: place of a prompt -> float64 [limit], for a temperature above 0.
        log_probabilities: filled, where given: place -> log-probability of the output in nats, the sum over its tokens
            (EOS included) of the model's distribution at temperature 1; complete once the output is yielded.

    Yields:
        (place of a prompt, its output as `decode` returns it), as they end.
    """
    waiting = list(range(len(samples)))[::-1]
    running: Rows | None = None
    owners: list[int] = []
    drawn = torch.empty(0, dtype=torch.long, device=model.device)
    outputs: dict[int, list[int]] = {}
    draws: dict[int, Tensor] = {}

    def draw(logits: Tensor, places: list[int]) -> Tensor:
        own = [draws[place][len(outputs[place])].item() if place in draws else 0.0 for place in places]
        numbers = torch.tensor(own, dtype=torch.float64)
        found = draw_tokens(logits[:, : tokens.count], numbers.to(logits.device), temperature, top_p)
        for place, token in zip(places, found.tolist(), strict=True):
            if place in outputs:
                outputs[place].append(token)
        if log_probabilities is not None:
            every = logits[:, : tokens.count].float().log_softmax(-1)
            for place, value in zip(places, every.gather(1, found[:, None])[:, 0].tolist(), strict=True):
                if place in outputs:
                    log_probabilities[place] = log_probabilities.get(place, 0.0) + value
        return found

    while waiting or any(place in outputs for place in owners):
        rows = [row for row, place in enumerate(owners) if place in outputs]  # that have not ended
        free = size - len(rows)
        if waiting and (not rows or REFILL_SHARE * free >= size):
            joining = [waiting.pop() for _ in range(min(free, len(waiting)))]
            outputs |= {place: [] for place in joining}
            draws |= {place: uniforms(place) for place in joining} if uniforms else {}
            logits, started = start_samples(model, [samples[place] for place in joining], tokens.pad, prefixes)
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
        for place in owners:
            if place in outputs and (outputs[place][-1] == tokens.eos or len(outputs[place]) == limit):
                draws.pop(place, None)
                yield place, outputs.pop(place)


def start_samples(
    model: ResponseModel, samples: list[Sample], pad_token_id: int, prefixes: RecentPrefixes
) -> tuple[Tensor, Rows]:
    """`start` for some prompts; a schema in `prefixes`, or one that several of them share, runs once."""
    places = list(range(len(samples)))
    batch = collate(samples, [0.0] * len(samples), places, pad_token_id, True, prefixes).to(model.device)
    prefix = encode_teacher_prompts(RunConfig(), model, batch)
    return start(model, batch.teacher or batch, prefix, places)
