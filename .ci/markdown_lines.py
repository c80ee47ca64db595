"""Check that lines of Markdown have at most 120 columns: markdown_lines.py [FILE ...] (default: the project's pages).

Tables, headings and lines that cannot be broken, such as one long link, may be longer.
"""

import os
import re
import sys
from pathlib import Path

COLUMNS = 120
ROOT = Path(__file__).resolve().parents[1]


def long_lines(text: str) -> list[int]:
    """The numbers, from 1, of the lines that are too long."""
    return [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) > COLUMNS and not line.lstrip().startswith(("|", "#")) and can_be_broken(line)
    ]


def can_be_broken(line: str) -> bool:
    """Whether a line has a blank other than those of its indentation and its list marker."""
    return " " in re.sub(r"^\s*([-*+] |\d+[.)] )?", "", line).strip()


def main() -> None:
    pages = [Path(name) for name in sys.argv[1:]] or [
        Path(os.path.relpath(path)) for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    ]
    found = [f"{path}:{number}" for path in pages for number in long_lines(path.read_text(encoding="utf-8"))]
    for place in found:
        print(f"{place}: longer than {COLUMNS} columns; break the line")
    if found:
        sys.exit(1)


if __name__ == "__main__":
    main()
