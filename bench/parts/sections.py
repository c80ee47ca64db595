"""Parts of Markdown files that a benchmark writes, between markers, beside what people write around them."""

from __future__ import annotations

import re

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
    # Lines of their own, the first and the last of them: what a question or query between them says is no marker.
    starts, ends = (list(re.finditer(rf"^{re.escape(marker)}$", text, re.MULTILINE)) for marker in (begin, end))
    if not starts and not ends:
        return f"{text.rstrip()}\n\n{new}" if text.strip() else new
    if not starts or not ends or ends[-1].start() < starts[0].end():
        raise InputError(f"the part {name} has one marker without the other; mend it: {begin} ... {end}")
    return text[: starts[0].start()] + new.rstrip("\n") + text[ends[-1].end() :]
