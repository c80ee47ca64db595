"""Check a training before it is queued. Prints the splits to evaluate, a tab, and the run's directory."""

import argparse
import io
import runpy
import sys
from contextlib import redirect_stderr
from pathlib import Path
from types import ModuleType

from kid.config.benchmarks import BENCHMARKS
from kid.config.run_config import RunConfig, accumulation_steps
from kid.data.questions import load_questions
from kid.errors import InputError, OneLineParser, run_script
from kid.files import check_writable
from kid.terminal import unescaped


def check(config: RunConfig, arguments: argparse.Namespace) -> None:
    """Check everything that can be checked on a login node. Raises InputError."""
    accumulation_steps(config, arguments.ranks)
    check_writable(Path(config.output), "the run's directory")
    # A hub id has at most two parts.
    may_be_absent = arguments.teacher_pending or not config.teacher or len(Path(config.teacher).parts) <= 2
    if not may_be_absent and not Path(config.teacher).is_dir():
        raise InputError(f"teacher {config.teacher} does not exist; train it first (--train-teachers) or name another")
    splits = arguments.splits.split() or BENCHMARKS[config.benchmark].cluster_splits
    with redirect_stderr(io.StringIO() if arguments.without_notes else sys.stderr):
        load_questions(config.benchmark, "train", config.data, config.questions)
        for split in splits:
            load_questions(config.benchmark, split, config.data)
    print(f"{' '.join(splits)}\t{config.output}", file=unescaped(sys.stdout))  # slurm/submit.sh reads it


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--ranks", type=int, required=True, help="number of ranks on all nodes")
    parser.add_argument("--splits", default="", help="splits to predict [all of the benchmark]")
    parser.add_argument("--teacher-pending", action="store_true", help="an earlier job trains the teacher")
    parser.add_argument("--without-notes", action="store_true", help="do not repeat notes on the data")
    parser.add_argument("script", help="train/distill.py or train/sft.py")
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="flags of the script")
    arguments = parser.parse_args()
    # The script reads and checks its flags, then calls these replacements instead of training, without importing torch.
    checks, trainer = ModuleType("kid.training.checks"), ModuleType("kid.training.trainer")
    checks.check_run = lambda config: check(config, arguments)
    trainer.train = lambda config: None
    sys.modules |= {module.__name__: module for module in (checks, trainer)}
    sys.argv = [arguments.script, *arguments.flags]
    sys.path.insert(0, str(Path(arguments.script).parent))
    runpy.run_path(arguments.script, run_name="__main__")


if __name__ == "__main__":
    run_script(main)
