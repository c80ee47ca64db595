"""Escape characters that could control a terminal or hide text, in everything that is shown to the user.

Questions, cells, queries, names and errors come from files and models that nobody has checked. Only what is shown is
escaped; stored files are unchanged.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

# Letters of scripts whose spelling uses joiners, and emoji; Latin, Greek and Cyrillic do not use them.
_JOINED = "[\u0590-\u1fff\u2190-\ufe0f\U0001f000-\U0001ffff]"
UNPRINTABLE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, delete, C1: terminal commands
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions: they change the order in which text is shown
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # no width or blank
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u2028\u2029"  # line breaks that some programs do not recognise
    "\ud800-\udfff"  # lone surrogates: bytes of file names that are not UTF-8; they cannot be encoded
    "]"
    f"|(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED})"
)
# What tqdm writes before a bar, and to move between bars.
BAR_MOVES = re.compile(r"\r|(\x1b\[A)+\Z")


def printable(text: str) -> str:
    r"""Escape control, direction-changing and invisible characters as \x1b, \u202e or \U000e0041.

    Tabs and line feeds are kept, and so are joiners between letters whose spelling uses them.
    """
    return UNPRINTABLE.sub(lambda match: _escape(ord(match[0])), text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class PrintableStream:
    """A text stream that applies `printable` to everything written to it.

    Colours and cursor moves would be escaped too. So rich writes to the stream behind it (see `kid.console`), and with
    `bars` the cursor moves that tqdm writes before a bar are not escaped. Other methods are those of the stream.
    """

    def __init__(self, stream: TextIO, bars: bool = False):
        self.rich_proxied_file = stream  # rich looks for this attribute and writes to it
        self.bars = bars

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)

    def write(self, text: str) -> int:
        moves = BAR_MOVES.match(text) if self.bars else None
        start = moves.end() if moves else 0
        self.rich_proxied_file.write(text[:start] + printable(text[start:]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


def escape_output() -> None:
    """Replace stdout and stderr of this process by `PrintableStream`s; calling it again has no effect."""
    if sys.stdout is unescaped(sys.stdout):
        sys.stdout = PrintableStream(sys.stdout)
    if sys.stderr is unescaped(sys.stderr):
        sys.stderr = PrintableStream(sys.stderr, bars=True)


def unescaped(stream: TextIO) -> TextIO:
    """Return the stream behind a `PrintableStream`, for text that programs read and for cursor moves; else `stream`."""
    return stream.rich_proxied_file if isinstance(stream, PrintableStream) else stream
