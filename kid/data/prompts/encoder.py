"""The token ids of prompts, part by part, so that what prompts share is tokenised, and run, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kid.data.encoding import bos_ids, encode_continuations, encode_texts
from kid.data.prompts.chat import chat_turn, token_splitter, write_turns
from kid.data.prompts.formats import FORMATS
from kid.data.questions import Question
from kid.data.schema import Column, Schema, Table
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# A schema to try a chat template with.
EXAMPLE = Schema("d", (Table("t", (Column("id", "number", "text", True, ("it's", "1")),)),), (("t", "id", "t", "id"),))


class FormSettings(Protocol):
    """The keys of a run that the form of a prompt depends on."""

    @property
    def prompt(self) -> str: ...
    @property
    def evidence(self) -> bool: ...
    @property
    def chat_template(self) -> str: ...


class PromptEncoder:
    """Writes and encodes the parts of prompts in one form. All its lists of ids are without padding.

    Together the parts have the ids of the whole text; in a chat template, those of transformers' `apply_chat_template`.
    A special token that is spelt out in a part stays text.

    opening: ids of the start of every prompt: what the chat template writes before the user's text, or BOS if there is
        no template and the tokenizer adds it; then the format's OPENING.
    end: id of the token that ends an output.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: FormSettings):
        """Raises InputError if the chat template cannot be used with prompts in parts."""
        self.tokenizer, self.format, self.evidence = tokenizer, FORMATS[settings.prompt], settings.evidence
        self.turn = chat_turn(tokenizer, settings.chat_template)
        self.blanks = ""  # before the schema: tokenizers join a blank with the word after it
        if self.turn is None:
            self.opening, self.end = bos_ids(tokenizer), tokenizer.eos_token_id
            if self.format.OPENING:
                self.opening += encode_texts(tokenizer, [self.format.OPENING])[0]
            self.before_schema, self.before_output = "\n" if self.format.OPENING else "", "\n"
            return
        self.end = tokenizer.convert_tokens_to_ids(self.turn.end)
        self.split_tokens = token_splitter(tokenizer)
        whole = self.turn.opening + self.format.OPENING
        opening = whole.rstrip(" ")
        self.blanks = whole[len(opening) :]
        self.opening = tokenizer(opening, add_special_tokens=False).input_ids
        self.before_schema, self.before_output = map(self.context_after, (opening, self.turn.closing))
        self.check_template()

    def context_after(self, text: str) -> str:
        """The end of a text that what follows is tokenised with: a line break, else all after the last added token."""
        return "\n" if text.endswith("\n") else self.split_tokens(text)[-1]

    def check_template(self) -> None:
        """Raise InputError if an example in parts has other ids than as a whole."""
        question = Question(0, "d", "What's it?", query="", evidence="it is 1")
        parts = [self.schemas([EXAMPLE]), self.matched([EXAMPLE], [{("t", "id"): ["1"]}]), self.questions([question])]
        text = self.format.OPENING + self.format.schema_part(EXAMPLE)
        text += self.format.matched_part(EXAMPLE, {("t", "id"): ["1"]}) + self.question_text(question)
        whole = write_turns(self.tokenizer, [("user", text.removesuffix("\n"))], answer_follows=True)
        ids = self.tokenizer(whole, add_special_tokens=False).input_ids
        if sum((part for (part,) in parts), self.opening) != ids:
            raise InputError(
                "--chat-template auto: the tokenizer joins a token of its chat template with one of the prompt, so "
                "that prompts cannot share a schema; give --chat-template none"
            )

    def schemas(self, schemas: Sequence[Schema]) -> list[list[int]]:
        """Ids of each schema's part."""
        texts = [self.blanks + self.format.schema_part(schema) for schema in schemas]
        return encode_continuations(self.tokenizer, texts, self.before_schema)

    def matched(self, schemas: Sequence[Schema], matches: Sequence[dict]) -> list[list[int]]:
        """Ids of the values that each question mentions, with the schema that its prompt shows."""
        texts = [self.format.matched_part(schema, own) for schema, own in zip(schemas, matches, strict=True)]
        return encode_continuations(self.tokenizer, texts)

    def questions(self, questions: Sequence[Question]) -> list[list[int]]:
        """Ids of each question's part, up to where the SQL begins."""
        texts = [self.question_text(question) for question in questions]
        if self.turn is None:
            return encode_continuations(self.tokenizer, texts)
        text, *markers = self.split_tokens(self.turn.closing)
        rest = self.tokenizer("".join(markers), add_special_tokens=False).input_ids if markers else []
        ids = encode_continuations(self.tokenizer, [each.removesuffix("\n") + text for each in texts])
        return [[*own, *rest] for own in ids]

    def conversation(self, question: Question) -> list[int]:
        """Ids of the turns before the output of a conversation. Raises InputError without a chat template."""
        if self.turn is None:
            raise InputError(
                f"question {question.index} is a conversation (messages), and the tokenizer has no chat template to "
                "write it; take a model that has one, or lines with prompt and completion"
            )
        whole = write_turns(self.tokenizer, question.messages, answer_follows=True)
        return self.tokenizer(whole, add_special_tokens=False).input_ids

    def outputs(self, queries: Sequence[str]) -> list[list[int]]:
        """Ids of each SQL after its prompt, with the token that ends it."""
        ids = encode_continuations(self.tokenizer, list(queries), self.before_output)
        return [[*query, self.end] for query in ids]

    def question_text(self, question: Question) -> str:
        return self.format.question_part(question.question, question.evidence if self.evidence else "")
