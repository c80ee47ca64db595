"""Write the embedded benchmark: `python bench/make_minibench.py --output DIR`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from kid.errors import run_script
from kid.minibench.build import LABEL_ERRORS, LABELS, build_minibench


def main() -> None:
    """Read the command line, build the benchmark, and print a summary."""
    parser = argparse.ArgumentParser(description="Write the embedded text-to-SQL benchmark, in Spider's layout.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write; new or empty")
    parser.add_argument("--seed", type=int, default=0, help="random seed [0]")
    parser.add_argument("--labels", type=int, default=LABELS, help=f"number of training questions [{LABELS}]")
    parser.add_argument("--label-errors", type=float, default=LABEL_ERRORS, metavar="SHARE",
                        help=f"share of training questions with a wrong label [{LABEL_ERRORS}]")  # fmt: skip
    arguments = parser.parse_args()
    counts = build_minibench(arguments.output, arguments.seed, arguments.labels, arguments.label_errors)
    for split, questions in counts["questions"].items():
        patterns = sum(count > 0 for count in counts["patterns"][split].values())
        print(f"{split}: {questions} questions of {patterns} patterns on {counts['databases'][split]} databases")
    print("syn, realistic: dev's questions in other wordings")
    wrong = Counter(label["kind"] for label in json.loads((arguments.output / "labels.json").read_text())["wrong"])
    kinds = ", ".join(f"{kind} {count}" for kind, count in wrong.most_common())
    print(f"wrong labels in train: {wrong.total()}" + f" ({kinds})" * bool(wrong))
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    run_script(main)
