"""The prompt of the paper's Figure 7 (the format of CodeS), split into the schema's part and the question's part."""

from __future__ import annotations

import re

from kid.data.schema import Column, Schema

NEEDS_BACKTICKS = re.compile(r"[\s()/-]")


def display_name(name: str) -> str:
    """Lower-cased; in backticks where it holds a blank, a bracket, a dash or a slash."""
    name = name.lower()
    return f"`{name}`" if NEEDS_BACKTICKS.search(name) else name


def describe_column(table: str, column: Column) -> str:
    parts = [column.type]
    if column.primary_key:
        parts.append("primary key")
    if column.comment.lower() not in (column.name.lower(), column.name.lower().replace("_", " "), ""):
        parts.append(f"comment : {column.comment}")
    if column.values:
        parts.append(f"values : {' , '.join(column.values)}")
    return f"{table}.{display_name(column.name)} ( {' | '.join(parts)} )"


def schema_part(schema: Schema) -> str:
    """The part that all questions on a database share; ends with a newline."""
    lines = ["database schema :"]
    for table in schema.tables:
        name = display_name(table.name)
        columns = " , ".join(describe_column(name, column) for column in table.columns)
        lines.append(f"table {name} , columns = [ {columns} ]")
    keys = [f"{display_name(t)}.{display_name(c)} = {display_name(u)}.{display_name(d)}"
            for t, c, u, d in schema.foreign_keys]  # fmt: skip
    lines.append("foreign keys :" if keys else "foreign keys : None")
    return "\n".join(lines + keys) + "\n"


def question_part(question: str) -> str:
    """The question on one line; the SQL follows on the next."""
    return " ".join(question.split()) + "\n"


def completion_text(query: str) -> str:
    """Gold SQL on one line, without a closing semicolon; the caller adds EOS."""
    return " ".join(query.split()).rstrip("; ")
