"""Measure how long it takes to prepare a benchmark for training, the first time and from the cache."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.table import Table

from kid.console import Console
from kid.errors import InputError, OneLineParser, run_script

EXAMPLE = """example:
  python bench/prepare_data.py --benchmark spider --data spider --model Qwen/Qwen1.5-0.5B
"""


def measure(arguments: argparse.Namespace) -> None:
    """Prepare the splits in this process, and print time and memory as a line of JSON."""
    from kid.config.run_config import RunConfig
    from kid.data.prepare import prepare
    from kid.models.pretrained import find_model, load_tokenizer

    folder = Path(arguments.model)
    tokenizer = load_tokenizer(folder if folder.is_dir() else find_model(arguments.model, "--model"), "--model")
    config = RunConfig(benchmark=arguments.benchmark, data=arguments.data, missing_database="schema-only")
    started = time.perf_counter()
    prepared = {split: prepare(config, split, tokenizer) for split in arguments.splits}
    seconds = time.perf_counter() - started
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, workers) / 1024
    rows = {split: len(data.rows) for split, data in prepared.items()}
    cached = all(data.cached for data in prepared.values())
    print(
        json.dumps(
            {"rows": rows, "cached": cached, "seconds": round(seconds, 1), "peak_mb_of_one_process": round(peak)}
        )
    )


def main() -> None:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", default="spider", help="[spider]")
    parser.add_argument("--data", required=True, metavar="DIR", help="the benchmark's folder")
    parser.add_argument("--splits", nargs="+", default=["train", "dev"], help="[train dev]")
    parser.add_argument("--model", required=True, metavar="DIR", help="folder or hub id of a model, for its tokenizer")
    parser.add_argument("--json", metavar="F", type=Path, help="write the figures to this file")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        return measure(arguments)
    figures = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("first time", "from the cache"):
            command = [sys.executable, __file__, *sys.argv[1:], "--measure"]
            environment = {**os.environ, "KID_CACHE": cache}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                raise InputError("the measurement failed; see the line above")
            figures[name] = json.loads(done.stdout.splitlines()[-1])
            if figures[name]["cached"] != (name == "from the cache"):
                raise InputError(f"the cache was not used as it should be: {figures[name]}")
    table = Table(title=f"{arguments.benchmark}: {figures['first time']['rows']}, {len(os.sched_getaffinity(0))} cores")
    for column in ("", "seconds", "peak MB of one process"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in figures.items():
        table.add_row(name, str(row["seconds"]), str(row["peak_mb_of_one_process"]))
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    run_script(main)
