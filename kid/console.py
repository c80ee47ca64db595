"""Rich's console for text that nobody has checked: it is `printable`, and its brackets are not rich's markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from kid.terminal import printable


class Console(RichConsole):
    """A console whose strings are plain text unless `markup=True`; only rich's own colours and moves act."""

    def __init__(self, **options: Any):
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        # Here, before anything is laid out, so that columns fit what is shown.
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        # Once more, for `Text`, which is not made of a string above.
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
