"""Predict and score one split with a finished run, with the run's own settings, into its predictions/ and scores/."""

import subprocess
from pathlib import Path

from kid.errors import InputError, OneLineParser, run_script
from kid.report.missing import predict_command, score_command
from kid.report.runs import load_runs
from kid.report.score_files import SCORE_COLUMNS


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run", type=Path, help="a run's directory")
    parser.add_argument("split", help="a split of the benchmark it was trained on")
    arguments = parser.parse_args()
    run = load_runs([arguments.run])[0][0]
    column = (run.config.benchmark, arguments.split, run.benchmark_key[1])
    if column not in SCORE_COLUMNS:
        raise InputError(f"split {arguments.split} of benchmark {run.config.benchmark} has no place in the report")
    for command in (predict_command(run, column), score_command(run, column, test_suite=False)):
        print(command, flush=True)
        if subprocess.run(command, shell=True, check=False).returncode:
            raise InputError(f"{command.split()[1]} failed for {arguments.run} on {arguments.split}; see above")


if __name__ == "__main__":
    run_script(main)
