"""From the parts of a prompt to token ids, the same as those of the whole text at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EncodedPrompt:
    """Ids of a prompt; the first `shared` of them are BOS and schema, the same for all questions on a schema.

    `cut`: tokens that the limit took from the left of schema and matched contents.
    """

    ids: list[int]
    shared: int
    cut: int


def beginning(tokenizer) -> list[int]:
    """[BOS] where the tokenizer itself begins a text with it (LLaMA), else nothing (Qwen, CodeGen)."""
    bos = [tokenizer.bos_token_id]
    return bos if tokenizer("a").input_ids[:1] == bos else []


def encode_texts(tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids of each text by itself, without special tokens, also where the text spells one (a cell `</s>` is no EOS)."""
    if not texts:
        return []
    return tokenizer(texts, add_special_tokens=False, split_special_tokens=True).input_ids


def encode_continuations(tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids of each text as they are after a line break.

    By itself a LLaMA tokenizer would put a blank before the text, as it does at the start of a document.
    """
    (line_break,) = encode_texts(tokenizer, ["\n"])
    together = encode_texts(tokenizer, [f"\n{text}" for text in texts])
    alone = encode_texts(tokenizer, texts)
    size = len(line_break)
    # A tokenizer that joins a line break to what follows has no such boundary: then each part stands for itself.
    return [
        joined[size:] if joined[:size] == line_break else single for joined, single in zip(together, alone, strict=True)
    ]


def join_prompt(
    bos: list[int], schema: list[int], matched: list[int], question: list[int], limit: int
) -> EncodedPrompt:
    """The prompt within `limit` tokens: what is too much is cut from the left of schema and matched contents.

    BOS and question stay whole, so a question longer than the limit makes a prompt longer than the limit.
    """
    room = max(0, limit - len(bos) - len(question))
    cut = max(0, len(schema) + len(matched) - room)
    context = (schema + matched)[cut:]
    return EncodedPrompt(bos + context + question, len(bos) + max(0, len(schema) - cut), cut)
