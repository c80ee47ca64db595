"""The prompt of a question on a SQLite file, as training writes it: for code that serves a trained model.

    settings = PromptSettings.of("runs/kid")
    prompt = prompt_for("concert.sqlite", "How many singers are from France?", settings)

Neither torch nor transformers is imported. The section Serving of docs/your-own-data.md has whole examples.
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
from kid.data.prompt import matched_part, question_part, schema_part
from kid.data.questions import Question, is_text
from kid.data.reading import LoadedSplit, read_schemas
from kid.data.schema import Schema, description_files, read_tables
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPLIT = "dev"  # prompts as in evaluation: in training, the schema filter knows the gold SQL


@dataclass(frozen=True)
class PromptSettings:
    """How a model's prompts are made; the fields are keys of training, with its defaults.

    evidence: whether the evidence of a question is written before it.
    schema_filter: "lexical": a prompt over the limit has its schema filtered before it is cut; "none": it is only cut.
    max_prompt_length: tokens of a prompt at most.
    max_completion_length: tokens of the SQL at most, with EOS; prompts do not depend on it.
    """

    evidence: bool = RunConfig.evidence
    schema_filter: str = RunConfig.schema_filter
    max_prompt_length: int = RunConfig.max_prompt_length
    max_completion_length: int = RunConfig.max_completion_length

    @classmethod
    def of(cls, model: Path | str) -> PromptSettings:
        """Those with which a model was trained.

        Args:
            model: the directory of a finished run, a model or adapter in it, or an export. Only config.yaml of a run
                and kid_export.json of an export are read, so the weights may lie elsewhere.

        Raises:
            InputError: neither file is there, or it is damaged; the run is not finished.
        """
        folder = student_folder(Path(model), "model")
        settings, source = trained_settings(folder)
        if source is None:
            raise InputError(
                f"model {folder} has no {EXPORT_FILE} in it and no {RUN_FILE} beside it, to say how its prompts are "
                "made; give a run or an export, or write PromptSettings() for the defaults of training"
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
    """The text of a prompt, which ends with a line break; the model continues it with the SQL and EOS.

    There is neither BOS nor EOS in it. A tokenizer that puts BOS before every text (LLaMA's) must do so here as well,
    because it did in training; EOS must not be added. Encode the text with `split_special_tokens=True`, so that a cell
    which spells a special token stays text; or take the ids of `encode_prompt`.

    Args:
        database: a SQLite file. An index of its values is built for the first question and kept under `KID_CACHE`.
        evidence: what one should know to answer the question.
        tables: a tables.json in Spider's format, as in training, that names the tables and columns of this database in
            plain words; its db_id is the file's name without suffix. What it lacks comes from the file.
        tokenizer: the model's. With it, a prompt of more than `settings.max_prompt_length` tokens has its schema
            filtered and is then cut from the left, as in training. Without it, the prompt is whole however long it is,
            and `schema_filter` and `max_prompt_length` have no effect.

    Raises:
        InputError: the database is no SQLite file, is damaged or in use; the question is empty or no valid Unicode;
            there is evidence, and the model was trained without; `tables` is damaged.
    """
    schema, annotated = read_question(database, question, settings, evidence, tables)
    if tokenizer is not None:
        row = encode_row(schema, annotated, settings, tokenizer)
        if row["filtered"] or row["cut"]:
            ids = row["prompt_ids"][len(bos_ids(tokenizer)) :]
            return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))
    return schema_part(schema) + matched_part(schema, annotated.matches) + question_part(question, evidence)


def encode_prompt(
    database: Path | str,
    question: str,
    settings: PromptSettings,
    tokenizer: PreTrainedTokenizerFast,
    evidence: str = "",
    tables: Path | str | None = None,
) -> EncodedPrompt:
    """The token ids of a prompt, exactly those that the model was trained on: with BOS where its tokenizer has it.

    A question that is longer than the limit by itself is not cut, and makes a prompt over the limit. Arguments and
    errors are those of `prompt_for`.
    """
    schema, annotated = read_question(database, question, settings, evidence, tables)
    row = encode_row(schema, annotated, settings, tokenizer)
    return EncodedPrompt(row["prompt_ids"], row["shared"], row["cut"])


def check_question(question: str, settings: PromptSettings, evidence: str) -> None:
    """Raise InputError for an empty question, invalid Unicode, and evidence if the model was trained without."""
    if not question.strip():
        raise InputError("the question is empty; ask one")
    if not is_text(question + evidence):
        raise InputError("the question or its evidence is not valid Unicode; write it in UTF-8")
    if evidence and not settings.evidence:
        raise InputError("there is evidence, and the model was trained without (evidence: no); ask without it")


def read_question(
    database: Path | str, question: str, settings: PromptSettings, evidence: str, tables: Path | str | None
) -> tuple[Schema, AnnotatedQuestion]:
    """The schema of a database, and a question with the values that it mentions. Raises InputError as `prompt_for`."""
    path, tables = Path(database), Path(tables) if tables else None
    if not path.is_file():
        raise InputError(f"database {path} is {'a folder' if path.is_dir() else 'not there'}; give a SQLite file")
    if tables and not tables.is_file():
        raise InputError(f"tables {tables} is not there; give a tables.json")
    check_question(question, settings, evidence)
    check_not_in_use(path)
    files = [path, *description_files(path), *([tables] if tables else [])]
    schema = read_schema(path, tables, tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))
    asked = Question(0, schema.db_id, question, query="", evidence=evidence)
    (annotated,), left_out = annotate_database_questions(schema, path, [asked], settings.evidence)
    if left_out:
        say_once(f"values of {path} not all looked for in questions: {', '.join(left_out)}")
    return schema, annotated


@lru_cache(maxsize=64)
def read_schema(database: Path, tables: Path | None, versions: tuple) -> Schema:
    """The complete schema of a database, read once as long as the files stay as they are.

    versions: tells whether they have changed. Raises InputError if one of them is damaged.
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
    """The row of a question as `kid.data.prepare` makes it, without an output."""
    config = RunConfig(benchmark="jsonl", **asdict(settings))
    loaded = LoadedSplit([annotated.question], None, None, {}, None, Damage())
    encode = row_encoder(loaded, {schema.db_id: schema}, {0: annotated}, config, SPLIT, tokenizer)
    return {name: values[0] for name, values in encode({"index": [0]}).items()}
