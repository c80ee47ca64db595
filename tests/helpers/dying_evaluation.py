"""Like train/distill.py, but rank 1 is killed in the second evaluation of EX."""

import os
import signal
import sys

import kid.training.evaluation
import kid.training.trainer
from kid.errors import run_script

score, calls = kid.training.evaluation.score_predictions, []


def dying(*arguments, **more):
    calls.append(1)
    if len(calls) == 2 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return score(*arguments, **more)


if __name__ == "__main__":
    kid.training.evaluation.score_predictions = dying
    sys.path.insert(0, "train")
    from distill import main

    run_script(main)
