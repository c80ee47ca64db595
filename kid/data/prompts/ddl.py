"""The schema as CREATE TABLE statements with sample values in comments, the layout of OmniSQL's prompts.

The schema's part is SQL that SQLite runs, unless the schema filter has removed a column of a key. Names and values are
written as in the normalised gold SQL, with quotes, so that a model can copy them.
"""

from __future__ import annotations

import re

from kid.data.prompts.values import matches_in_schema, written_value
from kid.data.schema import Column, Schema, Table
from kid.sql.normalise import written_name
from kid.sql.parsing import lower

OPENING = """\
Task:
Write one SQLite query that answers the question about the database below. Reply with the query alone.

Database engine:
SQLite

Database schema:
"""
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")  # not 007, which is a text's
TEXT_TYPES = ("char", "clob", "text")  # what gives a column SQLite's affinity TEXT


def literal(value: str, kind: str) -> str:
    """A value as SQL writes it. kind: the column's type; only numbers in a column of text are put in quotes."""
    if NUMBER.fullmatch(value) and not any(name in kind.lower() for name in TEXT_TYPES):
        return value
    doubled = value.replace("'", "''")
    return f"'{written_value(doubled)}'"


def remark_on(column: Column) -> str:
    """The comment after a column's definition: what the column is, and sample values. Empty if there is neither."""
    parts = [" ".join(column.comment.split())] if column.comment else []
    if column.values:
        parts.append(f"example: [{', '.join(literal(value, column.type) for value in column.values)}]")
    return f" -- {', '.join(parts)}" if parts else ""


def create_table(table: Table, foreign_keys: list[tuple[str, str, str, str]]) -> str:
    """The statement that creates a table, without the line break after it."""
    lines = [
        (f"{written_name(column.name)} {column.type.upper()}".rstrip(), remark_on(column)) for column in table.columns
    ]
    primary = ", ".join(written_name(column.name) for column in table.columns if column.primary_key)
    if primary:
        lines.append((f"PRIMARY KEY ({primary})", ""))
    for _, column, other, referenced in foreign_keys:
        key = f"FOREIGN KEY ({written_name(column)}) REFERENCES {written_name(other)} ({written_name(referenced)})"
        lines.append((key, ""))
    # The comma stands before the comment, or it would be part of it.
    last = len(lines) - 1
    body = [f"    {line}{',' if place < last else ''}{remark}" for place, (line, remark) in enumerate(lines)]
    return "\n".join([f"CREATE TABLE {written_name(table.name)} (", *body, ");"])


def schema_part(schema: Schema) -> str:
    tables = [
        create_table(table, [key for key in schema.foreign_keys if lower(key[0]) == lower(table.name)])
        for table in schema.tables
    ]
    return "".join(f"{table}\n\n" for table in tables)


def matched_part(schema: Schema, matches: dict[tuple[str, str], list[str]]) -> str:
    lines = [
        f"{name}: {', '.join(literal(value, kind) for value in values)}\n"
        for name, kind, values in matches_in_schema(schema, matches)
    ]
    return f"Values that the question mentions:\n{''.join(lines)}\n" if lines else ""


def question_part(question: str, evidence: str = "") -> str:
    lines = [" ".join(text.split()) for text in (evidence, question) if text.strip()]
    return "\n".join(["Question:", *lines, "", "SQL query:", ""])
