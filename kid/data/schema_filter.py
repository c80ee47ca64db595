"""Reduce the schema of a prompt over the limit to the tables and columns that the question needs, and some others.

A selection is a dict table -> columns, in the order of the prompt.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from bm25s.stopwords import STOPWORDS_EN
from rapidfuzz import fuzz, process

from kid.data.schema import Schema, Table
from kid.errors import InputError

# (tables, columns per table) to keep; the first pair for which the prompt is within the limit is used.
SELECTION_SIZES = ((6, 10), (5, 8), (4, 7), (4, 5), (3, 5), (3, 4), (2, 4), (2, 3), (1, 3), (1, 2))
MIN_SIMILARITY = 80  # minimum rapidfuzz ratio (of 100) at which two words count as the same
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

Selection = dict[str, list[str]]


def split_words(text: str) -> list[str]:
    """The words of a name or comment in lower case, split at blanks, underscores and capitals, without stop words."""
    words = [word.lower() for word in WORD.findall(text)]
    return [word for word in words if word not in STOPWORDS_EN] or words


def lexical_ranking(schema: Schema, text: str, matches: dict[tuple[str, str], list[str]]) -> Selection:
    """All tables and columns, sorted by how many words of their names and comments occur in the question.

    A column's score is the fraction of its words that occur in the question, plus 1 if the question mentions one of its
    values, plus 0.1 for a key. A table's score is that of its name plus that of its best column. Ties keep the schema's
    order.

    Args:
        text: evidence and question.
        matches: (table, column) -> values that the question mentions.
    """
    question_words = split_words(text)
    mentioned = {(table.lower(), column.lower()) for table, column in matches}
    keys = {(table.lower(), column.lower()) for t, c, u, d in schema.foreign_keys for table, column in ((t, c), (u, d))}

    def word_overlap(name: str) -> float:
        words = split_words(name)
        found = [
            process.extractOne(word, question_words, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY) is not None
            for word in words
        ]
        return sum(found) / len(found) if found else 0.0

    scores: dict[str, float] = {}
    columns: dict[str, list[str]] = {}
    for table in schema.tables:
        column_scores = {}
        for column in table.columns:
            key = (table.name.lower(), column.name.lower())
            bonus = 1.0 * (key in mentioned) + 0.1 * (key in keys or column.primary_key)
            column_scores[column.name] = max(word_overlap(column.name), word_overlap(column.comment)) + bonus
        columns[table.name] = sorted(column_scores, key=column_scores.get, reverse=True)
        scores[table.name] = word_overlap(table.name) + max(column_scores.values(), default=0.0)
    return {name: columns[name] for name in sorted(scores, key=scores.get, reverse=True)}


def select_top(ranking: Selection, schema: Schema, size: tuple[int, int] = SELECTION_SIZES[0]) -> Selection:
    """The best tables of a ranking and the best columns of each, if they are in the schema; the best come last.

    Prompts that are too long even with the smallest size are cut from the left, so they lose the least relevant part.
    """
    max_tables, max_columns = size
    names = {
        table.name.lower(): (table.name, {c.name.lower(): c.name for c in table.columns}) for table in schema.tables
    }
    chosen: Selection = {}
    for table, ranked in ranking.items():
        if table.lower() in names and len(chosen) < max_tables:
            name, columns = names[table.lower()]
            known = [columns[column.lower()] for column in ranked if column.lower() in columns]
            chosen[name] = list(dict.fromkeys(known))[:max_columns][::-1]
    return dict(reversed(chosen.items()))


def training_selection(
    schema: Schema,
    gold: dict[str, set[str]],
    generator: np.random.Generator,
    size: tuple[int, int] = SELECTION_SIZES[0],
) -> Selection:
    """Everything that the gold SQL uses, filled up to `size` with other random tables and columns, and shuffled.

    Args:
        gold: table -> columns, from `kid.sql.analysis.gold_schema_items`.
        generator: source of random choices.
        size: number of tables, and of columns per table.
    """
    max_tables, max_columns = size

    def fill_up(all_names: list[str], needed: list[str], size: int) -> list[str]:
        others = [name for name in all_names if name not in needed]
        more = generator.permutation(len(others))[: max(0, size - len(needed))]
        chosen = needed + [others[index] for index in more]
        return [chosen[index] for index in generator.permutation(len(chosen))]

    columns = {table.name: [column.name for column in table.columns] for table in schema.tables}
    tables = fill_up(list(columns), [name for name in columns if name in gold], max_tables)
    return {
        table: fill_up(columns[table], [name for name in columns[table] if name in gold.get(table, ())], max_columns)
        for table in tables
    }


def apply_selection(schema: Schema, selection: Selection) -> Schema:
    """The schema with only the selected tables and columns, and the foreign keys between those tables."""
    tables = {table.name: {column.name: column for column in table.columns} for table in schema.tables}
    chosen = tuple(
        Table(name, tuple(tables[name][column] for column in columns)) for name, columns in selection.items()
    )
    shown = {name.lower() for name in selection}
    keys = tuple(key for key in schema.foreign_keys if key[0].lower() in shown and key[2].lower() in shown)
    return replace(schema, tables=chosen, foreign_keys=keys)


def read_rankings(path: Path, questions: int | None) -> list[Selection]:
    """Read rankings from a file: a JSON list with an object {table: [columns]} for each question, best first.

    Args:
        questions: the required number of rankings; None: any number.

    Raises:
        InputError: the file is missing or damaged, or the number of rankings is not `questions`.
    """
    try:
        rankings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"--schema-filter {path}: {error.strerror}; give none, lexical or a file of rankings"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"--schema-filter {path} is not valid JSON ({error})") from None
    valid = isinstance(rankings, list) and all(
        isinstance(ranking, dict)
        and all(isinstance(columns, list) and all(isinstance(c, str) for c in columns) for columns in ranking.values())
        for ranking in rankings
    )
    if not valid or questions not in (None, len(rankings)):
        raise InputError(
            f"--schema-filter {path}: expected a list of {questions or ''} objects like {{table: [columns]}}, "
            f"one for each question" + (f"; it has {len(rankings)}" if isinstance(rankings, list) else "")
        )
    return rankings
