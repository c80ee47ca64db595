"""Predict and score splits with a run's students, with the run's own settings, into its predictions/ and scores/."""

from __future__ import annotations

import argparse
from pathlib import Path

from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.run_evaluation import STEPS, Evaluation, find_cells, show_results

EXAMPLE = """examples:
  python eval/evaluate.py runs/kid
  python eval/evaluate.py runs/kid --splits dev dk syn realistic --test-suite suites
  python eval/evaluate.py runs/kid --steps all                  every adapters/step-N too, for EX over steps in reports
  python eval/evaluate.py runs/kid --steps base                 the student before training, a row of its own in reports

  Runs eval/predict.py and eval/score.py for each split and step, and shows their commands. Files lie where
  eval/report.py reads them: RUN/predictions/SPLIT.sql and RUN/scores/SPLIT.json, of adapters/step-N in step-N/ there.
  SPLIT.txt beside a score has what eval/score.py shows.
  What is there already, of the same weights, settings and predictions, is not made again; a command that was stopped
  is given again to go on.
"""


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's directory, --output of its training")
    splits_help = "splits of the benchmark it was trained on [dev]"
    parser.add_argument("--splits", metavar="S", nargs="+", default=["dev"], help=splits_help)
    steps_help = "last: the finished student; all: also every saved step; best: that of --keep-best; "
    steps_help += "base: before training [last]"
    parser.add_argument("--steps", choices=STEPS, default="last", help=steps_help)
    suite_help = "also TS, on DIR/SPLIT/DB_ID/*.sqlite, or DIR/DB_ID/*.sqlite where there is no DIR/SPLIT"
    parser.add_argument("--test-suite", metavar="DIR", type=Path, help=suite_help)
    overwrite_help = "replace other predictions that lie in their place (default: an error)"
    parser.add_argument("--overwrite", action="store_true", help=overwrite_help)
    arguments = parser.parse_args()
    if arguments.test_suite and not arguments.test_suite.is_dir():
        raise InputError(f"--test-suite {arguments.test_suite} is no folder; eval/make_test_suite.py makes one")
    return arguments


def main() -> None:
    arguments = parse()
    cells = find_cells(arguments.run, arguments.splits, arguments.steps)
    evaluation = Evaluation(cells, Path(__file__).parent, arguments.test_suite, arguments.overwrite)
    evaluation.run()
    show_results(evaluation)


if __name__ == "__main__":
    run_script(main, kept="what is finished is kept; run the same command again to continue")
