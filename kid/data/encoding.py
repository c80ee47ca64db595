"""Tokenise the parts of a prompt so that their ids together equal those of the whole text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class EncodedPrompt:
    """Token ids of a prompt.

    shared: how many of the first ids are opening and schema, the same for all questions on a schema.
    cut: tokens cut from the left of schema and matched contents to keep the limit.
    """

    ids: list[int]
    shared: int
    cut: int


def bos_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """[BOS] if the tokenizer itself puts it before a text (LLaMA), else [] (Qwen, CodeGen)."""
    bos = [tokenizer.bos_token_id]
    return bos if tokenizer("a").input_ids[:1] == bos else []


def encode_texts(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Ids of each text on its own, without special tokens even where the text spells one (a cell `</s>` is no EOS)."""
    if not texts:
        return []
    return tokenizer(texts, add_special_tokens=False, split_special_tokens=True).input_ids


def encode_continuations(tokenizer: PreTrainedTokenizerFast, texts: list[str], after: str = "\n") -> list[list[int]]:
    """Ids of each text as it is tokenised after a line break, or after another text without special tokens.

    On its own, a LLaMA tokenizer would put a blank before the text, as at the start of a document.
    """
    if not after:
        return encode_texts(tokenizer, texts)
    (before,) = encode_texts(tokenizer, [after])
    together = encode_texts(tokenizer, [f"{after}{text}" for text in texts])
    alone = encode_texts(tokenizer, texts)
    size = len(before)
    # A tokenizer that merges a line break with what follows has no such boundary: then each part is tokenised alone.
    return [
        joined[size:] if joined[:size] == before else single for joined, single in zip(together, alone, strict=True)
    ]


def join_prompt(
    opening: list[int], schema: list[int], matched: list[int], question: list[int], limit: int
) -> EncodedPrompt:
    """The prompt, cut to `limit` tokens from the left of schema and matched contents.

    Opening (BOS among it) and question are never cut, so they can make a prompt longer than the limit.
    """
    room = max(0, limit - len(opening) - len(question))
    cut = max(0, len(schema) + len(matched) - room)
    context = (schema + matched)[cut:]
    return EncodedPrompt(opening + context + question, len(opening) + max(0, len(schema) - cut), cut)
