"""The text that a chat template writes around a prompt, which is the user's turn; the SQL is the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from kid.config.templates import is_template
from kid.data.prompts.template import line_of
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PROMPT, ANSWER = "the text\nof a prompt", "the text\nof an answer"  # looked for in the template's output
# Replaces today's date, which some templates write, so that a model reads the same prompts every day.
DATE = date(2024, 7, 26)
TODAY = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")


@dataclass(frozen=True)
class ChatTurn:
    """Where a chat template puts a prompt.

    opening: the text before it: BOS if the template writes it, a system turn, the user's marker.
    closing: the text between the prompt and the model's answer.
    end: the token that ends an answer.
    """

    opening: str
    closing: str
    end: str

    def around(self, prompt: str) -> str:
        """A prompt without its last line break, and what the template writes around it."""
        return self.opening + prompt.removesuffix("\n") + self.closing


def named(chat_template: str) -> str:
    """A chat template's name for messages."""
    return "--chat-template FILE" if is_template(chat_template) else f"--chat-template {chat_template}"


def write_turns(
    tokenizer: PreTrainedTokenizerFast, chat_template: str, turns: Sequence[tuple[str, str]], answer_follows: bool
) -> str:
    """A conversation, as (role, text) pairs, as a chat template writes it, without a thinking phase.

    Args:
        chat_template: as in `chat_turn`, but not "none".

    Raises:
        InputError: the template fails, or the tokenizer has several and none is the default.
    """
    messages = [{"role": role, "content": text} for role, text in turns]
    try:
        source = chat_template if is_template(chat_template) else tokenizer.get_chat_template()
        template = TODAY.sub(lambda call: f"'{DATE.strftime(call[2])}'", source)
        written: Any = tokenizer.apply_chat_template(
            messages,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=answer_follows,
            enable_thinking=False,
        )
    except Exception as error:  # whatever the template's expressions raise
        reason = line_of(error) + str(error).strip().split("\n")[0]
        raise InputError(
            f"{named(chat_template)}: the chat template fails ({reason}); give another, or --chat-template none"
        ) from None
    return written


def chat_turn(tokenizer: PreTrainedTokenizerFast, chat_template: str) -> ChatTurn | None:
    """What a chat template writes around a prompt; None for "none", and for "auto" if the tokenizer has no template.

    Args:
        chat_template: "none", "auto" for the tokenizer's own, or a template's text.

    Raises:
        InputError: the template fails, or changes or repeats what the user says.
    """
    if chat_template == "none" or not (is_template(chat_template) or getattr(tokenizer, "chat_template", None)):
        return None
    asked = write_turns(tokenizer, chat_template, [("user", PROMPT)], answer_follows=True)
    opening, _, closing = asked.partition(PROMPT)
    if asked.count(PROMPT) != 1:
        raise InputError(
            f"{named(chat_template)}: the chat template does not write the user's text once and as it is; give "
            "another, or --chat-template none"
        )
    turns = [("user", PROMPT), ("assistant", ANSWER)]
    answered = write_turns(tokenizer, chat_template, turns, answer_follows=False)
    after = answered.rpartition(ANSWER)[2].lstrip()
    ends = [token for token in added_tokens(tokenizer) if after.startswith(token) and not token.isspace()]
    return ChatTurn(opening, closing, max(ends, key=len, default=str(tokenizer.eos_token)))


def added_tokens(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The tokens at which the tokenizer splits a text first; special tokens are among them."""
    return [token.content for token in tokenizer.added_tokens_decoder.values()]


def special_tokens(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The texts of the special tokens."""
    return [token.content for token in getattr(tokenizer, "added_tokens_decoder", {}).values() if token.special]


def token_splitter(tokenizer: PreTrainedTokenizerFast) -> Callable[[str], list[str]]:
    """A function that splits a text at the added tokens and keeps them, at odd places."""
    tokens = sorted(added_tokens(tokenizer), key=len, reverse=True)
    if not tokens:
        return lambda text: [text]
    return re.compile(f"({'|'.join(map(re.escape, tokens))})").split


def end_outputs_with_turn(tokenizer: PreTrainedTokenizerFast, chat_template: str) -> None:
    """Make the token that ends an answer the tokenizer's EOS, for decoding, masking and the saved tokenizer.

    A template of the user's own becomes the tokenizer's, so that it is saved too. Raises InputError as `chat_turn`.
    """
    turn = chat_turn(tokenizer, chat_template)
    if is_template(chat_template):
        tokenizer.chat_template = chat_template
    if turn and turn.end != tokenizer.eos_token:
        tokenizer.add_special_tokens({"eos_token": turn.end})
