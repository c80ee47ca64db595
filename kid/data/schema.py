"""A database's schema: names, keys, comments from tables.json; types, keys, sample values from the SQLite file."""

from __future__ import annotations

import csv
import io
import sqlite3
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kid.data.faults import Damage
from kid.data.questions import read_items
from kid.errors import InputError

SAMPLE_VALUES = 2
MAX_VALUE_CHARACTERS = 25
SAMPLED_ROWS = 10_000  # sample values come from a table's first rows: reading all of a large one takes minutes
MAX_COMMENT_CHARACTERS = 100
REQUIRED_KEYS = (
    "table_names_original",
    "column_names",
    "column_names_original",
    "column_types",
    "primary_keys",
    "foreign_keys",
)


JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9"  # a rollback journal without it is an old one
CORRUPTION_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DamagedDatabaseError(InputError):
    """The file is a damaged SQLite database or none at all, or does not match tables.json."""


@dataclass(frozen=True)
class Column:
    """A column: `name` as in the database, `comment` in plain words or empty, `values` up to two samples as text."""

    name: str
    comment: str
    type: str
    primary_key: bool
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Schema:
    """A database's tables and foreign keys.

    foreign_keys: (table, column, referenced table, referenced column), all of them in `tables`.
    skipped: what the files have but a schema cannot hold: foreign keys to nowhere, views that do not work.
    """

    db_id: str
    tables: tuple[Table, ...]
    foreign_keys: tuple[tuple[str, str, str, str], ...]
    skipped: tuple[str, ...] = ()

    @property
    def columns_by_table(self) -> dict[str, list[str]]:
        """Name of each table -> names of its columns."""
        return {table.name: [column.name for column in table.columns] for table in self.tables}


def quote(name: str) -> str:
    """`name` as a quoted SQLite identifier; it may hold any characters."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading; bytes of its cells that are not UTF-8 are dropped.

    Nothing is written beside it, so it may lie on a read-only disk.
    """
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", errors="ignore")
    try:
        yield connection
    finally:
        connection.close()


def check_not_in_use(path: Path) -> None:
    """Raise InputError if a writer has left part of the database in a log, which we would not read."""
    log, journal = (path.with_name(f"{path.name}-{kind}") for kind in ("wal", "journal"))
    if log.is_file() and log.stat().st_size:
        raise InputError(f"{path} is in use: {log.name} holds part of it; end its writer, or PRAGMA wal_checkpoint")
    if journal.is_file() and journal.read_bytes()[:4] == JOURNAL_MAGIC:
        raise InputError(f"{path} is in use: {journal.name} is to be played back; open it once with sqlite3")


def database_error(path: Path, error: sqlite3.Error) -> InputError:
    """The error for a file: DamagedDatabaseError if it is damaged, InputError otherwise (disk full, no permission)."""
    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPTION_CODES
    return (DamagedDatabaseError if damaged else InputError)(f"{path}: {error}")


def shadow_tables(connection: sqlite3.Connection) -> set[str]:
    """Tables in which virtual tables keep their own data. SQLite before 3.37 does not report them."""
    return {name for _, name, kind, *_ in connection.execute("PRAGMA table_list") if kind == "shadow"}


def sample_values(connection: sqlite3.Connection, table: str, column: str) -> tuple[str, ...]:
    """Up to two distinct values of 1 to 25 characters, in the table's order; no NULLs, no blobs."""
    name = f"{quote(table)}.{quote(column)}"  # a bare name that is no column would be read as a string
    rows = connection.execute(
        f"SELECT DISTINCT CAST(cell AS TEXT) FROM (SELECT {name} AS cell FROM {quote(table)} LIMIT {SAMPLED_ROWS}) "
        f"WHERE typeof(cell) NOT IN ('null', 'blob') "
        f"AND length(trim(CAST(cell AS TEXT))) BETWEEN 1 AND {MAX_VALUE_CHARACTERS}"
    )
    values: list[str] = []
    for (value,) in rows:
        value = " ".join(value.split())
        if value and value not in values:
            values.append(value)
        if len(values) == SAMPLE_VALUES:
            break
    return tuple(values)


def adds_information(comment: str, name: str) -> bool:
    """Whether a comment differs from the name in more than blanks, underscores and letter case."""
    plain = [text.lower().replace("_", "").replace(" ", "") for text in (comment, name)]
    return bool(plain[0]) and plain[0] != plain[1]


def schema_from_tables_json(item: dict) -> Schema:
    """One item of tables.json, without sample values.

    Raises:
        ValueError: the item is damaged; the message says how.
    """
    lacking = [key for key in REQUIRED_KEYS if not isinstance(item.get(key), list)]
    if lacking:
        raise ValueError(f"lacks {', '.join(lacking)}")
    tables, names = item["table_names_original"], item["column_names_original"]
    if not tables or not all(isinstance(name, str) for name in tables):
        raise ValueError("has no tables, or one whose name is no text")
    lowered = [name.lower() for name in tables]
    twice = sorted({name for name in lowered if lowered.count(name) > 1})
    if twice:
        raise ValueError(f"has two tables called {' and '.join(twice)}")
    if not len(names) == len(item["column_names"]) == len(item["column_types"]):
        raise ValueError("has column names and column types of different number")
    columns: list[list[Column]] = [[] for _ in tables]
    try:
        # Composite primary keys are lists.
        primary = {key for entry in item["primary_keys"] for key in (entry if isinstance(entry, list) else [entry])}
        for index, ((table, name), (_, comment), kind) in enumerate(
            zip(names, item["column_names"], item["column_types"], strict=True)
        ):
            if table >= 0:  # the first entry is "*", of no table
                comment = comment if adds_information(comment, name) else ""
                columns[table].append(Column(name, comment.lower(), kind.lower(), index in primary))
        keys, skipped = [], []
        for ends in item["foreign_keys"]:
            if all(0 <= end < len(names) and names[end][0] >= 0 for end in ends):
                (a, column), (b, referenced) = names[ends[0]], names[ends[1]]
                keys.append((tables[a], column, tables[b], referenced))
            else:
                skipped.append(f"foreign key {ends} to nowhere")
    except (ValueError, TypeError, IndexError, AttributeError):
        raise ValueError("has columns or foreign keys that are not Spider's own format") from None
    for name, own in zip(tables, columns, strict=True):
        known = [column.name.lower() for column in own]
        if len(set(known)) < max(1, len(known)):
            raise ValueError(f"has no column or one of them twice in table {name}")
    return Schema(item["db_id"], tuple(map(Table, tables, map(tuple, columns))), tuple(keys), tuple(skipped))


def schema_from_database(db_id: str, connection: sqlite3.Connection) -> Schema:
    """The tables and views of a database, if there is no tables.json. Raises sqlite3.Error."""
    shadows = shadow_tables(connection)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid")
    tables, skipped = [], []
    for (name,) in names.fetchall():
        if name in shadows:
            continue
        try:
            # hidden = 1 is a column of a virtual table that means something to its module only.
            rows = connection.execute(
                "SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden != 1", (name,)
            ).fetchall()
        except sqlite3.OperationalError as error:  # a view of a missing table, a module that is not loaded
            skipped.append(f"{name} ({error})")
            continue
        tables.append(Table(name, tuple(Column(column, "", "", bool(key)) for column, key in rows)))
    return Schema(db_id, tuple(tables), (), tuple(skipped))


def description_files(database: Path) -> list[Path]:
    """BIRD's database_description/TABLE.csv beside a database; empty for other benchmarks."""
    return sorted(path for path in (database.parent / "database_description").glob("*.csv") if path.is_file())


def read_descriptions(database: Path) -> tuple[dict[tuple[str, str], str], list[str]]:
    """BIRD's comments: (table, column), lower-cased -> comment; and messages on files that cannot be read."""
    found: dict[tuple[str, str], str] = {}
    unreadable = []
    for path in description_files(database):
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", errors="ignore")  # some of BIRD's are
        try:
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
        except csv.Error as error:
            unreadable.append(f"comments in {path} ({error})")
            continue
        for row in rows:
            name = (row.get("original_column_name") or "").strip()
            words = [" ".join((row.get(key) or "").split()) for key in ("column_description", "column_name")]
            comment = next((text for text in words if adds_information(text, name)), "")
            if name and comment:
                comment = textwrap.shorten(comment.lower(), MAX_COMMENT_CHARACTERS, placeholder="")
                found[path.stem.lower(), name.lower()] = comment
    return found, unreadable


def declared_foreign_keys(
    connection: sqlite3.Connection, schema: Schema
) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Foreign keys that the database itself declares, and those of them that point nowhere, in words."""
    tables = {table.name.lower(): table for table in schema.tables}
    keys, dangling = [], []
    for table in schema.tables:
        rows = connection.execute(
            'SELECT "table", "from", "to", seq FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq', (table.name,)
        )
        for name, column, referenced, place in rows.fetchall():
            own = [c.name for c in table.columns if c.name.lower() == column.lower()]
            target = tables.get(name.lower())
            columns = target.columns if target else ()
            if referenced is None:  # REFERENCES t: its primary key
                matching = [c.name for c in columns if c.primary_key][place : place + 1]
            else:
                matching = [c.name for c in columns if c.name.lower() == referenced.lower()]
            if own and matching:
                keys.append((table.name, own[0], target.name, matching[0]))
            else:
                dangling.append(f"foreign key {table.name}.{column} to {name}.{referenced or '(its primary key)'}")
    return keys, dangling


def complete_schema(schema: Schema, connection: sqlite3.Connection, descriptions: dict[tuple[str, str], str]) -> Schema:
    """Add what only the SQLite file has (declared types and keys, sample values), and BIRD's comments, to a schema.

    Raises:
        ValueError: the database lacks a table or column that the schema names.
        sqlite3.Error: the file cannot be read.
    """
    tables, skipped = [], []
    for table in schema.tables:
        rows = connection.execute("SELECT name, type, pk FROM pragma_table_xinfo(?)", (table.name,)).fetchall()
        declared = {name.lower(): (kind.split("(")[0].strip().lower(), bool(key)) for name, kind, key in rows}
        if not declared:
            raise ValueError(f"no table {table.name}")
        lacking = [column.name for column in table.columns if column.name.lower() not in declared]
        if lacking:
            raise ValueError(f"no column {table.name}.{f', {table.name}.'.join(lacking)}")
        try:
            samples = [sample_values(connection, table.name, column.name) for column in table.columns]
        except sqlite3.OperationalError as error:  # a view that cannot be run
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
                raise
            skipped.append(f"{table.name} ({error})")
            continue
        columns = []
        for column, values in zip(table.columns, samples, strict=True):
            kind, key = declared[column.name.lower()]
            comment = column.comment or descriptions.get((table.name.lower(), column.name.lower()), "")
            columns.append(Column(column.name, comment, kind or column.type, column.primary_key or key, values))
        tables.append(Table(table.name, tuple(columns)))
    complete = replace(schema, tables=tuple(tables))
    declared_foreign, dangling = declared_foreign_keys(connection, complete)
    shown = {table.name.lower() for table in tables}
    unique: dict[tuple[str, ...], tuple[str, str, str, str]] = {}
    for key in [*schema.foreign_keys, *declared_foreign]:
        if {key[0].lower(), key[2].lower()} <= shown:
            unique.setdefault(tuple(name.lower() for name in key), key)
    return replace(complete, foreign_keys=tuple(unique.values()), skipped=(*schema.skipped, *skipped, *dangling))


def without_internal_tables(schema: Schema) -> Schema:
    """The schema without SQLite's own tables (sqlite_sequence): no query needs them, and not every copy has them."""
    tables = tuple(table for table in schema.tables if not table.name.lower().startswith("sqlite_"))
    return replace(schema, tables=tables)


def read_database(schema: Schema | None, db_id: str, path: Path) -> Schema:
    """The complete schema of a database, read from its SQLite file.

    Args:
        schema: from tables.json; if None, everything comes from the file.

    Raises:
        DamagedDatabaseError: the file is no SQLite database, has no tables, or lacks some that tables.json names.
        InputError: it cannot be read.
    """
    try:
        with open_database(path) as connection:
            schema = without_internal_tables(schema or schema_from_database(db_id, connection))
            descriptions, unreadable = read_descriptions(path)
            complete = complete_schema(schema, connection, descriptions)
    except sqlite3.Error as error:
        raise database_error(path, error) from None
    except ValueError as error:
        raise DamagedDatabaseError(f"{path}: {error}, which tables.json names") from None
    if not complete.tables:
        raise DamagedDatabaseError(f"{path}: no tables in it")
    return replace(complete, skipped=(*complete.skipped, *unreadable))


def read_tables(path: Path, damage: Damage) -> dict[str, Schema | None]:
    """The schemas in tables.json by db_id, without sample values; None, with a fault in `damage`, if damaged."""
    schemas: dict[str, Schema | None] = {}
    for position, item in read_items(path, damage):
        db_id = item.get("db_id")
        if not isinstance(db_id, str):
            damage.add("schema without db_id", f"{path}, item {position}")
        elif db_id in schemas:
            damage.add("second schema of one db_id", f"{path}, {db_id}")
        else:
            try:
                schemas[db_id] = without_internal_tables(schema_from_tables_json(item))
            except ValueError as error:
                schemas[db_id] = None
                damage.add("damaged schema", f"{path}, db_id {db_id} {error}")
    return schemas
