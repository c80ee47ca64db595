"""Which cells of a database a question mentions: an index of a database's texts on disk, and the look-up in it.

BM25 finds the cells that share words with a part of the question; of these a cell counts if it is also nearly equal to
a stretch of the question.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import bm25s
import pyarrow as pa
from bm25s.stopwords import STOPWORDS_EN_PLUS
from rapidfuzz import fuzz, process

from kid.data.cache import build_once, cache_folder, content_hash, key_of
from kid.data.schema import DamagedDatabaseError, database_error, open_database, quote, shadow_tables
from kid.errors import InputError

SHARD_CELLS = 100_000
MAX_CHARACTERS = 100
MAX_GRAM_WORDS = 4
CANDIDATES = 10
MIN_SIMILARITY = 90
MIN_WORD_SIMILARITY = 80
MAX_VALUES = 25
VERSIONS = [bm25s.__version__, pa.__version__, unicodedata.unidata_version]

ASKING = (
    "count date end find first give go id ids last least list many much name names number numbers one per please show "
    "tell three top total two"
)
STOP_WORDS = frozenset(STOPWORDS_EN_PLUS) | frozenset(ASKING.split())  # values only in quotes or in capitals
# A number with its decimals or minutes is one word, so that 3 is not found in 3.5; what follows an apostrophe is none.
WORD = re.compile(r"\d+(?:[.,:]\d+)+|(?!(?<=[^\W_]')(?:s|t|d|m|re|ll|ve)\b)[^\W_]+", re.IGNORECASE)
DIGITS = re.compile(r"\d+")
LETTER = re.compile(r"[^\W\d_]")
JOINT = re.compile(r"(?<=[^\W_])[-_/]+(?=[^\W_])")  # not the minus of -5 and of the grade B-
QUOTES = ("'", '"', "`")
OUTER = "'\"`.,;:?!()[]{} "
PLAINER = str.maketrans("\u2018\u2019\u00b4\u201c\u201d\u2010\u2011\u2012\u2013\u2014", "'''\"\"-----")

Place = tuple[float, int, int]  # similarity, and where in a question a stretch starts and ends

logging.getLogger("bm25s").setLevel(logging.WARNING)


def fold(text: str) -> str:
    """`text` as it is compared, but for its case: without accents, dashes inside words and repeated blanks."""
    if not text.isascii():
        # NFKD turns an acute accent that stands alone into a blank and an accent: quotes are mended before.
        decomposed = unicodedata.normalize("NFKD", text.translate(PLAINER))
        text = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(JOINT.sub(" ", text).split())


def stem(word: str) -> str:
    """Without a plural's s. Only for finding: what is found is compared in full."""
    if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui":
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word


@contextmanager
def skip_unsupported() -> Iterator[None]:
    """Pass over what this SQLite cannot run: a virtual table's module or a column's function that it lacks."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise


def read_columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(table, column) in the database's order, without views, SQLite's own tables and the insides of virtual tables."""
    shadows = shadow_tables(connection)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    columns = []
    for (table,) in tables:
        if table not in shadows and not table.lower().startswith("sqlite_"):
            with skip_unsupported():
                rows = connection.execute(f"PRAGMA table_xinfo({quote(table)})").fetchall()
                # hidden = 1 is a column of a virtual table that means something to its module only.
                columns += [(table, name) for _, name, *_, hidden in rows if hidden != 1]
    return columns


def read_cells(connection: sqlite3.Connection, columns: list[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    """(number of the column, text) of the distinct texts of each column, one after the other."""
    blanks = "' ' || char(9, 10, 11, 12, 13)"
    for number, (table, column) in enumerate(columns):
        name = f"{quote(table)}.{quote(column)}"
        # GROUP BY sorts in bounded memory and then on disk; DISTINCT would fill a tree at random places.
        # BINARY: the column's own collation may be unknown here, or hold different texts to be equal.
        query = (
            f"SELECT {name} FROM {quote(table)} WHERE typeof({name}) = 'text' "
            f"AND length(trim({name}, {blanks})) BETWEEN 1 AND {MAX_CHARACTERS} GROUP BY {name} COLLATE BINARY"
        )
        with skip_unsupported():
            for (text,) in connection.execute(query):
                yield number, " ".join(text.split())


def write_shard(folder: Path, cells: list[tuple[int, str]]) -> None:
    """A BM25 index whose documents are the distinct folded texts of `cells`, and the cells of each document."""
    # Cells that differ in column, case or accents are one document: as several, one text could take all the places
    # among the best candidates.
    documents: dict[str, list[str]] = {}
    words: list[list[int]] = []
    vocabulary: dict[str, int] = {}
    for number, text in cells:
        folded = fold(text).strip(OUTER).casefold()
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
    """The folder with the index of a SQLite file's texts, made where the cache does not hold it.

    Memory does not grow with the database: SQLite sorts in temporary files (`SQLITE_TMPDIR` says where), and each
    `SHARD_CELLS` texts have an index of their own.

    Raises:
        InputError: the file cannot be read or is no sound SQLite database, or the cache cannot be written.
    """

    def build(folder: Path) -> None:
        with open_database(database) as connection:
            connection.executescript("PRAGMA cache_size = -65536; PRAGMA temp_store = FILE")  # 64 MiB to sort in
            columns = read_columns(connection)
            (folder / "columns.json").write_text(json.dumps(columns))
            cells = read_cells(connection, columns)
            number = 0
            while shard := list(islice(cells, SHARD_CELLS)):
                write_shard(folder / f"{number:06d}", shard)
                number += 1

    try:
        key = key_of([content_hash(database), content_hash(Path(__file__)), SHARD_CELLS, VERSIONS])
        return build_once(cache_folder() / "values" / key, build)
    except sqlite3.Error as error:
        found = database_error(database, error)
        if isinstance(found, DamagedDatabaseError):
            raise found from None
        raise InputError(f"{found}; SQLITE_TMPDIR must have room to sort it") from None


@dataclass
class SearchText:
    """A text to find cells in, folded; its words' places and stems, and which are worth a look-up on their own."""

    plain: str
    words: list[tuple[int, int]]
    stems: list[str]
    telling: list[bool]
    widths: dict[int, tuple[list[str], list[tuple[int, int]]]] = field(default_factory=dict)

    def whole(self, start: int, end: int) -> str:
        """A stretch with all that stands at it without a blank, but for quotes, brackets and stops."""
        right = self.plain.find(" ", end)
        return self.plain[self.plain.rfind(" ", 0, start) + 1 : right if right >= 0 else None].strip(OUTER)

    def is_quoted(self, start: int, end: int) -> bool:
        """Whether a stretch stands between quotes."""
        after = self.plain[end : end + 3].lstrip(".,;:?!")
        return self.plain[max(start - 1, 0) : start] in QUOTES and after[:1] in QUOTES

    def stretches(self, width: int) -> tuple[list[str], list[tuple[int, int]]]:
        """All runs of `width` words: the texts to compare with, and where each starts and ends."""
        if width not in self.widths:
            texts, places = self.widths[width] = [], []
            for (start, _), (_, end) in zip(self.words, self.words[width - 1 :], strict=False):
                # What stands at the words without a blank may belong to them: C++, 50%, McDonald's.
                for text in dict.fromkeys([self.plain[start:end].casefold(), self.whole(start, end).casefold()]):
                    texts.append(text)
                    places.append((start, end))
        return self.widths[width]


def search_text(text: str) -> SearchText:
    plain = fold(text)
    spans = [match.span() for match in WORD.finditer(plain)]
    words = [plain[start:end] for start, end in spans]
    shouted = plain.isupper()
    telling = [word.casefold() not in STOP_WORDS or (word.isupper() and not shouted) for word in words]
    return SearchText(plain, spans, [stem(word.casefold()) for word in words], telling)


def known_grams(question: SearchText, vocabulary: dict[str, int]) -> set[tuple[str, ...]]:
    """The 1- to 4-grams of a question without the words that a shard lacks, and without those of stop words only."""
    grams = set()
    for first, (start, _) in enumerate(question.words):
        gram: list[str] = []
        telling = False
        for place in range(first, min(first + MAX_GRAM_WORDS, len(question.words))):
            if question.stems[place] in vocabulary:
                gram.append(question.stems[place])
                telling = telling or question.telling[place]
                if telling or question.is_quoted(start, question.words[place][1]):
                    grams.add(tuple(sorted(gram)))
    return grams


def best_documents(retriever: bm25s.BM25, gram: tuple[str, ...]) -> list[int]:
    """The `CANDIDATES` best documents that share a word with the gram; of equal ones the first."""
    # retrieve() of bm25s sorts all scores, most of them zero, for each gram: that took most of the time.
    scores = retriever.get_scores(list(gram))
    best: list[int] = []
    while len(best) < CANDIDATES and scores[place := int(scores.argmax())] > 0:
        best.append(place)
        scores[place] = 0
    return best


def is_near(value: str, text: str) -> bool:
    """Whether two texts that are similar as a whole may mean the same: not Boeing 737 and 747, four vines and wines."""
    if DIGITS.findall(value) != DIGITS.findall(text) or not LETTER.search(value):
        return False
    pairs = zip(WORD.findall(value), WORD.findall(text), strict=False)
    return all(fuzz.ratio(one, other) > MIN_WORD_SIMILARITY for one, other in pairs)


def find_places(value: str, question: SearchText) -> list[Place]:
    """The stretches of a question that are nearly equal to a folded value, of as many words as it has."""
    texts, places = question.stretches(len(WORD.findall(value)))
    near = process.extract(value, texts, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY, limit=None)
    return [(score, *places[number]) for text, score, number in near if score == 100 or is_near(value, text)]


def is_meant(value: str, text: str, question: SearchText, place: Place) -> bool:
    """Whether a stretch means the cell `text`, of which `value` is the folded form, and is not equal by chance.

    Between quotes it does. Otherwise numbers of one or two digits do not (they count something, nine times in ten),
    single letters and codes of two capitals do if they stand as in the cell, stop words if that is in capitals.
    """
    _, start, end = place
    stop = value in STOP_WORDS
    if question.is_quoted(start, end) or (len(value) > 2 and not stop):
        return True
    word, whole = question.plain[start:end], question.whole(start, end)
    same = fold(text).strip(OUTER) in (word, whole)
    if len(value) == 1 and LETTER.match(value):
        # Not the D of Ph.D. nor the article that begins a question.
        return same and word not in STOP_WORDS and word not in ("A", "I") and word == whole
    if stop:
        return same and word.isupper() and not question.plain.isupper()
    return not value.isdigit() and (same or not text.isupper())


def best_values(matches: dict[str, list[Place]], taken: set[Place]) -> list[str]:
    """The values of one column by similarity, place and text, without those that a better match leaves no place.

    Better is a match in any column that is as similar and longer, or in the same place more similar: of New York City,
    New York goes; of Johnson, Johnston.
    """
    ranked = []
    for text, places in matches.items():
        free = [
            (-score, start, end)
            for score, start, end in places
            if not any(s <= start and end <= e and score <= z and (z, s, e) != (score, start, end) for z, s, e in taken)
        ]
        if free:
            ranked.append((*min(free)[:2], text))
    return [text for *_, text in sorted(ranked)[:MAX_VALUES]]


def match_shard(shard: Path, questions: list[SearchText], found: list[dict[int, dict[str, list[Place]]]]) -> None:
    """Add what a shard holds to `found`, for each question: number of the column -> cell -> places."""
    retriever = bm25s.BM25.load(shard, mmap=True, show_progress=False)
    grams = [known_grams(question, retriever.vocab_dict) for question in questions]
    best = {gram: best_documents(retriever, gram) for gram in set().union(*grams)}
    with pa.memory_map(str(shard / "cells.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
        for question, wanted, matches in zip(questions, grams, found, strict=True):
            for document in {document for gram in wanted for document in best[gram]}:
                value = table["folded"][document].as_py()
                if places := find_places(value, question):
                    for cell in table["cells"][document].as_py():
                        column, text = cell.split("\t")
                        if meant := [place for place in places if is_meant(value, text, question, place)]:
                            matches.setdefault(int(column), {})[text] = meant


def match_values(index: Path, texts: list[str]) -> list[dict[tuple[str, str], list[str]]]:
    """For each text the cells that it mentions: {(table, column): values}, in the database's order.

    A text's result does not depend on the other texts; together they are faster, as each shard is opened once.

    Args:
        index: of `build_value_index`.
        texts: questions on that database, with their evidence where there is some.
    """
    columns = [tuple(column) for column in json.loads((index / "columns.json").read_text())]
    questions = [search_text(text) for text in texts]
    found: list[dict[int, dict[str, list[Place]]]] = [{} for _ in texts]
    # The best of each shard are all compared. Merged by score, right ones could get lost: how rare a word is, and with
    # it its score, differs between shards.
    for shard in sorted(path for path in index.iterdir() if path.is_dir()):
        match_shard(shard, questions, found)
    results = []
    for matches in found:
        taken = {place for values in matches.values() for places in values.values() for place in places}
        chosen = {columns[number]: best_values(matches[number], taken) for number in sorted(matches)}
        results.append({column: values for column, values in chosen.items() if values})
    return results
