"""Build the prompt of a question on a SQLite file as in training, for code that serves a trained model.

    settings = PromptSettings.of("runs/kid")
    prompt = prompt_for("concert.sqlite", "How many singers are from France?", settings)

Neither torch nor transformers is imported. The section Serving of docs/your-own-data.md has complete examples.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kid.config.run_config import RunConfig
from kid.config.trained import EXPORT_FILE, RUN_FILE, student_folder, trained_settings
from kid.data.annotation import AnnotatedQuestion, annotate_database_questions
from kid.data.database import check_not_in_use
from kid.data.encoding import EncodedPrompt, bos_ids
from kid.data.faults import Damage
from kid.data.prepare import row_encoder
from kid.data.prompts.chat import chat_turn
from kid.data.prompts.template import prompt_text
from kid.data.questions import Question, is_text
from kid.data.reading import LoadedSplit, read_schemas
from kid.data.schema import Schema, description_files, read_tables
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPLIT = "dev"  # prompts as in evaluation: in training, the schema filter knows the gold SQL


@dataclass(frozen=True)
class PromptSettings:
    """The settings of a model's prompts; the fields are keys of training, with the same defaults.

    evidence: whether a question's evidence is written before it.
    schema_filter: "lexical": the schema of a prompt over the limit is filtered before it is cut; "none": only cut.
    max_prompt_length: maximum number of tokens of a prompt.
    max_completion_length: maximum number of tokens of the SQL, with EOS; it does not affect prompts.
    prompt: the format of the prompts, a name in `kid.data.prompts.formats.FORMATS` or the text of a Jinja template.
    chat_template: "auto": a prompt is a user turn in the chat template of the model's tokenizer, if it has one; or the
        text of a chat template.
    """

    evidence: bool = RunConfig.evidence
    schema_filter: str = RunConfig.schema_filter
    max_prompt_length: int = RunConfig.max_prompt_length
    max_completion_length: int = RunConfig.max_completion_length
    prompt: str = RunConfig.prompt
    chat_template: str = RunConfig.chat_template

    @classmethod
    def of(cls, model: Path | str) -> PromptSettings:
        """Return the settings that a model was trained with.

        Args:
            model: the directory of a finished run, a model or adapter in it, or an export. Only config.yaml of a run
                and kid_export.json of an export are read, so the weights may be elsewhere.

        Raises:
            InputError: neither file exists, or it is damaged; the run is not finished.
        """
        folder = student_folder(Path(model), "model")
        settings, source = trained_settings(folder)
        if source is None:
            raise InputError(
                f"model {folder} has no {EXPORT_FILE} and no {RUN_FILE} beside it, so its prompt settings are unknown; "
                "give a run or an export, or use PromptSettings() for the defaults of training"
            )
        return cls(**{name: settings[name] for name in SETTINGS if name in settings})


SETTINGS = tuple(field.name for field in fields(PromptSettings))


def prompt_for(
    database: Path | str,
    question: str,
    settings: PromptSettings,
    evidence: str = "",
    tables: Path | str | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
) -> str:
    """Return the text of a prompt; the model continues it with the SQL and EOS.

    Without a chat template, the prompt ends with a line break and has neither BOS nor EOS. If the tokenizer adds BOS to
    every text (LLaMA's does), let it do so, as in training; do not add EOS. Encode the text with
    `split_special_tokens=True`, so that a cell that spells a special token stays text, or use the ids of
    `encode_prompt`. With a chat template, the text holds all special tokens, including BOS: encode it with
    `add_special_tokens=False` and without `split_special_tokens`.

    Args:
        database: a SQLite file. An index of its values is built for the first question and kept under `KID_CACHE`.
        evidence: knowledge needed to answer the question.
        tables: a tables.json in Spider's format, as in training, with plain names of the tables and columns of this
            database; its db_id is the SQLite file's name without suffix. What it lacks is read from the SQLite file.
        tokenizer: the model's. With it, the schema of a prompt of more than `settings.max_prompt_length` tokens is
            filtered, and the prompt is then cut from the left, as in training. Without it, prompts are never shortened:
            `schema_filter` and `max_prompt_length` have no effect. A chat template requires it.

    Raises:
        InputError: the database is not a SQLite file, is damaged or in use; the question is empty or not valid Unicode;
            evidence is given but the model was trained without; `tables` is damaged; there is no tokenizer for a
            chat template.
    """
    if tokenizer is None and settings.chat_template != "none":
        raise InputError("this model's prompts are turns of a chat; give its tokenizer, which has the chat template")
    schema, annotated = read_question(database, question, settings, evidence, tables)
    turn = None if tokenizer is None else chat_turn(tokenizer, settings.chat_template)
    if tokenizer is not None:
        row = encode_row(schema, annotated, settings, tokenizer)
        if row["filtered"] or row["cut"]:
            ids = row["prompt_ids"][0 if turn else len(bos_ids(tokenizer)) :]
            return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))
    text = prompt_text(settings.prompt, schema, annotated.matches, question, evidence)
    return turn.around(text) if turn else text


def encode_prompt(
    database: Path | str,
    question: str,
    settings: PromptSettings,
    tokenizer: PreTrainedTokenizerFast,
    evidence: str = "",
    tables: Path | str | None = None,
) -> EncodedPrompt:
    """Return the token ids of a prompt exactly as in training: with BOS if the tokenizer adds it.

    A question is never cut: if it alone exceeds the limit, so does the prompt. Arguments and errors are those of
    `prompt_for`.
    """
    schema, annotated = read_question(database, question, settings, evidence, tables)
    row = encode_row(schema, annotated, settings, tokenizer)
    return EncodedPrompt(row["prompt_ids"], row["shared"], row["cut"])


def check_question(question: str, settings: PromptSettings, evidence: str) -> None:
    """Raise InputError for an empty question, invalid Unicode, and evidence if the model was trained without."""
    if not question.strip():
        raise InputError("the question is empty; give a question")
    if not is_text(question + evidence):
        raise InputError("the question or its evidence is not valid Unicode; write it in UTF-8")
    if evidence and not settings.evidence:
        raise InputError("evidence is given, but the model was trained without it (evidence: no); remove it")


def read_question(
    database: Path | str, question: str, settings: PromptSettings, evidence: str, tables: Path | str | None
) -> tuple[Schema, AnnotatedQuestion]:
    """Return (schema of a database, question with the values that it mentions). Raises InputError as `prompt_for`."""
    path, tables = Path(database), Path(tables) if tables else None
    if not path.is_file():
        raise InputError(f"database {path} {'is a folder' if path.is_dir() else 'does not exist'}; give a SQLite file")
    if tables and not tables.is_file():
        raise InputError(f"tables {tables} does not exist; give a tables.json")
    check_question(question, settings, evidence)
    check_not_in_use(path)
    files = [path, *description_files(path), *([tables] if tables else [])]
    schema = read_schema(path, tables, tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))
    asked = Question(0, schema.db_id, question, query="", evidence=evidence)
    (annotated,), left_out = annotate_database_questions(schema, path, [asked], settings.evidence)
    if left_out:
        say_once(f"not all values of {path} were searched in questions: {', '.join(left_out)}")
    return schema, annotated


@lru_cache(maxsize=64)
def read_schema(database: Path, tables: Path | None, versions: tuple) -> Schema:
    """Read the complete schema of a database; it is read again only if the files have changed.

    versions: sizes and times of the files, part of the cache key. Raises InputError if one of them is damaged.
    """
    db_id, damage = database.stem, Damage("skip")
    known = read_tables(tables, damage, partial=True) if tables else None
    loaded = LoadedSplit([Question(0, db_id, "", "")], known, tables, {db_id: database}, None, damage, partial=True)
    schemas, _ = read_schemas(loaded, "error")
    if not schemas:
        files = "SQLite file or tables.json" if tables else "SQLite file"
        raise InputError(f"{'; '.join(damage.lines())}; give another {files}")
    return schemas[db_id]


@cache
def say_once(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def encode_row(
    schema: Schema, annotated: AnnotatedQuestion, settings: PromptSettings, tokenizer: PreTrainedTokenizerFast
) -> dict:
    """Encode the row of a question as `kid.data.prepare` does, without an output."""
    config = RunConfig(benchmark="jsonl", **asdict(settings))
    loaded = LoadedSplit([annotated.question], None, None, {}, None, Damage())
    encode = row_encoder(loaded, {schema.db_id: schema}, {0: annotated}, config, SPLIT, tokenizer)
    return {name: values[0] for name, values in encode({"index": [0]}).items()}
