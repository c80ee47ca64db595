"""The token ids of prompts: of each part for itself, so that what prompts share is tokenised, and run, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kid.data.encoding import bos_ids, encode_continuations, encode_texts
from kid.data.prompts.formats import FORMATS
from kid.data.questions import Question
from kid.data.schema import Schema

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class PromptEncoder:
    """Writes and encodes the parts of prompts in one format. All its lists of ids are without padding.

    opening: ids of what every prompt begins with, with BOS where the tokenizer puts it before a text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, prompt: str, evidence: bool):
        """prompt: a name in `FORMATS`. evidence: whether the evidence of a question is written."""
        self.tokenizer, self.format, self.evidence = tokenizer, FORMATS[prompt], evidence
        self.opening = bos_ids(tokenizer)
        if self.format.OPENING:
            self.opening += encode_texts(tokenizer, [self.format.OPENING])[0]

    def schemas(self, schemas: Sequence[Schema]) -> list[list[int]]:
        """Ids of each schema's part."""
        encode = encode_continuations if self.format.OPENING else encode_texts
        return encode(self.tokenizer, [self.format.schema_part(schema) for schema in schemas])

    def matched(self, schemas: Sequence[Schema], matches: Sequence[dict]) -> list[list[int]]:
        """Ids of the values that each question mentions, with the schema that its prompt shows."""
        texts = [self.format.matched_part(schema, own) for schema, own in zip(schemas, matches, strict=True)]
        return encode_continuations(self.tokenizer, texts)

    def questions(self, questions: Sequence[Question]) -> list[list[int]]:
        """Ids of each question's part, up to where the SQL begins."""
        return encode_continuations(self.tokenizer, [self.question_text(question) for question in questions])

    def outputs(self, queries: Sequence[str]) -> list[list[int]]:
        """Ids of each SQL after its prompt, with EOS."""
        ids = encode_continuations(self.tokenizer, list(queries))
        return [[*query, self.tokenizer.eos_token_id] for query in ids]

    def question_text(self, question: Question) -> str:
        return self.format.question_part(question.question, question.evidence if self.evidence else "")
