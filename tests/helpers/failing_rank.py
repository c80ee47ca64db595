"""Like train/distill.py, but rank 1 fails in the second step."""

import os
import sys

import kid.training.trainer
from kid.errors import run_script
from kid.training.trainer import train_step

STEP = 1


def failing(config, source, student, teacher, batches, step, *rest):
    if step == STEP and os.environ["RANK"] == "1":
        raise KeyError("an error of its own")
    return train_step(config, source, student, teacher, batches, step, *rest)


if __name__ == "__main__":
    kid.training.trainer.train_step = failing
    sys.path.insert(0, "train")
    from distill import main

    run_script(main)
