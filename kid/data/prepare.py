"""Tokenise a split into an Arrow cache whose key covers everything that changes the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kid.config.keys import keys_affecting
from kid.config.run_config import RunConfig
from kid.data.annotation import AnnotatedQuestion, annotate_questions, question_with_evidence
from kid.data.cache import build_once, cache_folder, content_hash, is_whole, json_hash
from kid.data.encoding import WholePrompt, bos_ids, encode_continuations, encode_texts
from kid.data.prompts.chat import chat_turn
from kid.data.prompts.encoder import PromptEncoder, prompt_encoder
from kid.data.prompts.template import PromptTemplate, find_form
from kid.data.questions import Question
from kid.data.reading import LoadedSplit, load_split, read_schemas
from kid.data.schema import Schema, description_files
from kid.data.schema_filter import (
    SELECTION_SIZES,
    Selection,
    apply_selection,
    lexical_ranking,
    select_top,
    training_selection,
)
from kid.data.sqlite_schema import missing_keys_note
from kid.errors import InputError
from kid.sql.analysis import gold_schema_items

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedTokenizerFast

# Libraries that affect the cached results; the cache key contains their versions and a hash of the project's code.
LIBRARIES = ("bm25s", "jinja2", "rapidfuzz", "sqlglot", "tokenizers", "transformers", "datasets")
# Column -> Arrow type of its values; a type in brackets is a list.
ROW_COLUMNS: dict[str, Any] = {
    "index": "int32",
    "db_id": "string",
    "prompt_ids": ["int32"],
    "shared": "int32",
    "completion_ids": ["int32"],
    "filtered": "bool",
    "cut": "int32",
    "whole": "int32",
}


@dataclass(frozen=True)
class Prepared:
    """A split ready for batches.

    questions: all questions, in the benchmark's order.
    rows: an Arrow dataset with one row for each question that has a prompt: its `index`, `db_id`, `prompt_ids` (the
        first `shared` are BOS and schema), `completion_ids` (with EOS), `filtered` (whether the schema filter was
        applied), `cut` (number of tokens cut from the prompt's left) and `whole` (number of tokens that the prompt
        would have with no limit).
    left_out: reason -> indices of the skipped questions, which have no row.
    notes: lines on what else was skipped or missing.
    cached: whether the split was in the cache.
    """

    questions: list[Question]
    rows: datasets.Dataset
    left_out: dict[str, list[int]]
    notes: list[str]
    cached: bool

    def lengths(self, column: str) -> list[int]:
        """Number of ids in each row of `prompt_ids` or `completion_ids`, without reading the ids."""
        import pyarrow.compute as pc

        return pc.list_value_length(self.rows.data.column(column)).to_pylist()

    def remarks(self) -> list[str]:
        """Lines on everything that was skipped, with reasons."""
        skipped = [f"{len(indices)} questions skipped: {reason}" for reason, indices in self.left_out.items()]
        return skipped + self.notes


def cache_key(config: RunConfig, split: str, loaded: LoadedSplit, tokenizer: PreTrainedTokenizerFast) -> str:
    """A hash of everything that the rows depend on, without file paths."""
    names = {*keys_affecting("prompts")} - {*keys_affecting("paths")}
    settings: dict[str, Any] = {name: getattr(config, name) for name in names}
    if split != "train":
        settings.pop("seed")  # only used to draw random tables and columns for training
    if loaded.rankings is not None:
        settings["schema_filter"] = "lexical" if split == "train" else loaded.rankings
    turn = chat_turn(tokenizer, config.chat_template)
    bos = bos_ids(tokenizer)  # this also resets padding and truncation of an earlier use
    descriptions = {
        db_id: [[file.name, content_hash(file)] for file in description_files(path)]
        for db_id, path in loaded.databases.items()
    }
    here = Path(__file__).parent
    files = sorted([*here.rglob("*.py"), *(here.parent / "sql").glob("*.py")])
    code = {file.relative_to(here.parent).as_posix(): content_hash(file) for file in files}
    return json_hash(
        {
            "settings": settings,
            "split": split,
            "questions": [asdict(replace(question, gold_rows=None)) for question in loaded.questions],
            "tables": content_hash(loaded.tables) if loaded.tables else None,
            "databases": {db_id: content_hash(path) for db_id, path in loaded.databases.items()},
            "descriptions": descriptions,
            "tokenizer": [tokenizer.backend_tokenizer.to_str(), bos, tokenizer.eos_token_id],
            "chat": turn and asdict(turn),
            "code": code,
            "libraries": {name: version(name) for name in LIBRARIES},
        }
    )


def filtered_schemas(
    item: AnnotatedQuestion, schema: Schema, config: RunConfig, split: str, rankings: list[Selection] | None
) -> Iterator[Schema]:
    """Yield smaller and smaller versions of a schema, for a question whose prompt is over the limit."""
    question = item.question
    if split == "train":
        gold, seed = gold_schema_items(question.query, schema.columns_by_table), [config.seed, question.index]
        selections = (training_selection(schema, gold, np.random.default_rng(seed), size) for size in SELECTION_SIZES)
    else:
        if rankings is not None:
            ranking = rankings[question.index]
        else:
            ranking = lexical_ranking(schema, question_with_evidence(question, config.evidence), item.matches)
        selections = (select_top(ranking, schema, size) for size in SELECTION_SIZES)
    return (apply_selection(schema, selection) for selection in selections)


def encode_given_prompt(item: AnnotatedQuestion, limit: int, encoder: PromptEncoder) -> tuple:
    """The row of a question with its own prompt, which is not shared, filtered or normalised.

    Special tokens spelt out in the prompt (those of a chat format) become special tokens. A prompt that starts with the
    text of BOS gets a single BOS like any other, and BOS is never cut. A conversation is not cut either, because its
    template's markers are all over it.
    """
    tokenizer, index = encoder.tokenizer, item.question.index
    if item.question.messages:
        conversation = encoder.conversation(item.question)
        return (index, "", conversation, 0, *encoder.outputs([item.query]), False, 0, len(conversation))
    text, bos = item.question.prompt, bos_ids(tokenizer)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    if ids[: len(bos)] == bos:  # already written by a chat template
        ids = ids[len(bos) :]
    # After a line break, the output is tokenised as a continuation of the prompt.
    encode = encode_continuations if text.endswith("\n") else encode_texts
    (query,) = encode(tokenizer, [item.query])
    prompt = WholePrompt(bos + ids, 0, len(bos), len(bos + ids)).cut_to(limit)
    return (index, "", prompt.ids, 0, [*query, encoder.end], False, prompt.cut, len(bos + ids))


def row_encoder(
    loaded: LoadedSplit,
    schemas: dict[str, Schema],
    annotated: dict[int, AnnotatedQuestion],
    config: RunConfig,
    split: str,
    tokenizer: PreTrainedTokenizerFast,
) -> Callable[[dict[str, list]], dict[str, list]]:
    """Return a function for `datasets.Dataset.map` that turns a batch of question indices into rows."""
    encoder, limit = prompt_encoder(tokenizer, config), config.max_prompt_length

    def encode_prompts(shown: list[Schema], items: list[AnnotatedQuestion]) -> list[WholePrompt]:
        return encoder.prompts(shown, [item.matches for item in items], [item.question for item in items])

    def encode(batch: dict[str, list]) -> dict[str, list]:
        chosen = [annotated[index] for index in batch["index"]]
        rows = [encode_given_prompt(item, limit, encoder) for item in chosen if item.question.prompt]
        chosen = [item for item in chosen if not item.question.prompt]
        prompts = encode_prompts([schemas[item.question.db_id] for item in chosen], chosen)
        completions = encoder.outputs([item.query for item in chosen])
        for item, whole, completion in zip(chosen, prompts, completions, strict=True):
            db_id = item.question.db_id
            shown, length = schemas[db_id], len(whole.ids)
            filtered = config.schema_filter != "none" and length > limit
            if filtered:
                for shown in filtered_schemas(item, schemas[db_id], config, split, loaded.rankings):
                    (whole,) = encode_prompts([shown], [item])
                    if len(whole.ids) <= limit:
                        break
            prompt = encoder.cut(whole, shown, item.matches, item.question, limit)
            row = (item.question.index, db_id, prompt.ids, prompt.shared, completion, filtered, prompt.cut, length)
            rows.append(row)
        rows.sort(key=lambda row: row[0])
        return dict(zip(ROW_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))

    return encode


def row_features() -> datasets.Features:
    """ROW_COLUMNS as `datasets.Features`."""
    import datasets

    return datasets.Features(
        {
            name: datasets.List(datasets.Value(kind[0])) if isinstance(kind, list) else datasets.Value(kind)
            for name, kind in ROW_COLUMNS.items()
        }
    )


def build(loaded: LoadedSplit, config: RunConfig, split: str, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the rows, and a report on what was skipped, to `folder`."""
    import datasets  # not at the top: the import takes a second, and a single prompt does not need it

    title = f"{config.benchmark} {split}"
    schemas, reasons = read_schemas(loaded, config.missing_database)
    annotated = annotate_questions(loaded, schemas, config.evidence, title)
    left_out: dict[str, list[int]] = {}
    for question in loaded.questions:
        if question.index not in annotated:
            reason = question.fault or reasons.get(question.db_id, "damaged database")
            left_out.setdefault(reason, []).append(question.index)
    if not annotated:
        why = ", ".join(f"{len(indices)} for {reason}" for reason, indices in left_out.items())
        raise InputError(f"{title}: all questions were skipped ({why}); docs/data.md says where files must be")
    encode = row_encoder(loaded, schemas, annotated, config, split, tokenizer)
    rows = datasets.Dataset.from_dict({"index": sorted(annotated)}).map(
        encode,
        batched=True,
        features=row_features(),
        desc=f"{title}: tokens",
        load_from_cache_file=False,
        new_fingerprint=folder.stem,
    )
    datasets.disable_progress_bars()  # writing is fast
    rows.save_to_disk(folder / "rows")
    datasets.enable_progress_bars()
    notes = make_notes(loaded, schemas, annotated)
    if config.chat_template != "none" and chat_turn(tokenizer, config.chat_template) is None:
        notes.append(f"prompts without --chat-template {config.chat_template}: the tokenizer has no chat template")
    if note := sharing_note(config.prompt):
        notes.append(note)
    report = {"left_out": left_out, "notes": notes}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


def sharing_note(prompt: str) -> str:
    """A line if prompts in this format share no schema; otherwise empty."""
    form = find_form(prompt)
    if not isinstance(form, PromptTemplate) or form.shares_schema():
        return ""
    return (
        "the template of --prompt writes question, evidence or matches before the schema, so no two prompts share a "
        "schema: --batching schema and --teacher-prefix-gb save nothing; write the schema first to share it"
    )


def make_notes(loaded: LoadedSplit, schemas: dict[str, Schema], annotated: dict[int, AnnotatedQuestion]) -> list[str]:
    """Lines on everything that was skipped or missing, except skipped questions."""
    notes = [f"skipped as damaged: {line}" for line in loaded.damage.lines()]
    alone = [db_id for db_id in schemas if db_id not in loaded.databases]
    if alone:
        count = sum(item.question.db_id in alone for item in annotated.values())
        notes.append(f"{count} prompts use tables.json only, without the missing databases {', '.join(sorted(alone))}")
    for db_id, schema in schemas.items():
        if schema.skipped:
            notes.append(f"skipped in the schema of {db_id}: {', '.join(schema.skipped)}")
    notes += sorted(loaded.notes)
    # Only here is tables.json the user's own.
    if loaded.partial and (line := missing_keys_note(schemas)):
        notes.append(line)
    kept: dict[str, list[str]] = {}
    for index, item in sorted(annotated.items()):
        if item.normalisation_error:
            kept.setdefault(item.normalisation_error, []).append(str(index))
    for reason, indices in kept.items():
        notes.append(f"{len(indices)} gold queries not normalised ({reason}): questions {', '.join(indices)}")
    return notes


def prepare(config: RunConfig, split: str, tokenizer: PreTrainedTokenizerFast) -> Prepared:
    """Prepare a split as rows of token ids, or read it from the cache. See `Prepared`.

    Raises:
        InputError: files are missing, or are damaged and `config.damaged` is not "skip"; the prompt's template has an
            error.
    """
    import datasets

    find_form(config.prompt)  # a template's errors first: annotating the questions may take minutes
    loaded = load_split(config, split)
    key = cache_key(config, split, loaded, tokenizer)
    folder = cache_folder() / "prepared" / key
    cached = is_whole(folder)
    build_once(folder, lambda partial: build(loaded, config, split, tokenizer, partial))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    rows = datasets.load_from_disk(folder / "rows")
    return Prepared(loaded.questions, rows, report["left_out"], report["notes"], cached)
