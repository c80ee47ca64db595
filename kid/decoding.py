"""Autoregressive decoding: on-policy outputs of the student, fixed outputs of a teacher.

Tokens are drawn by inverting the distribution function at uniform numbers that the caller brings, one for each row and
token, so that what is drawn for a sample does not depend on the batch it is decoded in, nor on a rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig

from kid.data.batching import pad_left
from kid.pretrained import TokenIds


def draw_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token for each row.

    Args:
        logits: [N, V].
        uniforms: float64 [N], in [0, 1).
        temperature: of the distribution; 0: the most probable token.
        top_p: only the most probable tokens that together reach this probability may be drawn; 1: all.

    Returns:
        int64 [N].
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    # float64: over 150,000 tokens the rounding of an fp32 running sum is larger than many probabilities.
    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    if top_p < 1:
        probabilities, ids = probabilities.sort(dim=-1, descending=True, stable=True)
        more_probable = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(more_probable >= top_p, 0.0)
    cumulative = probabilities.cumsum(-1)
    wanted = uniforms[:, None] * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, wanted, right=True).clamp(max=logits.shape[-1] - 1)
    return (ids.gather(1, drawn) if top_p < 1 else drawn).squeeze(1)


def every_row_has_ended(ended: Tensor, together: bool) -> bool:
    """Of this rank, or of all ranks."""
    going_on = (~ended).sum()
    if together:
        torch.distributed.all_reduce(going_on)
    return going_on.item() == 0


@torch.no_grad()
def decode(
    forward: Callable[..., Tensor],
    config: PreTrainedConfig,
    prompts: Sequence[list[int]],
    uniforms: Tensor,
    *,
    tokens: TokenIds,
    temperature: float,
    top_p: float,
    together: bool = False,
) -> list[list[int]]:
    """Outputs of a batch of prompts, token by token against a KV cache.

    Args:
        forward: a `kid.models.ResponseModel` or its engine, in eval mode.
        config: the model's configuration, by which its KV cache is laid out.
        prompts: token ids of each, B of them, none empty.
        uniforms: float64 [B, T] in [0, 1), on the model's device; at most T tokens are decoded.
        tokens: the tokenizer's ids; only those it has are drawn.
        temperature, top_p: see `draw_tokens`.
        together: each forward is a collective (a ZeRO-3 engine): every rank goes on until all ranks are done.

    Returns:
        Token ids of each output. Its last one is EOS, and only that, unless T tokens came without one.
    """
    device = uniforms.device
    ids, attention_mask = (tensor.to(device) for tensor in pad_left(prompts, tokens.pad))
    positions = (attention_mask.cumsum(1) - 1).clamp(min=0)
    rows = torch.arange(len(prompts), device=device)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    cache, written = DynamicCache(config=config), []
    for token_uniforms in uniforms.unbind(1):
        width = ids.shape[1]
        logits = forward(ids, attention_mask, positions, rows * width + width - 1, cache)
        # What a row draws after its EOS is cut off below.
        drawn = draw_tokens(logits[:, : tokens.count], token_uniforms, temperature, top_p)
        written.append(drawn)
        ended = ended | (drawn == tokens.eos)
        if every_row_has_ended(ended, together):
            break
        ids, positions = drawn[:, None], positions[:, -1:] + 1
        attention_mask = torch.cat([attention_mask, torch.ones_like(ids)], dim=1)
    outputs = torch.stack(written, dim=1).tolist()
    return [row[: row.index(tokens.eos) + 1] if tokens.eos in row else row for row in outputs]
