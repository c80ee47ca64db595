"""Write a report on finished runs, with tables, figures and examples, as Markdown and as one HTML page."""

import argparse
from pathlib import Path

from kid.errors import InputError, OneLineParser, run_script
from kid.files import check_writable

EXAMPLE = """example:
  python eval/evaluate.py runs/sft
  python eval/evaluate.py runs/kid --steps all
  python eval/report.py runs/sft runs/kid --data spider --output report

  Writes report/report.html, which is self-contained, and report/report.md with its figures as PNG. It reads these files
  of each run: config.yaml, environment.json, metrics.jsonl, scores/*.json, scores/step-N/*.json (of adapters/step-N),
  scores/exposure_bias.json and predictions/*.sql. Runs of one method with different seeds are averaged. The report
  ends with the results that a run lacks and others have, and the commands that create them.
"""


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="a run's directory")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="folder to write the report to")
    data_help = "the benchmark's folder, to show questions and gold SQL with predictions (default: predictions alone)"
    parser.add_argument("--data", metavar="DIR", type=Path, help=data_help)
    arguments = parser.parse_args()
    check_writable(arguments.output, "--output")
    if arguments.data and not arguments.data.is_dir():
        raise InputError(f"--data {arguments.data} does not exist; give the benchmark's folder, or omit --data")
    return arguments


def main() -> None:
    args = parse()
    # After the flags are checked: importing matplotlib takes a second.
    from kid.report.page import write_report
    from kid.report.runs import load_runs
    from kid.report.sections import report_sections

    runs, remarks = load_runs(args.runs)
    sections = report_sections(runs, remarks, args.data)
    for path in write_report(args.output, "Knowledge distillation for text-to-SQL: report", sections):
        print(path)
    for remark in dict.fromkeys(remarks):
        print(f"note: {remark}")


if __name__ == "__main__":
    run_script(main)
