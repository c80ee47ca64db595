"""Answer questions on a SQLite file: build the prompt, decode the model's SQL and run it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kid.config.recipe import merge_config
from kid.config.trained import RUN_FILE, complete_settings, run_of
from kid.data.encoding import EncodedPrompt, encode_texts
from kid.data.faults import Damage
from kid.data.questions import find_tables
from kid.data.schema import read_tables
from kid.errors import InputError, RunError
from kid.evaluation.candidates import choose_accepted, query_table
from kid.evaluation.execution import run_jobs
from kid.evaluation.worker import Limits
from kid.prompting import SETTINGS, PromptSettings, check_question, encode_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SECONDS = 30.0  # time limit of a query


def prompt_settings(model: Path, max_completion_length: int | None) -> tuple[PromptSettings, list[str]]:
    """Return (the settings of a model's prompts, lines that say where they come from).

    max_completion_length: None: as in the model's training. Raises InputError as `complete_settings`.
    """
    given = dict.fromkeys(SETTINGS) | {"max_completion_length": max_completion_length}
    values, lines = complete_settings(given, model)
    return PromptSettings(**values), lines


def tables_note(model: Path, database: Path) -> str | None:
    """A line if the tables.json of the model's training describes this database; it is looked for by its name."""
    run = run_of(model)
    if run is None:  # an export, which does not know its data
        return None
    config = merge_config(run / RUN_FILE, {})
    try:
        tables = find_tables(config.benchmark, "train", config.data, config.tables) if config.data else None
        known = read_tables(tables, Damage("skip"), partial=True) if tables else {}
    except InputError:  # the data have moved
        return None
    if database.stem not in known:
        return None
    return f"note: training read plain names and keys of {database.stem} from {tables}; add --tables {tables}"


@dataclass
class Asker:
    """A model and a database to ask questions about. Tokenizer and weights are loaded once, when first needed.

    folder: the model's. beams: 1: greedy decoding; more: the first candidate that the database accepts is used.
    evidence, tables: as in `kid.prompting.prompt_for`, for every question.
    """

    folder: Path
    database: Path
    settings: PromptSettings
    beams: int = 1
    evidence: str = ""
    tables: Path | None = None

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        from kid.models.pretrained import load_tokenizer

        return load_tokenizer(self.folder, "--model", self.settings.chat_template)

    @cached_property
    def model(self) -> PreTrainedModel:
        from kid.evaluation.prediction import (
            default_device,
            load_model,
        )  # here, so that a bad question fails before torch is imported
        from kid.models.windows import open_windows

        model = load_model(self.folder, default_device())
        open_windows(model, self.settings.max_prompt_length + self.settings.max_completion_length)
        return model

    def encode(self, question: str) -> EncodedPrompt:
        """Encode a question's prompt. Raises InputError as `prompt_for`, or if the question exceeds the limit."""
        check_question(question, self.settings, self.evidence)
        # A question that is far too long takes seconds to look for in the database.
        self.check_length(encode_texts(self.tokenizer, [f"{self.evidence} {question}"])[0])
        prompt = encode_prompt(self.database, question, self.settings, self.tokenizer, self.evidence, self.tables)
        self.check_length(prompt.ids)  # over the limit, only what is never cut is left
        return prompt

    def check_length(self, ids: list[int]) -> None:
        """Raise InputError if a question has too many tokens."""
        length, limit = len(ids), self.settings.max_prompt_length
        if length > limit:
            raise InputError(f"the question has {length} tokens, but prompts are limited to {limit}; use fewer words")

    def write_sql(self, prompt: EncodedPrompt) -> str:
        """Decode the model's SQL, on one line.

        Raises:
            InputError: prompt and output are longer than the model can read.
            RunError: the database can no longer be read.
        """
        from kid.data.batching import Sample
        from kid.evaluation.prediction import decode_candidates
        from kid.models.windows import check_positions

        length, samples = self.settings.max_completion_length, [Sample(prompt.ids, [])]
        check_positions(f"--model {self.folder}", self.model.config, len(prompt.ids), length, "up to ")
        ((_, candidates),) = next(
            decode_candidates(self.model, self.tokenizer, samples, length, self.beams, self.beams)
        )
        return candidates[choose_accepted([candidates], [self.database], 1)[0] if self.beams > 1 else 0]

    def run(self, sql: str, max_rows: int) -> tuple[list[str], list[tuple]]:
        """Run a query: (column names, first rows). Raises RunError if it fails or takes too long."""
        (outcome,) = run_jobs(query_table, [(self.database, sql, max_rows)], 1, Limits(seconds=SECONDS))
        if outcome.error:
            advice = "rephrase the question" + ("" if self.beams > 1 else " or use --beams 4")
            what = f"none of the {self.beams} queries runs; the first" if self.beams > 1 else "the query does not run"
            raise RunError(f"{what}: {outcome.error}; {advice}")
        return outcome.value
