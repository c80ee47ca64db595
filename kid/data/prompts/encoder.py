"""The token ids of prompts, so that what prompts share is tokenised, and run, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from kid.config.templates import is_template
from kid.data.encoding import EncodedPrompt, WholePrompt, bos_ids, encode_continuations, encode_texts
from kid.data.prompts.chat import chat_turn, named, special_tokens, token_splitter, write_turns
from kid.data.prompts.template import EXAMPLE, OTHER, PROBES, find_form, prompt_text, written_matches
from kid.data.questions import Question
from kid.data.schema import Schema
from kid.data.sharing import common_prefix_length
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Matches = dict[tuple[str, str], list[str]]  # (table, column) -> values that the question mentions


class FormSettings(Protocol):
    """The keys of a run that the form of a prompt depends on."""

    @property
    def prompt(self) -> str: ...
    @property
    def evidence(self) -> bool: ...
    @property
    def chat_template(self) -> str: ...


class PromptEncoder:
    """Encodes prompts in one of KID's own formats, in a chat template or without, part by part.

    Together the parts have the ids of the whole text; in a chat template, those of transformers' `apply_chat_template`.
    A special token that is spelt out in a part stays text.

    opening: ids of the start of every prompt: what the chat template writes before the user's text, or BOS if there is
        no template and the tokenizer adds it; then the format's OPENING.
    end: id of the token that ends an output.
    """

    form: Any  # a PromptFormat; in TemplateEncoder, a PromptTemplate

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: FormSettings):
        """Raises InputError if the chat template cannot be used with prompts in parts."""
        self.tokenizer, self.settings, self.form = tokenizer, settings, find_form(settings.prompt)
        self.turn = chat_turn(tokenizer, settings.chat_template)
        self.blanks = ""  # before the schema: tokenizers join a blank with the word after it
        self.closing: list[int] = []  # ids after the last part, from the chat template's first marker on
        if self.turn is None:
            self.opening, self.end = bos_ids(tokenizer), tokenizer.eos_token_id
            if self.form.OPENING:
                self.opening += encode_texts(tokenizer, [self.form.OPENING])[0]
            self.before_schema, self.before_output = "\n" if self.form.OPENING else "", "\n"
            return
        self.end = tokenizer.convert_tokens_to_ids(self.turn.end)
        self.split_tokens = token_splitter(tokenizer)
        whole = self.turn.opening + self.form.OPENING
        opening = whole.rstrip(" ")
        self.blanks = whole[len(opening) :]
        self.opening = tokenizer(opening, add_special_tokens=False).input_ids
        self.before_schema, self.before_output = map(self.context_after, (opening, self.turn.closing))
        self.closing_text, *markers = self.split_tokens(self.turn.closing)
        if markers:
            self.closing = tokenizer("".join(markers), add_special_tokens=False).input_ids
        self.check_chat_template()

    def context_after(self, text: str) -> str:
        """The end of a text that what follows is tokenised with: a line break, else all after the last added token."""
        return "\n" if text.endswith("\n") else self.split_tokens(text)[-1]

    def check_chat_template(self) -> None:
        """Raise InputError if an example in parts has other ids than as a whole."""
        question, matches = Question(0, "d", "What's it?", query="", evidence="it is 1"), {("t", "id"): ["1"]}
        text = prompt_text(self.settings.prompt, EXAMPLE, matches, question.question, self.evidence_of(question))
        turns, chat_template = [("user", text.removesuffix("\n"))], self.settings.chat_template
        whole = write_turns(self.tokenizer, chat_template, turns, answer_follows=True)
        ids = self.tokenizer(whole, add_special_tokens=False).input_ids
        if self.prompts([EXAMPLE], [matches], [question])[0].ids != ids:
            raise InputError(
                f"{named(chat_template)}: the tokenizer joins a token of the chat template with one of the prompt, so "
                "that prompts cannot share a schema; give --chat-template none"
            )

    def evidence_of(self, question: Question) -> str:
        return question.evidence if self.settings.evidence else ""

    def schemas(self, schemas: Sequence[Schema]) -> list[list[int]]:
        """Ids of each schema's part."""
        texts = [self.blanks + self.form.schema_part(schema) for schema in schemas]
        return encode_continuations(self.tokenizer, texts, self.before_schema)

    def matched(self, schemas: Sequence[Schema], matches: Sequence[Matches]) -> list[list[int]]:
        """Ids of the values that each question mentions, with the schema that its prompt shows."""
        texts = [self.form.matched_part(schema, own) for schema, own in zip(schemas, matches, strict=True)]
        return encode_continuations(self.tokenizer, texts)

    def questions(self, questions: Sequence[Question]) -> list[list[int]]:
        """Ids of each question's part, up to where the SQL begins."""
        texts = [self.form.question_part(question.question, self.evidence_of(question)) for question in questions]
        return [[*own, *self.closing] for own in encode_continuations(self.tokenizer, self.before_markers(texts))]

    def before_markers(self, texts: list[str]) -> list[str]:
        """The ends of prompts, with the text between them and the first marker of the chat template's closing."""
        return [text.removesuffix("\n") + self.closing_text for text in texts] if self.turn else texts

    def prompts(
        self, schemas: Sequence[Schema], matches: Sequence[Matches], questions: Sequence[Question]
    ) -> list[WholePrompt]:
        """Encode the prompt of each question with its schema and matches, without a limit."""
        distinct = list({id(schema): schema for schema in schemas}.values())
        ids = dict(zip(map(id, distinct), self.schemas(distinct), strict=True))
        found = []
        for schema, values, own in zip(schemas, self.matched(schemas, matches), self.questions(questions), strict=True):
            shared = self.opening + ids[id(schema)]
            whole = shared + values + own
            found.append(WholePrompt(whole, len(shared), len(self.opening), len(shared + values)))
        return found

    def cut(
        self, prompt: WholePrompt, schema: Schema, matches: Matches, question: Question, limit: int
    ) -> EncodedPrompt:
        """Cut a prompt to the limit from the left of its schema. The other arguments are what it was encoded from."""
        return prompt.cut_to(limit)

    def conversation(self, question: Question) -> list[int]:
        """Ids of the turns before the output of a conversation. Raises InputError without a chat template."""
        if self.turn is None:
            raise InputError(
                f"question {question.index} is a conversation (messages), and the tokenizer has no chat template to "
                "write it; take a model that has one, or lines with prompt and completion"
            )
        whole = write_turns(self.tokenizer, self.settings.chat_template, question.messages, answer_follows=True)
        return self.tokenizer(whole, add_special_tokens=False).input_ids

    def outputs(self, queries: Sequence[str]) -> list[list[int]]:
        """Ids of each SQL after its prompt, with the token that ends it."""
        ids = encode_continuations(self.tokenizer, list(queries), self.before_output)
        return [[*query, self.end] for query in ids]


class TemplateEncoder(PromptEncoder):
    """Encodes prompts in a template of the user's own: each whole, as nothing is known of its parts.

    What prompts share, and what may be cut, is found by comparing the ids of prompts that differ in one thing.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: FormSettings):
        """Raises InputError as `PromptEncoder`, or if the template writes a special token."""
        template: Any = find_form(settings.prompt)
        example = template.render(EXAMPLE, *PROBES[1])
        for token in special_tokens(tokenizer):
            if token in example:
                raise InputError(
                    f"--prompt: the template, {template.line_with(token)}{token} is a special token of the tokenizer; "
                    "remove it: the tokenizer adds BOS itself, and --chat-template writes the markers of a chat"
                )
        super().__init__(tokenizer, settings)

    def encode(self, texts: list[str]) -> list[list[int]]:
        texts = [self.blanks + text for text in self.before_markers(texts)]
        ids = encode_continuations(self.tokenizer, texts, self.before_schema)
        return [self.opening + own + self.closing for own in ids]

    def beginning(self, schema: Schema) -> list[int]:
        """The ids that all prompts with this schema begin with."""
        one, other = self.encode([self.form.render(schema, *probe) for probe in PROBES])
        return one[: common_prefix_length(one, other)]

    def text(self, schema: Schema, matches: Matches, question: Question) -> str:
        return self.form.render(schema, written_matches(schema, matches), question.question, self.evidence_of(question))

    def prompts(
        self, schemas: Sequence[Schema], matches: Sequence[Matches], questions: Sequence[Question]
    ) -> list[WholePrompt]:
        beginnings = {key: self.beginning(schema) for key, schema in {id(one): one for one in schemas}.items()}
        ids = self.encode([self.text(*parts) for parts in zip(schemas, matches, questions, strict=True)])
        shared = [common_prefix_length(own, beginnings[id(one)]) for own, one in zip(ids, schemas, strict=True)]
        return [WholePrompt(own, length, length, length) for own, length in zip(ids, shared, strict=True)]

    def cut(
        self, prompt: WholePrompt, schema: Schema, matches: Matches, question: Question, limit: int
    ) -> EncodedPrompt:
        """Cut the schema, that is, the ids that differ with another one; nothing that differs with the question."""
        if len(prompt.ids) <= limit:
            return prompt.cut_to(limit)
        values, evidence = written_matches(schema, matches), self.evidence_of(question)
        texts = [self.form.render(OTHER, values, question.question, evidence)]
        texts += [self.form.render(schema, values, *asked) for _, *asked in PROBES]
        schema_at, *question_at = [differing(prompt.ids, other) for other in self.encode(texts)]
        asked, answered = min(start for start, _ in question_at), max(end for _, end in question_at)
        # A template may write some of the schema before the question, and some after it: cut the longer part.
        parts = [(schema_at[0], min(schema_at[1], asked)), (max(schema_at[0], answered), schema_at[1])]
        start, end = max(parts, key=lambda part: part[1] - part[0])
        return replace(prompt, start=start, end=max(start, end)).cut_to(limit)


def differing(ids: list[int], other: list[int]) -> tuple[int, int]:
    """(start, end) of the ids that are neither in the common beginning of two prompts nor in their common end."""
    start = common_prefix_length(ids, other)
    return start, max(start, len(ids) - common_prefix_length(ids[::-1], other[::-1]))


def prompt_encoder(tokenizer: PreTrainedTokenizerFast, settings: FormSettings) -> PromptEncoder:
    """The encoder for the prompts of a run. Raises InputError as its class."""
    return (TemplateEncoder if is_template(settings.prompt) else PromptEncoder)(tokenizer, settings)
