"""Write a report as Markdown with PNG figures, and as one self-contained HTML page."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kid.files import write_atomically
from kid.report.examples import Example
from kid.report.figures import Figure
from kid.report.tables import Table
from kid.report.text import code_block, escape_markdown, inline_markdown, markdown_table
from kid.terminal import printable


@dataclass(frozen=True)
class Bullets:
    """The items of a list, as plain text."""

    lines: list[str]


@dataclass(frozen=True)
class Commands:
    """Shell commands, one per line."""

    lines: list[str]


Block = str | Table | Figure | Bullets | Commands | Example  # a str is a paragraph, with `code` and **bold**


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block] = field(default_factory=list)


def anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def inline_html(text: str) -> Markup:
    """Convert the text of a paragraph or cell to HTML, with its `code` and **bold**."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(printable(text)))
    text = re.sub(r" (± [\d.]+)", r" <small>\1</small>", text)  # deviations are set in a smaller font
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text))


def labelled_svg(figure: Figure) -> Markup:
    label = html.escape(printable(figure.alt))
    return Markup(printable(figure.svg).replace("<svg", f'<svg role="img" aria-label="{label}"', 1))


PAGE = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
    finalize=lambda value: value if isinstance(value, Markup) else printable(str(value)),
)
PAGE.filters |= {
    "anchor": anchor,
    "inline": inline_html,
    "svg": labelled_svg,
    "kind": lambda block: type(block).__name__,
}


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """Write the report as Markdown; its figures are NAME.png in the same folder."""
    parts = [f"# {inline_markdown(title)}"]
    for section in sections:
        parts.append(f"## {inline_markdown(section.title)}")
        parts += [markdown_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def markdown_block(block: Block) -> str:
    match block:
        case Table():
            empty = [""] * (len(block.header) - 1)
            rows = [[f"**{row}**", *empty] if isinstance(row, str) else row for row in block.rows]
            table = markdown_table(block.header, rows, block.left)
            heading = f"### {inline_markdown(block.title)}"
            return "\n\n".join([heading, table, *map(inline_markdown, [block.caption, *block.numbered_notes()])])
        case Figure():
            picture = f"![{escape_markdown(block.alt)}]({block.name}.png)"
            return f"### {inline_markdown(block.title)}\n\n{picture}\n\n{inline_markdown(block.caption)}"
        case Bullets():
            return "\n".join(f"- {escape_markdown(line)}" for line in block.lines)
        case Commands():
            return code_block("\n".join(block.lines), "sh")
        case Example():
            return f"**{escape_markdown(block.title)}**\n\n{code_block(block.text, 'sql')}"
    return inline_markdown(block)


def to_html(title: str, sections: Sequence[Section]) -> str:
    """Write the report as one HTML page: inline styles and plots, no scripts, no external resources."""
    style = Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8"))
    return PAGE.get_template("page.html.jinja").render(title=title, sections=sections, style=style)


def write_report(folder: Path, title: str, sections: Sequence[Section]) -> list[Path]:
    """Write report.html, report.md and the figures of report.md, and return their paths."""
    figures = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    page, markdown = folder / "report.html", folder / "report.md"
    write_atomically(page, to_html(title, sections))
    for figure in figures:
        (folder / f"{figure.name}.png").write_bytes(figure.png)
    write_atomically(markdown, to_markdown(title, sections))
    return [page, markdown, *(folder / f"{figure.name}.png" for figure in figures)]
