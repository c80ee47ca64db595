"""A database's schema, as described by a benchmark's files: tables.json, and BIRD's descriptions of columns."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

from kid.data.faults import Damage
from kid.data.items import location_of, read_items
from kid.data.questions import is_text
from kid.files import name_fault
from kid.sql.parsing import lower

MAX_COMMENT_CHARACTERS = 100
REQUIRED_KEYS = (
    "table_names_original",
    "column_names",
    "column_names_original",
    "column_types",
    "primary_keys",
    "foreign_keys",
)


@dataclass(frozen=True)
class Column:
    """A column. name: as in the database; comment: in plain words, or empty; values: up to two samples as text."""

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
    skipped: what the files have but the schema omits, such as dangling foreign keys and broken views.
    added: (kind, name) of what the SQLite file adds to the description in tables.json.
    """

    db_id: str
    tables: tuple[Table, ...]
    foreign_keys: tuple[tuple[str, str, str, str], ...]
    skipped: tuple[str, ...] = ()
    added: tuple[tuple[str, str], ...] = ()

    @property
    def columns_by_table(self) -> dict[str, list[str]]:
        """Name of a table -> names of its columns."""
        return {table.name: [column.name for column in table.columns] for table in self.tables}


def adds_information(comment: str, name: str) -> bool:
    """Whether a comment differs from the name in more than blanks, underscores and letter case."""
    plain = [text.lower().replace("_", "").replace(" ", "") for text in (comment, name)]
    return bool(plain[0]) and plain[0] != plain[1]


def schema_from_tables_json(item: dict, partial: bool = False) -> Schema:
    """Read an item of tables.json, without sample values.

    Args:
        partial: whether it may lack tables, columns, types, plain names and keys, which the SQLite file has.

    Raises:
        ValueError: the item is damaged; the message says in what way.
    """
    if partial:
        check_own_item(item)
        item = with_empty_lists(item)
    if lacking := [key for key in REQUIRED_KEYS if item.get(key) is None]:
        raise ValueError(f"lacks {', '.join(lacking)}")
    if others := [key for key in REQUIRED_KEYS if not isinstance(item[key], list)]:
        raise ValueError(f"has {', '.join(others)} of another kind; each must be a list")
    tables, names = item["table_names_original"], item["column_names_original"]
    if not (tables or partial) or not all(map(is_text, tables)):
        raise ValueError("has no tables, or one whose name is not text")
    lowered = [lower(name) for name in tables]
    twice = sorted({name for name in lowered if lowered.count(name) > 1})
    if twice:
        raise ValueError(f"has two tables called {' and '.join(twice)}")
    for key in ("column_names", "column_types"):
        if len(item[key]) != len(names):
            numbers = f"{len(names)} column_names_original but {len(item[key])} {key}"
            raise ValueError(f"has {numbers}; both must have an entry for every column, and for column 0, the *")
    check_entries(item)
    columns: list[list[Column]] = [[] for _ in tables]
    descriptions = column_descriptions(item)
    # Composite primary keys are lists.
    primary = {key for entry in item["primary_keys"] for key in (entry if isinstance(entry, list) else [entry])}
    for index, ((table, name), (_, comment), kind) in enumerate(
        zip(names, item["column_names"], item["column_types"], strict=True)
    ):
        if table >= 0:  # the first entry is "*", which belongs to no table
            # A description may hold codes (A: active), so it keeps its letter case; plain names are lower case, as the
            # paper's prompts have them.
            texts = (descriptions[index], comment.lower())
            comment = next((text for text in texts if adds_information(text, name)), "")
            columns[table].append(Column(name, comment, kind.lower(), index in primary))
    keys, skipped = [], []
    for ends in item["foreign_keys"]:
        if all(0 <= end < len(names) and names[end][0] >= 0 for end in ends):
            (a, column), (b, referenced) = names[ends[0]], names[ends[1]]
            keys.append((tables[a], column, tables[b], referenced))
        else:
            skipped.append(f"dangling foreign key {ends}")
    for name, own in zip(tables, columns, strict=True):
        known = [lower(column.name) for column in own]
        if twice := sorted({column for column in known if known.count(column) > 1}):
            raise ValueError(f"has column {' and '.join(twice)} twice in table {name}")
        if not known and not partial:
            raise ValueError(f"has no column in table {name}")
    return Schema(item["db_id"], tuple(map(Table, tables, map(tuple, columns))), tuple(keys), tuple(skipped))


def check_own_item(item: dict) -> None:
    """Check what published benchmarks get wrong and users should not. Raises ValueError.

    Without the entry for *, all numbers of columns are one too low; a key to a column that does not exist is dropped.
    """
    names, keys = item.get("column_names_original"), item.get("foreign_keys")
    if names and isinstance(names, list) and names[0] != [-1, "*"]:
        raise ValueError('has a column as entry 0 of column_names_original, which must be [-1, "*"]')
    for index, ends in enumerate(keys if isinstance(keys, list) else []):
        numbers = [end for end in ends if is_number(end)] if isinstance(ends, list) else []
        if wrong := [end for end in numbers if not 0 < end < len(names or [])]:
            raise ValueError(f"has {ends} as entry {index} of foreign_keys, but there is no column {wrong[0]}")


def is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_entries(item: dict) -> None:
    """Check each entry of the lists of columns and keys. Raises ValueError that names the first wrong one."""
    tables = len(item["table_names_original"])

    def is_column(entry: object) -> bool:
        if not isinstance(entry, list) or len(entry) != 2:
            return False
        return is_number(entry[0]) and entry[0] < tables and is_text(entry[1])

    def is_primary(entry: object) -> bool:
        return all(map(is_number, entry)) if isinstance(entry, list) else is_number(entry)

    def is_foreign(entry: object) -> bool:
        return isinstance(entry, list) and len(entry) == 2 and all(map(is_number, entry))

    column = f"[number of a table from 0 to {tables - 1}, name]" if tables else '[-1, "*"], because no table is named'
    formats = {
        "column_names_original": (is_column, column),
        "column_names": (is_column, column),
        "column_types": (is_text, "a text"),
        "primary_keys": (is_primary, "a column's number or a list of numbers"),
        "foreign_keys": (is_foreign, "[number of a column, number of the column that it points at]"),
    }
    for key, (is_right, wanted) in formats.items():
        for index, entry in enumerate(item[key]):
            if not is_right(entry):
                shown = textwrap.shorten(json.dumps(entry), MAX_COMMENT_CHARACTERS, placeholder=" ...")
                raise ValueError(f"has {shown} as entry {index} of {key}, which must be {wanted}")


def column_descriptions(item: dict) -> list[str]:
    """The description of each column in an item of tables.json, in the format of KaggleDBQA; "" if there is none.

    The key column_descriptions has a text, or [table, text], for each entry of column_names_original.

    Raises:
        ValueError: the key has another format.
    """
    given = item.get("column_descriptions") or [""] * len(item["column_names_original"])
    texts = [(entry[-1] if isinstance(entry, list) and entry else entry) or "" for entry in given]
    if len(texts) != len(item["column_names_original"]) or not all(isinstance(text, str) for text in texts):
        raise ValueError("has column_descriptions that are not one text, or [table, text], for each column")
    return [textwrap.shorten(text, MAX_COMMENT_CHARACTERS, placeholder="") for text in texts]


def with_empty_lists(item: dict) -> dict:
    """An item of tables.json in which missing lists are replaced by empty ones, except the names of the tables."""
    names = item.get("column_names_original") or []
    types = [""] * len(names) if isinstance(names, list) else names
    defaults = {"column_names_original": [], "column_names": names, "column_types": types}
    defaults |= {"primary_keys": [], "foreign_keys": []}
    return item | {key: value for key, value in defaults.items() if item.get(key) is None}


def without_internal_tables(schema: Schema) -> Schema:
    """The schema without SQLite's own tables (sqlite_sequence), which no query needs and not every copy has."""
    tables = tuple(table for table in schema.tables if not table.name.lower().startswith("sqlite_"))
    return replace(schema, tables=tables)


def read_tables(path: Path, damage: Damage, partial: bool = False) -> dict[str, Schema | None]:
    """Read tables.json: db_id -> schema without sample values, or None for a damaged one, which is added to `damage`.

    Args:
        partial: see `schema_from_tables_json`.
    """
    schemas: dict[str, Schema | None] = {}
    for position, item in read_items(path, damage):
        db_id = item.get("db_id")
        if not is_text(db_id):
            damage.add("schema without db_id", location_of(path, position))
        elif fault := name_fault(db_id):
            damage.add(f"schema with a db_id that {fault}", location_of(path, position))
        elif db_id in schemas:
            damage.add("second schema of one db_id", f"{path}, {db_id}")
        else:
            try:
                schemas[db_id] = without_internal_tables(schema_from_tables_json(item, partial))
            except ValueError as error:
                schemas[db_id] = None
                damage.add("damaged schema", f"{path}, db_id {db_id} {error}")
    return schemas


def description_files(database: Path) -> list[Path]:
    """BIRD's database_description/TABLE.csv files next to a database; empty for other benchmarks."""
    return sorted(path for path in (database.parent / "database_description").glob("*.csv") if path.is_file())


def read_descriptions(database: Path) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Read BIRD's comments: ((table, column) in lower case -> comment, messages on files that cannot be read)."""
    found: dict[tuple[str, str], str] = {}
    unreadable = []
    for path in description_files(database):
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", errors="ignore")  # the encoding of some of BIRD's files
        try:
            reader = csv.DictReader(io.StringIO(text, newline=""))
            # Some of BIRD's headers have blanks around the names; values without a name have the key None.
            rows = [{(key or "").strip(): value for key, value in row.items()} for row in reader]
        except csv.Error as error:
            unreadable.append(f"comments in {path} ({error})")
            continue
        if rows and "original_column_name" not in rows[0]:
            unreadable.append(f"comments in {path} (it has no column original_column_name)")
        for row in rows:
            name = (row.get("original_column_name") or "").strip()
            described, plain = (" ".join((row.get(key) or "").split()) for key in ("column_description", "column_name"))
            comment = next((text for text in (described, plain.lower()) if adds_information(text, name)), "")
            if name and comment:
                comment = textwrap.shorten(comment, MAX_COMMENT_CHARACTERS, placeholder="")
                found[path.stem.lower(), name.lower()] = comment
    return found, unreadable
