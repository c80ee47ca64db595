"""The formats of prompts by name, and what each of their modules provides."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from kid.config.run_config import PROMPTS
from kid.data.schema import Schema


class PromptFormat(Protocol):
    """A prompt is OPENING, schema, matched values and question; the SQL follows on the next line.

    Each part ends with a line break or is empty, and begins with neither a line break nor a blank: tokenised one by
    one, the parts have the ids of the whole text. What is over `--max-prompt-length` is cut from the left of schema
    and matched values, never from OPENING or from the question.
    """

    OPENING: str

    def schema_part(self, schema: Schema) -> str:
        """What all questions on a database share."""

    def matched_part(self, schema: Schema, matches: dict[tuple[str, str], list[str]]) -> str:
        """Values of the columns in the schema that the question mentions; (table, column) -> values."""

    def question_part(self, question: str, evidence: str = "") -> str:
        """Evidence and question, each on one line with single blanks, and what asks for the SQL."""


FORMATS = {name: cast(PromptFormat, import_module(f"kid.data.prompts.{name.replace('-', '_')}")) for name in PROMPTS}
