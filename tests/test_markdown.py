"""The documentation's links lead somewhere, and `make lint` finds lines that are too long."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.launcher import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINT = ROOT / ".ci" / "markdown_lines.py"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def without_blocks(text: str) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^ *(```+).*?^ *\1`*$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.*?) *$", without_blocks(text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        times = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other) is not None for other in found)
        found.append(f"{anchor}-{times}" if times else anchor)
    return set(found)


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead to no file, or to no heading of one."""
    broken = []
    text = re.sub(r"`[^`\n]*`", "", without_blocks(page.read_text(encoding="utf-8")))  # code is no link
    for target in LINK.findall(text):
        if re.match(r"\w+:", target):  # https:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page):
    assert broken_links(page) == []


def test_broken_links_are_found(tmp_path):
    other, page = tmp_path / "other.md", tmp_path / "page.md"
    other.write_text("# A title\n\n## Samples: votes and pass@k\n\n## A title\n\n```\n# no title\n```\n")
    page.write_text(
        "[1](other.md#a-title) [2](other.md#samples-votes-and-passk) [3](other.md#a-title-1) [4](#here)\n"
        "`[5](code.md)` [6](https://example.org/#x) [7](other.md#no-title) [8](missing.md) [9](#there)\n\n# Here\n"
    )
    assert broken_links(page) == ["other.md#no-title", "missing.md", "#there"]


def test_the_index_lists_every_page():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {name for name in LINK.findall(text) if "/" not in name}
    assert listed == {page.name for page in ROOT.glob("docs/*.md")} - {"index.md"}
    assert "(docs/index.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def check_lines(*pages: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, LINT, *pages], capture_output=True, text=True, check=False)


def test_long_lines_are_named(tmp_path):
    page, words = tmp_path / "page.md", "word " * 30
    page.write_text(f"# Title {words}\n\n{words}\n\n- {words}\n\n{words[:119]}\n\n```\n{words}\n```\n")
    done = check_lines(page)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{page}:{number}: longer than 120 columns; break the line" for number in (3, 5, 10)
    ]


def test_tables_and_long_links_may_be_longer(tmp_path):
    page, words, link = tmp_path / "page.md", "word " * 30, f"[link](https://example.org/{'x' * 120})"
    page.write_text(f"| {words} |\n\n- {link}\n{link}\n")
    done = check_lines(page)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_pages_have_short_lines():
    done = check_lines()
    assert (done.returncode, done.stdout) == (0, "")
