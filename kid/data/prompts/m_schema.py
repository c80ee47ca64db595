"""XiYan-SQL's M-Schema: a column a line, with its type, comment and examples, and foreign keys after all tables.

Names are written as in the normalised gold SQL, and values as in the database, so that a model can copy them.
"""

from __future__ import annotations

from kid.data.prompts.values import matches_in_schema, written_value
from kid.data.schema import Column, Schema
from kid.sql.normalise import written_name

OPENING = """\
You are a SQLite expert. Read the schema below, and answer the question with one SQLite query and nothing else.

"""


def describe_column(column: Column) -> str:
    parts = [f"{written_name(column.name)}:{column.type.upper()}" if column.type else written_name(column.name)]
    if column.comment:
        parts.append(" ".join(column.comment.split()))
    if column.primary_key:
        parts.append("Primary Key")
    if column.values:
        parts.append(f"Examples: [{', '.join(map(written_value, column.values))}]")
    return f"({', '.join(parts)})"


def schema_part(schema: Schema) -> str:
    lines = [f"【DB_ID】 {written_value(schema.db_id)}", "【Schema】"]
    for table in schema.tables:
        columns = ",\n".join(map(describe_column, table.columns))
        lines += [f"# Table: {written_name(table.name)}", "[", columns, "]"]
    if schema.foreign_keys:
        lines.append("【Foreign keys】")
    for key in schema.foreign_keys:
        lines.append("{}.{}={}.{}".format(*map(written_name, key)))
    return "\n".join(lines) + "\n"


def matched_part(schema: Schema, matches: dict[tuple[str, str], list[str]]) -> str:
    lines = [
        f"{name}: [{', '.join(map(written_value, values))}]\n" for name, _, values in matches_in_schema(schema, matches)
    ]
    return f"【Matched values】\n{''.join(lines)}" if lines else ""


def question_part(question: str, evidence: str = "") -> str:
    lines = ["【Question】", " ".join(question.split())]
    if evidence.strip():
        lines += ["【Evidence】", " ".join(evidence.split())]
    return "\n".join([*lines, "【SQL】", ""])
