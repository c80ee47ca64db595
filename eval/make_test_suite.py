"""Create a test suite for a benchmark: random databases that expose SQL which is right on the original by accident."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli import add_question_flags, name_benchmark
from rich import box
from rich.table import Table

from kid.config.benchmarks import find_split
from kid.console import Console
from kid.data.database import DamagedDatabaseError, check_not_in_use
from kid.data.faults import Damage
from kid.data.questions import check_gold_sql, find_databases, find_tables, load_questions
from kid.errors import InputError, OneLineParser, first_of, run_script
from kid.evaluation.execution import default_workers
from kid.evaluation.suites.folders import check_db_id
from kid.evaluation.suites.options import Options
from kid.files import check_writable
from kid.run.lock import run_lock

if TYPE_CHECKING:
    from kid.data.schema import Schema

EXAMPLE = """\
example:
  python eval/make_test_suite.py --benchmark spider --data spider/ --output suite/
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --test-suite suite/

  After Zhong et al. (2020): each gold query gets neighbours, queries one edit away from it (another operator, column,
  literal or aggregate, a dropped condition, ...). Random databases with the schema's types and keys are generated. One
  is kept if it distinguishes a gold query from a neighbour that neither the original database nor the databases kept so
  far distinguish from it; then, up to --max-databases, also for neighbours that only the original distinguishes.
  The databases are suite/DB_ID/DB_ID_01.sqlite, DB_ID_02.sqlite, ...; suite/suite.json has their statistics. An
  interrupted run resumes where it stopped. A finished database is generated again only if its queries, its values or
  the options have changed, or its files no longer match suite.json. Files that this script did not write are never
  removed.
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
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="a new folder, or that of a suite")
    damaged_help = "if questions or databases are damaged: error, or skip them (default: error)"
    parser.add_argument("--damaged", choices=("error", "skip"), default="error", help=damaged_help)
    numbers = {
        "max-databases": (Options.max_databases, "maximum number of random databases to keep per schema"),
        "neighbours": (Options.neighbours, "maximum number of neighbours per gold query"),
        "rows": (Options.rows, "maximum number of rows per table"),
        "workers": (default_workers(), "number of processes; does not change the suite"),
        "timeout": (Options.seconds, "time limit of a query in seconds"),
    }
    for name, (default, text) in numbers.items():
        parser.add_argument(f"--{name}", metavar="N", type=type(default), default=default, help=f"{text} [{default}]")
    parser.add_argument("--seed", metavar="N", type=int, default=Options.seed, help=f"random seed [{Options.seed}]")
    arguments = parser.parse_args()
    name_benchmark(arguments)
    for name in numbers:
        value = getattr(arguments, name.replace("-", "_"))
        if not 0 < value < float("inf"):
            raise InputError(f"--{name} {value} is out of range; give a number above 0")
    return arguments


def read_schemas(arguments: argparse.Namespace, paths: dict[str, Path]) -> tuple[dict[str, Schema], dict[str, str]]:
    """Return (schema of each database, reasons why databases are damaged; empty without --damaged skip), by db_id.

    Raises:
        InputError: databases are damaged or missing; the message lists them.
    """
    from kid.data.reading import lacks_schema
    from kid.data.schema import read_tables
    from kid.data.sqlite_schema import completion_note, read_database

    tables, damage = find_tables(arguments.benchmark, arguments.split, arguments.data, arguments.tables), Damage()
    partial = not find_split(arguments.benchmark, arguments.split).tables_required
    known = read_tables(tables, damage, partial) if tables else None
    missing = [db_id for db_id in paths if lacks_schema(known, db_id, partial)]
    if missing and arguments.damaged == "error":
        reasons = "; ".join(["", *damage.lines()])
        raise InputError(
            f"{tables} has no valid schema of {first_of(missing)}{reasons}; correct the file, or download it again"
        )
    schemas: dict[str, Schema] = {}
    damaged = {db_id: f"{tables} has no valid schema of it" for db_id in missing}
    for path in paths.values():
        check_not_in_use(path)
    for db_id, path in paths.items():
        if db_id not in damaged:
            try:
                schemas[db_id] = read_database((known or {}).get(db_id), db_id, path, partial)
            except DamagedDatabaseError as error:
                damaged[db_id] = str(error)
    if damaged and arguments.damaged == "error":
        what_to_do = "fix this, or skip it with --damaged skip"
        raise InputError(f"damaged database: {first_of(damaged.values())}; {what_to_do}")
    if partial and (note := completion_note(tables, known or {}, schemas)):
        print(f"note: {note}", file=sys.stderr)
    return schemas, damaged


def show(content: dict) -> None:
    """Print the statistics, and the gold queries that do not run."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title="gold queries and their neighbours (failed: those that do not run)\n"
        "original, suite, neither: what distinguishes neighbours from their gold query (suite: alone)\n"
        "tried, kept: random databases",
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
    for db_id, value in content["left_out"].items():
        line = f"damaged database, skipped with its {value['questions']} questions ({db_id}): {value['reason']}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    total = content["total"]
    print(f"gold queries that cannot be parsed and so have no neighbours: {total['gold_not_parsed']}")
    print(f"gold queries whose rows depend on chance (ties) on the original: {total['gold_left_to_chance']}")
    print(
        f"neighbours that no database distinguishes: {total['never_told_apart']}; many are equivalent to the gold query"
    )


def main() -> None:
    arguments = parse_arguments()
    from kid.evaluation.suites.build import make_suites, read_suite  # after the flags are checked: it imports sqlglot

    check_writable(arguments.output, "--output")
    damage, output = Damage(arguments.damaged), arguments.output
    questions = load_questions(arguments.benchmark, arguments.split, arguments.data, arguments.questions, damage)
    damage.raise_unless_skipped()
    check_gold_sql(questions, "a test suite")
    questions = [question for question in questions if not question.fault]
    if not questions:
        raise InputError(f"all questions are damaged; {'; '.join(damage.lines())}")
    db_ids = [question.db_id for question in questions]
    if "" in db_ids:
        index = questions[db_ids.index("")].index
        raise InputError(f"question {index} has its own prompt and no database; remove it")
    for db_id in db_ids:
        check_db_id(db_id)
    paths = find_databases(arguments.benchmark, arguments.split, arguments.data, db_ids, arguments.databases)
    head = {"benchmark": arguments.benchmark, "split": arguments.split}
    read_suite(output, head)  # refuse a folder that is not a suite before a lock file is written to it
    schemas, damaged = read_schemas(arguments, paths)
    options = Options(arguments.neighbours, arguments.max_databases, arguments.rows, arguments.seed, arguments.timeout)
    left_out = damaged if arguments.damaged == "skip" else None
    with run_lock(output):
        content = make_suites(questions, schemas, paths, output, options, head, arguments.workers, left_out)
    for line in damage.lines():
        print(f"skipped: {line}")
    show(content)


if __name__ == "__main__":
    run_script(main, kept="finished databases are kept; run the same command again to continue")
