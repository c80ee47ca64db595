"""The checks of a run that do not need torch, cheapest first: a wrong flag is reported after half a second.

What needs a tokenizer, weights or the questions themselves is checked in `kid.training.inputs`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from kid.config.benchmarks import find_split
from kid.config.deepspeed_config import STUDENT_FLAG, TEACHER_FLAG, read_deepspeed_config
from kid.config.keys import flag
from kid.config.methods import METHODS
from kid.config.run_config import RunConfig, accumulation_steps
from kid.data.questions import check_data_folder, find_question_folder, find_tables
from kid.errors import InputError, script_name
from kid.models.pretrained import check_model_path, check_teacher_path
from kid.run.directory import check_run_directory
from kid.run.trackers import check_trackers

# Keys with files and folders of the user -> what to do if they do not exist.
MADE_BY = {
    "questions": "give an existing file",
    "exclude": "create it with eval/audit.py --exclude",
    "teacher_outputs": "create it with train/generate.py",
    "teacher_states": "create it with train/teacher_states.py",
}


def loads_teacher(config: RunConfig) -> bool:
    return METHODS[config.method].needs_teacher and not config.teacher_states


def check_launcher() -> int:
    """Return the number of ranks. Raises InputError if this process was not started by DeepSpeed's launcher."""
    if "RANK" not in os.environ:
        raise InputError(f"start this script with the launcher: deepspeed --num_gpus N {script_name()} ...")
    return int(os.environ["WORLD_SIZE"])


def check_files(config: RunConfig, *splits: str, names: tuple[str, ...]) -> None:
    """Raise InputError unless the files of these splits, and those given by the keys `names`, exist."""
    check_data_folder(config.data)
    for name in names:
        value = getattr(config, name)
        if value and not Path(value).exists():
            raise InputError(f"{flag(name)} {value}: {os.strerror(errno.ENOENT)}; {MADE_BY[name]}")
    for split in splits:
        if split != "train" or not config.questions:  # --questions may have prompts, which need no tables.json
            find_question_folder(find_split(config.benchmark, split), split, config.data)
            find_tables(config.benchmark, split, config.data, config.tables)


def check_run(config: RunConfig) -> None:
    """Check launcher, batch size, directory and DeepSpeed configurations of a training, and that its files exist.

    Raises:
        InputError: for the first problem found; nothing has been written.
    """
    accumulation_steps(config, check_launcher())
    check_run_directory(config)
    check_trackers(config)
    student = read_deepspeed_config(config.deepspeed, STUDENT_FLAG)
    if loads_teacher(config):
        read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    if config.dtype == "fp32" and student["zero_optimization"]["stage"] == 0:
        # DeepSpeed does not compute the gradient norm in this case, so a gradient of NaN would not be noticed.
        raise InputError(f"{STUDENT_FLAG} {config.deepspeed}: --dtype fp32 requires ZeRO stage 1, 2 or 3")
    check_model_path(config.student, "--student")
    if loads_teacher(config):
        check_teacher_path(config.teacher, "--teacher")
    dev = ["dev"] if config.eval_steps else []
    ex = [config.eval_split] if config.eval_ex_steps else []
    check_files(config, "train", *dev, *ex, names=("questions", "exclude", "teacher_outputs", "teacher_states"))


def check_teacher_run(config: RunConfig) -> None:
    """As `check_run`, for the scripts that run a teacher over a training set; they check their output file themselves.

    Raises:
        InputError: for the first problem found; nothing has been written.
    """
    check_launcher()
    read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    check_teacher_path(config.teacher, "--teacher")
    check_files(config, "train", names=("questions", "exclude"))
