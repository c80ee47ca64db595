"""The commands of a Markdown page, as words, for tests that read or run them."""

import re
import shlex
import subprocess
from pathlib import Path

from helpers.launcher import ROOT

RESULTS = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"(\$ )?(\w+=(\"[^\"]*\"|\S+) +)*(python|deepspeed|make|slurm/)")


def commands(text: str) -> list[list[str]]:
    """The words of each command in the code blocks that have no language, or are for a shell."""
    blocks = [block for language, block in BLOCK.findall(text) if language in ("", "bash", "sh")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if COMMAND.match(line)]


def of_pages(word: str) -> list[list[str]]:
    """The words of each command of all pages that contains this word; at least one, none twice."""
    found = [words for page in PAGES for words in commands(page.read_text(encoding="utf-8")) if word in words]
    assert found, f"no page runs {word}"
    return list(map(list, dict.fromkeys(map(tuple, found))))


def made(words: list[str]) -> list[str]:
    """The words of the last command that make would run."""
    dry = ["make", "--dry-run", "--no-print-directory", *words[1:]]
    printed = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return shlex.split(printed.splitlines()[-1])


def of_results(script: str) -> list[list[str]]:
    """The flags of each command in docs/results.md that runs this script; at least one."""
    found = [words for words in commands(RESULTS.read_text(encoding="utf-8")) if script in words]
    assert found, f"docs/results.md does not run {script}"
    return [words[words.index(script) + 1 :] for words in found]


def python_blocks(page: Path) -> list[str]:
    return [block for language, block in BLOCK.findall(page.read_text(encoding="utf-8")) if language == "python"]
