"""The commands of a Markdown page, as words, for tests that read or run them."""

import re
import shlex
from pathlib import Path

from helpers.launcher import ROOT

RESULTS = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(\w+=\S+ )*(python|deepspeed|make|slurm/)")


def commands(text: str) -> list[list[str]]:
    """The words of each command in the code blocks that have no language, or are for a shell."""
    blocks = [block for language, block in BLOCK.findall(text) if language in ("", "bash", "sh")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if COMMAND.match(line)]


def of_results(script: str) -> list[list[str]]:
    """The flags of each command in docs/results.md that runs this script; at least one."""
    found = [words for words in commands(RESULTS.read_text(encoding="utf-8")) if script in words]
    assert found, f"docs/results.md does not run {script}"
    return [words[words.index(script) + 1 :] for words in found]


def python_blocks(page: Path) -> list[str]:
    return [block for language, block in BLOCK.findall(page.read_text(encoding="utf-8")) if language == "python"]
