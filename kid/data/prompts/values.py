"""What the formats of prompts share: database values on one line, and those that a question mentions."""

from __future__ import annotations

import re

from kid.data.schema import Schema
from kid.sql.normalise import written_name
from kid.sql.parsing import lower

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+")


def written_value(value: str) -> str:
    """A value on one line: unchanged except for line breaks and control characters other than tabs.

    These are written as calls of char(), so that a copy of `one'||char(10)||'two` in quotes is an SQL expression that
    equals the value with its line feed.
    """
    return CONTROL_CHARACTERS.sub(lambda match: f"'||char({','.join(str(ord(c)) for c in match[0])})||'", value)


def matches_in_schema(schema: Schema, matches: dict[tuple[str, str], list[str]]) -> list[tuple[str, str, list[str]]]:
    """(`table.column` as SQL writes it, the column's type, values) of each column in the schema that has some.

    Args:
        matches: (table, column) -> values that the question mentions, names as in the database.
    """
    matches = {(lower(table), lower(column)): values for (table, column), values in matches.items()}
    found = []
    for table in schema.tables:
        for column in table.columns:
            if values := matches.get((lower(table.name), lower(column.name))):
                found.append((f"{written_name(table.name)}.{written_name(column.name)}", column.type, values))
    return found
