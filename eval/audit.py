"""Audit a benchmark, or your own data, before you train or evaluate on it: find faults in its questions."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli import add_question_flags, name_benchmark
from rich.table import Table

from kid.console import Console
from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.audit.kinds import KINDS, MISLEADING
from kid.evaluation.execution import default_workers
from kid.evaluation.execution_accuracy import comparison_rule
from kid.files import check_writable, write_atomically

if TYPE_CHECKING:
    from kid.evaluation.audit.checks import Finding
    from kid.evaluation.audit.material import Material

EXAMPLE = """\
examples:
  python eval/audit.py --benchmark spider --data spider/ --json audit.json
  python eval/audit.py --benchmark jsonl --data mine/ --exclude exclude.json
  python eval/audit.py --benchmark bird --data bird/ --splits train --exclude exclude.json \\
      --exclude-kinds does-not-run too-slow

  The exit status is 1 if a file is damaged (the check damaged-file).

  Give the file to eval/score.py and train/*.py with --exclude: they exclude its questions and print how many. Gold SQL
  runs read-only, in processes that are killed after --timeout. docs/data.md describes each check.
"""


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_question_flags(parser, several_splits=True)
    parser.add_argument("--workers", metavar="N", type=int, default=default_workers(), help="default: number of cores")
    timeout_help = "time limit of a gold query in seconds (default: as in scoring, spider 60, bird 30)"
    parser.add_argument("--timeout", metavar="S", type=float, help=timeout_help)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every finding to this file")
    exclude_help = "write the questions to exclude to this file, for --exclude of training and scoring"
    parser.add_argument("--exclude", metavar="FILE", type=Path, help=exclude_help)
    kinds_help = f"checks whose findings exclude a question (default: {' '.join(MISLEADING)}); any of the table"
    parser.add_argument("--exclude-kinds", metavar="KIND", nargs="+", choices=KINDS, help=kinds_help)
    arguments = parser.parse_args()
    name_benchmark(arguments)
    if arguments.exclude_kinds and not arguments.exclude:
        raise InputError("--exclude-kinds requires --exclude FILE")
    if arguments.questions and len(arguments.splits or ()) != 1:
        raise InputError("--questions is the file of one split; name it with --splits")
    rule = comparison_rule(arguments.benchmark)
    arguments.timeout = rule.seconds if arguments.timeout is None else arguments.timeout
    for name in ("workers", "timeout"):
        value = getattr(arguments, name)
        if not 0 < value < float("inf"):
            raise InputError(f"--{name} {value} is out of range; give a number above 0")
    for name in ("json", "exclude"):
        if path := getattr(arguments, name):
            if path.is_dir():
                raise InputError(f"--{name} {path} is a folder; name a file")
            check_writable(path.parent, f"--{name}")
    return arguments


def place(finding: Finding) -> str:
    """Write where a finding is."""
    question = f" {finding.index} ({finding.db_id})" if finding.index is not None else ""
    return f"{finding.split or finding.db_id}{question}"


def show(console: Console, material: Material, findings: list[Finding]) -> None:
    """Print the counts by check and split; advice and the first findings of each kind; and what was not checked.

    A finding about a whole split is always printed, because it stands for many questions.
    """
    from kid.evaluation.audit.checks import CHECKS
    from kid.evaluation.audit.record import SHOWN, counts, describe, not_looked_at, was_looked_for

    table = Table(
        title="findings", title_justify="left", caption="questions are numbered from 0", caption_justify="left"
    )
    table.add_column("check")
    for split in material.splits:
        table.add_column(split, justify="right")
    by_kind = counts(findings)
    table.add_row("(questions)", *(str(len(questions)) for questions in material.splits.values()))
    for kind, found in by_kind.items():
        looked = [was_looked_for(material, kind, split) for split in material.splits]
        once = CHECKS[kind].counted_once
        numbers = [found[None if once else split] for split in material.splits]
        cells = [str(number) if there else "-" for number, there in zip(numbers, looked, strict=True)]
        table.add_row(kind, *(cells[:1] if once else cells))
    console.print(table)
    for kind, check in CHECKS.items():
        found = [finding for finding in findings if finding.kind == kind]
        whole_splits = [finding for finding in found if finding.split and finding.index is None]
        shown = whole_splits + [finding for finding in found if finding not in whole_splits][:SHOWN]
        lines = [f"{kind}: {check.meaning}; {check.advice}"] if found else []
        lines += ["  " + ": ".join(filter(None, (place(finding), finding.detail))) for finding in shown]
        if more := len(found) - len(shown):
            lines.append(f"  and {more} more (--json FILE lists all)")
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in map(describe, not_looked_at(material)):
        console.print(f"not checked: {line}", markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    arguments = parse_arguments()
    # After the flags are checked: these import sqlglot and rapidfuzz.
    from kid.data.exclusion import exclusion_record
    from kid.evaluation.audit.checks import find_all
    from kid.evaluation.audit.material import gather
    from kid.evaluation.audit.record import audit_record, reasons_to_exclude

    benchmark = arguments.benchmark
    material = gather(
        benchmark, arguments.data, arguments.splits, arguments.workers, arguments.timeout,
        arguments.questions, arguments.tables, arguments.databases,
    )  # fmt: skip
    findings = find_all(material)
    show(Console(), material, findings)
    if arguments.json:
        write_atomically(arguments.json, json.dumps(audit_record(benchmark, material, findings), indent=1) + "\n")
    if arguments.exclude:
        reasons = reasons_to_exclude(findings, arguments.exclude_kinds or MISLEADING)
        record = exclusion_record(benchmark, material.splits, reasons)
        write_atomically(arguments.exclude, json.dumps(record, indent=1) + "\n")
        questions = f"{len(reasons)} question{'s' if len(reasons) > 1 else ''}" if reasons else "no question"
        print(f"{arguments.exclude} excludes {questions}; give it to train/*.py and eval/score.py")
    if material.faults:
        sys.exit(1)


if __name__ == "__main__":
    run_script(main)
