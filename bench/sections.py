"""Parts of Markdown files that a benchmark writes, between markers, beside what people write around them."""

from __future__ import annotations

from kid.errors import InputError


def marked(name: str, parts: list[str]) -> str:
    """Paragraphs as a part that `make NAME` made, its markers included."""
    begin, end = markers(name)
    return "\n\n".join([begin, *parts, end]) + "\n"


def markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin, made by make {name} -->", f"<!-- {name}: end -->"


def with_section(text: str, name: str, new: str) -> str:
    """`text` with its old part of that name replaced by `new` (of `marked`), or with `new` at its end if it has none.

    Raises:
        InputError: one marker without the other.
    """
    begin, end = markers(name)
    if begin not in text and end not in text:
        return f"{text.rstrip()}\n\n{new}" if text.strip() else new
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise InputError(f"the part {name} has one marker without the other; mend it: {begin} ... {end}")
    return before + new.rstrip("\n") + after
