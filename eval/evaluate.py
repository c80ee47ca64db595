"""Predict and score splits with a run's students and settings; writes to the run's predictions/ and scores/."""

from __future__ import annotations

import argparse
from pathlib import Path

from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.run_evaluation import STEPS, Evaluation, find_cells, show_results

EXAMPLE = """examples:
  python eval/evaluate.py runs/kid
  python eval/evaluate.py runs/kid --splits dev dk syn realistic --test-suite suites
  python eval/evaluate.py runs/kid --steps all                  also every adapters/step-N, for EX over steps in reports
  python eval/evaluate.py runs/kid --steps base                 the student before training, a separate row in reports

  Runs eval/predict.py and eval/score.py for each split and step and prints their commands. eval/report.py reads the
  files that are written: RUN/predictions/SPLIT.sql and RUN/scores/SPLIT.json, for adapters/step-N in step-N/ below
  these folders. SPLIT.txt next to a score is the output of eval/score.py.
  Existing files made with the same weights, settings and predictions are kept. To resume an interrupted evaluation, run
  the same command again.
"""


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's directory, the --output of its training")
    splits_help = "splits of the benchmark that it was trained on [dev]"
    parser.add_argument("--splits", metavar="S", nargs="+", default=["dev"], help=splits_help)
    steps_help = "last: the finished student; all: also every saved step; best: the step of --keep-best; "
    steps_help += "base: the student before training [last]"
    parser.add_argument("--steps", choices=STEPS, default="last", help=steps_help)
    suite_help = "also score TS, on DIR/SPLIT/DB_ID/*.sqlite or, without DIR/SPLIT, on DIR/DB_ID/*.sqlite"
    parser.add_argument("--test-suite", metavar="DIR", type=Path, help=suite_help)
    overwrite_help = "replace different predictions in the same files (default: an error)"
    parser.add_argument("--overwrite", action="store_true", help=overwrite_help)
    arguments = parser.parse_args()
    if arguments.test_suite and not arguments.test_suite.is_dir():
        raise InputError(f"--test-suite {arguments.test_suite} is not a folder; eval/make_test_suite.py creates one")
    return arguments


def main() -> None:
    arguments = parse()
    cells = find_cells(arguments.run, arguments.splits, arguments.steps)
    evaluation = Evaluation(cells, Path(__file__).parent, arguments.test_suite, arguments.overwrite)
    evaluation.run()
    show_results(evaluation)


if __name__ == "__main__":
    run_script(main, kept="finished files are kept; run the same command again to continue")
