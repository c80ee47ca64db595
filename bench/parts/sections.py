"""Generated sections of Markdown files, between markers; the text around them is written by hand."""

from __future__ import annotations

import re
import textwrap

from kid.errors import InputError

COLUMNS = 120


def marked(name: str, parts: list[str]) -> str:
    """The section of `make NAME` with its markers; a paragraph on one line is broken at 120 columns."""
    begin, end = markers(name)
    return "\n\n".join([begin, *map(wrapped, parts), end]) + "\n"


def wrapped(part: str) -> str:
    """A paragraph with lines of at most COLUMNS columns; tables, headings, images, code and lists stay as they are."""
    if "\n" in part or part.startswith(("|", "#", "!", "`", "-")):
        return part
    return textwrap.fill(part, COLUMNS, break_long_words=False, break_on_hyphens=False)


def markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin, made by make {name} -->", f"<!-- {name}: end -->"


def with_section(text: str, name: str, new: str) -> str:
    """Replace the section `name` of `text` by `new` (from `marked`), or append it if there is none.

    Raises:
        InputError: one of the two markers is missing.
    """
    begin, end = markers(name)
    # Whole lines only, the first begin and the last end: a question or query in between may contain a marker's text.
    starts, ends = (list(re.finditer(rf"^{re.escape(marker)}$", text, re.MULTILINE)) for marker in (begin, end))
    if not starts and not ends:
        return f"{text.rstrip()}\n\n{new}" if text.strip() else new
    if not starts or not ends or ends[-1].start() < starts[0].end():
        raise InputError(f"the section {name} has one marker without the other; restore it: {begin} ... {end}")
    return text[: starts[0].start()] + new.rstrip("\n") + text[ends[-1].end() :]
