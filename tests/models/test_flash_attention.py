"""Prompts run once under flash-attention 2, as far as it goes without a GPU.

transformers unpads queries and keys for its kernels by rules of its own (queries by the last columns of the mask,
causal from the bottom right). Those rules run here as they are; only the kernels are replaced, by what their
documentation says they compute.
"""

import pytest
import torch
import transformers.modeling_flash_attention_utils as flash
from helpers.shared_prompts import HOW, assert_same, of_family, step_of
from helpers.steps import configuration
from transformers.integrations import flash_attention

from kid.config.methods import GOLD, IMPERFECT, ON_POLICY

pytestmark = pytest.mark.usefixtures("one_rank")


CALLS: list[tuple[int, int]] = []  # most queries and most keys of a sequence


def attend(queries, keys, values, causal, scale):
    """[tokens, heads, size] each; the last query stands beside the last key."""
    groups = queries.shape[1] // keys.shape[1]
    keys, values = (states.repeat_interleave(groups, dim=1) for states in (keys, values))
    scores = torch.einsum("qhd,khd->hqk", queries, keys) * scale
    if causal:
        seen = torch.ones(len(queries), len(keys), dtype=torch.bool).tril(len(keys) - len(queries))
        scores = scores.masked_fill(~seen, -torch.inf)
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), values)


def flash_attn_func(q, k, v, dropout_p=0.0, softmax_scale=None, causal=False, **_):
    return torch.stack([attend(*row, causal, softmax_scale) for row in zip(q, k, v, strict=True)])


def flash_attn_varlen_func(
    q,
    k,
    v,
    cu_seqlens_q,
    cu_seqlens_k,
    max_seqlen_q,
    max_seqlen_k,
    dropout_p=0.0,
    softmax_scale=None,
    causal=False,
    **_,
):
    CALLS.append((max_seqlen_q, max_seqlen_k))
    ends = zip(cu_seqlens_q[:-1], cu_seqlens_q[1:], cu_seqlens_k[:-1], cu_seqlens_k[1:], strict=True)
    return torch.cat([attend(q[a:b], k[c:d], v[c:d], causal, softmax_scale) for a, b, c, d in ends])


@pytest.fixture
def kernels(monkeypatch):
    functions = (flash_attn_func, flash_attn_varlen_func, None, flash._pad_input, flash._unpad_input)
    processing = (flash._lazy_define_process_function(flash_attn_varlen_func), None)
    monkeypatch.setattr(flash, "lazy_import_flash_attention", lambda *_, **__: (functions, processing))
    monkeypatch.setattr(flash_attention, "_use_top_left_mask", False)  # since flash-attention 2.1
    CALLS.clear()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source"), [("kid", IMPERFECT), ("rkd", GOLD), ("gkd-rkl", ON_POLICY)])
@pytest.mark.parametrize("family", ["qwen", "llama"])
def test_a_step_is_that_of_whole_sequences(family, method, source, how, kernels):
    student, teacher = of_family(family, 0, lora=True), of_family(family, 1, lora=False)
    how = {**how, "micro_batch_size": 4, "mask_ratio": 0.5}
    whole = step_of(configuration(method, **how, prefix="off"), source, student, teacher)
    for model in (student, teacher):
        model.causal_lm.config._attn_implementation = "flash_attention_2"
    assert_same(step_of(configuration(method, **how, prefix="off"), source, student, teacher), whole, 1e-5)
    assert CALLS and all(queries == keys for queries, keys in CALLS if queries > 1)
    CALLS.clear()
    assert_same(step_of(configuration(method, **how), source, student, teacher), whole, 1e-5)
    branched = any(1 < queries < keys for queries, keys in CALLS)
    assert branched or (source == GOLD and how["batching"] == "random")
