"""The prompt of the paper's Figure 7, which is the format of CodeS.

Names are written as in the normalised gold SQL, and values as in the database, so that a model can copy them.
"""

from __future__ import annotations

from kid.data.prompts.values import matches_in_schema, written_value
from kid.data.schema import Column, Schema
from kid.sql.normalise import written_name

OPENING = ""


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
    """The database values that the question mentions, by column in the schema's order.

    Args:
        matches: (table, column) -> values, with names as in the database.
    """
    lines = [
        f"{name} ( {' , '.join(map(written_value, values))} )" for name, _, values in matches_in_schema(schema, matches)
    ]
    return "\n".join(["matched contents :", *lines] if lines else ["matched contents : None"]) + "\n"


def question_part(question: str, evidence: str = "") -> str:
    """Evidence (external knowledge) and question on one line."""
    return " ".join(f"{evidence} {question}".split()) + "\n"
