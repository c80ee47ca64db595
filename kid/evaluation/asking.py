"""One question on one SQLite file: its prompt, in the format that the model was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kid.config.run_config import RunConfig
from kid.config.trained import PREDICTION_KEYS, complete_settings, portable_settings
from kid.data.annotation import annotate_questions
from kid.data.database import check_not_in_use
from kid.data.faults import Damage
from kid.data.prepare import row_encoder
from kid.data.questions import Question
from kid.data.reading import LoadedSplit, read_schemas
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPLIT = "dev"  # prompts as in evaluation, not as in training


def prompt_settings(model: Path, max_completion_length: int | None) -> tuple[RunConfig, list[str]]:
    """The configuration of a prompt on any database, as the model was trained; and lines that say so.

    max_completion_length: None, as the model was trained. Raises InputError as `complete_settings`.
    """
    given: dict = dict.fromkeys(portable_settings(dict.fromkeys(PREDICTION_KEYS)))
    del given["evidence"]  # the question comes with its own, or without
    values, lines = complete_settings(given | {"max_completion_length": max_completion_length}, model)
    return RunConfig(benchmark="jsonl", **values), lines


def question_prompt(
    database: Path, question: str, evidence: str, config: RunConfig, tokenizer: PreTrainedTokenizerFast
) -> tuple[list[int], int]:
    """Token ids of the prompt, and how many tokens were cut from its left.

    Raises:
        InputError: the database is not a SQLite file, is damaged or in use.
    """
    check_not_in_use(database)
    damage = Damage("skip")
    config = replace(config, evidence=bool(evidence))
    asked = Question(0, database.stem, question, "SELECT 1", evidence)
    loaded = LoadedSplit([asked], None, None, {asked.db_id: database}, None, damage)
    schemas, _ = read_schemas(loaded, config.missing_database)
    texts = annotate_questions(loaded, schemas, config.evidence, "", quiet=True)
    if not texts:
        raise InputError(f"--database {'; '.join(damage.lines())}; give another SQLite file")
    rows = row_encoder(loaded, schemas, texts, config, SPLIT, tokenizer)({"index": [0]})
    return rows["prompt_ids"][0], rows["cut"][0]
