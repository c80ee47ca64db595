"""What can be checked of a run without torch, cheapest first: a wrong flag then costs half a second in every rank.

Whatever needs a tokenizer, weights or the questions themselves is checked in `kid.training.inputs`.
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

# Files and folders that the user names -> where they come from.
MADE_BY = {
    "questions": "name a file that exists",
    "exclude": "make it with eval/audit.py --exclude",
    "teacher_outputs": "make it with train/generate.py",
    "teacher_states": "make it with train/teacher_states.py",
}


def loads_teacher(config: RunConfig) -> bool:
    return METHODS[config.method].needs_teacher and not config.teacher_states


def check_launcher() -> int:
    """The number of ranks. Raises InputError if DeepSpeed's launcher has not started this process."""
    if "RANK" not in os.environ:
        raise InputError(f"start this script with the launcher: deepspeed --num_gpus N {script_name()} ...")
    return int(os.environ["WORLD_SIZE"])


def check_files(config: RunConfig, *splits: str, names: tuple[str, ...]) -> None:
    """Raise InputError unless the files of these splits, and those that these keys name, are there."""
    check_data_folder(config.data)
    for name in names:
        value = getattr(config, name)
        if value and not Path(value).exists():
            raise InputError(f"{flag(name)} {value}: {os.strerror(errno.ENOENT)}; {MADE_BY[name]}")
    for split in splits:
        if split != "train" or not config.questions:  # --questions may bring prompts, which need no tables.json
            find_question_folder(find_split(config.benchmark, split), split, config.data)
            find_tables(config.benchmark, split, config.data, config.tables)


def check_run(config: RunConfig) -> None:
    """Check a training's launcher, batch size, directory, DeepSpeed configurations, and that its files are there.

    Raises:
        InputError: for the first that is wrong; nothing has been written.
    """
    accumulation_steps(config, check_launcher())
    check_run_directory(config)
    check_trackers(config)
    student = read_deepspeed_config(config.deepspeed, STUDENT_FLAG)
    if loads_teacher(config):
        read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    if config.dtype == "fp32" and student["zero_optimization"]["stage"] == 0:
        # DeepSpeed has no gradient norm there, so nothing would tell whether it is finite.
        raise InputError(f"{STUDENT_FLAG} {config.deepspeed}: take ZeRO stage 1, 2 or 3 with --dtype fp32")
    check_model_path(config.student, "--student")
    if loads_teacher(config):
        check_teacher_path(config.teacher, "--teacher")
    dev = ["dev"] if config.eval_steps else []
    ex = [config.eval_split] if config.eval_ex_steps else []
    check_files(config, "train", *dev, *ex, names=("questions", "exclude", "teacher_outputs", "teacher_states"))


def check_teacher_run(config: RunConfig) -> None:
    """`check_run` for the scripts that run a teacher over a training set; their output is checked where it is made.

    Raises:
        InputError: for the first that is wrong; nothing has been written.
    """
    check_launcher()
    read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    check_teacher_path(config.teacher, "--teacher")
    check_files(config, "train", names=("questions", "exclude"))
