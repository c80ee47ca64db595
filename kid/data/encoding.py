"""Tokenise the parts of a prompt so that their ids, joined, equal those of the whole text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class EncodedPrompt:
    """Token ids of a prompt.

    shared: length of the prefix of opening and schema, which is the same for all questions on a schema.
    cut: number of tokens cut from the left of schema and matched contents to meet the limit.
    """

    ids: list[int]
    shared: int
    cut: int


@dataclass(frozen=True)
class WholePrompt:
    """Token ids of a prompt of any length.

    shared: as in `EncodedPrompt`.
    start, end: the ids that may be cut, from the left: those of schema and matched contents, without opening (with BOS)
        and question.
    """

    ids: list[int]
    shared: int
    start: int
    end: int

    def cut_to(self, limit: int) -> EncodedPrompt:
        """Cut the prompt to `limit` tokens; it is longer if what may not be cut is."""
        cut = min(max(0, len(self.ids) - limit), self.end - self.start)
        ids = self.ids[: self.start] + self.ids[self.start + cut :]
        shared = self.shared if self.shared <= self.start else max(self.start, self.shared - cut)
        return EncodedPrompt(ids, shared, cut)


def bos_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """[BOS] if the tokenizer adds it before a text (LLaMA), otherwise [] (Qwen, CodeGen)."""
    bos = [tokenizer.bos_token_id]
    return bos if tokenizer("a").input_ids[:1] == bos else []


def encode_texts(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Ids of each text, without special tokens; a text that spells one, such as a cell `</s>`, is not EOS either."""
    if not texts:
        return []
    return tokenizer(texts, add_special_tokens=False, split_special_tokens=True).input_ids


def encode_continuations(tokenizer: PreTrainedTokenizerFast, texts: list[str], after: str = "\n") -> list[list[int]]:
    """Ids of each text as it is tokenised after a line break, or after another text without special tokens.

    A LLaMA tokenizer would put a blank before a separate text, as at the start of a document.
    """
    if not after:
        return encode_texts(tokenizer, texts)
    (before,) = encode_texts(tokenizer, [after])
    together = encode_texts(tokenizer, [f"{after}{text}" for text in texts])
    alone = encode_texts(tokenizer, texts)
    size = len(before)
    # If the tokenizer merges the line break with the text after it, use the ids of the separate text.
    return [
        joined[size:] if joined[:size] == before else single for joined, single in zip(together, alone, strict=True)
    ]
