"""What Markdown does with a text: the kinds of its parts, and what a reader sees; and text made to break out of it."""

from __future__ import annotations

from markdown_it import MarkdownIt  # rich's

# Ends blocks of code, cells, lines and lists; makes HTML, links, images, headings; acts on a terminal.
BREAKOUTS = (
    "<img src=x onerror=alert(1)>",
    "x <script>alert(1)</script> <!-- y",
    "[click](https://example.org/) ![see](https://example.org/i.png) <https://example.org>",
    "\n# Heading\n\n<b>bold</b>\n\n[click]: https://example.org 'x'\n\n[click]",
    "```\n<b>out</b>\n````\n# Heading\n`````md",
    "a\\`<b>x</b>`, `` ` <b>, `a``<b>``b` <i>",
    "one | two\n| --- | --- |\n| a\\| b | <u>",
    "&lt;script&gt; &#60;b&#62;",
    "--- \n- item\n1. item\n> quote\n===",
    "end\x1b]2;own\x07 \u202egnp.exe\u2066 \x9b2J \ufeff",
)


def tokens(text: str) -> list:
    """Every token of CommonMark with tables, HTML allowed, those inside lines too."""
    found = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [inner for token in found for inner in (token, *(token.children or ()))]


def kinds(text: str) -> list[str]:
    """The kinds of tokens that may harm: HTML, links, images, headings, tables' cells, blocks of code, lists."""
    harmful = ("html", "link_open", "image", "heading_open", "td_open", "th_open", "tr_open", "fence", "code_block")
    others = ("list_item_open", "blockquote_open", "hr")
    return [token.type for token in tokens(text) if token.type.startswith((*harmful, *others))]


def seen(text: str) -> str:
    """The text that a reader of the page sees."""
    return "".join(token.content for token in tokens(text) if token.type in ("text", "code_inline", "fence"))
