"""Writes a report as Markdown with PNG figures, and as one self-contained HTML page."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kid.files import write_atomically
from kid.report.examples import Example
from kid.report.figures import Figure
from kid.report.tables import Table
from kid.report.text import code_block, escape_markdown, inline_markdown, markdown_table
from kid.terminal import printable


@dataclass(frozen=True)
class Bullets:
    """Lines of a list, as plain text."""

    lines: list[str]


@dataclass(frozen=True)
class Commands:
    """Shell commands, one per line."""

    lines: list[str]


Block = str | Table | Figure | Bullets | Commands | Example  # a str is a paragraph, with `code` and **bold**


@dataclass(frozen=True)
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)


STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d2127; --faint: #5c6570; --line: #d8dde3;
  --band: #f4f6f8; --accent: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e4e7ea; --faint: #9aa4af; --line: #343b44; --band: #1d2228; --accent: #7db7f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 84rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
p, li, figcaption { max-width: 46rem; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
nav { columns: 19rem; column-gap: 2.5rem; margin: 1.5rem 0; font-size: .92rem; }
nav > ul { list-style: none; margin: 0; padding: 0; } nav > ul > li { break-inside: avoid; margin-bottom: .5rem; }
nav ul ul { padding-left: 1.1rem; color: var(--faint); }
.scroll { overflow-x: auto; margin: .6rem 0; }
/* Collapsed borders would not move with the sticky column. */
table { border-collapse: separate; border-spacing: 0; font-size: .86rem;
  font-variant-numeric: tabular-nums lining-nums; }
th, td { padding: .32rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; white-space: normal; min-width: 4rem; border-bottom: 2px solid var(--ink);
  font-weight: 600; }
th.words, td.words { text-align: left; } td small { color: var(--faint); font-size: .8em; }
tbody th { font-weight: 400; }
.labelled th:first-child { position: sticky; left: 0; background: var(--paper); }
tr.block th, .labelled tr.block th { text-align: left; font-weight: 600; color: var(--faint); background: var(--band); }
tr.block th span { position: sticky; left: .5rem; }
figure { margin: 0 0 1rem; } figure svg { display: block; max-width: 100%; height: auto; min-width: 40rem; }
figure svg text { fill: currentColor; font-family: inherit !important; }
figcaption, .caption, .notes { color: var(--faint); font-size: .88rem; }
.notes { margin: .3rem 0; padding: 0; list-style: none; }
pre { background: var(--band); padding: .7rem .9rem; overflow-x: auto; border-radius: 4px; margin: .4rem 0 1.1rem; }
pre, code { font: .85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
li { overflow-wrap: anywhere; } .question { margin: 1rem 0 .2rem; font-weight: 600; }
@media (max-width: 40rem) { body { padding: 1.25rem .9rem 3rem; } h1 { font-size: 1.5rem; } }
@media print {
  :root { --paper: #fff; --ink: #000; --faint: #444; --line: #bbb; --band: #f2f2f2; --accent: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; } .scroll { overflow: visible; }
  table { font-size: 7pt; } th, td { padding: .15rem .3rem; } thead th { min-width: 0; }
  figure svg { min-width: 0; max-width: 100%; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  h2, h3, .question { break-after: avoid; } tr, figure, pre { break-inside: avoid; } }
"""


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """The report as Markdown; its figures are NAME.png in the same folder."""
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
    """The report as one HTML page: inline style and plots, no scripts, no external resources."""
    body = [f"<h1>{escape_html(title)}</h1>", table_of_contents(sections)]
    for section in sections:
        body.append(f'<h2 id="{anchor(section.title)}">{escape_html(section.title)}</h2>')
        body += [html_block(block) for block in section.blocks]
    head = '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n<title>{escape_html(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def escape_html(text: str) -> str:
    return html.escape(printable(text))


def table_of_contents(sections: Sequence[Section]) -> str:
    """The table of contents: sections with their tables and figures."""
    items = []
    for section in sections:
        inner = [block.title for block in section.blocks if isinstance(block, Table | Figure)]
        links = "".join(f"<li>{link(name)}</li>" for name in inner if name != section.title)
        items.append(f"<li>{link(section.title)}{f'<ul>{links}</ul>' if links else ''}</li>")
    return f'<nav aria-label="Contents"><ul>{"".join(items)}</ul></nav>'


def link(title: str) -> str:
    return f'<a href="#{anchor(title)}">{escape_html(title)}</a>'


def anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def subheading(title: str) -> str:
    return f'<h3 id="{anchor(title)}">{escape_html(title)}</h3>'


def html_block(block: Block) -> str:
    match block:
        case Table():
            return html_table(block)
        case Figure():
            svg = printable(block.svg).replace("<svg", f'<svg role="img" aria-label="{escape_html(block.alt)}"', 1)
            return (
                f'{subheading(block.title)}\n<figure><div class="scroll">{svg}</div>'
                f"<figcaption>{inline_html(block.caption)}</figcaption></figure>"
            )
        case Bullets():
            return "<ul>" + "".join(f"<li>{escape_html(line)}</li>" for line in block.lines) + "</ul>"
        case Commands():
            return f"<pre>{escape_html(chr(10).join(block.lines))}</pre>"
        case Example():
            return f'<p class="question">{escape_html(block.title)}</p><pre>{escape_html(block.text)}</pre>'
    return f"<p>{inline_html(block)}</p>"


def html_table(table: Table) -> str:
    """The table in a box that scrolls on a narrow screen."""

    def cells(texts: Sequence[str], head: bool) -> str:
        parts = []
        for index, text in enumerate(texts):
            tag, css_class = ("th" if head or index == 0 else "td"), ' class="words"' if index < table.left else ""
            scope = f' scope="{"col" if head else "row"}"' if tag == "th" else ""
            parts.append(f"<{tag}{scope}{css_class}>{inline_html(text)}</{tag}>")
        return f"<tr>{''.join(parts)}</tr>"

    width = len(table.header)
    rows = [
        f'<tr class="block"><th colspan="{width}"><span>{escape_html(row)}</span></th></tr>'
        if isinstance(row, str)
        else cells(row, False)
        for row in table.rows
    ]
    notes = "".join(f"<li>{inline_html(note)}</li>" for note in table.numbered_notes())
    # A first column of short labels stays visible while the others scroll; one of long paths would cover them.
    table_class = ' class="labelled"' if table.left < 3 else ""
    return (
        f'{subheading(table.title)}\n<div class="scroll" tabindex="0"><table{table_class}>\n'
        f"<thead>{cells(table.header, True)}</thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table></div>\n"
        f'<p class="caption">{inline_html(table.caption)}</p>' + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def inline_html(text: str) -> str:
    """The text of a paragraph or cell as HTML, with its `code` and **bold**."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape_html(text))
    text = re.sub(r" (± [\d.]+)", r" <small>\1</small>", text)  # deviations are smaller than the numbers they follow
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)


def write_report(folder: Path, title: str, sections: Sequence[Section]) -> list[Path]:
    """Writes report.html, report.md and the figures that the latter shows; returns their paths."""
    figures = [block for section in sections for block in section.blocks if isinstance(block, Figure)]
    page, markdown = folder / "report.html", folder / "report.md"
    write_atomically(page, to_html(title, sections))
    for figure in figures:
        (folder / f"{figure.name}.png").write_bytes(figure.png)
    write_atomically(markdown, to_markdown(title, sections))
    return [page, markdown, *(folder / f"{figure.name}.png" for figure in figures)]
