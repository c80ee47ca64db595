"""Rich's console for unchecked text: text is made `printable`, and brackets in it are not read as rich's markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from kid.terminal import printable


class Console(RichConsole):
    """A console that prints strings as plain text unless `markup=True`; control codes come only from rich itself."""

    def __init__(self, **options: Any):
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        # Before the layout, so that columns fit the escaped text.
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        # Again, for `Text` objects, which do not pass through `render_str`.
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
