"""Find the database cells that a question mentions, with an on-disk index of the database's texts.

BM25 finds cells that share words with a part of the question; of these, a cell matches if it is also nearly equal to a
phrase of the question.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path

import bm25s
import pyarrow as pa
from bm25s.stopwords import STOPWORDS_EN_PLUS
from rapidfuzz import fuzz, process

from kid.data.cache import build_once, cache_folder, content_hash, json_hash
from kid.data.computed import read_apart
from kid.data.database import TimeLimit, cells_query, open_database, shadow_tables, table_columns
from kid.data.schema import DamagedDatabaseError, database_error, sqlite_error, stored_tables
from kid.errors import InputError
from kid.sql.parsing import lower

SHARD_CELLS = 100_000
MAX_CELL_CHARACTERS = 100
MAX_GRAM_WORDS = 4
CANDIDATES = 10
MIN_SIMILARITY = 90
MIN_WORD_SIMILARITY = 80
MAX_VALUES = 25
# To read a database's texts, generously; a file whose pages form a circle would take for ever.
READ_SECONDS, READ_SECONDS_PER_MB = 60.0, 2.0
LEFT_OUT_FILE = "left_out.json"
CODE = ("matching", "database", "computed", "computed_reader")  # what an index depends on
VERSIONS = [bm25s.__version__, pa.__version__, unicodedata.unidata_version]

REQUEST_WORDS = (
    "count date end find first give go id ids last least list many much name names number numbers one per please show "
    "tell three top total two"
)
# These match values only in quotes or in capitals.
STOP_WORDS = frozenset(STOPWORDS_EN_PLUS) | frozenset(REQUEST_WORDS.split())
# A number with its decimals or minutes is one word, so that 3 is not found in 3.5; the s after an apostrophe and other
# such endings are no words.
WORD = re.compile(r"\d+(?:[.,:]\d+)+|(?!(?<=[^\W_]')(?:s|t|d|m|re|ll|ve)\b)[^\W_]+", re.IGNORECASE)
DIGITS = re.compile(r"\d+")
LETTER = re.compile(r"[^\W\d_]")
WORD_JOINER = re.compile(r"(?<=[^\W_])[-_/]+(?=[^\W_])")  # not the minus of -5 and of the grade B-
QUOTES = ("'", '"', "`")
OUTER_PUNCTUATION = "'\"`.,;:?!()[]{} "
PLAIN_PUNCTUATION = str.maketrans("\u2018\u2019\u00b4\u201c\u201d\u2010\u2011\u2012\u2013\u2014", "'''\"\"-----")

ScoredSpan = tuple[float, int, int]  # similarity, start and end of a span of a question

logging.getLogger("bm25s").setLevel(logging.WARNING)


def fold(text: str) -> str:
    """`text` without accents, dashes inside words and repeated blanks; letter case is kept."""
    if not text.isascii():
        # NFKD turns a lone acute accent into a blank and an accent, so quotes are replaced first.
        decomposed = unicodedata.normalize("NFKD", text.translate(PLAIN_PUNCTUATION))
        text = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(WORD_JOINER.sub(" ", text).split())


def stem(word: str) -> str:
    """`word` without a plural s. Only used to find candidates, which are then compared in full."""
    if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui":
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word


@contextmanager
def skip_unsupported() -> Iterator[None]:
    """Skip what this SQLite cannot run because it lacks a virtual table's module or a column's function."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise


def read_columns(connection: sqlite3.Connection) -> list[tuple[str, str, bool]]:
    """(table, column, whether SQLite computes its cells) in the database's order.

    Without views, SQLite's own tables and virtual tables' shadow tables.
    """
    shadows, stored = shadow_tables(connection), stored_tables(connection)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    columns = []
    for (table,) in tables:
        if table not in shadows and not table.lower().startswith("sqlite_"):
            with skip_unsupported():
                rows = table_columns(connection, table)
                virtual = lower(table) not in stored
                columns += [(table, name, virtual or hidden == 2) for name, _, _, hidden in rows if hidden != 1]
    return columns


def read_cells(
    path: Path,
    connection: sqlite3.Connection,
    columns: list[tuple[str, str, bool]],
    seconds: float,
    left_out: list[str],
) -> Iterator[tuple[int, str]]:
    """(number of the column, text) of each column's distinct texts, column by column.

    Args:
        columns: as `read_columns` gives them.
        seconds: limit for reading the whole database, without what the caller does between two texts.
        left_out: gets an entry for each column that was not read to its end within the limits.
    """
    with TimeLimit(connection, seconds) as limit:
        for computed, group in groupby(enumerate(columns), key=lambda item: item[1][2]):
            members = list(group)
            read = read_computed_cells(path, members, limit) if computed else read_stored_cells(connection, members)
            for number, text, fault in read:
                if fault:
                    left_out.append(f"{'.'.join(columns[number][:2])} ({fault})")
                else:
                    started = time.monotonic()
                    yield number, " ".join(text.split())
                    limit.deadline += time.monotonic() - started


def read_stored_cells(connection: sqlite3.Connection, columns: list) -> Iterator[tuple[int, str, str]]:
    """(number of the column, text, "") of numbered columns; (number, "", reason) where the time is over."""
    for number, (table, column, _) in columns:
        with skip_unsupported():
            try:
                for (text,) in connection.execute(cells_query(table, column, MAX_CELL_CHARACTERS)):
                    yield number, text, ""
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
                    raise
                yield number, "", "the time to read the database is over"


def read_computed_cells(path: Path, columns: list, limit: TimeLimit) -> Iterator[tuple[int, str, str]]:
    """The same for columns that SQLite computes, which are read in a process of their own."""
    jobs = [("cells", table, column, MAX_CELL_CHARACTERS) for _, (table, column, _) in columns]
    left = max(0.0, limit.deadline - time.monotonic())
    for place, text, fault in read_apart(path, jobs, left, left):
        reason, code = fault or ("", 0)
        with skip_unsupported():
            if code:
                raise sqlite_error(reason, code)
            yield columns[place][0], text, reason


def write_shard(folder: Path, cells: list[tuple[int, str]]) -> None:
    """Write a BM25 index whose documents are the distinct folded texts of `cells`, and the cells of each document."""
    # Cells that differ only in column, case or accents are one document, so that one text cannot fill the list of best
    # candidates.
    documents: dict[str, list[str]] = {}
    words: list[list[int]] = []
    vocabulary: dict[str, int] = {}
    for number, text in cells:
        folded = fold(text).strip(OUTER_PUNCTUATION).casefold()
        if folded not in documents:
            stems = [stem(word) for word in WORD.findall(folded)]
            if not stems:
                continue
            words.append([vocabulary.setdefault(word, len(vocabulary)) for word in stems])
            documents[folded] = []
        cell = f"{number}\t{text}"
        if cell not in documents[folded]:
            documents[folded].append(cell)
    if documents:
        retriever = bm25s.BM25()
        retriever.index((words, vocabulary), create_empty_token=False, show_progress=False)
        retriever.save(folder, show_progress=False)
        table = pa.table({"folded": list(documents), "cells": list(documents.values())})
        with pa.OSFile(str(folder / "cells.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)


def build_value_index(database: Path) -> Path:
    """The folder with the index of a SQLite file's texts, built if it is not in the cache.

    Memory does not grow with the database: SQLite sorts in temporary files (in `SQLITE_TMPDIR`), and every
    `SHARD_CELLS` texts have an index of their own.

    Raises:
        InputError: the file cannot be read or is damaged, or the cache cannot be written.
    """

    def build(folder: Path) -> None:
        with open_database(database) as connection:
            connection.executescript("PRAGMA cache_size = -65536; PRAGMA temp_store = FILE")  # 64 MiB to sort in
            columns = read_columns(connection)
            (folder / "columns.json").write_text(json.dumps([column[:2] for column in columns]))
            left_out: list[str] = []
            seconds = READ_SECONDS + READ_SECONDS_PER_MB * database.stat().st_size / 2**20
            cells = read_cells(database, connection, columns, seconds, left_out)
            number = 0
            while shard := list(islice(cells, SHARD_CELLS)):
                write_shard(folder / f"{number:06d}", shard)
                number += 1
            (folder / LEFT_OUT_FILE).write_text(json.dumps(left_out))

    try:
        code = [content_hash(Path(__file__).with_name(f"{name}.py")) for name in CODE]
        key = json_hash([content_hash(database), code, SHARD_CELLS, VERSIONS])
        return build_once(cache_folder() / "values" / key, build)
    except sqlite3.Error as error:
        found = database_error(database, error)
        if isinstance(found, DamagedDatabaseError):
            raise found from None
        raise InputError(f"{found}; SQLITE_TMPDIR must have room to sort it") from None


@dataclass
class FoldedQuestion:
    """A question to find cells in.

    text: the folded question.
    word_spans: (start, end) of each word in `text`; stems: of each word.
    informative: for each word, whether it is worth a look-up on its own.
    phrases_by_width: results of `phrases`, kept for reuse.
    """

    text: str
    word_spans: list[tuple[int, int]]
    stems: list[str]
    informative: list[bool]
    phrases_by_width: dict[int, tuple[list[str], list[tuple[int, int]]]] = field(default_factory=dict)

    def token_around(self, start: int, end: int) -> str:
        """A span extended to the blanks around it, without outer quotes, brackets and punctuation."""
        right = self.text.find(" ", end)
        return self.text[self.text.rfind(" ", 0, start) + 1 : right if right >= 0 else None].strip(OUTER_PUNCTUATION)

    def is_quoted(self, start: int, end: int) -> bool:
        """Whether a span stands between quotes."""
        after = self.text[end : end + 3].lstrip(".,;:?!")
        return self.text[max(start - 1, 0) : start] in QUOTES and after[:1] in QUOTES

    def phrases(self, width: int) -> tuple[list[str], list[tuple[int, int]]]:
        """All runs of `width` words: the texts to compare with, and the (start, end) of each."""
        if width not in self.phrases_by_width:
            texts, spans = self.phrases_by_width[width] = [], []
            for (start, _), (_, end) in zip(self.word_spans, self.word_spans[width - 1 :], strict=False):
                # Characters next to the words without a blank may belong to them: C++, 50%, McDonald's.
                for text in dict.fromkeys([self.text[start:end].casefold(), self.token_around(start, end).casefold()]):
                    texts.append(text)
                    spans.append((start, end))
        return self.phrases_by_width[width]


def fold_question(text: str) -> FoldedQuestion:
    """A question folded and split into words."""
    plain = fold(text)
    spans = [match.span() for match in WORD.finditer(plain)]
    words = [plain[start:end] for start, end in spans]
    shouted = plain.isupper()
    informative = [word.casefold() not in STOP_WORDS or (word.isupper() and not shouted) for word in words]
    return FoldedQuestion(plain, spans, [stem(word.casefold()) for word in words], informative)


def indexed_ngrams(question: FoldedQuestion, vocabulary: dict[str, int]) -> set[tuple[str, ...]]:
    """The 1- to 4-grams of a question over the words that a shard has; those of stop words only are skipped."""
    grams = set()
    for first, (start, _) in enumerate(question.word_spans):
        gram: list[str] = []
        informative = False
        for place in range(first, min(first + MAX_GRAM_WORDS, len(question.word_spans))):
            if question.stems[place] in vocabulary:
                gram.append(question.stems[place])
                informative = informative or question.informative[place]
                if informative or question.is_quoted(start, question.word_spans[place][1]):
                    grams.add(tuple(sorted(gram)))
    return grams


def best_documents(retriever: bm25s.BM25, gram: tuple[str, ...]) -> list[int]:
    """The `CANDIDATES` best documents that share a word with the n-gram; ties go to the first."""
    # bm25s's retrieve() sorts all scores, most of them zero, for each n-gram, which took most of the time.
    scores = retriever.get_scores(list(gram))
    best: list[int] = []
    while len(best) < CANDIDATES and scores[place := int(scores.argmax())] > 0:
        best.append(place)
        scores[place] = 0
    return best


def is_plausible_match(value: str, text: str) -> bool:
    """Whether two similar texts may mean the same: not Boeing 737 and 747, nor four vines and four wines."""
    if DIGITS.findall(value) != DIGITS.findall(text) or not LETTER.search(value):
        return False
    pairs = zip(WORD.findall(value), WORD.findall(text), strict=False)
    return all(fuzz.ratio(one, other) > MIN_WORD_SIMILARITY for one, other in pairs)


def find_spans(value: str, question: FoldedQuestion) -> list[ScoredSpan]:
    """The spans of a question that are nearly equal to a folded value and have as many words."""
    texts, spans = question.phrases(len(WORD.findall(value)))
    near = process.extract(value, texts, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY, limit=None)
    return [(score, *spans[number]) for text, score, number in near if score == 100 or is_plausible_match(value, text)]


def is_mention(value: str, text: str, question: FoldedQuestion, span: ScoredSpan) -> bool:
    """Whether a span mentions the cell `text`, whose folded form is `value`, and does not just equal it by chance.

    Between quotes it does. Otherwise, numbers of one or two digits do not (nine times in ten they count something);
    single letters and codes of two capitals do if written as in the cell; stop words do if also in capitals.
    """
    _, start, end = span
    stop = value in STOP_WORDS
    if question.is_quoted(start, end) or (len(value) > 2 and not stop):
        return True
    word, whole = question.text[start:end], question.token_around(start, end)
    same = fold(text).strip(OUTER_PUNCTUATION) in (word, whole)
    if len(value) == 1 and LETTER.match(value):
        # Not the D of Ph.D. nor the article that begins a question.
        return same and word not in STOP_WORDS and word not in ("A", "I") and word == whole
    if stop:
        return same and word.isupper() and not question.text.isupper()
    return not value.isdigit() and (same or not text.isupper())


def best_values(matches: dict[str, list[ScoredSpan]], taken: set[ScoredSpan]) -> list[str]:
    """The values of one column by similarity, position and text, without those whose every span has a better match.

    A match in any column is better if its span contains this one, it is at least as similar, and it is longer or more
    similar: New York City removes New York, Johnson removes Johnston.

    Args:
        matches: cell -> its spans, of this column.
        taken: the spans of all columns.
    """
    ranked = []
    for text, spans in matches.items():
        free = [
            (-score, start, end)
            for score, start, end in spans
            if not any(s <= start and end <= e and score <= z and (z, s, e) != (score, start, end) for z, s, e in taken)
        ]
        if free:
            ranked.append((*min(free)[:2], text))
    return [text for *_, text in sorted(ranked)[:MAX_VALUES]]


def match_shard(
    shard: Path, questions: list[FoldedQuestion], found: list[dict[int, dict[str, list[ScoredSpan]]]]
) -> None:
    """Add the matches in a shard to `found`, for each question: number of the column -> cell -> spans."""
    retriever = bm25s.BM25.load(shard, mmap=True, show_progress=False)
    grams = [indexed_ngrams(question, retriever.vocab_dict) for question in questions]
    best = {gram: best_documents(retriever, gram) for gram in set().union(*grams)}
    with pa.memory_map(str(shard / "cells.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
        for question, wanted, matches in zip(questions, grams, found, strict=True):
            for document in {document for gram in wanted for document in best[gram]}:
                value = table["folded"][document].as_py()
                if spans := find_spans(value, question):
                    for cell in table["cells"][document].as_py():
                        column, text = cell.split("\t")
                        if mentions := [span for span in spans if is_mention(value, text, question, span)]:
                            matches.setdefault(int(column), {})[text] = mentions


def left_out_columns(index: Path) -> list[str]:
    """The columns whose texts are not all in an index, each with the reason: reading them took too long."""
    return json.loads((index / LEFT_OUT_FILE).read_text())


def match_values(index: Path, texts: list[str]) -> list[dict[tuple[str, str], list[str]]]:
    """For each text, the cells that it mentions: {(table, column): values}, in the database's order.

    A text's result does not depend on the other texts; many at once are faster because each shard is opened once.

    Args:
        index: the folder of `build_value_index`.
        texts: questions on that database, with their evidence if there is some.
    """
    columns = [tuple(column) for column in json.loads((index / "columns.json").read_text())]
    questions = [fold_question(text) for text in texts]
    found: list[dict[int, dict[str, list[ScoredSpan]]]] = [{} for _ in texts]
    # The best candidates of every shard are compared. Merging them by score could lose correct ones, because word
    # frequencies, and so scores, differ between shards.
    for shard in sorted(path for path in index.iterdir() if path.is_dir()):
        match_shard(shard, questions, found)
    results = []
    for matches in found:
        taken = {span for values in matches.values() for spans in values.values() for span in spans}
        chosen = {columns[number]: best_values(matches[number], taken) for number in sorted(matches)}
        results.append({column: values for column, values in chosen.items() if values})
    return results
