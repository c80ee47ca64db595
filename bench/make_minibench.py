"""Write the embedded benchmark: `python bench/make_minibench.py --output DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kid.errors import run_script
from kid.minibench.build import build_minibench


def main() -> None:
    """Read the command line, build, and say what was written."""
    parser = argparse.ArgumentParser(description="Make the embedded text-to-SQL benchmark, in Spider's layout.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write; new or empty")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default 0)")
    arguments = parser.parse_args()
    counts = build_minibench(arguments.output, arguments.seed)
    for split, questions in counts["questions"].items():
        patterns = sum(count > 0 for count in counts["patterns"][split].values())
        print(f"{split}: {questions} questions of {patterns} patterns on {counts['databases'][split]} databases")
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    run_script(main)
