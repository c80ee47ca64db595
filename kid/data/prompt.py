"""The prompt of the paper's Figure 7 (the format of CodeS) in three parts: schema, matched contents, question.

Names are written as in the normalised gold SQL, and values as in the database, so that a model can copy them.
"""

from __future__ import annotations

import re

from kid.data.schema import Column, Schema
from kid.sql.normalise import written_name
from kid.sql.parsing import lower

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+")


def written_value(value: str) -> str:
    """A value on one line: unchanged except for line breaks and control characters other than tabs.

    These are written as calls of char(), so that a copy of `one'||char(10)||'two` in quotes is an SQL expression that
    equals the value with its line feed.
    """
    return CONTROL_CHARACTERS.sub(lambda match: f"'||char({','.join(str(ord(c)) for c in match[0])})||'", value)


def describe_column(table: str, column: Column) -> str:
    parts = [column.type] if column.type else []
    if column.primary_key:
        parts.append("primary key")
    if column.comment:
        parts.append(f"comment : {column.comment}")
    if column.values:
        parts.append(f"values : {' , '.join(map(written_value, column.values))}")
    name = f"{table}.{written_name(column.name)}"
    return f"{name} ( {' | '.join(parts)} )" if parts else name


def schema_part(schema: Schema) -> str:
    """The part of the prompt that all questions on a database share; ends with a newline."""
    lines = ["database schema :"]
    for table in schema.tables:
        name = written_name(table.name)
        columns = " , ".join(describe_column(name, column) for column in table.columns)
        lines.append(f"table {name} , columns = [ {columns} ]")
    keys = [f"{written_name(t)}.{written_name(c)} = {written_name(u)}.{written_name(d)}"
            for t, c, u, d in schema.foreign_keys]  # fmt: skip
    lines.append("foreign keys :" if keys else "foreign keys : None")
    return "\n".join(lines + keys) + "\n"


def matched_part(schema: Schema, matches: dict[tuple[str, str], list[str]]) -> str:
    """The database values that the question mentions, by column in the schema's order; ends with a newline.

    Args:
        matches: (table, column) -> values, with names as in the database.
    """
    matches = {(lower(table), lower(column)): values for (table, column), values in matches.items()}
    lines = []
    for table in schema.tables:
        for column in table.columns:
            values = matches.get((lower(table.name), lower(column.name)))
            if values:
                shown = " , ".join(map(written_value, values))
                lines.append(f"{written_name(table.name)}.{written_name(column.name)} ( {shown} )")
    return "\n".join(["matched contents :", *lines] if lines else ["matched contents : None"]) + "\n"


def question_part(question: str, evidence: str = "") -> str:
    """Evidence (external knowledge) and question on one line; the SQL follows on the next line."""
    return " ".join(f"{evidence} {question}".split()) + "\n"
