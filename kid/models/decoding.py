"""Autoregressive decoding: on-policy outputs of the student, a teacher's fixed outputs, samples for exposure bias.

Tokens are drawn by inverting the distribution function at uniform numbers that the caller brings, one for each row and
token, so that what is drawn for a sample does not depend on the batch it is decoded in, nor on a rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kid.data.batching import Batch
from kid.models.prefix_cache import PrefixCache
from kid.models.pretrained import TokenIds
from kid.models.zero3 import bare_module
from kid.randomness import draw_tokens


@torch.no_grad()
def decode(
    forward: Callable[..., Tensor],
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

    A row that has ended leaves the batch, unless the model keeps something of it elsewhere than in the cache.

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
    chosen = torch.tensor(rows, device=uniforms.device)
    at = slice(prefix.width, batch.prompt_width)
    ids, positions = batch.input_ids[chosen, at], batch.position_ids[chosen, at]
    attention_mask = batch.attention_mask[chosen, : at.stop]
    prefix = prefix if len(rows) == len(batch.samples) else prefix.select(chosen)
    cache = prefix.new_cache(bare_module(forward).causal_lm)
    outputs: list[list[int]] = [[] for _ in rows]
    owners = list(range(len(rows)))  # the output that each row still in the batch belongs to
    ended: set[int] = set()  # outputs
    for place in range(uniforms.shape[1]):
        width = ids.shape[1]
        last = torch.arange(len(ids), device=ids.device) * width + width - 1
        logits = forward(ids, attention_mask, positions, last, cache)
        drawn = draw_tokens(logits[:, : tokens.count], uniforms[:, place], temperature, top_p)
        for output, token in zip(owners, drawn.tolist(), strict=True):
            if output not in ended:
                outputs[output].append(token)
                ended |= {output} if token == tokens.eos else set()
        unfinished = len(rows) - len(ended)
        if together:
            count = torch.tensor(unfinished, device=ids.device)
            torch.distributed.all_reduce(count)
            unfinished = int(count)
        if unfinished == 0:
            break
        ids, positions = drawn[:, None], positions[:, -1:] + 1
        attention_mask = torch.cat([attention_mask, torch.ones_like(ids)], dim=1)
        # While other ranks continue, one row stays to take part in their forwards.
        stay = [row for row, output in enumerate(owners) if output not in ended] or [0]
        if len(stay) < len(owners) and bare_module(forward).prefix_unsupported_reason is None:
            owners, kept = [owners[row] for row in stay], torch.tensor(stay, device=ids.device)
            ids, positions, attention_mask, uniforms = (t[kept] for t in (ids, positions, attention_mask, uniforms))
            cache.reorder_cache(kept)
    return outputs
