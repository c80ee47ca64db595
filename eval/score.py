"""Score predicted SQL against a benchmark's gold SQL by execution."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kid.data.benchmarks import BENCHMARKS, find_databases, load_questions
from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.execution import default_workers
from kid.evaluation.execution_accuracy import Verdict, gold_failures, percent, score_predictions
from kid.evaluation.worker import Limits
from kid.files import write_atomically

EXAMPLE = """\
example:
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --json scores/dev.json

  preds.sql holds one SQL query a line, in the order of the benchmark's questions; what follows a tab is ignored, and
  an empty line is a wrong prediction. A prediction is right (EX) if its result equals the gold query's: rows in any
  order unless the gold query has ORDER BY, columns in any order, DISTINCT ignored. Queries run read-only.
"""


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", required=True, help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--data", required=True, metavar="DIR", help="the benchmark's folder")
    splits = "; ".join(f"{name}: {', '.join(rows)}" for name, rows in BENCHMARKS.items())
    parser.add_argument("--split", default="dev", help=f"which questions (default: dev); {splits}")
    parser.add_argument("--predictions", required=True, metavar="FILE", type=Path, help="one SQL query a line")
    parser.add_argument("--questions", metavar="FILE", help="questions of the split, instead of the file in DIR")
    databases_help = "folder with DB_ID/DB_ID.sqlite, instead of DIR's own; may be repeated, the first that has it wins"
    parser.add_argument("--databases", metavar="DIR", action="append", default=[], help=databases_help)
    parser.add_argument("--workers", metavar="N", type=int, default=default_workers(), help="default: number of cores")
    timeout_help = f"seconds each query may take (default: {Limits.seconds:g})"
    parser.add_argument("--timeout", metavar="S", type=float, default=Limits.seconds, help=timeout_help)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures and every verdict to this file")
    arguments = parser.parse_args()
    for name in ("workers", "timeout"):
        if not 0 < getattr(arguments, name) < float("inf"):
            raise InputError(f"--{name} {getattr(arguments, name)} is out of range; give a number above 0")
    return arguments


def read_predictions(path: Path, expected: int) -> list[str]:
    """One query a line, up to the first tab, stripped. Raises InputError if there are not `expected` lines."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot read predictions {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"predictions {path} are not UTF-8 ({error}); write them again as UTF-8") from None
    # Only \n ends a line: str.splitlines would also cut at characters that may stand inside a string literal.
    lines = text.removesuffix("\n").split("\n") if text else []
    if len(lines) != expected:
        raise InputError(
            f"{path} has {len(lines)} lines but the split has {expected} questions; give one prediction a line"
        )
    return [line.split("\t")[0].strip() for line in lines]


def prepare_json(path: Path) -> None:
    """Create the folder of `path` now, so that a wrong path is met before the work and not after it."""
    if path.is_dir():
        raise InputError(f"--json {path} is a folder; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--json {path}: cannot create its folder: {error.strerror}") from None


def show(benchmark: str, split: str, verdicts: list[Verdict]) -> None:
    """Print the figures, and the questions whose gold query failed."""
    failed = gold_failures(verdicts)
    timeouts = sum(verdict.error == "timeout" for verdict in verdicts)
    errors = sum(verdict.error is not None for verdict in verdicts) - timeouts - len(failed)
    table = Table()
    for name in ("benchmark", "split", "n", "EX %", "time-outs", "errors", "gold failed"):
        table.add_column(name, justify="left" if name in ("benchmark", "split") else "right")
    counts = map(str, (timeouts, errors, len(failed)))
    table.add_row(benchmark, split, str(len(verdicts)), f"{percent(verdicts):.2f}", *counts)
    console = Console()
    console.print(table)
    for verdict in failed:
        console.print(
            f"question {verdict.index} (counted as wrong): {verdict.error}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def main() -> None:
    arguments = parse_arguments()
    questions = load_questions(arguments.benchmark, arguments.split, arguments.data, arguments.questions)
    db_ids = [question.db_id for question in questions]
    if "" in db_ids:
        raise InputError(f"question {db_ids.index('')} brings its own prompt and no database; it cannot be scored")
    paths = find_databases(arguments.benchmark, arguments.split, arguments.data, db_ids, arguments.databases)
    predictions = read_predictions(arguments.predictions, len(questions))
    if arguments.json:
        prepare_json(arguments.json)
    databases = {db_id: [path] for db_id, path in paths.items()}
    limits = Limits(seconds=arguments.timeout)
    verdicts = score_predictions(questions, predictions, databases, arguments.workers, limits)
    show(arguments.benchmark, arguments.split, verdicts)
    if arguments.json:
        records = [{"index": v.index, "ex": v.correct, "ts": None, "error": v.error} for v in verdicts]
        head = {"benchmark": arguments.benchmark, "split": arguments.split, "n": len(verdicts)}
        content = head | {"ex": percent(verdicts), "ts": None, "verdicts": records}
        write_atomically(arguments.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run_script(main)
