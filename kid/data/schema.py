"""A database's schema: names, keys, comments from tables.json; types, keys, sample values from the SQLite file."""

from __future__ import annotations

import csv
import io
import sqlite3
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kid.data.computed import read_apart
from kid.data.database import TimeLimit, open_database, sample_values, shadow_tables, table_columns
from kid.data.faults import Damage
from kid.data.questions import is_text, read_items
from kid.errors import InputError
from kid.files import name_fault
from kid.sql.parsing import lower

STORED_SECONDS = 60.0  # for the sample values of a column that lies in the file
COMPUTED_SECONDS = 5.0  # for those of a view, a virtual table or a table's generated columns
COMPUTED_TOTAL_SECONDS = 20.0  # for all of a database
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


def check_not_in_use(path: Path) -> None:
    """Raise InputError if a writer has left part of the database in a log, which we would not read."""
    # SQLite keeps the logs of a database that is opened by a link beside the file itself.
    for place in dict.fromkeys((path, path.resolve())):
        log, journal = (place.with_name(f"{place.name}-{kind}") for kind in ("wal", "journal"))
        shown = {file: file.name if place == path else file for file in (log, journal)}
        if log.is_file() and log.stat().st_size:
            raise InputError(
                f"{path} is in use: {shown[log]} holds part of it; end its writer, or PRAGMA wal_checkpoint"
            )
        if journal.is_file() and first_bytes(journal, len(JOURNAL_MAGIC)) == JOURNAL_MAGIC:
            raise InputError(f"{path} is in use: {shown[journal]} is to be played back; open it once with sqlite3")


def first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def database_error(path: Path, error: sqlite3.Error) -> InputError:
    """The error for a file: DamagedDatabaseError if it is damaged, InputError otherwise (disk full, no permission)."""
    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in CORRUPTION_CODES
    return (DamagedDatabaseError if damaged else InputError)(f"{path}: {error}")


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
    if not tables or not all(map(is_text, tables)):
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
            if not all(map(is_text, (name, comment, kind))):
                raise ValueError
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


@dataclass
class TableContents:
    """What a SQLite file says of a table or view.

    columns: as `table_columns` gives them; none if there is no such table.
    values: sample values by the column's name as `lower` writes it.
    fault: why columns or values were not read, and SQLite's error code, 0 for a limit of time or memory.
    """

    columns: list[tuple[str, str, int, int]] = field(default_factory=list)
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fault: tuple[str, int] | None = None

    @property
    def refused(self) -> bool:
        """Whether SQLite cannot run it: a view of a missing table, a module that is not loaded."""
        return self.fault is not None and self.fault[1] != 0


def stored_tables(connection: sqlite3.Connection) -> set[str]:
    """Names, as `lower` writes them, of the tables whose rows lie in the file: no views, no virtual tables."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {lower(name) for name, sql in rows if (sql or "").upper().startswith("CREATE TABLE")}


def table_names(connection: sqlite3.Connection) -> list[str]:
    """The tables and views of a database, without those that virtual tables and SQLite keep for themselves."""
    shadows = shadow_tables(connection)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid")
    return [name for (name,) in rows if name not in shadows and not name.lower().startswith("sqlite_")]


def read_contents(
    connection: sqlite3.Connection, path: Path, wanted: Mapping[str, list[str] | None]
) -> dict[str, TableContents]:
    """The columns and sample values of tables and views, by the name in `wanted`.

    What lies in the file is read here, what SQLite computes (views, virtual tables, generated columns) in a process of
    its own and within limits.

    Args:
        wanted: table -> the columns whose values are wanted; None: all of them.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    stored, contents, apart = stored_tables(connection), {}, []
    for table, columns in wanted.items():
        found = contents[table] = TableContents()
        if lower(table) not in stored:
            apart.append((table, columns))
            continue
        try:
            found.columns = table_columns(connection, table)
            # As columns are called here: a name that is no column of the table is the caller's fault to find.
            names = {lower(name): hidden for name, _, _, hidden in found.columns if hidden != 1}
            chosen = [name for name in (names if columns is None else columns) if lower(name) in names]
            for name in (name for name in chosen if names[lower(name)] != 2):
                with TimeLimit(connection, STORED_SECONDS):
                    found.values[lower(name)] = sample_values(connection, table, name)
            if generated := [name for name in chosen if names[lower(name)] == 2]:
                apart.append((table, generated))
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_INTERRUPT):
                raise
            late = code == sqlite3.SQLITE_INTERRUPT
            found.fault = (f"not read within {STORED_SECONDS:g} s", 0) if late else (str(error), code)
    # All columns first, so that a table has them even if there is no time left for its values.
    jobs = [("columns", table) for table, _ in apart if not contents[table].columns]
    jobs += [("values", table, columns) for table, columns in apart]
    for number, value, fault in read_apart(path, jobs, COMPUTED_SECONDS, COMPUTED_TOTAL_SECONDS):
        kind, table, *_ = jobs[number]
        found = contents[table]
        if kind == "values" and not found.columns and not found.fault:
            continue  # there is no such table
        if fault and fault[1] & 0xFF not in (0, sqlite3.SQLITE_ERROR):
            raise sqlite_error(*fault)
        if fault:
            found.fault = found.fault or fault
        elif kind == "columns":
            found.columns = [tuple(row) for row in value]
        elif found.columns:
            found.values |= {lower(name): tuple(texts) for name, texts in value.items()}
    return contents


def sqlite_error(message: str, code: int) -> sqlite3.Error:
    """The error that another process has met."""
    error = (sqlite3.OperationalError if code == sqlite3.SQLITE_ERROR else sqlite3.DatabaseError)(message)
    error.sqlite_errorcode = code
    return error


def schema_from_contents(db_id: str, names: list[str], contents: Mapping[str, TableContents]) -> Schema:
    """The tables and views of a database, if there is no tables.json, without sample values."""
    tables, skipped = [], []
    for name in names:
        found = contents[name]
        if found.fault and not found.columns:
            skipped.append(f"{name} ({found.fault[0]})")
        else:
            shown = [(column, bool(key)) for column, _, key, hidden in found.columns if hidden != 1]
            tables.append(Table(name, tuple(Column(column, "", "", key) for column, key in shown)))
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


def complete_schema(
    schema: Schema,
    connection: sqlite3.Connection,
    contents: Mapping[str, TableContents],
    descriptions: dict[tuple[str, str], str],
) -> tuple[Schema, list[str]]:
    """Add what only the SQLite file has (declared types and keys, sample values), and BIRD's comments, to a schema.

    Also returns lines on the tables whose sample values were not read for want of time or memory.

    Raises:
        ValueError: the database lacks a table or column that the schema names.
        sqlite3.Error: the file cannot be read.
    """
    tables, skipped = [], []
    unread: dict[str, list[str]] = {}
    for table in schema.tables:
        found = contents[table.name]
        declared = {
            name.lower(): (kind.split("(")[0].strip().lower(), bool(key)) for name, kind, key, _ in found.columns
        }
        if not declared and found.refused:
            raise sqlite_error(*found.fault)
        if not declared and not found.fault:
            raise ValueError(f"no table {table.name}")
        lacking = [column.name for column in table.columns if declared and column.name.lower() not in declared]
        if lacking:
            raise ValueError(f"no column {table.name}.{f', {table.name}.'.join(lacking)}")
        if found.refused:  # a view that cannot be run
            skipped.append(f"{table.name} ({found.fault[0]})")
            continue
        if found.fault:
            unread.setdefault(found.fault[0], []).append(table.name)
        columns = []
        for column in table.columns:
            kind, key = declared.get(column.name.lower(), ("", False))
            comment = column.comment or descriptions.get((table.name.lower(), column.name.lower()), "")
            values = found.values.get(lower(column.name), ())
            columns.append(Column(column.name, comment, kind or column.type, column.primary_key or key, values))
        tables.append(Table(table.name, tuple(columns)))
    complete = replace(schema, tables=tuple(tables))
    declared_foreign, dangling = declared_foreign_keys(connection, complete)
    shown = {table.name.lower() for table in tables}
    unique: dict[tuple[str, ...], tuple[str, str, str, str]] = {}
    for key in [*schema.foreign_keys, *declared_foreign]:
        if {key[0].lower(), key[2].lower()} <= shown:
            unique.setdefault(tuple(name.lower() for name in key), key)
    lines = [f"sample values of {', '.join(names)} ({reason})" for reason, names in unread.items()]
    skipped = (*schema.skipped, *skipped, *lines, *dangling)
    return replace(complete, foreign_keys=tuple(unique.values()), skipped=skipped), lines


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
            if schema is None:
                names = table_names(connection)
                contents = read_contents(connection, path, dict.fromkeys(names))
                schema = schema_from_contents(db_id, names, contents)
            else:
                schema = without_internal_tables(schema)
                contents = read_contents(connection, path, schema.columns_by_table)
            descriptions, unreadable = read_descriptions(path)
            complete, unread = complete_schema(schema, connection, contents, descriptions)
    except sqlite3.Error as error:
        raise database_error(path, error) from None
    except ValueError as error:
        raise DamagedDatabaseError(f"{path}: {error}, which tables.json names") from None
    if not complete.tables:
        raise DamagedDatabaseError(f"{path}: no tables in it")
    for line in unread:  # said at once, for it has taken time; `skipped` is said where all that is left out is
        print(f"note: {path}: goes on without {line}", file=sys.stderr)
    return replace(complete, skipped=(*complete.skipped, *unreadable))


def read_tables(path: Path, damage: Damage) -> dict[str, Schema | None]:
    """The schemas in tables.json by db_id, without sample values; None, with a fault in `damage`, if damaged."""
    schemas: dict[str, Schema | None] = {}
    for position, item in read_items(path, damage):
        db_id = item.get("db_id")
        if not is_text(db_id):
            damage.add("schema without db_id", f"{path}, item {position}")
        elif fault := name_fault(db_id):
            damage.add(f"schema with a db_id that {fault}", f"{path}, item {position}")
        elif db_id in schemas:
            damage.add("second schema of one db_id", f"{path}, {db_id}")
        else:
            try:
                schemas[db_id] = without_internal_tables(schema_from_tables_json(item))
            except ValueError as error:
                schemas[db_id] = None
                damage.add("damaged schema", f"{path}, db_id {db_id} {error}")
    return schemas
