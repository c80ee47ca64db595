"""An on-disk index of a database's texts, in which `kid.data.matching` finds those that a question mentions."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path

import bm25s
import pyarrow as pa

from kid.data.cache import build_once, cache_folder, content_hash, json_hash
from kid.data.computed import read_apart
from kid.data.contents import shadow_tables, sqlite_error, stored_tables
from kid.data.database import (
    DamagedDatabaseError,
    TimeLimit,
    cells_query,
    database_error,
    open_database,
    table_columns,
)
from kid.data.unspaced import is_unspaced, written_forms
from kid.data.words import OUTER_PUNCTUATION, WORD, fold, stem
from kid.errors import InputError
from kid.sql.parsing import lower

SHARD_CELLS = 100_000
MAX_CELL_CHARACTERS = 100
# Generous time limits for reading a database's texts; a damaged file whose pages form a cycle would take forever.
READ_SECONDS, READ_SECONDS_PER_MB = 60.0, 2.0
COLUMNS_FILE, LEFT_OUT_FILE = "columns.json", "left_out.json"
# Files of a shard: its documents, the BM25 index of those with words, and the forms of the others in questions.
CELLS_FILE, WORDS_FOLDER, FORMS_FILE = "cells.arrow", "words", "forms.arrow"
# The modules that an index depends on.
CODE = ("value_index", "words", "unspaced", "contents", "database", "computed", "computed_reader")
VERSIONS = [bm25s.__version__, pa.__version__, unicodedata.unidata_version]

logging.getLogger("bm25s").setLevel(logging.WARNING)


@contextmanager
def skip_unsupported() -> Iterator[None]:
    """Skip what this SQLite cannot read because it lacks a virtual table's module or a column's function."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise


def read_columns(connection: sqlite3.Connection) -> list[tuple[str, str, bool]]:
    """(table, column, whether SQLite computes its cells) in the database's order.

    Excludes views, SQLite's own tables, and shadow tables of virtual tables.
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
    """Yield (number of the column, text) for the distinct texts of each column, column by column.

    Args:
        columns: as returned by `read_columns`.
        seconds: time limit for reading the whole database; the caller's time between two texts does not count.
        left_out: receives an entry for each column that was not read completely within the limits.
    """
    with TimeLimit(connection, seconds) as limit:
        for computed, group in groupby(enumerate(columns), key=lambda item: item[1][2]):
            members = list(group)
            read = read_computed_cells(path, members, limit) if computed else read_stored_cells(connection, members)
            for number, text, fault in read:
                if fault:
                    left_out.append(f"{'.'.join(columns[number][:2])} ({fault})")
                elif len(text) <= MAX_CELL_CHARACTERS:  # SQLite's length() stops at a zero character
                    started = time.monotonic()
                    yield number, text
                    limit.deadline += time.monotonic() - started


def read_stored_cells(connection: sqlite3.Connection, columns: list) -> Iterator[tuple[int, str, str]]:
    """Yield (number of the column, text, "") for numbered columns, or (number, "", reason) at the time limit."""
    for number, (table, column, _) in columns:
        with skip_unsupported():
            try:
                for (text,) in connection.execute(cells_query(table, column, MAX_CELL_CHARACTERS)):
                    yield number, text, ""
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
                    raise
                yield number, "", "the time limit for the database was reached"


def read_computed_cells(path: Path, columns: list, limit: TimeLimit) -> Iterator[tuple[int, str, str]]:
    """Like `read_stored_cells`, for columns that SQLite computes, which are read in a separate process."""
    jobs = [("cells", table, column, MAX_CELL_CHARACTERS) for _, (table, column, _) in columns]
    left = max(0.0, limit.deadline - time.monotonic())
    for job, text, fault in read_apart(path, jobs, left, left):
        reason, code = fault or ("", 0)
        with skip_unsupported():
            if code:
                raise sqlite_error(reason, code)
            yield columns[job][0], text, reason


def write_shard(folder: Path, cells: list[tuple[int, str]]) -> None:
    """Write the documents of a shard, which are the distinct folded texts of `cells`, with the cells of each.

    Documents in scripts without blanks between words are listed by their forms in questions; all others get a BM25
    index. Nothing is written if no text has a word.
    """
    # Cells that differ only in column, case, accents or blanks form one document, so that a single text cannot fill the
    # list of best candidates. The inner dicts are ordered sets.
    documents: dict[str, dict[str, None]] = {}
    unspaced: dict[str, dict[str, None]] = {}
    words: list[list[int]] = []
    vocabulary: dict[str, int] = {}
    for number, text in cells:
        folded = fold(text).strip(OUTER_PUNCTUATION).casefold()
        kind = unspaced if is_unspaced(folded) else documents
        if folded not in kind:
            if kind is documents:
                stems = [stem(word) for word in WORD.findall(folded)]
                if not stems:
                    continue
                words.append([vocabulary.setdefault(word, len(vocabulary)) for word in stems])
            kind[folded] = {}
        kind[folded][f"{number}\t{text}"] = None
    if not documents and not unspaced:
        return
    folder.mkdir()
    if documents:
        retriever = bm25s.BM25()
        retriever.index((words, vocabulary), create_empty_token=False, show_progress=False)
        retriever.save(folder / WORDS_FOLDER, show_progress=False)
    if unspaced:
        numbered = enumerate(unspaced, len(documents))
        forms = [(form, document) for document, value in numbered for form in written_forms(value)]
        write_table(folder / FORMS_FILE, form=[form for form, _ in forms], document=[number for _, number in forms])
    cells_by_document = [list(texts) for kind in (documents, unspaced) for texts in kind.values()]
    write_table(folder / CELLS_FILE, folded=[*documents, *unspaced], cells=cells_by_document)


def write_table(path: Path, **columns: list) -> None:
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def build_value_index(database: Path) -> Path:
    """Return the folder with the index of a SQLite file's texts, after building it if it is not in the cache.

    Memory does not grow with the database: SQLite sorts in temporary files (in `SQLITE_TMPDIR`), and there is a
    separate index for every `SHARD_CELLS` texts.

    Raises:
        InputError: the file cannot be read or is damaged, or the cache cannot be written.
    """

    def build(folder: Path) -> None:
        with open_database(database) as connection:
            connection.executescript("PRAGMA cache_size = -65536; PRAGMA temp_store = FILE")  # 64 MiB for sorting
            columns = read_columns(connection)
            (folder / COLUMNS_FILE).write_text(json.dumps([column[:2] for column in columns]))
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
        raise InputError(f"{found}; sorting it needs free space in SQLITE_TMPDIR") from None


def left_out_columns(index: Path) -> list[str]:
    """The columns that are not completely in an index because reading them took too long, each with the reason."""
    return json.loads((index / LEFT_OUT_FILE).read_text())
