"""Make a test suite for a benchmark: random databases that find out SQL which is right on the original by accident."""

from __future__ import annotations

import argparse
from pathlib import Path

from cli import add_question_flags
from rich import box
from rich.console import Console
from rich.table import Table

from kid.data.faults import Damage
from kid.data.questions import find_databases, find_tables, load_questions
from kid.data.schema import Schema, check_not_in_use, read_database, read_tables
from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.execution import default_workers
from kid.evaluation.suites.build import Options, make_suites
from kid.files import check_writable

EXAMPLE = """\
example:
  python eval/make_test_suite.py --benchmark spider --data spider/ --output suite/
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --test-suite suite/

  After Zhong et al. (2020): each gold query gets neighbours, queries one edit away from it (another operator, column,
  literal, aggregate, a condition dropped, ...). Random databases with the schema's types and keys are tried, and one is
  kept if it tells a gold query apart from a neighbour that neither the original nor those kept before told apart; then,
  while there is room, one that tells apart what only the original did.
  suite/DB_ID/DB_ID_01.sqlite and on are the databases, suite/suite.json says how much they find. A run that was ended
  goes on where it was; a finished database is made again only if its queries, its values or the options have changed.
"""
COLUMNS = {
    "gold_queries": "gold",
    "neighbours": "neighbours",
    "neighbours_failed": "failed",
    "told_apart_by_original": "original",
    "told_apart_by_suite_alone": "suite",
    "never_told_apart": "neither",
    "databases_tried": "tried",
    "databases_kept": "kept",
}


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_question_flags(parser)
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="the suite's folder; new, or a suite")
    numbers = {
        "max-databases": (Options.max_databases, "random databases kept of each schema at most"),
        "neighbours": (Options.neighbours, "neighbours of each gold query at most"),
        "rows": (Options.rows, "rows of a table at most"),
        "workers": (default_workers(), "processes; the suite does not depend on it"),
        "timeout": (Options.seconds, "seconds each query may take"),
    }
    for name, (default, text) in numbers.items():
        parser.add_argument(f"--{name}", metavar="N", type=type(default), default=default, help=f"{text} [{default}]")
    parser.add_argument("--seed", metavar="N", type=int, default=Options.seed, help=f"of every draw [{Options.seed}]")
    arguments = parser.parse_args()
    for name in numbers:
        value = getattr(arguments, name.replace("-", "_"))
        if not 0 < value < float("inf"):
            raise InputError(f"--{name} {value} is out of range; give a number above 0")
    return arguments


def read_schemas(arguments: argparse.Namespace, paths: dict[str, Path]) -> dict[str, Schema]:
    """The schema of each database. Raises InputError, naming all that is damaged or missing."""
    tables, damage = find_tables(arguments.benchmark, arguments.split, arguments.data, arguments.tables), Damage()
    known = read_tables(tables, damage) if tables else {}
    missing = [db_id for db_id in paths if tables and known.get(db_id) is None]
    if missing:
        reasons = "; ".join(["", *damage.lines()])
        raise InputError(f"{tables} has no sound schema of {', '.join(missing)}{reasons}; fetch the file again")
    for path in paths.values():
        check_not_in_use(path)
    return {db_id: read_database(known.get(db_id), db_id, path) for db_id, path in paths.items()}


def show(content: dict) -> None:
    """Print the figures, and the gold queries that do not run."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title="neighbours told apart by the original, by the suite alone, by neither",
    )
    table.add_column("db_id", overflow="fold")
    for name in COLUMNS.values():
        table.add_column(name, justify="right")
    for db_id, record in content["databases"].items():
        table.add_row(db_id, *(str(record[key]) for key in COLUMNS))
    table.add_section()
    table.add_row("total", *(str(content["total"][key]) for key in COLUMNS))
    console = Console()
    console.print(table)
    for db_id, record in content["databases"].items():
        for failure in record["failures"]:
            line = f"gold query that does not run ({db_id}): {failure['error']}: {failure['query']}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    total = content["total"]
    print(f"gold queries that cannot be parsed, and so have no neighbours: {total['gold_not_parsed']}")
    print(f"gold queries whose rows are left to chance (ties) on the original: {total['gold_left_to_chance']}")
    print(f"neighbours that nothing tells apart: {total['never_told_apart']}; many of them mean the same as the gold")


def main() -> None:
    arguments = parse_arguments()
    check_writable(arguments.output, "--output")
    questions = load_questions(arguments.benchmark, arguments.split, arguments.data, arguments.questions)
    db_ids = [question.db_id for question in questions]
    if "" in db_ids:
        raise InputError(f"question {db_ids.index('')} brings its own prompt and no database; there is nothing to test")
    paths = find_databases(arguments.benchmark, arguments.split, arguments.data, db_ids, arguments.databases)
    schemas = read_schemas(arguments, paths)
    options = Options(arguments.neighbours, arguments.max_databases, arguments.rows, arguments.seed, arguments.timeout)
    head = {"benchmark": arguments.benchmark, "split": arguments.split}
    show(make_suites(questions, schemas, paths, arguments.output, options, head, arguments.workers))


if __name__ == "__main__":
    run_script(main)
