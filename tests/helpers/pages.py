"""The commands of a Markdown page, as words, for tests that read or run them."""

import re
import shlex
from pathlib import Path

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(\w+=\S+ )*(python|deepspeed|make|slurm/)")


def commands(text: str) -> list[list[str]]:
    """The words of each command in the code blocks that have no language, or are for a shell."""
    blocks = [block for language, block in BLOCK.findall(text) if language in ("", "bash", "sh")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if COMMAND.match(line)]


def python_blocks(page: Path) -> list[str]:
    return [block for language, block in BLOCK.findall(page.read_text(encoding="utf-8")) if language == "python"]
