"""Markdown and HTML of the same sections: complete, escaped, and in need of nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest
from helpers.markdown import BREAKOUTS, kinds

from kid.report.examples import Example
from kid.report.figures import Figure, draw_figure
from kid.report.page import Bullets, Commands, Section, to_html, to_markdown, write_report
from kid.report.tables import Table

NASTY = "<script>alert(1)</script> & `a` *b* |"


class Checker(HTMLParser):
    """Tags that are open, addresses, ids, and the text of the page."""

    VOID = ("meta", "br", "path", "use")

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.ids, self.links, self.text = [], [], set(), [], ""

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.addresses += [attributes[name] for name in ("src", "href", "data", "action") if name in attributes]
        self.links += [attributes["href"]] if tag == "a" else []
        self.ids.add(attributes.get("id"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def sections():
    table = Table("Table 9: <b>", "Caption with `code`.", ["method", "EX"], ["Teacher: t", ["a|b", "**1.0 ± 0.5**"]])
    table.rows.append(["c", f"-{table.footnote_mark('why')}"])
    figure = draw_figure(
        "figure-9", "Figure 9: lines", "What it shows.", [("t", lambda axes: axes.plot([1, 2]) and "1 to 2")]
    )
    return [
        Section("First", ["Text with `code`.", table, figure]),
        Section("Second", [Bullets([NASTY]), Commands(["ls <&1"]), Example(NASTY, "SELECT 1 < 2")]),
    ]


def test_page_is_whole_and_asks_for_nothing():
    page = to_html("Report", sections())
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert all(address.startswith("#") for address in checker.addresses)
    assert {link[1:] for link in checker.links} <= checker.ids and len(checker.links) == 4
    assert not re.search(r"https?:|//\w|@import|@font-face|<script|<link|<iframe|<img", page)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    assert "prefers-color-scheme: dark" in page and "@media print" in page
    assert checker.text.count("<script>alert(1)</script>") == 2  # shown, not run


def test_long_lines_of_sql_and_of_commands_wrap_in_every_window():
    """A line is a block of its own, indented where it goes on; only tables and figures scroll."""
    long = f"SELECT {', '.join(f'column_{number}' for number in range(50))} FROM " + "x" * 300
    page = to_html("Report", [Section("First", [Example("question", f"gold {long}\nKID  {long}"), Commands([long])])])
    assert f"<pre><span>gold {long}</span><span>KID  {long}</span></pre>" in page
    assert f"<pre><span>{long}</span></pre>" in page
    everywhere = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", page[: page.index("</style>")])
    rules = " ".join(re.findall(r"(?<![\w.])pre \{([^}]*)\}", everywhere))
    assert "white-space: pre-wrap" in rules and "overflow-wrap: anywhere" in rules and "overflow-x" not in rules
    assert re.search(r"pre span \{ display: block;", everywhere)
    assert re.search(r"body \{[^}]*overflow-wrap: break-word", everywhere)


def test_table_in_html():
    page = to_html("Report", sections())
    assert '<th scope="col" class="words">method</th><th scope="col">EX</th>' in page
    assert '<tr class="block"><th colspan="2"><span>Teacher: t</span></th></tr>' in page
    assert '<th scope="row" class="words">a|b</th><td><strong>1.0 <small>± 0.5</small></strong></td>' in page
    assert '<ul class="notes"><li>¹ why</li></ul>' in page and "Caption with <code>code</code>." in page
    assert "Table 9: &lt;b&gt;" in page
    assert '<svg role="img" aria-label="t: 1 to 2"' in page


def test_markdown():
    text = to_markdown("Report", sections())
    assert text.startswith("# Report\n\n## First\n\nText with `code`.\n\n### Table 9")
    assert "| method | EX |\n| --- | ---: |\n| **Teacher: t** |  |\n| a\\|b | **1.0 ± 0.5** |\n| c | -¹ |" in text
    assert "![t: 1 to 2](figure-9.png)\n\nWhat it shows." in text
    assert "- \\<script\\>alert(1)\\</script\\> & \\`a\\` \\*b\\* |" in text
    assert "```sh\nls <&1\n```" in text and "```sql\nSELECT 1 < 2\n```" in text


def test_report_is_written(tmp_path):
    paths = write_report(tmp_path / "new", "Report", sections())
    assert [path.name for path in paths] == ["report.html", "report.md", "figure-9.png"]
    assert sorted(tmp_path.joinpath("new").iterdir()) == sorted(paths)


@pytest.mark.parametrize("text", BREAKOUTS)
def test_no_text_leaves_its_place(text):
    """Names, questions and queries in every part of a report."""

    def made(name: str) -> list[Section]:
        table = Table(f"Failures of {name}", f"By {name}.", ["method", f"on {name}"], [f"Teacher: {name}", [name, "1"]])
        table.rows.append(["-", f"-{table.footnote_mark(name)}"])
        figure = Figure("figure-1", f"Figure 1: {name}", f"Of {name}.", name, b"", "<svg></svg>")
        blocks = [f"Of `{name}`, {name}.", table, figure, Bullets([name]), Commands([name]), Example(name, name)]
        return [Section(f"Of {name}", blocks)]

    markdown, page = to_markdown("Report", made(text)), to_html("Report", made(text))
    assert kinds(markdown) == kinds(to_markdown("Report", made("name")))
    tags = [re.findall(r"<[a-z/!][^ >]*", one) for one in (page, to_html("Report", made("name")))]
    own = ("<code", "</code", "<span", "</span")  # of text in backticks, and of the lines of SQL
    assert [tag for tag in tags[0] if tag not in own] == [tag for tag in tags[1] if tag not in own]
    assert not {*"\x1b\x07\x9b\u202e\u2066\ufeff"} & {*markdown, *page}


def test_names_in_a_figure_are_no_formulas_and_act_on_nothing():
    figure = draw_figure("figure-9", "t", "c", [("a$b_{c$ \x1b[31m\u202e", lambda axes: axes.plot([1]) and "\x1b[31m")])
    page = to_html("Report", [Section("First", [figure])])
    assert r"a$b_{c$ \x1b[31m\u202e" in page and not {*"\x1b\u202e"} & {*page}
