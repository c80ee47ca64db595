"""An endless stream of new questions as token ids, each batch on new databases, to pretrain the tiny base models.

Databases are drawn in memory and prompts are written from the drawn rows, without an index. The values that a question
mentions are found by word, which for these databases gives the same result as `kid.data.matching`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count, cycle

from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerFast

from kid.data.batching import Batch, Sample, collate, sample_weights
from kid.data.database import SAMPLE_VALUES
from kid.data.encoding import encode_continuations, encode_texts
from kid.data.prompts.codes import matched_part, question_part, schema_part
from kid.data.schema import Column, Schema, Table
from kid.minibench.build import Drawn, draw_database, draw_questions
from kid.minibench.patterns import PATTERNS, Pattern, pattern_turns
from kid.minibench.schemas import SQL_TYPES
from kid.minibench.wording import WORDINGS
from kid.sql.normalise import normalise_sql

PLAIN_SHARE = 0.8  # share of plainly worded questions; the others omit column names or use synonyms


def prompt_schema(drawn: Drawn) -> Schema:
    """The schema of a drawn database, as the prompt shows it."""
    tables, keys = [], []
    for table in drawn.database.schema.values():
        columns = []
        for index, column in enumerate(table.columns):
            cells = [str(row[index]) for row in drawn.database.rows[table.name] if row[index] is not None]
            values = tuple(dict.fromkeys(cells))[:SAMPLE_VALUES]
            kind = SQL_TYPES.get(column.kind, "INTEGER").lower()
            columns.append(Column(column.name, "", kind, column.kind == "id", values))
            if column.parent:
                keys.append((table.name, column.name, column.parent, drawn.database.schema[column.parent].key))
        tables.append(Table(table.name, tuple(columns)))
    return Schema(drawn.database.db_id, tuple(tables), tuple(keys))


def mentioned_values(drawn: Drawn, question: str) -> dict[tuple[str, str], list[str]]:
    """(table, column) -> its texts that occur in a question as whole words."""
    found: dict[tuple[str, str], list[str]] = {}
    for table in drawn.database.schema.values():
        for index, column in enumerate(table.columns):
            cells = sorted({row[index] for row in drawn.database.rows[table.name] if isinstance(row[index], str)})
            named = [cell for cell in cells if re.search(rf"\b{re.escape(cell)}\b", question, re.IGNORECASE)]
            if named:
                found[table.name, column.name] = named
    return found


def question_texts(
    drawn: Drawn, count: int, schedule: Iterator[Pattern], rng: random.Random
) -> tuple[str, list[tuple[str, str, str]]]:
    """The schema part of the prompts on a database, and (matched contents, question, SQL) of `count` questions."""
    schema, texts = prompt_schema(drawn), []
    for question in draw_questions(count, schedule, drawn.database, rng):
        text = question.text("plain" if rng.random() < PLAIN_SHARE else rng.choice(WORDINGS), rng)
        query, _ = normalise_sql(drawn.in_style(question.query), schema.columns_by_table)
        texts.append((matched_part(schema, mentioned_values(drawn, text)), question_part(text), query))
    return schema_part(schema), texts


class FreshBatches(IterableDataset):
    """An endless stream of micro-batches of new questions, determined by the seed.

    Args:
        tokenizer: encodes the questions.
        patterns: kinds of question.
        databases, questions: number of databases per batch, and of questions on each.
        seed: random seed. Not a number, so that no split of the benchmark has the same databases.
        first: number of the first batch.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        patterns: Sequence[Pattern],
        databases: int,
        questions: int,
        seed: str,
        first: int = 0,
    ) -> None:
        self.tokenizer, self.turns, self.seed, self.first = tokenizer, pattern_turns(patterns), seed, first
        self.databases, self.questions = databases, questions

    def samples(self, number: int) -> list[Sample]:
        """The questions on database `number` of the sequence."""
        rng = random.Random(f"{self.seed}/{number}")
        schedule = cycle(rng.sample(self.turns, len(self.turns)))
        with ExitStack() as stack:
            drawn = draw_database(f"{self.seed}{number}", rng, stack, refills=0)
            shown, texts = question_texts(drawn, self.questions, schedule, rng)
        (shared,) = encode_texts(self.tokenizer, [shown])
        parts = [encode_continuations(self.tokenizer, list(part)) for part in zip(*texts, strict=True)]
        return [
            Sample(shared + matched + own, [*query, self.tokenizer.eos_token_id])
            for matched, own, query in zip(*parts, strict=True)
        ]

    def __iter__(self) -> Iterator[Batch]:
        for batch in count(self.first):
            numbers = range(batch * self.databases, (batch + 1) * self.databases)
            samples = [sample for number in numbers for sample in self.samples(number)]
            weights = sample_weights([len(sample.completion_ids) for sample in samples], "token")
            yield collate(samples, weights, list(range(len(samples))), self.tokenizer.pad_token_id, share=True)


def pretraining_texts(databases: int = 400, questions: int = 12) -> list[str]:
    """Texts of new questions to train a tokenizer on; they occur in no split and not in pretraining."""
    turns = pattern_turns(PATTERNS)
    texts: list[str] = []
    for number in range(databases):
        rng = random.Random(f"tokenizer/{number}")
        schedule = cycle(rng.sample(turns, len(turns)))
        with ExitStack() as stack:
            drawn = draw_database(f"tokenizer{number}", rng, stack, refills=0)
            shown, parts = question_texts(drawn, questions, schedule, rng)
        texts += [shown, *("".join(part) for part in parts)]
    return texts
