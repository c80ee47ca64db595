"""A prompt format of the user's own: a Jinja template with documented variables (docs/data.md), rendered in a sandbox.

Jinja is imported when a template is used, so that prompts in KID's own formats do not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from kid.config.run_config import PROMPTS
from kid.config.templates import is_template
from kid.data.prompts.formats import FORMATS, PromptFormat
from kid.data.prompts.values import matches_in_schema, written_value
from kid.data.schema import Column, Schema, Table
from kid.data.sharing import common_prefix_length
from kid.errors import InputError
from kid.sql.normalise import written_name

FILE = "<template>"  # what Jinja calls a template without a file, in tracebacks


class ForeignKey(NamedTuple):
    table: str
    column: str
    to_table: str
    to_column: str


class Match(NamedTuple):
    """The values of a column that the question mentions. column: `table.column`."""

    column: str
    type: str
    values: list[str]


def schema_text(name: str) -> Callable[[Schema], str]:
    return lambda schema: FORMATS[name].schema_part(schema).rstrip("\n")


def written_tables(schema: Schema) -> list[Table]:
    def written(column: Column) -> Column:
        comment, values = " ".join(column.comment.split()), tuple(map(written_value, column.values))
        return replace(column, name=written_name(column.name), comment=comment, values=values)

    return [Table(written_name(table.name), tuple(map(written, table.columns))) for table in schema.tables]


# Variable -> its value for a schema. A template must use one of WHOLE_SCHEMA.
SCHEMA_VARIABLES: dict[str, Callable[[Schema], Any]] = {
    **{name.replace("-", "_"): schema_text(name) for name in PROMPTS},
    "tables": written_tables,
    "foreign_keys": lambda schema: [ForeignKey(*map(written_name, key)) for key in schema.foreign_keys],
    "db_id": lambda schema: written_value(schema.db_id),
}
WHOLE_SCHEMA = [name for name in SCHEMA_VARIABLES if name not in ("foreign_keys", "db_id")]
QUESTION_VARIABLES = ("matches", "evidence", "question")

# Schemas and questions that have nothing in common, to find what in a prompt depends on which of them.
EXAMPLE = Schema("d", (Table("t", (Column("id", "number", "text", True, ("it's", "1")),)),), (("t", "id", "t", "id"),))
OTHER = Schema("e", (Table("u", (Column("year", "age", "int", False, ("7",)),)),), ())
# Matches, question and evidence.
PROBES: tuple[tuple[list[Match], str, str], ...] = (
    ([], "?", ""),
    ([Match("v.w", "text", ["1"])], "Who is it", "2 is many"),
)


def line_of(error: BaseException) -> str:
    """As "line N: ", where an error of Jinja's, or of what a template calls, is; empty if that is unknown."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while line is None and trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == FILE else None
        trace = trace.tb_next
    return f"line {line}: " if line else ""


class PromptTemplate:
    """A parsed template. Its OPENING is empty: what all prompts begin with is found by comparing them."""

    OPENING = ""

    def __init__(self, source: str):
        """Raises InputError for a syntax error, an unknown or missing variable, and an example that fails."""
        from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
        from jinja2.meta import find_undeclared_variables
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        jinja = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.source = source
        try:
            self.template, tree = jinja.from_string(source), jinja.parse(source)
            used = find_undeclared_variables(tree) - jinja.globals.keys()
        except TemplateSyntaxError as error:
            raise InputError(
                f"--prompt: the template, {line_of(error)}{(error.message or '').rstrip('.')}; correct it"
            ) from None
        except RecursionError:
            raise InputError("--prompt: the template is nested too deeply; simplify it") from None
        for name in tree.find_all(nodes.Name):
            if name.name in used and name.name not in (*SCHEMA_VARIABLES, *QUESTION_VARIABLES):
                known = ", ".join([*SCHEMA_VARIABLES, *QUESTION_VARIABLES])
                raise InputError(f"--prompt: the template, line {name.lineno}: {name.name} is unknown; known: {known}")
        if "question" not in used:
            raise InputError("--prompt: the template never uses the question; add {{ question }} to it")
        if not used & {*WHOLE_SCHEMA}:
            raise InputError(
                f"--prompt: the template never uses the schema; add {{{{ ddl }}}} to it, or another of "
                f"{', '.join(WHOLE_SCHEMA)}"
            )
        self.schema_variables = tuple(sorted(used & SCHEMA_VARIABLES.keys()))
        for schema in (EXAMPLE, OTHER):
            for probe in PROBES:
                self.render(schema, *probe)

    def render(self, schema: Schema, matches: Sequence[Match], question: str, evidence: str = "") -> str:
        """A prompt, without blanks around it, and a line break, after which the SQL follows.

        Raises InputError if the template fails.
        """
        own = {"matches": list(matches), "evidence": one_line(evidence), "question": one_line(question)}
        try:
            text = self.template.render(**schema_values(schema, self.schema_variables), **own)
        except Exception as error:  # whatever the template's expressions raise
            reason = " ".join(str(error).replace("kid.data.schema.", "").split()) or type(error).__name__
            raise InputError(f"--prompt: the template, {line_of(error)}{reason}; correct it") from None
        return text.strip() + "\n"

    def shares_schema(self) -> bool:
        """Whether most of the schema comes before what depends on the question."""
        text, asked = (self.render(EXAMPLE, *probe) for probe in PROBES)
        other = self.render(OTHER, *PROBES[0])
        start, shared = common_prefix_length(text, other), common_prefix_length(text, asked)
        end = len(text) - common_prefix_length(text[::-1], other[::-1])
        return min(shared, end) - start > (end - start) / 2

    def line_with(self, text: str) -> str:
        """As "line N: ", the first line with this text; empty if an expression makes it."""
        lines = [number for number, line in enumerate(self.source.split("\n"), 1) if text in line]
        return f"line {lines[0]}: " if lines else ""


def one_line(text: str) -> str:
    return " ".join(text.split())


@lru_cache(maxsize=256)
def schema_values(schema: Schema, names: tuple[str, ...]) -> dict[str, Any]:
    """The values of these variables, made once for all questions on a database."""
    return {name: SCHEMA_VARIABLES[name](schema) for name in names}


def written_matches(schema: Schema, matches: dict[tuple[str, str], list[str]]) -> list[Match]:
    """The matched values of the columns in the schema; (table, column) -> values, with names as in the database."""
    found = matches_in_schema(schema, matches)
    return [Match(name, kind, list(map(written_value, values))) for name, kind, values in found]


@lru_cache(maxsize=8)
def find_form(prompt: str) -> PromptFormat | PromptTemplate:
    """The format of a `--prompt`, a name in `FORMATS` or a template's text. Raises InputError as `PromptTemplate`."""
    if is_template(prompt):
        return PromptTemplate(prompt)
    if prompt not in FORMATS:
        raise InputError(f"prompt {prompt!r} is unknown; use one of {', '.join(FORMATS)}, or the text of a template")
    return FORMATS[prompt]


def prompt_text(
    prompt: str, schema: Schema, matches: dict[tuple[str, str], list[str]], question: str, evidence: str = ""
) -> str:
    """The text of a whole prompt. Arguments as in `PromptFormat`; raises InputError as `PromptTemplate`."""
    form = find_form(prompt)
    if isinstance(form, PromptTemplate):
        return form.render(schema, written_matches(schema, matches), question, evidence)
    shown = form.OPENING + form.schema_part(schema) + form.matched_part(schema, matches)
    return shown + form.question_part(question, evidence)
